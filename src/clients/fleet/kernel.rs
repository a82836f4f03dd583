//! What the kernel says about a process: who it is, whether it lives, who else is in its group. A process number alone never
//! identifies a process: it is used again.

use crate::domain::Time;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{Error, ErrorKind, Result};

/// Clock ticks a second in /proc; fixed by the kernel's interface on every architecture that Rust runs on.
const TICKS: u64 = 100;

/// A process that cannot be mistaken for a later one: its number, when it started, and in which boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    pub pid: u32,
    /// Ticks after boot.
    pub started: u64,
    pub boot: String,
}

impl Identity {
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self { pid, started: stat(pid)?.started, boot: boot_id()? })
    }
}

struct Stat {
    state: char,
    group: u32,
    started: u64,
}

impl Stat {
    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

pub fn boot_id() -> Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
}

/// A zombie is dead.
pub fn is_alive(identity: &Identity) -> bool {
    let same_boot = boot_id().is_ok_and(|boot| boot == identity.boot);
    same_boot && stat(identity.pid).is_ok_and(|now| now.started == identity.started && now.lives())
}

/// Never later than it really was, and earlier by a second and a tick at most: the kernel tells the boot time in whole seconds.
pub fn started_at(identity: &Identity) -> Option<Time> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Time::from_timestamp_millis(boot * 1000 + i64::try_from(identity.started * 1000 / TICKS).ok()?)
}

/// The group that this process leads, if the process is still there and still the one we started.
pub fn led_group(identity: &Identity) -> Option<Pid> {
    // A child's group is never our own, whatever a pid file says.
    let ours = identity.pid != std::process::id() && boot_id().is_ok_and(|boot| boot == identity.boot);
    let same = ours && stat(identity.pid).is_ok_and(|leader| leader.started == identity.started);
    pid(identity.pid).filter(|_| same)
}

/// Living processes that carry our mark (`NAME=value` in their environment): children whose pid file is gone or was never
/// written, and what a dead child left behind.
pub fn marked(mark: &str) -> Vec<Marked> {
    let carries = |pid| {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| text.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
    };
    let own = rustix::process::getpgrp();
    let living = processes().filter_map(|(number, stat)| Some((number, pid(stat.group)?)));
    let strangers = living.filter(|(_, group)| *group != own);
    strangers.filter(|(number, _)| carries(*number)).map(|(pid, group)| Marked { pid, group }).collect()
}

pub struct Marked {
    pub pid: u32,
    pub group: Pid,
}

impl Marked {
    pub fn leads(&self) -> bool {
        pid(self.pid) == Some(self.group)
    }
}

pub fn group_lives(group: Pid) -> bool {
    processes().any(|(_, stat)| pid(stat.group) == Some(group))
}

/// All living processes; a zombie is none.
fn processes() -> impl Iterator<Item = (u32, Stat)> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter_map(|number| Some((number, stat(number).ok()?))).filter(|(_, stat)| stat.lives())
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

fn stat(pid: u32) -> Result<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
}

/// `pid (name) state ppid pgrp … starttime`: the name may hold anything, so the fields are counted after its last `)`.
fn parse_stat(text: &str) -> Result<Stat> {
    let strange = || Error::new(ErrorKind::InvalidData, "/proc/PID/stat is not as expected");
    let (_, rest) = text.rsplit_once(") ").ok_or_else(strange)?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    Ok(Stat {
        state: fields.first().and_then(|word| word.chars().next()).ok_or_else(strange)?,
        group: fields.get(2).and_then(|word| word.parse().ok()).ok_or_else(strange)?,
        started: fields.get(19).and_then(|word| word.parse().ok()).ok_or_else(strange)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "7 (a) R 9 (x) S 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 8811 0 0 184467";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.group, stat.started), ('S', 42, 8811));
        assert!(parse_stat("7 (a) S 1").is_err());
    }

    #[test]
    fn this_process_is_alive_and_a_later_one_with_its_number_is_not_it() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(is_alive(&me));
        let age = chrono::Utc::now() - started_at(&me).unwrap();
        assert!((-2..600).contains(&age.num_seconds()), "{age}");
        let started = me.started + 1;
        assert!(!is_alive(&Identity { started, ..me.clone() }));
        let boot = "another".to_owned();
        assert!(!is_alive(&Identity { boot, ..me.clone() }));
        assert!(led_group(&Identity { started, ..me }).is_none());
    }
}
