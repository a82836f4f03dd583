//! Units through `systemctl` and `journalctl` at pinned paths, as argv. Never a name that could be an option, a pattern or a
//! path.

use super::{HERE, exec};
use crate::clients::fleet::error::excerpt;
use crate::clients::fleet::hand::Answer;
use crate::clients::fleet::{InstanceStatus, Limits, LogLevel, ReachError, log_text};
use crate::domain::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const JOURNALCTL: &str = "/usr/bin/journalctl";
const SHOWN: &str = "--property=Id,LoadState,ActiveState,SubState,Result,ActiveEnterTimestamp,MainPID,NRestarts";

/// A unit's full name. Targets, mounts and slices are left out on purpose: they take other units with them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit(String);

impl Unit {
    const KINDS: [&str; 4] = [".service", ".socket", ".timer", ".path"];

    /// A name without a kind is a service's, as systemctl has it.
    pub fn parse(text: &str) -> Result<Self, ReachError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':');
        let clean = text.len() <= 200 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed);
        let named = clean.then(|| match text.rsplit_once('.') {
            Some((stem, kind)) if !stem.is_empty() && Self::KINDS.iter().any(|known| known[1..] == *kind) => text.to_owned(),
            _ => format!("{text}.service"),
        });
        let other_kind = [".target", ".mount", ".automount", ".slice", ".scope", ".swap", ".device"];
        match named {
            Some(name) if !other_kind.iter().any(|kind| text.ends_with(kind)) => Ok(Self(name)),
            _ => Err(ReachError::Refused {
                by: HERE.to_owned(),
                why: format!(
                    "{} is not a unit's name: expected letters, digits and `. _ - @ :`, the first a letter or digit, ending in one of {}",
                    excerpt(text.as_bytes()),
                    Self::KINDS.join(" ")
                ),
            }),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub fn parse_units(units: &[String]) -> Result<Vec<Unit>, ReachError> {
    if units.is_empty() || units.len() > 64 {
        return Err(ReachError::Refused { by: HERE.to_owned(), why: format!("{} units asked for: expected 1 to 64", units.len()) });
    }
    units.iter().map(|unit| Unit::parse(unit)).collect()
}

/// In the order asked.
pub async fn status(units: &[Unit], limits: &Limits) -> Result<Vec<InstanceStatus>, ReachError> {
    let mut argv = vec![SYSTEMCTL, "show", "--no-pager", SHOWN, "--"];
    argv.extend(units.iter().map(Unit::as_str));
    let out = exec::run(&argv, 256 * 1024, limits.observe, false).await?;
    if out.code != Some(0) {
        return Err(failed("systemctl show", &out.stderr, false));
    }
    parse_show(&String::from_utf8_lossy(&out.stdout), units)
}

/// The last `lines` lines at `level` or worse. Most services write to stdout, which the journal files under `info` whatever it says:
/// so a line counts if the journal or its own text calls it an error.
pub async fn logs(units: &[Unit], lines: u32, level: LogLevel, limits: &Limits) -> Result<Vec<String>, ReachError> {
    let priority = match level {
        LogLevel::Error => "--priority=err",
        LogLevel::Warn => "--priority=warning",
        LogLevel::Info => return journal(units, lines, Some("--priority=info"), limits).await,
        LogLevel::All => return journal(units, lines, None, limits).await,
    };
    let marked = journal(units, lines, Some(priority), limits).await?;
    let all = journal(units, log_text::MAX_LINES, None, limits).await?;
    Ok(merge(marked, all, lines, level))
}

async fn journal(units: &[Unit], lines: u32, priority: Option<&str>, limits: &Limits) -> Result<Vec<String>, ReachError> {
    let count = format!("--lines={}", lines.clamp(1, log_text::MAX_LINES));
    let named: Vec<_> = units.iter().map(|unit| format!("--unit={unit}")).collect();
    let mut argv = vec![JOURNALCTL, "--no-pager", "--quiet", "--output=short-iso", &count];
    argv.extend(priority);
    argv.extend(named.iter().map(String::as_str));
    let out = exec::run(&argv, log_text::MAX_BYTES, limits.observe, false).await?;
    if out.code != Some(0) {
        return Err(failed("journalctl", &out.stderr, false));
    }
    Ok(log_text::tail(&out.stdout, lines, LogLevel::All, out.cut))
}

/// `marked` may reach back further than `all`; within `all` its order holds.
fn merge(marked: Vec<String>, all: Vec<String>, lines: u32, level: LogLevel) -> Vec<String> {
    let known: BTreeSet<_> = all.iter().cloned().collect();
    let wanted: BTreeSet<_> = marked.iter().cloned().collect();
    // Words of the unit's or host's name are not the message's.
    let message = |line: &str| line.split_once(": ").map_or(line, |(_, message)| message).to_owned();
    let older = marked.into_iter().filter(|line| !known.contains(line));
    let recent = all.into_iter().filter(|line| wanted.contains(line) || log_text::fits(&message(line), level));
    let mut merged: Vec<_> = older.chain(recent).collect();
    merged.drain(..merged.len().saturating_sub(lines as usize));
    merged
}

/// `restart` or `start`; returns when systemd's job has ended.
pub async fn act(verb: &str, unit: &Unit, limits: &Limits) -> Result<Answer, ReachError> {
    let before = status_of(unit, limits).await?;
    let out = exec::run(&[SYSTEMCTL, "--no-ask-password", verb, "--", unit.as_str()], 4 * 1024, limits.restart, true).await?;
    if out.code != Some(0) {
        // Exit 5 is "unit not loaded": surely nothing was done.
        return Err(failed(&format!("systemctl {verb} {unit}"), &out.stderr, out.code != Some(5)));
    }
    let after = status_of(unit, limits).await.map_err(ReachError::after_an_effect)?;
    Ok(Answer::Acted { before, after })
}

async fn status_of(unit: &Unit, limits: &Limits) -> Result<InstanceStatus, ReachError> {
    let seen = status(std::slice::from_ref(unit), limits).await?;
    seen.into_iter().next().ok_or_else(|| unexpected("nothing"))
}

fn failed(what: &str, stderr: &[u8], maybe_done: bool) -> ReachError {
    ReachError::Failed { what: what.to_owned(), place: HERE.to_owned(), why: excerpt(stderr), maybe_done }
}

/// `systemctl show` of several units: blocks of `Key=Value`, an empty line between.
fn parse_show(text: &str, units: &[Unit]) -> Result<Vec<InstanceStatus>, ReachError> {
    let blocks: Vec<_> = text.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    if blocks.len() != units.len() {
        return Err(unexpected(&format!("{} units for the {} asked", blocks.len(), units.len())));
    }
    blocks.iter().zip(units).map(|(block, unit)| parse_block(block, unit)).collect()
}

fn parse_block(block: &str, unit: &Unit) -> Result<InstanceStatus, ReachError> {
    let values: BTreeMap<_, _> = block.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |key: &str| values.get(key).copied().ok_or_else(|| unexpected(&format!("no {key} for {unit}")));
    let load = value("LoadState")?;
    if load == "not-found" {
        return Ok(InstanceStatus::missing(unit.as_str(), "not-found", "systemd knows no such unit"));
    }
    let active = value("ActiveState")?;
    // `reloading` serves; `activating` does not yet.
    let serves = matches!(active, "active" | "reloading");
    let since = parse_time(value("ActiveEnterTimestamp")?)?;
    let restarts = values.get("NRestarts").copied().unwrap_or("unknown");
    Ok(InstanceStatus {
        name: unit.as_str().to_owned(),
        exists: true,
        active: serves,
        state: format!("{active}/{}", value("SubState")?),
        since: since.filter(|_| serves),
        pid: values.get("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0),
        detail: format!("{load}, result {}, restarts by systemd {restarts}", values.get("Result").copied().unwrap_or("unknown")),
    })
}

/// `Thu 2026-11-19 08:15:02 UTC`; empty if it never was active.
fn parse_time(text: &str) -> Result<Option<Time>, ReachError> {
    if text.is_empty() || text == "n/a" {
        return Ok(None);
    }
    chrono::NaiveDateTime::parse_from_str(text, "%a %Y-%m-%d %H:%M:%S UTC")
        .map(|time| Some(time.and_utc()))
        .map_err(|_| unexpected(&format!("the time {}", excerpt(text.as_bytes()))))
}

fn unexpected(why: &str) -> ReachError {
    ReachError::Protocol { place: format!("systemctl of {HERE}"), why: format!("it said {why}"), maybe_done: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(names: &[&str]) -> Vec<Unit> {
        names.iter().map(|name| Unit::parse(name).unwrap()).collect()
    }

    const TWO: &str = "MainPID=412\nResult=success\nNRestarts=3\nId=api-gateway.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\
        ActiveEnterTimestamp=Thu 2026-11-19 08:15:02 UTC\n\nMainPID=0\nResult=signal\nNRestarts=0\nId=worker@2.service\nLoadState=loaded\n\
        ActiveState=failed\nSubState=failed\nActiveEnterTimestamp=\n";

    #[test]
    fn systemctl_show_of_two_units_is_read_in_order() {
        let seen = parse_show(TWO, &units(&["api-gateway", "worker@2.service"])).unwrap();
        assert_eq!(seen[0].state, "active/running");
        assert_eq!((seen[0].active, seen[0].pid), (true, Some(412)));
        assert_eq!(seen[0].since.unwrap().to_rfc3339(), "2026-11-19T08:15:02+00:00");
        assert_eq!((seen[1].active, seen[1].pid, seen[1].since), (false, None, None));
        assert_eq!(seen[1].detail, "loaded, result signal, restarts by systemd 0");
    }

    #[test]
    fn a_unit_that_systemd_does_not_know_is_missing_and_not_an_error() {
        let text = "MainPID=0\nResult=success\nNRestarts=0\nId=nope.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nActiveEnterTimestamp=\n";
        let seen = parse_show(text, &units(&["nope"])).unwrap();
        assert_eq!((seen[0].exists, seen[0].state.as_str()), (false, "not-found"));
    }

    #[test]
    fn an_answer_that_is_no_answer_is_an_error() {
        for text in ["", "Failed to connect to bus\n", "LoadState=loaded\n", &TWO.replace("08:15:02 UTC", "morning")] {
            let count = if text.contains("worker") { vec!["a", "b"] } else { vec!["a"] };
            let error = parse_show(text, &units(&count)).unwrap_err();
            assert!(matches!(error, ReachError::Protocol { .. }), "{error}");
        }
    }

    #[test]
    fn a_line_is_an_error_if_the_journal_or_its_own_text_says_so() {
        let line = |n: u32, text: &str| format!("2026-11-19T08:15:0{n}+0000 web-1 error-api[412]: {text}");
        let marked = vec![line(1, "systemd: main process exited"), line(4, "marked by the journal")];
        let all = vec![line(2, "INFO fine"), line(3, "ERROR on stdout"), line(4, "marked by the journal"), line(5, "INFO still fine")];
        let merged = merge(marked.clone(), all.clone(), 10, LogLevel::Error);
        assert_eq!(merged, [&marked[0], &all[1], &all[2]].map(String::clone));
        assert_eq!(merge(marked, all.clone(), 1, LogLevel::Error), [all[2].clone()]);
    }

    #[test]
    fn a_hostile_unit_name_is_refused_loudly() {
        let long = "a".repeat(300);
        for bad in [
            "",
            "-H evil",
            "--root=/",
            "api gateway",
            "api;reboot",
            "api\nreboot",
            "../api",
            "api/x",
            "*",
            "api*.service",
            "multi-user.target",
            "äpi",
            &long,
        ] {
            let error = Unit::parse(bad).unwrap_err();
            assert!(error.to_string().contains("is not a unit's name"), "{bad}: {error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        assert_eq!(Unit::parse("api.v2").unwrap().as_str(), "api.v2.service");
        assert_eq!(Unit::parse("worker@3.service").unwrap().as_str(), "worker@3.service");
    }
}
