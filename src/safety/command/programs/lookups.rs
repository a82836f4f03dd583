//! Names that are looked up: what is asked for is heard by whoever owns the name, so only this machine's own names are plain reading.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::Program;
use super::super::syntax::Word;
use super::by_table;
use crate::domain::DangerLevel::{High, Medium};

/// Types of records, which dig tells from names.
const TYPES: [&str; 15] = ["A", "AAAA", "ANY", "CAA", "CNAME", "DNSKEY", "DS", "IN", "MX", "NS", "PTR", "SOA", "SRV", "SSHFP", "TXT"];

/// `dig @server name type +option`: the words may stand in any order.
pub fn dig(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    for word in &scan.operands {
        let text = word.text.as_str();
        match (text.strip_prefix('+'), text.strip_prefix('@')) {
            (Some(flag), _) if flag.bytes().all(|c| c.is_ascii_alphanumeric()) => {}
            (Some(flag), _) if matches!(flag.split_once('='), Some(("time" | "tries" | "retry", n)) if n.bytes().all(|c| c.is_ascii_digit())) =>
                {}
            (Some(_), _) => judge.note(&word.raw, Medium, "may add to what is asked for"),
            (_, Some(server)) => judge.machine(&Word { text: server.to_owned(), ..(*word).clone() }),
            _ if TYPES.iter().any(|known| known.eq_ignore_ascii_case(text)) => {}
            _ => judge.machine(word),
        }
    }
    judge.note(&said(words), program.level, program.why);
    Run::plain(words)
}

/// nslookup and ntpq: every operand is a machine; without one they take their questions from the pipe.
pub fn asks(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    if judge.piped {
        judge.note(&said(words), High, "may take its questions from the pipe");
    }
    let scan = judge.scan(&[program], &words[1..], false);
    scan.operands.iter().for_each(|word| judge.machine(word));
    by_table(judge, &mut vec![program], words, words)
}

/// More than five a second is load.
pub fn ping(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    for word in scan.given(&["-i"]).filter(|word| !word.text.parse().is_ok_and(|seconds: f64| seconds >= 0.2)) {
        judge.note(&word.raw, Medium, "sends many a second");
    }
    by_table(judge, &mut vec![program], words, words)
}

/// Words of a filter of ss that are no machines.
const FILTER: [&str; 43] = [
    "state",
    "exclude",
    "dst",
    "src",
    "dport",
    "sport",
    "and",
    "or",
    "not",
    "eq",
    "neq",
    "ne",
    "le",
    "leq",
    "lt",
    "ge",
    "geq",
    "gt",
    "autobound",
    "all",
    "connected",
    "synchronized",
    "bucket",
    "big",
    "established",
    "syn-sent",
    "syn-recv",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listen",
    "listening",
    "closing",
    "bound",
    "bound-inactive",
    "unconnected",
    "inet",
    "inet6",
    "time",
    "wait",
];

/// `ss dst NAME` looks the name up.
pub fn sockets(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    for word in &scan.operands {
        let parts = word.text.split(|c: char| c.is_whitespace() || "()!=<>&|,".contains(c)).filter(|part| !part.is_empty());
        parts.filter(|part| !FILTER.contains(part)).for_each(|part| judge.resolved(word, part));
    }
    by_table(judge, &mut vec![program], words, words)
}

/// `lsof -i @NAME` does.
pub fn open_files(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    for word in &words[1..] {
        if let Some((_, name)) = word.text.split_once('@') {
            judge.resolved(word, name);
        }
    }
    by_table(judge, &mut vec![program], words, words)
}

/// `fuser ,NAME,80/tcp` does.
pub fn users(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    for word in words[1..].iter().filter(|word| word.text.contains(',')) {
        word.text.split(',').for_each(|part| judge.resolved(word, part.trim_end_matches("/tcp").trim_end_matches("/udp")));
    }
    by_table(judge, &mut vec![program], words, words)
}

/// Databases of getent that are asked over the network.
const ASKED: [&str; 6] = ["hosts", "ahosts", "ahostsv4", "ahostsv6", "networks", "netgroup"];

pub fn getent(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    if let Some((database, names)) = scan.operands.split_first()
        && (!database.is_literal() || ASKED.contains(&database.text.as_str()))
    {
        names.iter().for_each(|word| judge.machine(word));
    }
    super::special::getent(judge, program, words)
}
