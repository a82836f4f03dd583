//! What comes next, as a table: the entries so far, and the move that follows from them.

use super::*;
use crate::domain::stage::{Ledger, START, alert, ana, proposal};
use crate::domain::{AlertStatus, ApprovalId, Entry, IncidentId, Outcome, Signal, Target};
use Level::{One, Three, Two};
use PlannerKind::{Model, Runbook};

const NEITHER: Planners = Planners { runbook: false, model: false };
const BOTH: Planners = Planners { runbook: true, model: true };
const BOOK: Planners = Planners { runbook: true, model: false };

#[track_caller]
fn follows(ledger: &Ledger, planners: Planners, expected: Move) {
    let now = START + chrono::Duration::minutes(1);
    assert_eq!(next_move(&ledger.incident(), planners, &Settings::default(), now), expected);
}

fn escalate(why: &str) -> Move {
    Move::Escalate(why.into())
}

fn closed() -> Move {
    Move::Close("the alert resolved after the escalation; a human owns what is left".into())
}

fn fixed(level: Level) -> Ledger {
    Ledger::of(level).run(Runbook).did("restart_service", true).run_ended()
}

#[test]
fn the_first_planner_goes_first_and_the_second_after_it() {
    follows(&Ledger::of(One), BOTH, Move::StartRun(Runbook));
    follows(&Ledger::of(Two), Planners { runbook: false, model: true }, Move::StartRun(Model));
    follows(&Ledger::of(Two), NEITHER, escalate("there is neither a runbook nor a model for it"));
    let model_first = Settings { first: Model, ..Settings::default() };
    assert_eq!(next_move(&Ledger::of(One).incident(), BOTH, &model_first, START), Move::StartRun(Model));
    let book_was_first = Ledger::of(Two).run(Model).planner_failed();
    assert_eq!(next_move(&book_was_first.incident(), BOTH, &model_first, START), Move::StartRun(Runbook));
    follows(&Ledger::of(Two).run(Runbook).planner_failed(), BOTH, Move::StartRun(Model));
    follows(&Ledger::of(Two).run(Runbook).planner_failed().run(Model).planner_failed(), BOTH, escalate("it cannot go on"));
    follows(&Ledger::of(Two).run(Runbook).run_ended(), BOTH, Move::StartRun(Model));
}

#[test]
fn a_run_asks_its_planner_and_gates_what_a_model_wants_one_by_one() {
    follows(&Ledger::of(One).run(Runbook), BOTH, Move::Plan(Runbook));
    let calls = vec![proposal("get_metrics"), proposal("drop_table")];
    let thought = Ledger::of(One).run(Model).then(Entry::Thought { text: String::new(), calls, tokens: 1 });
    follows(&thought, BOTH, Move::Gate(proposal("get_metrics")));
    let first = thought.did("get_metrics", true);
    follows(&first, BOTH, Move::Gate(proposal("drop_table")));
    follows(&first.denied("drop_table"), BOTH, Move::Plan(Model));
}

#[test]
fn what_somebody_silenced_waits_and_what_was_changed_before_is_verified() {
    let fingerprint = alert("ServiceDown", AlertStatus::Firing).fingerprint;
    let silenced = |ledger: Ledger| {
        ledger.then(Entry::Silenced { fingerprint: fingerprint.clone(), alertname: "ServiceDown".into(), by: "silence 1".into() })
    };
    follows(&silenced(Ledger::of(One)), BOTH, Move::Wait);
    follows(&silenced(Ledger::of(One).run(Runbook)), BOTH, Move::Wait);
    let changed = silenced(Ledger::of(One).run(Runbook).did("restart_service", true));
    follows(&changed, BOTH, Move::StopRun(Runbook, "the alert was silenced meanwhile".into()));
    follows(&changed.run_ended(), BOTH, Move::StartVerifying);
    follows(&silenced(Ledger::of(One)).alert_resolved(), BOTH, Move::StartVerifying);
    follows(&silenced(Ledger::of(Three)), BOTH, escalate("level 3: a rule says so"));
    let again = silenced(Ledger::of(One)).then(Entry::Unsilenced { fingerprint: fingerprint.clone(), alertname: "ServiceDown".into() });
    follows(&again, BOTH, Move::StartRun(Runbook));
}

#[test]
fn a_denied_run_goes_to_the_next_planner_and_then_to_a_human() {
    let denied = Ledger::of(One).run(Runbook).denied("restart_service");
    follows(&denied, BOTH, Move::Plan(Runbook));
    let over = denied.planner_failed();
    follows(&over, BOTH, Move::StartRun(Model));
    follows(&over, BOOK, escalate("it cannot go on"));
    follows(&over.run(Model).denied("restart_service").planner_failed(), BOTH, escalate("it cannot go on"));
}

