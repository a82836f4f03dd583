//! What humans order, and what is in force: the kill switch, hands off a service, a breaker or an incident closed. An order is never
//! changed or taken back; a later one stands over it.

use super::approval::Principal;
use super::ids::{IncidentId, OrderId};
use super::inventory::ServiceName;
use super::time::Time;
use super::trust::Proposer;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Orders stand in the ledger's log under this number, which no incident has.
pub const ORDERS: IncidentId = IncidentId(0);

/// Why a human wants it. Never empty: whoever finds the order in force has to know what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason is needed: expected a sentence of at most {} characters", Reason::MOST)]
pub struct NoReason;

impl Reason {
    const MOST: usize = 500;

    /// Control characters become spaces: a reason is one line wherever it is shown.
    pub fn parse(text: &str) -> Result<Self, NoReason> {
        let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let fits = !line.is_empty() && line.chars().count() <= Self::MOST;
        if fits { Ok(Self(line)) } else { Err(NoReason) }
    }

    /// Stands where nothing of the reason given may be shown.
    pub fn unsayable() -> Self {
        Self("the reason given cannot be shown".to_owned())
    }
}

impl TryFrom<String> for Reason {
    type Error = NoReason;
    fn try_from(text: String) -> Result<Self, NoReason> {
        Self::parse(&text)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum OrderKind {
    /// Nothing that changes anything starts any more.
    Halt,
    Resume,
    /// Nothing is changed on the service, until then or until it is lifted.
    HandsOff {
        service: ServiceName,
        until: Option<Time>,
    },
    HandsOn {
        service: ServiceName,
    },
    CloseBreaker {
        agent: Proposer,
    },
    CloseIncident {
        incident: IncidentId,
    },
}

impl OrderKind {
    /// What the order is about; the latest order on a topic is the one that stands.
    pub fn topic(&self) -> String {
        match self {
            Self::Halt | Self::Resume => "everything".into(),
            Self::HandsOff { service, .. } | Self::HandsOn { service } => format!("service:{service}"),
            Self::CloseBreaker { agent } => format!("agent:{agent}"),
            Self::CloseIncident { incident } => format!("incident:{}", incident.0),
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Resume => "resume",
            Self::HandsOff { .. } => "hands_off",
            Self::HandsOn { .. } => "hands_on",
            Self::CloseBreaker { .. } => "close_breaker",
            Self::CloseIncident { .. } => "close_incident",
        }
    }

    /// Does it let Paramedic do what it might not before, or end what is watched? The others only ever stop something.
    pub fn gives_back(&self) -> bool {
        match self {
            Self::Halt | Self::HandsOff { .. } => false,
            Self::Resume | Self::HandsOn { .. } | Self::CloseBreaker { .. } | Self::CloseIncident { .. } => true,
        }
    }

    /// Does it stand in the way of something at `now`?
    pub fn in_force(&self, now: Time) -> bool {
        match self {
            Self::Halt => true,
            Self::HandsOff { until, .. } => until.is_none_or(|until| now < until),
            Self::Resume | Self::HandsOn { .. } | Self::CloseBreaker { .. } | Self::CloseIncident { .. } => false,
        }
    }
}

impl fmt::Display for OrderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halt => f.write_str("halt"),
            Self::Resume => f.write_str("resume"),
            Self::HandsOff { service, until: None } => write!(f, "hands off {service}"),
            Self::HandsOff { service, until: Some(until) } => write!(f, "hands off {service} until {}", clock(*until)),
            Self::HandsOn { service } => write!(f, "hands on {service}"),
            Self::CloseBreaker { agent } => write!(f, "close the breaker of {agent}"),
            Self::CloseIncident { incident } => write!(f, "close {incident}"),
        }
    }
}

/// An order as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    #[serde(flatten)]
    pub kind: OrderKind,
    pub by: Principal,
    pub reason: Reason,
    pub at: Time,
}

impl fmt::Display for Order {
    /// `hands off api by ana via cli at 2026-03-01 03:00:00Z (ORD-3): disk swap`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} at {} ({}): {}", self.kind, self.by, clock(self.at), self.id, self.reason)
    }
}

/// What stands at a moment, as far as it forbids anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// Who or what halted everything, when and why, a line each: an order, the halt file.
    pub halts: Vec<String>,
    /// Services that nobody but the human works on, and the order that says so.
    pub hands_off: Vec<(ServiceName, String)>,
    /// How many orders had been given: an action judged by fewer than there are does not start.
    pub count: i64,
}

impl InForce {
    /// Of the latest order on each topic, and the number of all.
    pub fn of(latest: &[Order], count: i64, now: Time) -> Self {
        let mut in_force = Self { count, ..Self::default() };
        for order in latest.iter().filter(|order| order.kind.in_force(now)) {
            match &order.kind {
                OrderKind::Halt => in_force.halts.push(order.to_string()),
                OrderKind::HandsOff { service, .. } => in_force.hands_off.push((service.clone(), order.to_string())),
                OrderKind::Resume | OrderKind::HandsOn { .. } | OrderKind::CloseBreaker { .. } | OrderKind::CloseIncident { .. } => {}
            }
        }
        in_force
    }
}

fn clock(at: Time) -> impl fmt::Display {
    at.format("%Y-%m-%d %H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Via;

    fn order(id: i64, kind: OrderKind) -> Order {
        let by = Principal { name: "ana".into(), via: Via::Cli };
        Order { id: OrderId(id), kind, by, reason: Reason::parse("disk swap").unwrap(), at: Time::UNIX_EPOCH }
    }

    #[test]
    fn a_reason_is_one_line_with_something_in_it() {
        assert_eq!(Reason::parse(" disk\nswap ").unwrap().to_string(), "disk swap");
        for none in ["", "  ", "\n\t", &"x".repeat(501)] {
            assert_eq!(Reason::parse(none), Err(NoReason));
        }
        assert!(serde_json::from_str::<Reason>("\" \"").is_err());
    }

    #[test]
    fn only_what_forbids_something_stands_and_only_until_its_time() {
        let api = ServiceName::parse("api").unwrap();
        let until = Time::UNIX_EPOCH + chrono::Duration::hours(2);
        let latest = [
            order(1, OrderKind::Halt),
            order(2, OrderKind::HandsOff { service: api.clone(), until: Some(until) }),
            order(3, OrderKind::HandsOn { service: ServiceName::parse("db").unwrap() }),
            order(4, OrderKind::CloseIncident { incident: IncidentId(7) }),
        ];
        let in_force = InForce::of(&latest, 4, Time::UNIX_EPOCH);
        assert_eq!(in_force.halts, ["halt by ana via cli at 1970-01-01 00:00:00Z (ORD-1): disk swap"]);
        let text = "hands off api until 1970-01-01 02:00:00Z by ana via cli at 1970-01-01 00:00:00Z (ORD-2): disk swap";
        assert_eq!(in_force.hands_off, [(api, text.to_owned())]);
        assert!(InForce::of(&latest, 4, until).hands_off.is_empty());
        assert_eq!(InForce::of(&[order(5, OrderKind::Resume)], 0, until), InForce::default());
    }
}
