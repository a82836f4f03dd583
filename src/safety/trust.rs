//! Layer 8, trust: an agent that was wrong too often asks, one whose breaker is open does nothing. And what marks an entry leaves on
//! those who proposed: pure, from the ledger alone, so that every score can be counted again.

use super::{Situation, boundary};
use crate::domain::{
    Action, Entry, Incident, Layer, Level, Mark, MarkKind, Opinion, PlannerKind, Proposer, Recorded, Step, Trust, Verdict,
};

/// May be tightened, never loosened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustBounds {
    /// Below this score a human confirms each change. Every agent starts at 500.
    pub confirm_below: i32,
}

impl Default for TrustBounds {
    fn default() -> Self {
        Self { confirm_below: 300 }
    }
}

impl TrustBounds {
    pub fn problem(&self) -> Option<String> {
        let least = Self::default().confirm_below;
        let fits = (least..=Trust::MOST).contains(&self.confirm_below);
        (!fits).then(|| format!("expected {least} to {}: it may be raised, never lowered", Trust::MOST))
    }
}

pub fn judge(action: &Action, situation: &Situation<'_>, bounds: &TrustBounds) -> Option<Opinion> {
    if !action.effect.changes_something() {
        return None;
    }
    let agent = situation.proposer;
    let of = |verdict, reason: String| Some(Opinion::new(Layer::Trust, verdict, reason));
    let Some(trust) = situation.trust else {
        return of(Verdict::Deny, format!("the trust in {agent} could not be read: counted as none"));
    };
    if let Some(breaker) = trust.breaker() {
        let why = format!("{} wrong in a row, the last {} in {}", Trust::WRONG_OPENS, breaker.mark.words(), breaker.incident);
        return of(Verdict::Deny, format!("the breaker of {agent} is open until a human closes it: {why}"));
    }
    let (score, least) = (trust.score(), bounds.confirm_below);
    if score < least {
        return of(Verdict::Confirm, format!("the trust in {agent} is {score}, below {least}: a human confirms each change"));
    }
    of(Verdict::Allow, format!("the trust in {agent} is {score}"))
}

/// The marks that an entry leaves; `before` is the incident without it. A fix that did not last is not seen from here: it takes two
/// incidents.
pub fn marks(before: &Incident, recorded: &Recorded) -> Vec<Mark> {
    let found = match &recorded.entry {
        Entry::Denied { planner, proposal, opinions } => denied(&proposal.tool, opinions).map(|kind| (agent_of(before, *planner), kind)),
        Entry::Refused { .. } => {
            before.steps.last().filter(|step| would_change(step)).map(|step| (of_step(before, step), MarkKind::Refused))
        }
        Entry::Finished { outcome } | Entry::InDoubt { found: Some(outcome) } if !outcome.ok => in_flight(before, MarkKind::Failed),
        Entry::InDoubt { found: None } => in_flight(before, MarkKind::InDoubt),
        Entry::Resolved { .. } => return resolved(before, recorded),
        Entry::Escalated { .. } | Entry::Closed { .. } if unverified(before) => {
            let agents = changed(before).into_iter();
            return agents.map(|agent| mark(before, recorded, agent, MarkKind::Unverified)).collect();
        }
        _ => None,
    };
    found.into_iter().map(|(agent, kind)| mark(before, recorded, agent, kind)).collect()
}

/// The service or host that the incident is about; what fires again there is the same again.
pub fn place(incident: &Incident) -> String {
    let (service, host) = (&incident.target.service, &incident.target.host);
    let service = service.as_ref().map(|name| format!("service:{name}"));
    service.or_else(|| host.as_ref().map(|name| format!("host:{name}"))).unwrap_or_else(|| "nowhere".into())
}

fn mark(before: &Incident, recorded: &Recorded, agent: Proposer, kind: MarkKind) -> Mark {
    let alertname = before.alertname().to_owned();
    Mark { agent, kind, incident: before.id, seq: recorded.seq, place: place(before), alertname, at: recorded.at }
}

fn agent_of(incident: &Incident, planner: PlannerKind) -> Proposer {
    Proposer::of(planner, incident.runbook.as_deref())
}

fn of_step(incident: &Incident, step: &Step) -> Proposer {
    agent_of(incident, step.planner)
}

fn would_change(step: &Step) -> bool {
    step.action.as_ref().is_some_and(|action| action.effect.changes_something())
}

fn in_flight(before: &Incident, kind: MarkKind) -> Option<(Proposer, MarkKind)> {
    before.steps.last().filter(|step| would_change(step)).map(|step| (of_step(before, step), kind))
}

/// A denial for the circumstances (the mode, a freeze, a used-up budget, an order) is nobody's fault, and neither is a slip of form.
fn denied(tool: &str, opinions: &[Opinion]) -> Option<MarkKind> {
    if opinions.iter().any(|opinion| opinion.critical) {
        return Some(MarkKind::Critical);
    }
    let to_blame = |opinion: &&Opinion| opinion.verdict == Verdict::Deny && blames(opinion.layer);
    (!boundary::changes_nothing(tool)).then(|| opinions.iter().find(to_blame)).flatten().map(|_| MarkKind::Denied)
}

fn blames(layer: Layer) -> bool {
    match layer {
        Layer::Floor | Layer::Scope | Layer::Policy => true,
        // A dangerous command is a critical attempt and counted as such; what is left here could not be read.
        Layer::Boundary | Layer::Arguments | Layer::Command => false,
        Layer::Level | Layer::Budget | Layer::Risk | Layer::Trust | Layer::Freeze | Layer::Orders => false,
    }
}

/// Those who changed something, each once, the latest last.
fn changed(incident: &Incident) -> Vec<Proposer> {
    let mut agents: Vec<Proposer> = Vec::new();
    for step in incident.steps.iter().filter(|step| step.changed_something()) {
        let agent = of_step(incident, step);
        agents.retain(|known| *known != agent);
        agents.push(agent);
    }
    agents
}

/// The last who changed something fixed it; those before had not.
fn resolved(before: &Incident, recorded: &Recorded) -> Vec<Mark> {
    let mut agents = changed(before);
    let fixed = agents.pop().map(|agent| mark(before, recorded, agent, MarkKind::Verified));
    let others = agents.into_iter().map(|agent| mark(before, recorded, agent, MarkKind::Unverified));
    others.chain(fixed).collect()
}

/// What a human owns already was judged when it was given to him; level 3 is not for what an agent did.
fn unverified(before: &Incident) -> bool {
    before.escalated.is_none() && before.level != Level::Three
}
