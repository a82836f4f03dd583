//! The score's rules, one by one, and over random histories.

use super::*;
use proptest::prelude::*;

fn minutes(n: i64) -> Time {
    Time::UNIX_EPOCH + chrono::Duration::minutes(n)
}

fn mark(kind: MarkKind, place: &str, incident: i64, at: Time) -> Mark {
    Mark { agent: Proposer::Model, kind, incident: IncidentId(incident), seq: 5, place: place.into(), alertname: "Down".into(), at }
}

fn after(marks: &[Mark]) -> Trust {
    let mut trust = Trust::default();
    marks.iter().for_each(|mark| {
        trust.take(mark);
    });
    trust
}

#[test]
fn a_verified_fix_earns_little_a_failure_costs_much_and_neither_leaves_the_scale() {
    assert_eq!(after(&[mark(MarkKind::Verified, "a", 1, minutes(0))]).score(), 510);
    assert_eq!(after(&[mark(MarkKind::Failed, "a", 1, minutes(0))]).score(), 460);
    let many = |kind: MarkKind| (0..200).map(|n| mark(kind, "a", n, minutes(n * 2_000))).collect::<Vec<_>>();
    assert_eq!(after(&many(MarkKind::Verified)).score(), 1000);
    assert_eq!(after(&many(MarkKind::Critical)).score(), 0);
}

#[test]
fn what_fires_again_and_again_earns_once_a_day_and_an_agent_three_times() {
    let same: Vec<Mark> = (0..50).map(|n| mark(MarkKind::Verified, "a", n, minutes(n * 10))).collect();
    assert_eq!(after(&same).score(), 510);
    let spread: Vec<Mark> = (0..50).map(|n| mark(MarkKind::Verified, &format!("host {n}"), n, minutes(n * 10))).collect();
    assert_eq!(after(&spread).score(), 530);
}

#[test]
fn a_relapse_takes_back_what_was_earned_and_more_once_a_day_a_place() {
    let flapping: Vec<Mark> =
        (0..40).map(|n| mark(if n % 2 == 0 { MarkKind::Verified } else { MarkKind::Relapsed }, "a", n, minutes(n * 10))).collect();
    let trust = after(&flapping);
    assert_eq!((trust.score(), trust.wrong_in_a_row(), trust.breaker()), (460, 1, None));
}

#[test]
fn three_wrong_in_a_row_open_the_breaker_once_and_only_a_human_closes_it() {
    let mut trust = Trust::default();
    let wrong = [MarkKind::Failed, MarkKind::Refused, MarkKind::Unverified, MarkKind::Failed];
    let opened: Vec<bool> = (0_i64..).zip(wrong).map(|(n, kind)| trust.take(&mark(kind, "a", n, minutes(n)))).collect();
    assert_eq!(opened, [false, false, true, false]);
    assert_eq!(trust.breaker().unwrap().mark, MarkKind::Unverified);
    trust.take(&mark(MarkKind::Verified, "b", 9, minutes(9)));
    assert!(trust.breaker().is_some(), "being right does not close it");
    let score = trust.score();
    trust.close_breaker();
    assert_eq!((trust.breaker(), trust.wrong_in_a_row(), trust.score()), (None, 0, score));
}

#[test]
fn a_fix_of_another_place_ends_the_row_and_one_of_a_place_that_relapsed_does_not() {
    let [a, b] = ["a", "b"];
    let wrong = |n: i64| mark(MarkKind::Failed, a, n, minutes(n));
    assert_eq!(after(&[wrong(1), wrong(2), mark(MarkKind::Verified, b, 3, minutes(3)), wrong(4)]).wrong_in_a_row(), 1);
    let relapsed = mark(MarkKind::Relapsed, b, 1, minutes(1));
    assert!(after(&[relapsed, wrong(2), mark(MarkKind::Verified, b, 3, minutes(3)), wrong(4)]).breaker().is_some());
}

#[test]
fn being_denied_in_one_incident_counts_once() {
    let denied = |incident: i64, n: i64| mark(MarkKind::Denied, "a", incident, minutes(n));
    let trust = after(&[denied(1, 1), denied(1, 2), denied(1, 3), denied(1, 4)]);
    assert_eq!((trust.wrong_in_a_row(), trust.score()), (1, 480));
    assert!(after(&[denied(1, 1), denied(2, 2), denied(3, 3)]).breaker().is_some());
}

#[test]
fn an_agent_has_a_name_that_reads_back() {
    for agent in [Proposer::Model, Proposer::Runbook("service_crash".into())] {
        assert_eq!(agent.to_string().parse::<Proposer>().unwrap(), agent);
    }
    for none in ["", "models", "runbook", "runbook:", "runbook: ", "Model"] {
        assert!(none.parse::<Proposer>().is_err(), "{none}");
    }
}

fn a_history() -> impl Strategy<Value = Vec<Mark>> {
    let kinds = vec![
        MarkKind::Verified,
        MarkKind::Relapsed,
        MarkKind::Failed,
        MarkKind::InDoubt,
        MarkKind::Unverified,
        MarkKind::Refused,
        MarkKind::Denied,
        MarkKind::Critical,
    ];
    let one = (prop::sample::select(kinds), 0..6_i64, 1..9_i64, 0..600_i64);
    prop::collection::vec(one, 0..80).prop_map(|steps| {
        let mut now = 0;
        let mut marks = Vec::new();
        for (kind, place, incident, wait) in steps {
            now += wait;
            marks.push(mark(kind, &place.to_string(), incident, minutes(now)));
        }
        marks
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_any_history_the_score_stays_on_its_scale_and_rises_by_thirty_a_day_at_most(marks in a_history()) {
        let mut trust = Trust::default();
        let mut rises: Vec<Time> = Vec::new();
        for mark in &marks {
            let (before, open) = (trust.score(), trust.breaker().is_some());
            let opened = trust.take(mark);
            prop_assert!((0..=Trust::MOST).contains(&trust.score()));
            prop_assert!(trust.score() <= before || mark.kind == MarkKind::Verified);
            prop_assert!(!open || trust.breaker().is_some(), "only a human closes it");
            prop_assert_eq!(opened, !open && trust.breaker().is_some());
            prop_assert!(trust.breaker().is_some() || trust.wrong_in_a_row() < Trust::WRONG_OPENS);
            if trust.score() > before {
                rises.push(mark.at);
            }
            let today = rises.iter().filter(|at| **at > mark.at - chrono::Duration::days(1)).count();
            prop_assert!(today <= 3);
        }
        // Kept as JSON between two marks: nothing is lost by that.
        let kept: Trust = serde_json::from_str(&serde_json::to_string(&trust).unwrap()).unwrap();
        prop_assert_eq!(kept, trust);
    }
}
