//! Floor 1: the SafetyChecker. Pure judgement over facts that are passed in: no clock, no store, no network.
//!
//! A tool that acts takes an `AuthorizedAction`, and `SafetyChecker::rule` is the only place that makes one. Every layer
//! gives its opinion and the strictest wins; a fact that is missing counts against the action.

mod approvers;
mod boundary;
mod budget;
mod consent;
mod facts;
mod floor;
mod hours;
mod level;
mod policy;
mod risk;
mod scope;
mod signature;
mod situation;

pub use approvers::{Approver, Approvers, NotAllowed};
pub use consent::{Consent, ConsentRules, SignatureRules, consent, consented, facts as facts_of, may_approve, needed, released};
pub use floor::is_forbidden;
pub use hours::Hours;
pub use policy::{Policies, PolicyProblem, SCHEMA, Written};
pub use risk::Thresholds;
pub use signature::{NAMESPACE, SignatureError, key_of, verify};
pub use situation::{Limits, OwnGround, Situation, Usage};

use crate::domain::{Action, Approval, ApprovalId, IncidentId, Opinion, Verdict};
use std::sync::Arc;

/// Permission for one action, now. Only `SafetyChecker::rule` makes it; spending it is running the tool.
#[derive(Debug)]
pub struct AuthorizedAction {
    incident: IncidentId,
    action: Action,
    approval: Option<ApprovalId>,
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
}

impl SafetyChecker {
    /// Without working hours, and with the built-in thresholds of the risk score.
    pub fn new(limits: Limits, policies: Arc<Policies>) -> Self {
        Self { limits, policies, hours: None, thresholds: Thresholds::default() }
    }

    pub fn with_hours(self, hours: Option<Hours>) -> Self {
        Self { hours, ..self }
    }

    pub fn with_thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    pub fn policies(&self) -> &Policies {
        &self.policies
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
        opinions.push(risk);
        opinions
    }

    /// The strictest opinion decides. A granted approval for exactly this action turns confirm into allow; nothing turns
    /// deny into anything.
    pub fn rule(&self, action: Action, situation: &Situation<'_>) -> Ruling {
        let opinions = self.judge(&action, situation);
        let strictest = opinions.iter().map(|opinion| opinion.verdict).max().unwrap_or(Verdict::Deny);
        let covering = situation.approval.filter(|held| held.covers(&action, situation.now) && held.incident() == situation.incident);
        match (strictest, covering) {
            (Verdict::Deny, _) => Ruling::Denied(action, opinions),
            (Verdict::Allow, covering) => {
                Ruling::Allowed(AuthorizedAction { incident: situation.incident, action, approval: covering.map(Approval::id) }, opinions)
            }
            (Verdict::Confirm, Some(approval)) => {
                Ruling::Allowed(AuthorizedAction { incident: situation.incident, action, approval: Some(approval.id()) }, opinions)
            }
            (Verdict::Confirm, None) => Ruling::Confirm(action, opinions),
        }
    }
}

#[cfg(test)]
mod tests;