#[test]
fn what_was_changed_is_verified() {
    follows(&fixed(One), BOTH, Move::StartVerifying);
    follows(&fixed(Two), BOTH, Move::StartVerifying);
    follows(&fixed(One).verifying(), BOTH, Move::Verify);
    let failed = Ledger::of(One).run(Runbook).did("restart_service", false).run_ended();
    follows(&failed, BOTH, Move::StartRun(Model));
    // A planner that broke after it had changed something: the next one looks; without one the change is verified.
    let broke = Ledger::of(One).run(Runbook).did("restart_service", true).planner_failed();
    follows(&broke, BOTH, Move::StartRun(Model));
    follows(&broke, BOOK, Move::StartVerifying);
}

#[test]
fn level_one_with_nothing_to_do_is_verified_where_that_can_be_and_level_two_goes_to_a_human() {
    let looked = |level| Ledger::of(level).run(Runbook).did("check_service_status", true).run_ended();
    follows(&looked(One), BOOK, Move::StartVerifying);
    follows(&looked(Two), BOOK, escalate("the book is at its end"));
    let nowhere = Ledger::about(Target::default(), One).run(Runbook).did("get_alerts", true).run_ended();
    follows(&nowhere, BOOK, escalate("the alert names no service or host of the inventory (the book is at its end)"));
    let nothing = Ledger::of(One).run(Runbook).run_ended();
    follows(&nothing, BOOK, escalate("nothing could be looked at or done (api): the book is at its end"));
}

#[test]
fn level_three_is_told_at_once_and_goes_on_observing() {
    follows(&Ledger::of(Three), BOTH, escalate("level 3: a rule says so"));
    let told = Ledger::of(Three).escalated();
    follows(&told, BOTH, Move::StartRun(Runbook));
    follows(&told, NEITHER, Move::Wait);
    let observing = told.run(Runbook);
    follows(&observing, BOTH, Move::Plan(Runbook));
    let book_done = observing.did("get_metrics", true).run_ended();
    follows(&book_done, BOTH, Move::StartRun(Model));
    follows(&book_done, BOOK, Move::Wait);
    follows(&book_done.alert_resolved(), BOTH, closed());
    // Raised to level 3 in the middle of a run, and while verifying.
    let worse = Entry::Classified { level: Three, rule: Some("x".into()), why: "worse".into(), runbook: None, mode: None };
    follows(&Ledger::of(One).run(Runbook).then(worse.clone()), BOTH, escalate("level 3: worse"));
    follows(&fixed(One).verifying().then(worse), BOTH, escalate("level 3: worse"));
}

#[test]
fn other_levels_wait_for_their_human_once_escalated() {
    let told = Ledger::of(Two).run(Runbook).escalated();
    follows(&told, BOTH, Move::Wait);
    follows(&told.alert_resolved(), BOTH, closed());
}

#[test]
fn what_is_under_way_or_asked_comes_before_everything_else() {
    for level in [One, Two, Three] {
        let under_way = Ledger::of(level).run(Runbook).started("restart_service");
        follows(&under_way, BOTH, Move::Recover);
        follows(&under_way.clone().alert_resolved(), BOTH, Move::Recover);
        follows(&under_way.escalated(), BOTH, Move::Recover);
        let asked = Ledger::of(level).run(Runbook).asked(3);
        follows(&asked.clone().escalated(), BOTH, Move::Answer);
        // But a page never waits for an answer.
        let expected = if level == Three { escalate("level 3: a rule says so") } else { Move::Answer };
        follows(&asked, BOTH, expected.clone());
        follows(&asked.then(Entry::Granted { approval: ApprovalId(3), by: ana(), votes: Vec::new() }), BOTH, expected);
    }
}

#[test]
fn an_action_in_doubt_goes_to_a_human_and_one_that_a_probe_settled_does_not() {
    let doubt = |found| Ledger::of(One).run(Runbook).started("restart_service").then(Entry::InDoubt { found });
    follows(&doubt(None), BOTH, escalate("restart_service was started and nobody can tell whether it happened"));
    follows(&doubt(Some(Outcome::ok("it came up", serde_json::json!({})))), BOTH, Move::Plan(Runbook));
}

