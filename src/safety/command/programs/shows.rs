//! Programs that read or change by the words they are given, which many of them take shortened: only these words, in full, read.

use super::super::judge::Judge;
use super::super::plan::Run;
use super::super::spec::Program;
use super::super::syntax::Word;
use super::special::{noted, texts};
use crate::domain::DangerLevel::{High, Low};

/// A program, and lines that read; `*` is a name, which does not begin with `-`.
const READS: [(&str, &[&str]); 13] = [
    (
        "nmcli",
        &[
            "",
            "general",
            "general status",
            "device",
            "dev",
            "d",
            "device status",
            "dev status",
            "device show",
            "dev show",
            "device show *",
            "dev show *",
            "connection",
            "con",
            "c",
            "connection show",
            "con show",
            "networking",
            "networking connectivity",
            "radio",
            "-v",
        ],
    ),
    ("iwconfig", &["", "*"]),
    ("iw", &["dev", "list", "dev * info", "dev * link", "dev * station dump"]),
    ("networkctl", &["", "list", "status", "status *", "lldp"]),
    ("getconf", &["-a", "*", "* *"]),
    ("locale", &["", "-a", "-m"]),
    ("localectl", &["", "status", "list-locales", "list-keymaps"]),
    ("rc-service", &["* status", "-l"]),
    ("rc-status", &["", "-a", "*"]),
    ("initctl", &["list", "version", "status *"]),
    ("chkconfig", &["--list"]),
    ("sv", &["status *"]),
    ("swanctl", &["--stats", "--list-sas", "--version"]),
];
/// The same for private networks.
const PRIVATE: [(&str, &[&str]); 4] = [
    ("ipsec", &["status", "statusall", "version", "status *", "statusall *"]),
    ("wg", &["", "show", "show *", "show interfaces"]),
    ("tailscale", &["status", "version", "ip", "netcheck"]),
    ("zerotier-cli", &["info", "status", "peers", "listpeers"]),
];

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let name = words[0].text.rsplit('/').next().unwrap_or_default();
    let lines = READS.iter().chain(&PRIVATE).find(|(known, _)| *known == name).map_or(&[][..], |(_, lines)| lines);
    let reads = words.iter().all(Word::is_literal) && lines.iter().any(|line| fits(line, &texts(words)));
    let level = if reads { program.level.min(Low) } else { High };
    noted(judge, words, level, if reads { "shows how it is" } else { "may change how it is" })
}

fn fits(line: &str, said: &[&str]) -> bool {
    let known: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let same = |(known, said): (&&str, &&str)| known == said || (*known == "*" && !said.starts_with('-') && !said.contains([';', '/']));
    known.len() == said.len() && known.iter().zip(said).all(same)
}
