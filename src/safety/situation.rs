//! The facts an action is judged by. `None` means "could not be read" and counts as exhausted.

use crate::domain::{Approval, HostName, InForce, IncidentId, Inventory, Level, Mode, Proposer, ServiceName, Target, Time, Trust};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Today's facts for one action of one incident.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    pub now: Time,
    pub incident: IncidentId,
    pub level: Level,
    /// The strictest of the configuration's, the service's and the rule's.
    pub mode: Mode,
    /// A human owns the incident: nothing is changed any more.
    pub escalated: bool,
    /// What the incident is about.
    pub target: &'a Target,
    pub inventory: &'a Inventory,
    pub usage: Usage,
    pub own: &'a OwnGround,
    /// The approval that the incident holds, if any; checked against the action's digest.
    pub approval: Option<&'a Approval>,
    /// Who proposes, and the trust in it.
    pub proposer: &'a Proposer,
    pub trust: Option<&'a Trust>,
    /// The orders in force.
    pub in_force: Option<&'a InForce>,
}

/// What has been used up, as the store tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Restarts of each service in the past hour; a service that is not in the map has not been read.
    pub restarts: BTreeMap<ServiceName, u32>,
    /// Instances added to each service in the past day.
    pub scaled: BTreeMap<ServiceName, u32>,
    /// Actions of this incident that changed something or may have.
    pub actions: Option<u32>,
    /// Hosts that are worked on now, by this incident or another.
    pub hosts: Option<Vec<HostName>>,
    /// Services with an incident opened in the past ten minutes and not over.
    pub degraded: Option<u32>,
}

/// Bounds that a configuration may tighten, never loosen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub restarts_per_hour: u32,
    pub scale_up: u32,
    pub actions_per_incident: u32,
    pub hosts_at_once: u32,
    /// This many degraded services at once stop everything that changes something.
    pub brake_services: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { restarts_per_hour: 3, scale_up: 2, actions_per_incident: 10, hosts_at_once: 3, brake_services: 5 }
    }
}

impl Limits {
    /// The names of the bounds that are looser than the built-in ones, with those.
    pub fn loosened(&self) -> Vec<(&'static str, u32)> {
        let built_in = Self::default();
        let pairs = [
            ("restarts_per_hour", self.restarts_per_hour, built_in.restarts_per_hour),
            ("scale_up", self.scale_up, built_in.scale_up),
            ("actions_per_incident", self.actions_per_incident, built_in.actions_per_incident),
            ("hosts_at_once", self.hosts_at_once, built_in.hosts_at_once),
            ("brake_services", self.brake_services, built_in.brake_services),
        ];
        pairs.into_iter().filter(|(_, mine, most)| mine > most).map(|(name, _, most)| (name, most)).collect()
    }
}

/// What belongs to Paramedic itself and is never touched: its store, its configuration, its own service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnGround {
    pub paths: Vec<PathBuf>,
}
