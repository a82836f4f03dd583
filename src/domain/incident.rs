//! An incident is the fold of its entries: nothing about it is true that the ledger does not say.

mod crowd;
mod fold;
mod hold;

pub use crowd::{Brief, Briefs};
pub use fold::FoldError;
pub use hold::{Flapping, Held};

use super::action::{Action, Outcome, Proposal, Target};
use super::alert::{Alert, AlertStatus, Fingerprint, Severity};
use super::approval::Principal;
use super::entry::PlannerKind;
use super::ids::{ApprovalId, IncidentId, Seq};
use super::level::{Level, Mode};
use super::time::Time;
use super::verdict::Opinion;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Diagnosing,
    AwaitingApproval,
    Mitigating,
    Verifying,
    /// Fixed, by two signals.
    Resolved,
    /// A human owns it. Observation may go on; nothing is changed any more.
    Escalated,
    /// Over without a proven fix: the symptom went away, or the alert did after an escalation.
    Closed,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Diagnosing,
        Self::AwaitingApproval,
        Self::Mitigating,
        Self::Verifying,
        Self::Resolved,
        Self::Escalated,
        Self::Closed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Diagnosing => "diagnosing",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Mitigating => "mitigating",
            Self::Verifying => "verifying",
            Self::Resolved => "resolved",
            Self::Escalated => "escalated",
            Self::Closed => "closed",
        }
    }

    /// Nothing is ever appended behind these.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One attempt by one planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub number: u32,
    pub planner: PlannerKind,
    /// Runbook steps whose `when` did not hold.
    pub skipped: BTreeSet<String>,
    /// Moved on by the time humans took to decide: a run is not late because nobody answered.
    pub started_at: Time,
    /// Index into `Incident::steps` of its first step.
    pub first_step: usize,
    /// Index into `Incident::thoughts` of its first thought.
    pub first_thought: usize,
    pub over: bool,
    /// Over because the planner could not go on.
    pub failed: bool,
}

/// A proposal and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub seq: Seq,
    pub proposal: Proposal,
    pub planner: PlannerKind,
    /// None when the proposal was never understood as an action.
    pub action: Option<Action>,
    pub approval: Option<ApprovalId>,
    pub opinions: Vec<Opinion>,
    pub end: StepEnd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// Waiting for a human.
    Asked,
    /// Under way.
    Started,
    Denied,
    RefusedBy(Principal),
    Expired,
    Void(String),
    Unavailable(String),
    Finished(Outcome),
    /// Started, outcome unknown, and no probe could tell.
    InDoubt,
}

impl Step {
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.end {
            StepEnd::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Did it change something, as far as is known?
    pub fn changed_something(&self) -> bool {
        let acts = self.action.as_ref().is_some_and(|action| action.effect.changes_something());
        acts && matches!(&self.end, StepEnd::Finished(outcome) if outcome.ok)
    }
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thought {
    pub text: String,
    pub calls: Vec<Proposal>,
}

/// The question a human has not answered, or whose answer has not been acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub approval: ApprovalId,
    pub asked_at: Time,
    pub expires_at: Time,
    /// The text that was put to the human; none in a ledger of an earlier version.
    pub request: Option<String>,
    /// Approvals that are in the ledger, of several needed.
    pub votes: usize,
    pub granted: Option<Principal>,
}

/// Started and not finished: running now, or in doubt if nobody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// Of the entry that says that it began.
    pub seq: Seq,
    pub action: Action,
    pub started_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifying {
    pub deadline: Time,
    /// There is an independent signal to wait for.
    pub checkable: bool,
    /// None until first seen.
    pub independent: Option<bool>,
    pub alert: Option<bool>,
}

/// When and why a human was given the incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    pub why: String,
    pub at: Time,
    /// The alert was firing then: its end ends the incident. Otherwise only a human can.
    pub firing: bool,
    /// How often a human has been told by now.
    pub told: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    pub id: IncidentId,
    /// Of the last entry.
    pub seq: Seq,
    pub opened_at: Time,
    pub updated_at: Time,
    pub closed_at: Option<Time>,
    pub state: State,
    pub target: Target,
    pub level: Level,
    pub rule: Option<String>,
    pub why: String,
    pub runbook: Option<String>,
    /// The rule's mode, where it is stricter.
    pub mode: Option<Mode>,
    /// Its first alerts, whole.
    pub alerts: BTreeMap<Fingerprint, Alert>,
    /// All others, in brief.
    pub crowd: Briefs,
    /// Entries that tell of one alert each.
    pub news: usize,
    /// Those of them that are silenced or inhibited in Alertmanager.
    pub silenced: BTreeSet<Fingerprint>,
    pub run: Option<Run>,
    /// Planners that have had their attempt.
    pub tried: Vec<PlannerKind>,
    pub steps: Vec<Step>,
    pub thoughts: Vec<Thought>,
    /// Calls a model made that have not been looked at.
    pub queue: VecDeque<Proposal>,
    pub tokens: u64,
    pub pending: Option<Pending>,
    pub in_flight: Option<InFlight>,
    /// Put off until another incident is done with the same thing.
    pub waiting: bool,
    /// Put off behind an incident that is probably its cause, or about the same service.
    pub held: Option<Held>,
    /// How long it has been held so far.
    pub waited: chrono::Duration,
    /// Incidents that it was held behind.
    pub related: BTreeSet<IncidentId>,
    /// Some alert of it fires and resolves again and again.
    pub flapping: Option<Flapping>,
    pub verifying: Option<Verifying>,
    pub escalated: Option<Handover>,
    /// What the last run, or the last planner's failure, had to say.
    pub finding: Option<String>,
    pub outcome: Option<String>,
}

impl Incident {
    /// The alert that opened it, or any other if that one is not known any more.
    pub fn alert(&self) -> Option<&Alert> {
        self.alerts.values().min_by_key(|alert| alert.starts_at)
    }

    pub fn alertname(&self) -> &str {
        self.alert().map_or("unnamed", Alert::name)
    }

    pub fn severity(&self) -> Severity {
        let whole = self.alerts.values().map(Alert::severity);
        whole.chain(self.crowd.values().map(|brief| brief.severity)).max().unwrap_or(Severity::Warning)
    }

    pub fn still_firing(&self) -> bool {
        self.alerts.values().any(|alert| alert.status == AlertStatus::Firing) || self.crowd.values().any(|brief| brief.firing)
    }

    /// Whatever fires was silenced by somebody: they know, and are at work on it.
    pub fn all_silenced(&self) -> bool {
        let mut firing = self.firing().peekable();
        firing.peek().is_some() && firing.all(|(fingerprint, _)| self.silenced.contains(fingerprint))
    }

    /// Steps of the current run.
    pub fn run_steps(&self) -> &[Step] {
        self.run.as_ref().map_or(&[], |run| &self.steps[run.first_step..])
    }

    /// Proposals and model answers so far, against the limit of 25.
    pub fn turns(&self) -> usize {
        self.steps.len() + self.thoughts.len()
    }

    pub fn changed_something(&self) -> bool {
        self.steps.iter().any(Step::changed_something)
    }
}

#[cfg(test)]
pub(crate) mod tests;
