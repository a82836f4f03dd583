//! What comes next for an incident: a pure function of its fold, the time and the settings. The order is the policy.

use super::Settings;
use crate::domain::{Incident, Level, PlannerKind, Proposal, Run, StepEnd, Time};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// An action was started and never finished.
    Recover,
    /// A human was asked: look at the answer.
    Answer,
    Escalate(String),
    Close(String),
    StartRun(PlannerKind),
    /// The run is over because the alert resolved while it was going on.
    StopRun(PlannerKind, String),
    StartVerifying,
    Verify,
    /// Put a proposal to the SafetyChecker.
    Gate(Proposal),
    /// Ask the planner for the next proposal.
    Plan(PlannerKind),
    /// It waits for another incident: look whether it still has to.
    LookAgain,
    /// It does not flap any more.
    CalmDown,
    WaitUntil(Time),
    Wait,
}

/// Which planners this incident can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planners {
    pub runbook: bool,
    pub model: bool,
}

pub fn next_move(incident: &Incident, planners: Planners, settings: &Settings, now: Time) -> Move {
    if incident.in_flight.is_some() {
        return Move::Recover;
    }
    if incident.state.is_final() {
        return Move::Wait;
    }
    // Before anything that waits: a page is never late.
    if incident.level == Level::Three && incident.escalated.is_none() {
        return Move::Escalate(format!("level 3: {}", incident.why));
    }
    if incident.pending.is_some() {
        return Move::Answer;
    }
    if incident.escalated.is_some() {
        return after_escalation(incident, planners, settings, now);
    }
    if let Some(step) = incident.steps.iter().find(|step| step.end == StepEnd::InDoubt) {
        return Move::Escalate(format!("{} was started and nobody can tell whether it happened", step.proposal.tool));
    }
    if let Some(flapping) = &incident.flapping {
        let (name, times) = (incident.alertname(), flapping.times);
        return Move::Escalate(format!("{name} flaps: it resolved {times} times and fires again; one more fix would fix nothing"));
    }
    if incident.verifying.is_some() {
        return Move::Verify;
    }
    if incident.held.is_some() && incident.still_firing() {
        return Move::LookAgain;
    }
    in_work(incident, planners, settings, now)
}

fn in_work(incident: &Incident, planners: Planners, settings: &Settings, now: Time) -> Move {
    let running = incident.run.as_ref().filter(|run| !run.over);
    if incident.all_silenced() {
        return while_silenced(incident, running);
    }
    match running {
        Some(run) if !incident.still_firing() => Move::StopRun(run.planner, "the alert resolved meanwhile".into()),
        Some(_) if incident.turns() >= settings.steps => Move::Escalate(format!("{} steps are enough", settings.steps)),
        Some(run) if now - run.started_at > settings.run_within => Move::Escalate("it has taken too long".into()),
        Some(run) => propose(incident, run.planner),
        None if !incident.still_firing() => Move::StartVerifying,
        None => between_runs(incident, planners, settings),
    }
}

/// Whoever silenced it is at work there: what was changed is still verified, and nothing else begun.
fn while_silenced(incident: &Incident, running: Option<&Run>) -> Move {
    match running {
        _ if !incident.changed_something() => Move::Wait,
        Some(run) => Move::StopRun(run.planner, "the alert was silenced meanwhile".into()),
        None => Move::StartVerifying,
    }
}

fn propose(incident: &Incident, planner: PlannerKind) -> Move {
    match incident.queue.front() {
        Some(proposal) => Move::Gate(proposal.clone()),
        None => Move::Plan(planner),
    }
}

/// A run is over, or none has begun: verify what was changed, else try the next planner, else hand over.
fn between_runs(incident: &Incident, planners: Planners, settings: &Settings) -> Move {
    let ended_well = incident.run.as_ref().is_some_and(|run| !run.failed);
    let run_changed = incident.run_steps().iter().any(|step| step.changed_something());
    if run_changed && ended_well {
        return Move::StartVerifying;
    }
    match untried(incident, planners, settings) {
        Some(planner) => Move::StartRun(planner),
        None if incident.changed_something() => Move::StartVerifying,
        // Level 1 looked and found nothing to do: perhaps it has recovered by itself, which two signals will tell.
        None if incident.level == Level::One && ended_well && has_target(incident) && !incident.run_steps().is_empty() => {
            Move::StartVerifying
        }
        None => Move::Escalate(without_a_fix(incident, ended_well)),
    }
}

/// Without a service or host of the inventory nothing independent will ever tell: waiting for it would only delay the page.
fn has_target(incident: &Incident) -> bool {
    incident.target.service.is_some() || incident.target.host.is_some()
}

fn without_a_fix(incident: &Incident, ended_well: bool) -> String {
    match &incident.finding {
        None => "there is neither a runbook nor a model for it".into(),
        Some(finding) if !has_target(incident) => format!("the alert names no service or host of the inventory ({finding})"),
        Some(finding) if ended_well && incident.run_steps().is_empty() => {
            format!("nothing could be looked at or done ({}): {finding}", incident.target)
        }
        Some(finding) => finding.clone(),
    }
}

/// Only level 3 goes on observing once a human owns it.
fn after_escalation(incident: &Incident, planners: Planners, settings: &Settings, now: Time) -> Move {
    if let Some(flapping) = &incident.flapping {
        return if now < flapping.quiet_at() { Move::WaitUntil(flapping.quiet_at()) } else { Move::CalmDown };
    }
    match &incident.escalated {
        Some(handover) if handover.firing && !incident.still_firing() => {
            return Move::Close("the alert resolved after the escalation; a human owns what is left".into());
        }
        _ => {}
    }
    if incident.level != Level::Three {
        return Move::Wait;
    }
    match incident.run.as_ref().filter(|run| !run.over) {
        Some(run) if incident.turns() >= settings.steps => Move::StopRun(run.planner, format!("{} steps are enough", settings.steps)),
        Some(run) => propose(incident, run.planner),
        None => untried(incident, planners, settings).map_or(Move::Wait, Move::StartRun),
    }
}

fn untried(incident: &Incident, planners: Planners, settings: &Settings) -> Option<PlannerKind> {
    let order = match settings.first {
        PlannerKind::Runbook => [PlannerKind::Runbook, PlannerKind::Model],
        PlannerKind::Model => [PlannerKind::Model, PlannerKind::Runbook],
    };
    order.into_iter().find(|planner| {
        let there = match planner {
            PlannerKind::Runbook => planners.runbook,
            PlannerKind::Model => planners.model,
        };
        there && !incident.tried.contains(planner)
    })
}

#[cfg(test)]
mod tests;
