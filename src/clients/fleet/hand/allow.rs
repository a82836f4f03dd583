//! The host's own allow-list, `/etc/paramedic/hand.yaml`: what Paramedic may ask of this host. Whoever holds the key gets this
//! and no more. A list that is absent or broken allows nothing.

use super::{Op, Terms};
use crate::clients::fleet::ReachError;
use crate::clients::fleet::local::systemd::{Unit, parse_units};
use crate::domain::{DangerLevel, Time, protected_path};
use crate::safety::command::classify;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowList {
    /// A unit, or a pattern with `{n}` for a number from 1 to 999, and what may be asked of it.
    #[serde(default)]
    units: BTreeMap<String, BTreeSet<Verb>>,
    /// Folders below which old files may be removed.
    #[serde(default)]
    log_roots: Vec<PathBuf>,
    /// May load, memory and disks be read?
    #[serde(default)]
    resources: bool,
    /// The highest danger level of a diagnosis command that may be run; none without it, CRITICAL never.
    #[serde(default)]
    commands: Option<DangerLevel>,
    /// Is a request refused that comes without a certificate made for it?
    #[serde(default)]
    require_grant: bool,
    /// Where the numbers of used grants are kept for as long as they open anything; made where it is not there.
    #[serde(default)]
    used_grants: Option<PathBuf>,
}

const USED_GRANTS: &str = "/run/paramedic-hand";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Status,
    Logs,
    Restart,
    Start,
}

impl AllowList {
    /// The error says what is wrong with the file, for the one who wrote it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("the allow-list {} cannot be read: {e}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("the allow-list {} is broken: {why}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let list: Self = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        for name in list.units.keys() {
            Unit::parse(&name.replacen("{n}", "1", 1)).map_err(|e| format!("units: {}", plain(e)))?;
        }
        if list.commands == Some(DangerLevel::Critical) {
            return Err("commands: CRITICAL is never run: expected SAFE, LOW, MEDIUM or HIGH".to_owned());
        }
        for root in &list.log_roots {
            let climbs = root.components().any(|c| matches!(c, std::path::Component::ParentDir));
            if !root.is_absolute() || climbs || protected_path(root) {
                return Err(format!(
                    "log_roots: `{}` cannot be a log root: expected an absolute folder such as /var/log/app",
                    root.display()
                ));
            }
        }
        Ok(list)
    }

    pub fn log_roots(&self) -> Vec<PathBuf> {
        self.log_roots.clone()
    }

    /// A certificate's terms, once it is known which request came: a change uses its grant up.
    pub fn admit(&self, terms: Option<&Terms>, op: &Op, now: Time) -> Result<(), String> {
        match terms {
            None if self.require_grant => {
                Err("the allow-list says `require_grant: true`: expected a certificate made for this request".to_owned())
            }
            Some(terms) if op.acts() => terms.use_up(self.used_grants.as_deref().unwrap_or(Path::new(USED_GRANTS)), now),
            _ => Ok(()),
        }
    }

    /// `Err` says what is missing from the list, for the one who reads the incident.
    pub fn check(&self, op: &Op) -> Result<(), String> {
        match op {
            Op::Status { units } => self.check_units(units, Verb::Status),
            Op::Logs { units, .. } => self.check_units(units, Verb::Logs),
            Op::Restart { unit } => self.check_units(std::slice::from_ref(unit), Verb::Restart),
            Op::Start { unit } => self.check_units(std::slice::from_ref(unit), Verb::Start),
            Op::Resources { .. } if self.resources => Ok(()),
            Op::Resources { .. } => Err("the allow-list does not say `resources: true`".to_owned()),
            Op::Command { command } => self.check_command(command),
            // Each path is judged against the roots where the folder is opened.
            Op::Clean { .. } if !self.log_roots.is_empty() => Ok(()),
            Op::Clean { .. } => Err("the allow-list names no log_roots".to_owned()),
        }
    }

    /// Read and judged here again, whatever the asker made of it.
    fn check_command(&self, command: &str) -> Result<(), String> {
        let Some(most) = self.commands else { return Err("the allow-list does not say `commands: LOW`".to_owned()) };
        let reading = classify(command);
        match reading.deciding() {
            Some(part) if reading.level > most => {
                Err(format!("the command is {}, and the allow-list says `commands: {most}`: `{}` {}", reading.level, part.text, part.why))
            }
            _ => Ok(()),
        }
    }

    fn check_units(&self, units: &[String], verb: Verb) -> Result<(), String> {
        for unit in parse_units(units).map_err(plain)? {
            let listed = self.units.iter().any(|(name, verbs)| verbs.contains(&verb) && names(name, unit.as_str()));
            if !listed {
                let verb = format!("{verb:?}").to_lowercase();
                return Err(format!("the allow-list does not allow `{verb}` of {unit}: expected `{unit}: [{verb}]` under units"));
            }
        }
        Ok(())
    }
}

