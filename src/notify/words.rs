//! What an incident looks like in words, the same on every channel. Returns plain text: each channel escapes for itself.

use crate::domain::{Approval, ApprovalState, Decision, Incident, Severity, State, Step, StepEnd, Time, Vote};

/// Steps shown on a card; the rest is counted.
const STEPS: usize = 8;

pub fn state(incident: &Incident) -> String {
    match incident.state {
        State::Open | State::Diagnosing if incident.held.is_some() => {
            let behind = incident.held.as_ref().map_or(String::new(), |held| held.behind.to_string());
            format!("waiting for {behind} to end")
        }
        State::Open => "open, not looked at yet".into(),
        State::Diagnosing => "being diagnosed".into(),
        State::AwaitingApproval => match &incident.pending {
            Some(pending) => format!("waiting for a human's decision on {}", pending.approval),
            None => "waiting for a human's decision".into(),
        },
        State::Mitigating => "being mitigated".into(),
        State::Verifying => "acted, being verified".into(),
        State::Resolved => "resolved and verified".into(),
        State::Escalated if incident.flapping.is_some() => "flapping, a human owns it".into(),
        State::Escalated => "escalated, a human owns it".into(),
        State::Closed => "closed without a proven fix".into(),
    }
}

pub fn mark(incident: &Incident) -> &'static str {
    match incident.state {
        State::Resolved => "🟢",
        State::Closed => "⚪",
        State::Escalated => "🔴",
        State::AwaitingApproval => "🟡",
        State::Open | State::Diagnosing | State::Mitigating | State::Verifying => "🔵",
    }
}

pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "ℹ️",
        Severity::Warning => "⚠️",
        Severity::Critical => "🚨",
    }
}

pub fn level(incident: &Incident) -> String {
    let meaning = match u8::from(incident.level) {
        1 => "acts by itself within bounds",
        2 => "diagnoses and asks",
        _ => "escalates only",
    };
    format!("{} ({meaning})", incident.level)
}

/// `2 firing, 1 resolved`.
pub fn alerts(incident: &Incident) -> String {
    let (firing, all) = incident.counts();
    format!("{firing} firing, {} resolved", all - firing)
}

/// What is known last: how it ended, else why it was escalated, else what a planner found.
pub fn finding(incident: &Incident) -> Option<(&'static str, &str)> {
    let escalated = incident.escalated.as_ref().map(|handover| handover.why.as_str());
    let known = [("Outcome", incident.outcome.as_deref()), ("Escalated", escalated), ("Finding", incident.finding.as_deref())];
    known.into_iter().find_map(|(name, text)| Some((name, text?)))
}

/// The last steps, a line each, and how many came before them.
pub fn steps(incident: &Incident) -> (usize, Vec<String>) {
    let earlier = incident.steps.len().saturating_sub(STEPS);
    (earlier, incident.steps[earlier..].iter().map(step).collect())
}

fn step(step: &Step) -> String {
    let what = match &step.action {
        Some(action) => action.summary(),
        None => format!("{} {}", step.proposal.tool, step.proposal.arguments),
    };
    let (mark, said) = match &step.end {
        StepEnd::Asked => ("⏳", "asked".to_owned()),
        StepEnd::Started => ("▶️", "under way".to_owned()),
        StepEnd::Denied => ("⛔", "denied".to_owned()),
        StepEnd::RefusedBy(by) => ("⛔", format!("denied by {by}")),
        StepEnd::Expired => ("⌛", "nobody decided in time".to_owned()),
        StepEnd::Void(why) => ("∅", format!("void: {why}")),
        StepEnd::Unavailable(why) => ("∅", format!("unavailable: {why}")),
        StepEnd::Finished(outcome) if outcome.ok => ("✅", outcome.said.clone()),
        StepEnd::Finished(outcome) => ("❌", outcome.said.clone()),
        StepEnd::InDoubt => ("❓", "in doubt: nothing can tell whether it happened".to_owned()),
    };
    format!("{mark} {}: {said}", super::text::plain(&what, 120))
}

/// Heads the box in which a planner speaks.
pub const PLANNERS_WORDS: &str = "The planner's own words, checked by nobody";

/// All that the planner says for it; uncut.
pub fn said(approval: &Approval) -> Option<String> {
    let said = approval.request.said();
    let lines: Vec<String> = match said.as_slice() {
        [] => return None,
        [(_, text)] => vec![(*text).to_owned()],
        several => several.iter().map(|(name, text)| format!("{name}: {text}")).collect(),
    };
    Some(lines.join("\n"))
}

/// `needs 2 people: approved by ana via slack, 1 more must`; None where one person is enough.
pub fn progress(approval: &Approval) -> Option<String> {
    let quorum = approval.request.quorum;
    if quorum < 2 {
        return None;
    }
    let so_far = match approval.votes.is_empty() {
        true => "nobody has approved yet".to_owned(),
        false => format!("approved by {}, {} more must", names(approval), approval.missing()),
    };
    Some(format!("Needs {quorum} different people: {so_far}"))
}

fn names(approval: &Approval) -> String {
    let granted = approval.votes.iter().filter(|vote| vote.decision == Decision::Grant);
    let signed = |vote: &Vote| if vote.signature.is_some() { " (signed)" } else { "" };
    granted.map(|vote| format!("{}{}", vote.by, signed(vote))).collect::<Vec<_>>().join(" and ")
}

/// What became of a question; None while it still waits.
pub fn decision(approval: &Approval) -> Option<(String, Option<Time>)> {
    match &approval.state {
        ApprovalState::Asked => None,
        ApprovalState::Granted { at, .. } => Some((format!("approved by {}", names(approval)), Some(*at))),
        // `at` is when it was spent; the decision came before.
        ApprovalState::Used { .. } => Some((format!("approved by {}, and done", names(approval)), None)),
        ApprovalState::Denied { by, at } => Some((format!("denied by {by}"), Some(*at))),
        ApprovalState::Expired { at, granted: false } => Some(("expired: nobody decided in time".into(), Some(*at))),
        ApprovalState::Expired { at, granted: true } => {
            Some((format!("expired: approved by {}, and not begun in time", names(approval)), Some(*at)))
        }
        ApprovalState::Void { why, at } => Some((format!("void: {why}"), Some(*at))),
        ApprovalState::Unavailable { why, at } => Some((format!("unavailable: {why}"), Some(*at))),
    }
}

pub fn time(at: Time) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
