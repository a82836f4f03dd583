//! What an action's target looked like when a human was asked, and whether it still does. A reading that is not there is never
//! taken for one that is the same.

use super::inventory::{HostName, ServiceName};
use super::time::Time;
use serde::{Deserialize, Serialize};

/// Starts are told in whole seconds, and computed from a clock that may be set: closer than this, they are the same start.
const SAME_START: i64 = 2;
/// A disk that is this many points emptier than shown has been cleaned by somebody.
const EMPTIER: u8 = 5;

/// Empty for a question, which changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub services: Vec<SeenService>,
    pub disks: Vec<SeenDisk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenService {
    pub service: ServiceName,
    /// All of its hosts without it.
    pub host: Option<HostName>,
    pub active: bool,
    /// In the transport's own words; shown, not compared.
    pub state: String,
    /// Whole seconds.
    pub since: Option<Time>,
    pub pid: Option<u32>,
    pub instances: u32,
    pub instances_active: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenDisk {
    pub host: HostName,
    pub mount: String,
    pub used_percent: u8,
}

impl Seen {
    /// One line a service or disk, for humans.
    pub fn lines(&self) -> Vec<String> {
        let services = self.services.iter().map(SeenService::line);
        let disks = self.disks.iter().map(|disk| format!("{}: {} is {} % full", disk.host, disk.mount, disk.used_percent));
        services.chain(disks).collect()
    }

    /// What of importance is other now than it was; none if nothing is.
    pub fn drift(&self, now: &Self) -> Option<String> {
        let services = self.services.iter().find_map(|was| {
            let is = now.services.iter().find(|is| is.service == was.service && is.host == was.host);
            is.map_or_else(|| Some(format!("{} is not there any more", was.service)), |is| was.drift(is))
        });
        services.or_else(|| {
            self.disks.iter().find_map(|was| {
                let is = now.disks.iter().find(|is| is.host == was.host && is.mount == was.mount);
                is.map_or_else(|| Some(format!("{} of {} is not there any more", was.mount, was.host)), |is| was.drift(is))
            })
        })
    }
}

impl SeenService {
    fn line(&self) -> String {
        let host = self.host.as_ref().map_or(String::new(), |host| format!(" on {host}"));
        let word = if self.active { "active" } else { "not active" };
        let since = self.since.map_or(String::new(), |since| format!(" since {}", since.format("%Y-%m-%d %H:%M:%SZ")));
        let pid = self.pid.map_or(String::new(), |pid| format!(", process {pid}"));
        let (active, all) = (self.instances_active, self.instances);
        format!("{}{host} is {word} ({}){since}{pid}, {active} of {all} instances up", self.service, self.state)
    }

    fn drift(&self, is: &Self) -> Option<String> {
        let name = &self.service;
        let word = |active| if active { "active" } else { "not active" };
        if self.active != is.active {
            return Some(format!("{name} was {} and is {}", word(self.active), word(is.active)));
        }
        if (self.instances, self.instances_active) != (is.instances, is.instances_active) {
            let (was_up, was_all, up, all) = (self.instances_active, self.instances, is.instances_active, is.instances);
            return Some(format!("{name} had {was_up} of {was_all} instances up and has {up} of {all}"));
        }
        let started_anew = match (self.since, is.since) {
            (Some(was), Some(is)) => (is - was).num_seconds().abs() > SAME_START,
            (was, is) => was.is_some() != is.is_some(),
        };
        (started_anew || self.pid != is.pid).then(|| format!("{name} was started anew"))
    }
}

impl SeenDisk {
    fn drift(&self, is: &Self) -> Option<String> {
        let (was, now) = (self.used_percent, is.used_percent);
        (was.saturating_sub(now) >= EMPTIER).then(|| format!("{} of {} was {was} % full and is {now} %", self.mount, self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> SeenService {
        SeenService {
            service: ServiceName::parse("api").unwrap(),
            host: None,
            active: true,
            state: "running".into(),
            since: Some(Time::UNIX_EPOCH),
            pid: Some(7),
            instances: 2,
            instances_active: 2,
        }
    }

    fn drift(change: impl FnOnce(&mut SeenService)) -> Option<String> {
        let mut other = service();
        change(&mut other);
        let seen = |service| Seen { services: vec![service], disks: Vec::new() };
        seen(service()).drift(&seen(other))
    }

    #[test]
    fn what_matters_of_a_service_is_whether_and_since_when_it_runs_and_how_often() {
        assert_eq!(drift(|_| {}), None);
        assert_eq!(drift(|s| s.state = "running (exit 0)".into()), None, "words are shown, not compared");
        assert_eq!(drift(|s| s.since = Some(Time::UNIX_EPOCH + chrono::Duration::seconds(2))), None, "a clock that was set");
        assert_eq!(drift(|s| s.active = false).unwrap(), "api was active and is not active");
        assert_eq!(drift(|s| s.instances_active = 1).unwrap(), "api had 2 of 2 instances up and has 1 of 2");
        for restarted in [drift(|s| s.pid = Some(8)), drift(|s| s.since = Some(Time::UNIX_EPOCH + chrono::Duration::seconds(3)))] {
            assert_eq!(restarted.unwrap(), "api was started anew");
        }
        assert_eq!(drift(|s| s.since = None).unwrap(), "api was started anew");
        assert_eq!(drift(|s| s.service = ServiceName::parse("db").unwrap()).unwrap(), "api is not there any more");
    }

    #[test]
    fn a_disk_may_fill_further_and_not_be_cleaned_by_others() {
        let disk = |used| SeenDisk { host: HostName::parse("web-1").unwrap(), mount: "/".into(), used_percent: used };
        let seen = |used| Seen { services: Vec::new(), disks: vec![disk(used)] };
        assert_eq!(seen(91).drift(&seen(99)), None);
        assert_eq!(seen(91).drift(&seen(87)), None);
        assert_eq!(seen(91).drift(&seen(86)).unwrap(), "/ of web-1 was 91 % full and is 86 %");
        assert_eq!(seen(91).drift(&Seen::default()).unwrap(), "/ of web-1 is not there any more");
    }
}
