//! Floor 1: the SafetyChecker. Pure judgement over facts that are passed in: no clock, no store, no network.
//!
//! A tool that acts takes an `AuthorizedAction`, and `SafetyChecker::rule` is the only place that makes one. Every layer
//! gives its opinion and the strictest wins; a fact that is missing counts against the action.

mod approvers;
mod boundary;
mod budget;
pub mod command;
mod consent;
mod facts;
mod floor;
mod freeze;
mod hours;
mod level;
mod orders;
mod policy;
mod risk;
mod scope;
mod signature;
mod situation;
mod trust;

pub use approvers::{Approver, Approvers, NotAllowed, Voter};
pub use consent::{Consent, ConsentRules, SignatureRules, consent, consented, facts as facts_of, may_approve, needed, released};
pub use floor::is_forbidden;
pub use freeze::FreezeWindow;
pub use hours::Hours;
pub use policy::{Policies, PolicyProblem, SCHEMA, Written};
pub use risk::Thresholds;
pub use signature::{NAMESPACE, SignatureError, key_of, verify};
pub use situation::{Limits, OwnGround, Situation, Usage};
pub use trust::{TrustBounds, marks, place};

use crate::domain::{Action, Approval, ApprovalId, IncidentId, Opinion, Seq, Time, Verdict};
use std::sync::Arc;

/// Permission for one action, now. Only `SafetyChecker::rule` makes it; spending it is running the tool.
#[derive(Debug)]
pub struct AuthorizedAction {
    incident: IncidentId,
    action: Action,
    approval: Option<ApprovalId>,
    orders: Option<i64>,
    started: Option<Seq>,
}

impl AuthorizedAction {
    pub fn incident(&self) -> IncidentId {
        self.incident
    }

    pub fn action(&self) -> &Action {
        &self.action
    }

    pub fn approval(&self) -> Option<ApprovalId> {
        self.approval
    }

    /// The same permission, once its `started` entry is written.
    pub fn started_as(self, seq: Seq) -> Self {
        Self { started: Some(seq), ..self }
    }

    /// Incident, entry and tool: `INC-7/5 restart_service`. Without the number for a reading that has no entry of its own.
    pub fn name(&self) -> String {
        name_of(self.incident, self.started, &self.action.tool)
    }

    /// How many orders it was judged by; good for nothing once there are more. None where it changes nothing.
    pub fn orders(&self) -> Option<i64> {
        self.orders
    }
}

/// What an action is called where others look for it, such as a host's own log: it finds the entry in the ledger.
pub fn name_of(incident: IncidentId, started: Option<Seq>, tool: &str) -> String {
    match started {
        Some(seq) => format!("{incident}/{seq} {tool}"),
        None => format!("{incident} {tool}"),
    }
}

/// What the SafetyChecker makes of an action, with the opinion of every layer that had one.
#[derive(Debug)]
pub enum Ruling {
    Allowed(AuthorizedAction, Vec<Opinion>),
    /// A human must confirm exactly this action first.
    Confirm(Action, Vec<Opinion>),
    Denied(Action, Vec<Opinion>),
}

#[derive(Debug, Clone)]
pub struct SafetyChecker {
    limits: Limits,
    policies: Arc<Policies>,
    hours: Option<Hours>,
    thresholds: Thresholds,
    trust: TrustBounds,
    freezes: Vec<FreezeWindow>,
}

impl SafetyChecker {
    /// Without working hours and freezes, and with the built-in thresholds of risk and trust.
    pub fn new(limits: Limits, policies: Arc<Policies>) -> Self {
        let (thresholds, trust) = (Thresholds::default(), TrustBounds::default());
        Self { limits, policies, hours: None, thresholds, trust, freezes: Vec::new() }
    }

    pub fn with_hours(self, hours: Option<Hours>) -> Self {
        Self { hours, ..self }
    }

    pub fn with_thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    pub fn with_trust(self, trust: TrustBounds) -> Self {
        Self { trust, ..self }
    }

    pub fn with_freezes(self, freezes: Vec<FreezeWindow>) -> Self {
        Self { freezes, ..self }
    }

    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The freeze windows that hold at `now`, for humans.
    pub fn freezes(&self, now: Time) -> Vec<String> {
        self.freezes.iter().filter(|window| window.holds(now)).map(ToString::to_string).collect()
    }

    /// The bounds it judges by.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// By the name alone, before the arguments are understood: the floor's forbidden tools, and tools nobody knows.
    pub fn screen(&self, tool: &str) -> Option<Opinion> {
        floor::screen(tool)
    }

    /// Every layer's opinion on the action. Pure: the same facts give the same opinions.
    pub fn judge(&self, action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
        let mut opinions = floor::judge(action, situation);
        opinions.push(boundary::judge(action));
        opinions.extend(level::judge(action, situation));
        opinions.extend(scope::judge(action, situation));
        let facts = facts::gather(action, situation, &self.limits, self.hours.as_ref());
        let risk = risk::judge(&facts.risk, action, self.thresholds);
        opinions.push(self.policies.judge(facts));
        opinions.extend(budget::judge(action, situation, &self.limits));
        opinions.extend(command::opinion(action));
        opinions.push(risk);
        opinions.extend(trust::judge(action, situation, &self.trust));
        opinions.extend(freeze::judge(action, situation, &self.freezes));
        opinions.extend(orders::judge(action, situation));
        opinions
    }

    /// The strictest opinion decides. A granted approval for exactly this action turns confirm into allow; nothing turns
    /// deny into anything.
    pub fn rule(&self, action: Action, situation: &Situation<'_>) -> Ruling {
        let opinions = self.judge(&action, situation);
        let strictest = strictest(&opinions);
        let covering = situation.approval.filter(|held| held.covers(&action, situation.now) && held.incident() == situation.incident);
        let orders = situation.in_force.filter(|_| action.effect.changes_something()).map(|in_force| in_force.count);
        let authorize = |action, approval| AuthorizedAction { incident: situation.incident, action, approval, orders, started: None };
        match (strictest, covering) {
            (Verdict::Deny, _) => Ruling::Denied(action, opinions),
            (Verdict::Allow, covering) => Ruling::Allowed(authorize(action, covering.map(Approval::id)), opinions),
            (Verdict::Confirm, Some(approval)) => Ruling::Allowed(authorize(action, Some(approval.id())), opinions),
            (Verdict::Confirm, None) => Ruling::Confirm(action, opinions),
        }
    }
}

/// The order of the layers means nothing; no opinion at all is a denial.
fn strictest(opinions: &[Opinion]) -> Verdict {
    opinions.iter().map(|opinion| opinion.verdict).max().unwrap_or(Verdict::Deny)
}

#[cfg(test)]
mod tests;
