//! What hosts and services answer, the same for every transport. Never says more than was seen: an unknown start time or
//! process number is absent, not zero.

use crate::domain::Time;
use serde::{Deserialize, Serialize};

/// Which log lines are wanted: this level and worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    All,
}

/// What to look at on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceCheck {
    Cpu,
    Memory,
    Disk,
}

impl ResourceCheck {
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Disk];
}

/// One unit, container or process of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceStatus {
    pub name: String,
    /// Does the transport know it at all? An instance that was never made is not.
    pub exists: bool,
    pub active: bool,
    /// In the transport's own words: `active/running`, `exited`, `dead`.
    pub state: String,
    pub since: Option<Time>,
    pub pid: Option<u32>,
    /// What else the transport says: restarts so far, exit code.
    pub detail: String,
}

impl InstanceStatus {
    pub fn missing(name: impl Into<String>, state: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), exists: false, active: false, state: state.to_owned(), since: None, pid: None, detail: detail.into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Every instance that the service normally has runs, on every host asked.
    pub active: bool,
    pub state: String,
    /// The latest start among the running instances.
    pub since: Option<Time>,
    /// Of the first instance.
    pub pid: Option<u32>,
    pub instances: u32,
    pub instances_active: u32,
    pub detail: String,
}

impl ServiceStatus {
    /// `base` instances, the first ones of the list, must run for the service to be active; the others are extras.
    pub fn of(instances: &[InstanceStatus], base: u32) -> Self {
        let wanted = instances.iter().take(base as usize);
        let known: Vec<_> = instances.iter().enumerate().filter(|(i, s)| *i < base as usize || s.exists).map(|(_, s)| s).collect();
        let state = match known.as_slice() {
            [] => "unknown".to_owned(),
            [first, rest @ ..] if rest.iter().all(|s| s.state == first.state) => first.state.clone(),
            mixed => mixed.iter().map(|s| format!("{} {}", s.name, s.state)).collect::<Vec<_>>().join(", "),
        };
        Self {
            active: !instances.is_empty() && wanted.clone().count() == base as usize && wanted.clone().all(|s| s.active),
            state,
            since: known.iter().filter(|s| s.active).filter_map(|s| s.since).max(),
            pid: instances.first().and_then(|s| s.pid),
            instances: known.len() as u32,
            instances_active: known.iter().filter(|s| s.active).count() as u32,
            detail: known.iter().map(|s| format!("{}: {}", s.name, s.detail)).collect::<Vec<_>>().join("; "),
        }
    }

    /// One service on several hosts: active only if it is on all of them.
    pub fn across(hosts: Vec<(String, Self)>) -> Self {
        let mut all = hosts.into_iter();
        let Some((first, mut sum)) = all.next() else {
            return Self::of(&[], 0);
        };
        let rest: Vec<_> = all.collect();
        if rest.is_empty() {
            return sum;
        }
        let same = rest.iter().all(|(_, s)| s.state == sum.state);
        if !same {
            sum.state = format!("{} on {first}", sum.state);
        }
        sum.detail = format!("{first}: {}", sum.detail);
        for (host, status) in rest {
            sum.active &= status.active;
            sum.since = sum.since.max(status.since);
            sum.instances += status.instances;
            sum.instances_active += status.instances_active;
            sum.detail = format!("{}; {host}: {}", sum.detail, status.detail);
            if !same {
                sum.state = format!("{}, {} on {host}", sum.state, status.state);
            }
        }
        sum
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restarted {
    pub before: ServiceStatus,
    pub after: ServiceStatus,
}

/// Running instances before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scaled {
    pub from: u32,
    pub to: u32,
}

/// What was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disks: Option<Vec<Disk>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    pub load1: f64,
    pub load5: f64,
    pub load15: f64,
    pub cores: u32,
    /// Over a sample of a fifth of a second.
    pub busy_percent: f64,
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
    pub used_percent: f64,
}

/// Bytes; `available` and `used_percent` as an ordinary user sees them, which is what fills up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub mount: String,
    pub device: String,
    pub total: u64,
    pub available: u64,
    pub used_percent: f64,
}

/// What a clean-up did: every file that is gone, and everything that was asked for or met and left alone for a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleaned {
    pub removed: Vec<RemovedFile>,
    pub bytes: u64,
    /// Regular files that are too young.
    pub kept: u64,
    pub refused: Vec<RefusedPath>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedFile {
    pub path: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedPath {
    pub path: String,
    pub why: String,
}
