//! Trust: a score from 0 to 1000 of each agent that proposes changes, and the breaker that opens when it is wrong three times in a row.
//! A fold over marks, which follow from the ledger; `safety` says what marks an entry leaves. A high score permits nothing: trust only
//! takes autonomy away.

use super::entry::PlannerKind;
use super::ids::{IncidentId, Seq};
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The agent that trust is about: who proposed. Each runbook for itself, so that one bad runbook stops nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Proposer {
    Runbook(String),
    Model,
}

impl Proposer {
    pub fn of(planner: PlannerKind, runbook: Option<&str>) -> Self {
        match planner {
            PlannerKind::Runbook => Self::Runbook(runbook.unwrap_or("unnamed").to_owned()),
            PlannerKind::Model => Self::Model,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no agent: expected model, or runbook:NAME")]
pub struct NoProposer(String);

impl FromStr for Proposer {
    type Err = NoProposer;
    fn from_str(text: &str) -> Result<Self, NoProposer> {
        match text.split_once(':') {
            None if text == "model" => Ok(Self::Model),
            Some(("runbook", name)) if !name.trim().is_empty() => Ok(Self::Runbook(name.to_owned())),
            _ => Err(NoProposer(text.chars().take(60).collect::<String>().escape_debug().to_string())),
        }
    }
}

impl TryFrom<String> for Proposer {
    type Error = NoProposer;
    fn try_from(text: String) -> Result<Self, NoProposer> {
        text.parse()
    }
}

impl From<Proposer> for String {
    fn from(agent: Proposer) -> Self {
        agent.to_string()
    }
}

impl fmt::Display for Proposer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runbook(name) => write!(f, "runbook:{name}"),
            Self::Model => f.write_str("model"),
        }
    }
}

/// What an entry of the ledger says about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Two signals said that the agent's change fixed it.
    Verified,
    /// The same alert of the same place came back soon after a verified fix.
    Relapsed,
    /// The action failed.
    Failed,
    /// Started, and nobody can tell what came of it.
    InDoubt,
    /// It changed something, and nothing showed that it helped.
    Unverified,
    /// A human said no.
    Refused,
    /// The SafetyChecker said no for what was proposed, not for the circumstances.
    Denied,
    /// It asked for something on the floor.
    Critical,
}

impl MarkKind {
    /// What the score changes by at the most.
    fn weight(self) -> i32 {
        match self {
            Self::Verified => 10,
            Self::Relapsed => -50,
            Self::Failed | Self::InDoubt | Self::Unverified => -40,
            Self::Refused | Self::Denied => -20,
            Self::Critical => -150,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Relapsed => "relapsed",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
            Self::Unverified => "unverified",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Critical => "critical",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Verified => "a verified fix",
            Self::Relapsed => "a fix that did not last",
            Self::Failed => "a failed action",
            Self::InDoubt => "an action in doubt",
            Self::Unverified => "a change that showed no effect",
            Self::Refused => "a proposal that a human refused",
            Self::Denied => "a proposal that was denied",
            Self::Critical => "a critical attempt",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    pub agent: Proposer,
    pub kind: MarkKind,
    pub incident: IncidentId,
    pub seq: Seq,
    /// The incident's service or host.
    pub place: String,
    pub alertname: String,
    pub at: Time,
}

/// Why and since when nothing of the agent's is done any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    pub since: Time,
    pub incident: IncidentId,
    /// The last of the three.
    pub mark: MarkKind,
}

/// Something that counts once in a while only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Once {
    place: String,
    at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    score: i32,
    wrong_in_a_row: u32,
    breaker: Option<Breaker>,
    /// Places that a point was earned at, and places that relapsed, in the past day.
    earned: Vec<Once>,
    relapsed: Vec<Once>,
    /// The last incident in which a proposal was denied: a planner that asks again there is no more wrong.
    denied_in: Option<IncidentId>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { score: Self::START, wrong_in_a_row: 0, breaker: None, earned: Vec::new(), relapsed: Vec::new(), denied_in: None }
    }
}

impl Trust {
    pub const START: i32 = 500;
    pub const MOST: i32 = 1000;
    pub const WRONG_OPENS: u32 = 3;
    /// Fixes a day that can raise the score.
    const EARNED_A_DAY: usize = 3;

    pub fn score(&self) -> i32 {
        self.score
    }

    pub fn wrong_in_a_row(&self) -> u32 {
        self.wrong_in_a_row
    }

    pub fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_ref()
    }

    /// Takes a mark in. True if it opened the breaker.
    pub fn take(&mut self, mark: &Mark) -> bool {
        let day_ago = mark.at - chrono::Duration::days(1);
        self.earned.retain(|once| once.at > day_ago);
        self.relapsed.retain(|once| once.at > day_ago);
        match mark.kind {
            MarkKind::Verified => {
                self.right(mark);
                false
            }
            MarkKind::Relapsed if self.relapsed.iter().any(|once| once.place == mark.place) => false,
            MarkKind::Denied if self.denied_in == Some(mark.incident) => false,
            _ => self.wrong(mark),
        }
    }

    /// A place earns once a day and an agent three times; a place that has earned or relapsed today ends no row of wrongs either. So
    /// an alert that comes again and again moves nothing.
    fn right(&mut self, mark: &Mark) {
        if self.earned.iter().chain(&self.relapsed).any(|once| once.place == mark.place) {
            return;
        }
        self.wrong_in_a_row = 0;
        if self.earned.len() < Self::EARNED_A_DAY {
            self.score = (self.score + mark.kind.weight()).min(Self::MOST);
            self.earned.push(Once { place: mark.place.clone(), at: mark.at });
        }
    }

    fn wrong(&mut self, mark: &Mark) -> bool {
        match mark.kind {
            MarkKind::Relapsed => self.relapsed.push(Once { place: mark.place.clone(), at: mark.at }),
            MarkKind::Denied => self.denied_in = Some(mark.incident),
            _ => {}
        }
        self.score = (self.score + mark.kind.weight()).max(0);
        self.wrong_in_a_row += 1;
        if self.breaker.is_some() || self.wrong_in_a_row < Self::WRONG_OPENS {
            return false;
        }
        self.breaker = Some(Breaker { since: mark.at, incident: mark.incident, mark: mark.kind });
        true
    }

    /// A human closed the breaker. The score stays: it has to be earned.
    pub fn close_breaker(&mut self) {
        self.breaker = None;
        self.wrong_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests;
