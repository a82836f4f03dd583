//! Is it the same cause? Pure: what joins an incident, what waits behind one, and for how long. Doubt keeps incidents apart: what waits too
//! long goes on, and nothing ever waits behind something less urgent.

use crate::domain::{HostName, IncidentId, Inventory, Level, Problem, ServiceName, State, Target, Time};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// `correlation` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CauseBounds {
    /// Alerts of other groups may join too.
    pub across_groups: bool,
    /// An incident without news for so long is nobody's cause any more.
    pub window_seconds: u32,
    /// No incident waits longer than this for others, all its waiting together; 0: nothing ever waits.
    pub wait_seconds: u32,
    /// So long after its cause has ended an alert may take to resolve by itself.
    pub settle_seconds: u32,
}

impl Default for CauseBounds {
    fn default() -> Self {
        Self { across_groups: true, window_seconds: 600, wait_seconds: 900, settle_seconds: 60 }
    }
}

impl CauseBounds {
    pub fn problems(&self) -> Vec<Problem> {
        let all = [
            ("window_seconds", self.window_seconds, 86_400),
            ("wait_seconds", self.wait_seconds, 3_600),
            ("settle_seconds", self.settle_seconds, 3_600),
        ];
        let over = all.into_iter().filter(|(_, value, most)| value > most);
        over.map(|(name, _, most)| Problem::new(format!("correlation.{name}"), format!("expected 0 to {most}"))).collect()
    }

    fn window(&self) -> chrono::Duration {
        chrono::Duration::seconds(self.window_seconds.into())
    }

    fn wait(&self) -> chrono::Duration {
        chrono::Duration::seconds(self.wait_seconds.into())
    }

    pub fn settle(&self) -> chrono::Duration {
        chrono::Duration::seconds(self.settle_seconds.into())
    }
}

/// Where an alert belongs, as a text that two alerts share or do not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scene<'a> {
    Service(&'a ServiceName),
    Host(&'a HostName),
    /// Nothing of the inventory: however many there are of this name, the one thing to do is to tell a human, once.
    Unknown(&'a str),
}

impl<'a> Scene<'a> {
    pub fn of(target: &'a Target, alertname: &'a str) -> Self {
        match (&target.service, &target.host) {
            (Some(service), _) => Self::Service(service),
            (None, Some(host)) => Self::Host(host),
            (None, None) => Self::Unknown(alertname),
        }
    }
}

impl std::fmt::Display for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(service) => write!(f, "service:{service}"),
            Self::Host(host) => write!(f, "host:{host}"),
            Self::Unknown(alertname) => write!(f, "unknown:{alertname}"),
        }
    }
}

/// An open incident that fits a fresh alert's place and rule, whatever group it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub incident: IncidentId,
    pub alertname: String,
}

/// Does a fresh alert of another group belong to it? The same rule in the same place is the same fix; without a rule it takes the same alert.
/// Where nobody knows the place nothing joins: two strange machines are two.
pub fn joins(alertname: &str, scene: &Scene<'_>, ruled: bool, open: &Candidate, bounds: CauseBounds) -> bool {
    let known = !matches!(scene, Scene::Unknown(_));
    bounds.across_groups && known && (ruled || open.alertname == alertname)
}

/// Which service needs which, over as many steps as it takes.
#[derive(Debug, Clone, Default)]
pub struct Dependencies(BTreeMap<ServiceName, BTreeSet<ServiceName>>);

impl Dependencies {
    pub fn of(inventory: &Inventory) -> Self {
        let direct = |name: &ServiceName| inventory.service(name).map_or(&[][..], |service| &service.depends_on);
        let all = inventory.services().map(|service| {
            let (mut found, mut next) = (BTreeSet::new(), direct(&service.name).to_vec());
            while let Some(name) = next.pop() {
                if found.insert(name.clone()) {
                    next.extend(direct(&name).iter().cloned());
                }
            }
            (service.name.clone(), found)
        });
        Self(all.collect())
    }

    /// Each needs itself.
    pub fn needs(&self, one: &ServiceName, other: &ServiceName) -> bool {
        one == other || self.0.get(one).is_some_and(|all| all.contains(other))
    }
}

/// An incident of a service, open or just over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby {
    pub incident: IncidentId,
    pub service: ServiceName,
    pub alertname: String,
    pub level: Level,
    pub urgency: i64,
    pub state: State,
    pub news_at: Time,
    pub closed_at: Option<Time>,
    pub flapping: bool,
}

/// The one that may have to wait.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub incident: IncidentId,
    pub service: &'a ServiceName,
    pub level: Level,
    pub urgency: i64,
    /// Behind which it waits already.
    pub behind: Option<IncidentId>,
    /// How long it has waited until now.
    pub waited: chrono::Duration,
}

/// Behind which incident, why, and until when at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub behind: IncidentId,
    pub why: String,
    pub until: Time,
}

/// What it has to wait for, if anything. Of services that need each other the earlier incident goes first, so nobody waits for somebody
/// who waits for him.
pub fn hold(mine: Waiting<'_>, nearby: &[Nearby], needs: &Dependencies, bounds: CauseBounds, now: Time) -> Option<Hold> {
    let left = bounds.wait() - mine.waited;
    if mine.level == Level::Three || left <= chrono::Duration::zero() {
        return None;
    }
    let one = nearby.iter().find(|other| is_before(mine, other, needs) && is_under_way(mine, other, bounds, now))?;
    let name = format!("{} ({} of {})", one.incident, one.alertname, one.service);
    let why = match (one.service == *mine.service, one.closed_at) {
        (_, Some(_)) => format!("{name} has just ended; perhaps this ends by itself"),
        (true, None) => format!("{name} is about the same service and is being worked on"),
        (false, None) => format!("{} needs {}, and {name} is open: probably the cause", mine.service, one.service),
    };
    Some(Hold { behind: one.incident, why, until: now + left })
}

fn is_before(mine: Waiting<'_>, other: &Nearby, needs: &Dependencies) -> bool {
    let mutual = needs.needs(&other.service, mine.service);
    let earlier = other.incident < mine.incident;
    other.incident != mine.incident && needs.needs(mine.service, &other.service) && (!mutual || earlier) && other.urgency >= mine.urgency
}

fn is_under_way(mine: Waiting<'_>, other: &Nearby, bounds: CauseBounds, now: Time) -> bool {
    let already = mine.behind == Some(other.incident);
    match other.closed_at {
        _ if other.flapping => false,
        // Only for who waited already: what fires after the end is not of it.
        Some(at) => already && now < at + bounds.settle(),
        None if !already && now - other.news_at > bounds.window() => false,
        None => other.service != *mine.service || is_being_worked_on(other, bounds, now),
    }
}

/// A human's decision is not waited for, nor the end of a verification: the other alert may be what keeps the first one firing.
fn is_being_worked_on(other: &Nearby, bounds: CauseBounds, now: Time) -> bool {
    match other.state {
        State::Open | State::Diagnosing | State::Mitigating => true,
        State::Verifying => now < other.news_at + bounds.settle(),
        State::AwaitingApproval | State::Escalated | State::Resolved | State::Closed => false,
    }
}

#[cfg(test)]
mod tests;