/// The reason alone: who refuses is said by the reply.
fn plain(error: ReachError) -> String {
    match error {
        ReachError::Refused { why, .. } => why,
        other => other.to_string(),
    }
}

/// Does this entry of the list mean this unit? Both sides in full form.
fn names(entry: &str, unit: &str) -> bool {
    let full = |name: &str| Unit::parse(name).is_ok_and(|known| known.as_str() == unit);
    let Some((head, tail)) = entry.split_once("{n}") else {
        return full(entry);
    };
    let number = unit.strip_prefix(head).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    match number {
        Some(n) if (1..=3).contains(&n.len()) && !n.starts_with('0') => full(&format!("{head}{n}{tail}")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "units:\n  api-gateway.service: [status, logs, restart]\n  \"worker@{n}.service\": [status, start]\nlog_roots: [/var/log/app]\n";

    fn restart(unit: &str) -> Op {
        Op::Restart { unit: unit.to_owned() }
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let list = AllowList::parse(LIST).unwrap();
        list.check(&restart("api-gateway.service")).unwrap();
        list.check(&restart("api-gateway")).unwrap();
        let why = list.check(&restart("sshd.service")).unwrap_err();
        assert_eq!(why, "the allow-list does not allow `restart` of sshd.service: expected `sshd.service: [restart]` under units");
        assert!(list.check(&Op::Start { unit: "api-gateway".into() }).is_err());
        let two = |a: &str, b: &str| Op::Status { units: vec![a.into(), b.into()] };
        list.check(&two("api-gateway", "worker@2.service")).unwrap();
        assert!(list.check(&two("api-gateway", "sshd")).is_err(), "one listed unit does not carry another in");
        assert!(list.check(&Op::Resources { checks: BTreeSet::new() }).is_err());
    }

    #[test]
    fn a_pattern_means_numbers_and_nothing_else() {
        let list = AllowList::parse(LIST).unwrap();
        let start = |unit: &str| list.check(&Op::Start { unit: unit.into() });
        start("worker@1.service").unwrap();
        start("worker@999.service").unwrap();
        for bad in
            ["worker@0.service", "worker@01.service", "worker@x.service", "worker@1x.service", "worker@1000.service", "worker@.service"]
        {
            assert!(start(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_command_is_judged_by_the_host_itself() {
        let run = |list: &str, command: &str| AllowList::parse(list).unwrap().check(&Op::Command { command: command.to_owned() });
        assert!(run(LIST, "df -h").unwrap_err().contains("does not say `commands: LOW`"));
        run("commands: LOW", "df -h | tail -1").unwrap();
        run("commands: LOW", "cat /etc/hosts").unwrap();
        run("commands: MEDIUM", "mkdir /srv/x").unwrap();
        assert!(run("commands: SAFE", "cat /etc/hosts").unwrap_err().contains("the command is LOW"));
        assert!(
            run("commands: LOW", "mkdir /srv/x").unwrap_err().contains("the command is MEDIUM, and the allow-list says `commands: LOW`")
        );
        assert!(run("commands: HIGH", "rm -rf /").unwrap_err().contains("the command is CRITICAL"));
    }

    #[test]
    fn a_broken_list_says_what_is_wrong() {
        for (text, part) in [
            ("unitz: {}", "unitz"),
            ("units: {api.service: [reboot]}", "reboot"),
            ("units: {\"api;reboot\": [restart]}", "not a unit"),
            ("log_roots: [/etc]", "/etc"),
            ("log_roots: [/var/log/../../etc]", "cannot be a log root"),
            ("log_roots: [logs]", "absolute"),
            ("commands: CRITICAL", "never run"),
            ("commands: harmless", "harmless"),
        ] {
            let why = AllowList::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
