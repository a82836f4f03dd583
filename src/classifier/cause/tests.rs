//! What joins, what waits, and that nobody waits for ever.

use super::*;
use crate::domain::InventoryFile;
use proptest::prelude::*;

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

/// `api` needs `db` and `cache`, `db` needs `disk`; `left` and `right` need each other.
fn needs() -> Dependencies {
    let service =
        |name: &str, needs: &[&str]| serde_json::json!({ "name": name, "depends_on": needs, "reach": { "process": { "command": ["x"] } } });
    let services = [
        service("api", &["db", "cache"]),
        service("db", &["disk"]),
        service("cache", &[]),
        service("disk", &[]),
        service("left", &["right"]),
        service("right", &["left"]),
    ];
    let file: InventoryFile = serde_json::from_value(serde_json::json!({ "services": services })).unwrap();
    Dependencies::of(&Inventory::build(file).unwrap())
}

fn at(seconds: i64) -> Time {
    Time::UNIX_EPOCH + chrono::Duration::seconds(seconds)
}

fn nearby(id: i64, service: &str, state: State) -> Nearby {
    Nearby {
        incident: IncidentId(id),
        service: name(service),
        alertname: "Alert".into(),
        level: Level::One,
        urgency: 1,
        state,
        news_at: at(0),
        closed_at: state.is_final().then(|| at(0)),
        flapping: false,
    }
}

fn waiting(id: i64, service: &ServiceName) -> Waiting<'_> {
    Waiting { incident: IncidentId(id), service, level: Level::One, urgency: 1, behind: None, waited: chrono::Duration::zero() }
}

fn behind(mine: Waiting<'_>, other: Nearby, now: i64) -> Option<Hold> {
    hold(mine, &[other], &needs(), CauseBounds::default(), at(now))
}

#[test]
fn a_symptom_waits_for_what_it_needs_and_never_the_other_way_round() {
    let (api, disk) = (name("api"), name("disk"));
    let held = behind(waiting(1, &api), nearby(2, "disk", State::Mitigating), 10).unwrap();
    assert_eq!((held.behind, held.until), (IncidentId(2), at(910)), "though it is the earlier one");
    assert_eq!(held.why, "api needs disk, and INC-2 (Alert of disk) is open: probably the cause");
    assert_eq!(behind(waiting(3, &disk), nearby(2, "api", State::Mitigating), 10), None);
    assert_eq!(behind(waiting(3, &name("cache")), nearby(2, "disk", State::Open), 10), None, "no relation");
    // A human has the cause: it is open all the same. Of the same service it is another matter.
    assert!(behind(waiting(1, &api), nearby(2, "db", State::Escalated), 10).is_some());
    assert_eq!(behind(waiting(3, &api), nearby(2, "api", State::Escalated), 10), None);
}

#[test]
fn of_one_service_the_later_waits_while_the_earlier_is_looked_into() {
    let api = name("api");
    for state in [State::Open, State::Diagnosing, State::Mitigating, State::Verifying] {
        assert!(behind(waiting(3, &api), nearby(2, "api", state), 10).is_some(), "{state}");
        assert_eq!(behind(waiting(1, &api), nearby(2, "api", state), 10), None, "the earlier one goes first");
    }
    assert_eq!(behind(waiting(3, &api), nearby(2, "api", State::AwaitingApproval), 10), None);
    assert_eq!(behind(waiting(3, &api), nearby(2, "api", State::Verifying), 61), None, "perhaps the verification waits for this one");
}

#[test]
fn pages_and_what_is_more_urgent_wait_for_nobody() {
    let api = name("api");
    let db = || nearby(2, "db", State::Mitigating);
    assert_eq!(behind(Waiting { level: Level::Three, urgency: 2, ..waiting(3, &api) }, Nearby { urgency: 2, ..db() }, 10), None);
    assert_eq!(behind(waiting(3, &api), Nearby { urgency: 0, ..db() }, 10), None);
    assert!(behind(waiting(3, &api), Nearby { urgency: 2, level: Level::Three, ..db() }, 10).is_some());
    assert_eq!(behind(waiting(3, &api), Nearby { flapping: true, ..db() }, 10), None);
}

#[test]
fn waiting_ends_with_the_cause_and_some_time_or_when_it_was_long_enough() {
    let api = name("api");
    let mine = Waiting { behind: Some(IncidentId(2)), ..waiting(3, &api) };
    let over = || nearby(2, "db", State::Resolved);
    assert!(behind(mine, over(), 59).is_some());
    assert_eq!(behind(mine, over(), 60), None);
    assert_eq!(behind(waiting(3, &api), over(), 10), None, "what begins after the end is not of it");
    let db = || nearby(2, "db", State::Escalated);
    assert_eq!(behind(waiting(3, &api), db(), 601), None, "no news for so long");
    let long = |waited| Waiting { waited: chrono::Duration::seconds(waited), ..mine };
    assert_eq!(behind(long(899), db(), 10_000).unwrap().until, at(10_001));
    assert_eq!(behind(long(900), db(), 10_000), None);
}

#[test]
fn another_group_is_the_same_cause_by_the_same_rule_or_the_same_name() {
    let api = name("api");
    let open = Candidate { incident: IncidentId(1), alertname: "ServiceDown".into() };
    let bounds = CauseBounds::default();
    let service = Scene::Service(&api);
    assert!(joins("ServiceGone", &service, true, &open, bounds));
    assert!(!joins("ServiceGone", &service, false, &open, bounds), "nobody says that one fix would do");
    assert!(joins("ServiceDown", &service, false, &open, bounds));
    assert!(!joins("ServiceDown", &Scene::Unknown("ServiceDown"), true, &open, bounds), "another machine that nobody knows");
    let apart = CauseBounds { across_groups: false, ..bounds };
    assert!(!joins("ServiceDown", &service, true, &open, apart), "groups are what they are");
}

#[test]
fn bounds_that_are_no_bounds_are_told() {
    let bounds = CauseBounds { wait_seconds: 3_601, ..CauseBounds::default() };
    assert_eq!(
        bounds.problems().iter().map(|p| format!("{}: {}", p.path, p.message)).collect::<Vec<_>>(),
        ["correlation.wait_seconds: expected 0 to 3600"]
    );
    assert!(CauseBounds::default().problems().is_empty());
}

proptest! {
    /// Whatever is open: among all that could wait, one at least goes on. So there is no circle.
    #[test]
    fn somebody_always_goes_on(
        open in proptest::collection::vec((0_usize..6, 0_usize..8, -1_i64..=1), 1..12),
    ) {
        let names = ["api", "db", "cache", "disk", "left", "right"].map(name);
        let all: Vec<Nearby> = (1..).zip(&open).map(|(id, (service, state, urgency))| {
            let state = State::ALL[*state];
            Nearby { urgency: *urgency, closed_at: None, state, ..nearby(id, names[*service].as_str(), State::Open) }
        }).collect();
        let needs = needs();
        let free = all.iter().filter(|one| {
            let mine = Waiting { urgency: one.urgency, ..waiting(one.incident.0, &one.service) };
            hold(mine, &all, &needs, CauseBounds::default(), at(1)).is_none()
        });
        prop_assert!(free.count() > 0, "{all:?}");
    }
}