#[test]
fn an_alert_that_resolves_meanwhile_ends_the_run_and_is_verified() {
    let resolved = Ledger::of(One).run(Runbook).did("check_service_status", true).alert_resolved();
    follows(&resolved, BOTH, Move::StopRun(Runbook, "the alert resolved meanwhile".into()));
    follows(&resolved.run_ended(), BOTH, Move::StartVerifying);
    follows(&Ledger::of(Two).alert_resolved(), BOTH, Move::StartVerifying);
    // One of two alerts is not all of them.
    let joined = Ledger::of(One).run(Runbook).then(Entry::AlertJoined { alert: alert("Another", AlertStatus::Firing) });
    follows(&joined.alert_resolved(), BOTH, Move::Plan(Runbook));
}

#[test]
fn twenty_five_steps_are_enough() {
    let after = |steps: usize| (0..steps).fold(Ledger::of(Two).run(Model), |ledger, _| ledger.did("get_metrics", true));
    follows(&after(24), BOTH, Move::Plan(Model));
    follows(&after(25), BOTH, escalate("25 steps are enough"));
    let observed = (0..25).fold(Ledger::of(Three).escalated().run(Model), |ledger, _| ledger.did("get_metrics", true));
    follows(&observed, BOTH, Move::StopRun(Model, "25 steps are enough".into()));
    // Denied wishes and a model's answers count as well.
    let thought = || Entry::Thought { text: "hm".into(), calls: vec![proposal("drop_table")], tokens: 1 };
    let begging = (0..13).fold(Ledger::of(Two).run(Model), |ledger, _| ledger.then(thought()).denied("drop_table"));
    follows(&begging, BOTH, escalate("25 steps are enough"));
}

#[test]
fn a_run_that_takes_too_long_goes_to_a_human() {
    let settings = Settings::default();
    let incident = Ledger::of(Two).run(Runbook).incident();
    let started_at = incident.run.as_ref().unwrap().started_at;
    let at = |after| next_move(&incident, BOTH, &settings, started_at + after);
    assert_eq!(at(settings.run_within), Move::Plan(Runbook));
    assert_eq!(at(settings.run_within + chrono::Duration::milliseconds(1)), escalate("it has taken too long"));
}

#[test]
fn nothing_follows_the_end() {
    let signal = |signal| Entry::Signalled { signal, holds: true, said: "good".into() };
    let resolved = fixed(One).verifying().alert_resolved().then(signal(Signal::Alert)).then(signal(Signal::Independent));
    follows(&resolved, BOTH, Move::Verify);
    follows(&resolved.then(Entry::Resolved { summary: "fixed".into() }), BOTH, Move::Wait);
    follows(&Ledger::of(Two).escalated().then(Entry::Closed { outcome: "over".into() }), BOTH, Move::Wait);
}

#[test]
fn what_waits_for_a_cause_looks_again_and_what_ends_meanwhile_is_verified() {
    let held = Ledger::of(One).then(Entry::Held { behind: IncidentId(1), why: "a cause".into(), until: START });
    follows(&held, BOTH, Move::LookAgain);
    follows(&held.clone().alert_resolved(), BOTH, Move::StartVerifying);
    let page = Entry::Classified { level: Three, rule: Some("rule".into()), why: "it got worse".into(), runbook: None, mode: None };
    follows(&held.clone().then(page), BOTH, escalate("level 3: it got worse"));
    follows(&held.then(Entry::Released { why: "it ended".into() }), BOTH, Move::StartRun(Runbook));
}

#[test]
fn what_flaps_is_a_humans_until_it_has_been_quiet_for_long_enough() {
    let flaps = |ledger: Ledger| ledger.then(Entry::Flapping { alertname: "ServiceDown".into(), times: 4, quiet_for: 600 });
    let why = "ServiceDown flaps: it resolved 4 times and fires again; one more fix would fix nothing";
    follows(&flaps(Ledger::of(One)), BOTH, escalate(why));
    follows(&flaps(Ledger::of(Three)), BOTH, escalate("level 3: a rule says so"));
    let told = flaps(Ledger::of(One)).escalated();
    let quiet_at = START + chrono::Duration::seconds(603);
    follows(&told, BOTH, Move::WaitUntil(quiet_at));
    // Its end is a change as well.
    follows(&told.clone().alert_resolved(), BOTH, Move::WaitUntil(quiet_at + chrono::Duration::seconds(2)));
    assert_eq!(next_move(&told.incident(), BOTH, &Settings::default(), quiet_at), Move::CalmDown);
    follows(&told.clone().then(Entry::Steady), BOTH, Move::Wait);
    follows(&told.alert_resolved().then(Entry::Steady), BOTH, closed());
}
