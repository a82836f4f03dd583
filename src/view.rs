//! How an incident is shown, the same to the API and to the command line. Built from the ledger at each call; nothing is kept.

mod approval;

pub use approval::{approvals, show as approval};
mod authority;
mod costs;

pub use authority::{AgentView, OrdersView, TrustView, orders, trust};
pub use costs::{CostView, CostsView, costs};

use crate::domain::{Alert, Entry, Flapping, Impact, Incident, IncidentId, Recorded, Risk, State, Step, StepEnd, Time, Verdict};
use crate::store::{Listed, NoticeRow, Store, StoreError};
use serde::Serialize;
use serde_json::Value;

/// Of an entry about thousands of alerts so many of each kind are shown; its line counts them all, and an export of the ledger has them.
const SHOWN: usize = 20;

#[derive(Debug, Clone, Serialize)]
pub struct IncidentView {
    pub id: IncidentId,
    pub state: State,
    pub level: crate::domain::Level,
    pub service: Option<String>,
    pub host: Option<String>,
    pub alertname: String,
    pub rule: Option<String>,
    pub runbook: Option<String>,
    pub why: String,
    pub opened_at: Time,
    pub updated_at: Time,
    pub closed_at: Option<Time>,
    /// What it came to, once that is known.
    pub outcome: Option<String>,
    /// Behind which incident nothing is begun now, since when, and until when at the latest.
    pub waits_for: Option<HeldView>,
    /// Incidents that it has waited for.
    pub related: Vec<IncidentId>,
    /// Some alert of it fires and resolves again and again; when it is quiet, if nothing changes until then.
    pub quiet_at: Option<Time>,
    /// Of all its alerts, and how many of them fire.
    pub alerts_in_all: usize,
    pub alerts_firing: usize,
    /// Whole ones: the first of a large incident.
    pub alerts: Vec<Alert>,
    pub actions: Vec<ActionView>,
    pub transcript: Vec<Line>,
    pub notices: Vec<NoticeRow>,
}

#[derive(Debug, Clone, Serialize)]
pub struct HeldView {
    pub incident: IncidentId,
    pub since: Time,
    pub until: Time,
}

/// A step: what was proposed, what the SafetyChecker said, what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ActionView {
    pub tool: String,
    pub arguments: Value,
    pub verdict: Verdict,
    /// Of the layers that gave this verdict.
    pub reasons: Vec<String>,
    /// How risky it was taken to be, what it would probably mean, and which policies decided; where policies were asked.
    pub risk: Option<Risk>,
    pub impact: Option<Impact>,
    pub policies: Vec<String>,
    /// succeeded, failed, denied, refused, expired, void, unavailable, asked, started, in_doubt.
    pub outcome: &'static str,
    pub said: String,
    pub output: Value,
}

/// An entry as it was recorded (`seq`, `at`, `kind` and its own fields), with its line for humans.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub recorded: Recorded,
    pub text: String,
}

pub async fn list(store: &Store, state: Option<State>, limit: i64) -> Result<Vec<Listed>, StoreError> {
    store.list(state, limit).await
}

pub fn state_of(text: &str) -> Result<State, String> {
    let wanted = text.trim().replace([' ', '-'], "_");
    let found = State::ALL.into_iter().find(|state| state.as_str() == wanted);
    found.ok_or_else(|| {
        let words: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!("state: expected one of {}", words.join(", "))
    })
}

pub async fn incident(store: &Store, id: IncidentId) -> Result<Option<IncidentView>, StoreError> {
    let entries = store.entries(id).await?;
    if entries.is_empty() {
        return Ok(None);
    }
    let incident = Incident::replay(id, &entries)?;
    let notices = store.notices(id).await?;
    Ok(Some(show(incident, &entries, notices)))
}

fn show(incident: Incident, entries: &[Recorded], notices: Vec<NoticeRow>) -> IncidentView {
    let (alerts_firing, alerts_in_all) = incident.counts();
    let held = incident.held.clone();
    IncidentView {
        waits_for: held.map(|held| HeldView { incident: held.behind, since: held.since, until: held.until }),
        related: incident.related.iter().copied().collect(),
        quiet_at: incident.flapping.as_ref().map(Flapping::quiet_at),
        alerts_in_all,
        alerts_firing,
        id: incident.id,
        state: incident.state,
        level: incident.level,
        service: incident.target.service.as_ref().map(ToString::to_string),
        host: incident.target.host.as_ref().map(ToString::to_string),
        alertname: incident.alertname().to_owned(),
        rule: incident.rule.clone(),
        runbook: incident.runbook.clone(),
        why: incident.why.clone(),
        opened_at: incident.opened_at,
        updated_at: incident.updated_at,
        closed_at: incident.closed_at,
        outcome: outcome(&incident),
        actions: incident.steps.iter().map(action).collect(),
        transcript: entries.iter().map(transcript_line).collect(),
        alerts: incident.alerts.into_values().collect(),
        notices,
    }
}

fn transcript_line(recorded: &Recorded) -> Line {
    let text = recorded.entry.to_string();
    let entry = match &recorded.entry {
        Entry::ManyAlerts(crowd) => Entry::ManyAlerts(crowd.first(SHOWN)),
        other => other.clone(),
    };
    Line { recorded: Recorded { entry, ..recorded.clone() }, text }
}

/// How it ended; why a human was needed is part of that.
fn outcome(incident: &Incident) -> Option<String> {
    let handover = incident.escalated.as_ref().map(|handover| handover.why.clone());
    match (&incident.outcome, handover) {
        (Some(end), Some(why)) => Some(format!("{end} (escalated: {why})")),
        (Some(end), None) => Some(end.clone()),
        (None, handover) => handover,
    }
}

fn action(step: &Step) -> ActionView {
    let verdict = step.opinions.iter().map(|opinion| opinion.verdict).max().unwrap_or(Verdict::Deny);
    let (outcome, said, output) = end(&step.end);
    let grounds = step.opinions.iter().find_map(|opinion| opinion.grounds.as_deref());
    ActionView {
        tool: step.proposal.tool.clone(),
        arguments: step.action.as_ref().map_or_else(|| step.proposal.arguments.clone(), |action| action.arguments.clone()),
        verdict,
        reasons: step.opinions.iter().filter(|opinion| opinion.verdict == verdict).map(|opinion| opinion.reason.clone()).collect(),
        risk: grounds.map(|grounds| grounds.facts.risk.clone()),
        impact: grounds.map(|grounds| grounds.facts.impact.clone()),
        policies: grounds.map_or(Vec::new(), |grounds| grounds.decided_by.clone()),
        outcome,
        said,
        output,
    }
}

fn end(end: &StepEnd) -> (&'static str, String, Value) {
    match end {
        StepEnd::Asked => ("asked", "waiting for a human".into(), Value::Null),
        StepEnd::Started => ("started", String::new(), Value::Null),
        StepEnd::Denied => ("denied", String::new(), Value::Null),
        StepEnd::RefusedBy(by) => ("refused", format!("by {by}"), Value::Null),
        StepEnd::Expired => ("expired", "nobody decided in time".into(), Value::Null),
        StepEnd::Void(why) => ("void", why.clone(), Value::Null),
        StepEnd::Unavailable(why) => ("unavailable", why.clone(), Value::Null),
        StepEnd::InDoubt => ("in_doubt", "nobody can tell whether it happened".into(), Value::Null),
        StepEnd::Finished(outcome) => (if outcome.ok { "succeeded" } else { "failed" }, outcome.said.clone(), outcome.output.clone()),
    }
}
