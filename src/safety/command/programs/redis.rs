//! redis-cli: commands that tell how the server is. What shows stored values, settings or changes anything is somebody's to confirm.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low};
use super::super::syntax::Word;
use crate::domain::DangerLevel::{self, Critical, High, Low, Medium};

const REDIS: Program = low(
    "redis-cli",
    "-23ce -h=^ -p= -s= -n= -r= -i= --raw --no-raw --csv --json --quoted-json --latency --latency-history --latency-dist --stat --no-auth-warning --tls --insecure --sni=^ --cluster-mode --verbose",
)
.raised(&[
    ("-a= --pass= --user= --askpass -u= --cert= --key=", Medium, "uses a password"),
    ("--eval= --ldb --ldb-sync-mode -x -X= --pipe --pipe-timeout= --functions-rdb= --replica --cluster=", High, "sends more than its arguments"),
    ("--rdb=", High, "writes everything that is stored into a file"),
    ("--scan --pattern= --bigkeys --memkeys --hotkeys --lru-test= --intrinsic-latency=", Medium, "goes over every key, or loads the server"),
]);

const TELLS: [&str; 43] = [
    "info",
    "ping",
    "dbsize",
    "role",
    "lastsave",
    "time",
    "ttl",
    "pttl",
    "type",
    "exists",
    "llen",
    "scard",
    "zcard",
    "hlen",
    "xlen",
    "strlen",
    "echo",
    "client list",
    "client info",
    "client getname",
    "slowlog get",
    "slowlog len",
    "memory usage",
    "memory stats",
    "memory doctor",
    "latency doctor",
    "latency latest",
    "cluster info",
    "cluster nodes",
    "cluster slots",
    "sentinel masters",
    "sentinel master",
    "sentinel replicas",
    "sentinel slaves",
    "sentinel sentinels",
    "sentinel get-master-addr-by-name",
    "sentinel ckquorum",
    "xinfo groups",
    "xinfo consumers",
    "pubsub channels",
    "pubsub numsub",
    "pubsub numpat",
    "command count",
];
/// Settings without passwords.
const SETTINGS: [&str; 18] = [
    "maxmemory",
    "maxmemory-policy",
    "maxclients",
    "timeout",
    "tcp-keepalive",
    "tcp-backlog",
    "save",
    "appendonly",
    "appendfsync",
    "databases",
    "hz",
    "port",
    "loglevel",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "latency-monitor-threshold",
    "client-output-buffer-limit",
    "repl-backlog-size",
];
const DESTROYS: [&str; 12] =
    ["flushall", "flushdb", "shutdown", "failover", "swapdb", "migrate", "replicaof", "slaveof", "cluster", "sentinel", "acl", "module"];

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[&REDIS], &words[1..], true);
    let command = scan.stopped.map_or(&[][..], |at| &words[at + 1..]);
    for word in command {
        if let Some(why) = word.unknown() {
            judge.opaque(&[], word, why);
        }
    }
    let said_to = |count: usize| command.iter().take(count).map(|word| word.text.to_lowercase()).collect::<Vec<_>>().join(" ");
    let (one, two) = (said_to(1), said_to(2));
    let shows = scan.options.iter().any(|option| {
        matches!(
            option.as_str(),
            "--latency" | "--stat" | "--bigkeys" | "--memkeys" | "--hotkeys" | "--latency-history" | "--latency-dist" | "--version"
        )
    });
    let (level, why): (DangerLevel, &str) = match () {
        () if command.is_empty() && shows => (Low, "shows how the server is"),
        () if command.is_empty() => (Medium, if judge.piped { "runs whatever comes down the pipe" } else { "waits at a terminal" }),
        () if two == "config get" && settings(command) => (program.level, "shows settings without passwords"),
        () if TELLS.contains(&one.as_str()) || TELLS.contains(&two.as_str()) => (program.level, "shows how the server is"),
        () if DESTROYS.contains(&one.as_str()) => (Critical, "removes data, or moves the database"),
        () if matches!(
            one.as_str(),
            "get"
                | "mget"
                | "hget"
                | "hgetall"
                | "lrange"
                | "smembers"
                | "zrange"
                | "xrange"
                | "keys"
                | "scan"
                | "monitor"
                | "object"
                | "config"
                | "xinfo"
                | "xpending"
                | "xrevrange"
        ) && two != "config set"
            && two != "config rewrite" =>
        {
            (Medium, "shows what is stored, or the settings with their passwords")
        }
        () => (High, "may change what is stored"),
    };
    judge.note(&said(words), level, why);
    if command.is_empty() && judge.piped && !shows {
        judge.note(&said(words), High, "runs whatever comes down the pipe");
    }
    Run::plain(words)
}

fn settings(command: &[Word]) -> bool {
    command.len() > 2 && command[2..].iter().all(|word| word.is_literal() && SETTINGS.contains(&word.text.to_lowercase().as_str()))
}
