//! Which entries leave which marks on whom.

use crate::domain::stage::{Ledger, ana, proposal};
use crate::domain::{ApprovalId, Entry, Incident, Layer, Level, Mark, MarkKind, Opinion, Outcome, PlannerKind, Proposer, Target, Verdict};
use crate::safety::{marks, place};

use PlannerKind::{Model, Runbook};

/// Every mark of an incident's life, in order.
fn all(ledger: &Ledger) -> Vec<Mark> {
    let mut incident = Incident::replay(crate::domain::IncidentId(7), &ledger.0[..1]).unwrap();
    let mut left = Vec::new();
    for recorded in &ledger.0[1..] {
        left.extend(marks(&incident, recorded));
        incident.apply(recorded).unwrap();
    }
    left
}

#[track_caller]
fn leaves(ledger: Ledger, expected: &[(PlannerKind, MarkKind)]) {
    let agent = |planner: &PlannerKind| Proposer::of(*planner, Some("book"));
    let found: Vec<(Proposer, MarkKind)> = all(&ledger).into_iter().map(|mark| (mark.agent, mark.kind)).collect();
    assert_eq!(found, expected.iter().map(|(planner, kind)| (agent(planner), *kind)).collect::<Vec<_>>());
}

fn run(level: Level, planner: PlannerKind) -> Ledger {
    Ledger::of(level).run(planner)
}

fn resolved() -> Entry {
    Entry::Resolved { summary: "fixed".into() }
}

fn denied(tool: &str, opinion: Opinion) -> Entry {
    Entry::Denied { proposal: proposal(tool), planner: Model, opinions: vec![opinion] }
}

#[test]
fn only_a_change_that_two_signals_verified_is_a_merit() {
    let fixed = run(Level::One, Runbook).did("get_metrics", true).did("restart_service", true).run_ended();
    leaves(fixed.clone().verifying().alert_resolved().then(resolved()), &[(Runbook, MarkKind::Verified)]);
    leaves(run(Level::One, Runbook).did("get_metrics", true).verifying().alert_resolved().then(resolved()), &[]);
    leaves(run(Level::One, Model).did("get_metrics", false).run_ended(), &[]);
    let mark = all(&fixed.then(resolved())).remove(0);
    assert_eq!((mark.incident.0, mark.place.as_str(), mark.alertname.as_str()), (7, "service:api", "ServiceDown"));
    assert_eq!(place(&Ledger::about(Target::default(), Level::One).incident()), "nowhere");
}

#[test]
fn the_last_who_changed_something_has_the_merit_and_those_before_had_not_helped() {
    let both = run(Level::One, Model).did("restart_service", true).run_ended().run(Runbook).did("restart_service", true).run_ended();
    leaves(both.clone().then(resolved()), &[(Model, MarkKind::Unverified), (Runbook, MarkKind::Verified)]);
    leaves(both.clone().escalated(), &[(Model, MarkKind::Unverified), (Runbook, MarkKind::Unverified)]);
    let closed = Entry::Closed { outcome: "symptom suppressed".into() };
    leaves(both.clone().then(closed.clone()), &[(Model, MarkKind::Unverified), (Runbook, MarkKind::Unverified)]);
    leaves(both.escalated().alert_resolved().then(closed), &[(Model, MarkKind::Unverified), (Runbook, MarkKind::Unverified)]);
}

#[test]
fn a_failure_a_doubt_and_a_refusal_are_wrong_and_a_question_or_a_silence_is_not() {
    leaves(run(Level::One, Runbook).did("restart_service", false).escalated(), &[(Runbook, MarkKind::Failed)]);
    let doubt = |found: Option<Outcome>| run(Level::One, Model).started("restart_service").then(Entry::InDoubt { found });
    leaves(doubt(None).escalated(), &[(Model, MarkKind::InDoubt)]);
    leaves(doubt(Some(Outcome::failed("it runs since before"))), &[(Model, MarkKind::Failed)]);
    leaves(doubt(Some(Outcome::ok("it happened", serde_json::Value::Null))), &[]);
    let asked = run(Level::Two, Runbook).asked(3);
    leaves(asked.clone().then(Entry::Refused { approval: ApprovalId(3), by: ana() }).escalated(), &[(Runbook, MarkKind::Refused)]);
    leaves(asked.clone().then(Entry::Expired { approval: ApprovalId(3), granted: false }).escalated(), &[]);
    leaves(asked.then(Entry::Void { approval: ApprovalId(3), why: "halted".into() }), &[]);
}

#[test]
fn a_denial_for_the_circumstances_or_of_a_reading_tool_is_nobodys_fault() {
    let deny = |layer: Layer| Opinion::new(layer, Verdict::Deny, "no");
    for layer in [Layer::Level, Layer::Budget, Layer::Risk, Layer::Trust, Layer::Freeze, Layer::Orders, Layer::Arguments, Layer::Boundary] {
        leaves(run(Level::One, Model).then(denied("restart_service", deny(layer))), &[]);
    }
    leaves(run(Level::One, Model).then(denied("restart_service", deny(Layer::Scope))), &[(Model, MarkKind::Denied)]);
    leaves(run(Level::One, Model).then(denied("get_metrics", deny(Layer::Scope))), &[]);
    let critical = Opinion::critical(Layer::Floor, "never");
    leaves(run(Level::One, Model).then(denied("delete_database", critical)), &[(Model, MarkKind::Critical)]);
}

#[test]
fn what_a_human_closes_or_level_three_takes_away_is_not_judged() {
    let changed = run(Level::One, Runbook).did("restart_service", true).run_ended();
    let reason = crate::domain::Reason::parse("restored by hand").unwrap();
    leaves(changed.clone().then(Entry::ClosedBy { order: crate::domain::OrderId(1), by: ana(), reason }), &[]);
    let worse = Entry::Classified { level: Level::Three, rule: Some("x".into()), why: "worse".into(), runbook: None, mode: None };
    leaves(changed.then(worse).escalated(), &[]);
}
