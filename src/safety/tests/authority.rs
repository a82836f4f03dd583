//! Trust, freezes and orders: layers 8 and 9.

use super::*;
use crate::domain::{Mark, MarkKind};

fn mark(kind: MarkKind, incident: i64) -> Mark {
    Mark {
        agent: Proposer::Model,
        kind,
        incident: IncidentId(incident),
        seq: 5,
        place: "service:api".into(),
        alertname: "Down".into(),
        at: NOW,
    }
}

fn trust(kinds: &[MarkKind]) -> Option<Trust> {
    let mut trust = Trust::default();
    (1_i64..).zip(kinds).for_each(|(n, kind)| {
        trust.take(&mark(*kind, n));
    });
    Some(trust)
}

fn in_force(halts: &[&str], hands_off: &[&str]) -> Option<InForce> {
    Some(InForce {
        halts: halts.iter().map(|halt| (*halt).to_owned()).collect(),
        hands_off: hands_off.iter().map(|name| (service(name), format!("hands off {name} by ana"))).collect(),
        count: 3,
    })
}

fn windows(value: serde_json::Value) -> Vec<FreezeWindow> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn low_trust_asks_an_open_breaker_denies_and_a_grant_helps_against_the_first_only() {
    use MarkKind::{Critical, Failed, Verified};
    let low = Facts::good().with(|f| f.trust = trust(&[Critical, Failed, Verified, Failed]));
    assert_eq!(low.trust.as_ref().unwrap().score(), 280, "the fix was in a place of its own");
    let wish = restart(&["api"]);
    assert_eq!(low.verdict(&wish), Verdict::Confirm);
    assert_eq!(low.with(|f| f.approval = Some(granted(&wish))).verdict(&wish), Verdict::Allow);
    let open = Facts::good().with(|f| f.trust = trust(&[Failed, Failed, Failed]));
    open.denied_by(
        &wish,
        Layer::Trust,
        "the breaker of model is open until a human closes it: 3 wrong in a row, the last a failed action in INC-3",
    );
    assert_eq!(open.with(|f| f.approval = Some(granted(&wish))).verdict(&wish), Verdict::Deny);
    assert_eq!(Facts::good().verdict(&wish), Verdict::Allow, "a fresh agent acts");
}

#[test]
fn what_could_not_be_read_denies_and_looking_goes_on() {
    let wish = restart(&["api"]);
    let no_trust = Facts::good().with(|f| f.trust = None);
    no_trust.denied_by(&wish, Layer::Trust, "could not be read");
    let no_orders = Facts::good().with(|f| f.in_force = None);
    no_orders.denied_by(&wish, Layer::Orders, "could not be read");
    let halted = Facts::good().with(|f| (f.in_force, f.trust) = (in_force(&["by ana: x"], &["api"]), trust(&[MarkKind::Failed; 3])));
    for f in [no_trust, no_orders, halted] {
        assert_eq!(f.verdict(&observe()), Verdict::Allow);
    }
}

#[test]
fn while_everything_is_halted_no_change_begins_and_no_approval_helps() {
    let halted = Facts::good().with(|f| f.in_force = in_force(&["halt by ana via cli at 1970-01-01 00:00:00Z (ORD-1): calm down"], &[]));
    for wish in [restart(&["api"]), scale("api", 1), clean(&["/var/log/api"], 7)] {
        let f = Facts::good().with(|f| (f.in_force, f.approval) = (halted.in_force.clone(), Some(granted(&wish))));
        f.denied_by(&wish, Layer::Orders, "halted: halt by ana via cli at 1970-01-01 00:00:00Z (ORD-1): calm down");
    }
}

#[test]
fn a_service_in_a_humans_hands_is_not_touched_by_proxy_either() {
    let api = Facts::good().with(|f| f.in_force = in_force(&[], &["api"]));
    let elsewhere = |f: &mut Facts| f.target = target(Some("db"), Some("db-1"));
    for wish in
        [restart(&["api"]), scale("api", 1), clean(&["/var/log/api"], 7), restart(&["pooler"]), restart(&["worker"]), restart(&["db"])]
    {
        api.denied_by(&wish, Layer::Orders, "hands off api by ana");
    }
    let db = Facts::good().with(elsewhere).with(|f| f.in_force = in_force(&[], &["api"]));
    assert_eq!(db.verdict(&restart(&["db"])), Verdict::Allow, "another service's own incident");
    let db_in_hand = Facts::good().with(|f| f.in_force = in_force(&[], &["db"]));
    db_in_hand.denied_by(&restart(&["db"]), Layer::Orders, "hands off db by ana");
    assert_eq!(db_in_hand.verdict(&restart(&["api"])), Verdict::Allow);
}

#[test]
fn a_freeze_holds_in_its_window_for_what_it_names() {
    let freeze = json!([{ "reason": "release", "from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z", "services": ["api"] }]);
    let f = Facts::good().with(|f| f.freezes = windows(freeze.clone()));
    f.denied_by(&restart(&["api"]), Layer::Freeze, "freeze: release");
    f.denied_by(&restart(&["db"]), Layer::Freeze, "freeze: release");
    f.denied_by(&clean(&["/var/log/app/x"], 7), Layer::Freeze, "freeze: release");
    assert_eq!(f.verdict(&observe()), Verdict::Allow);
    let other = Facts::good().with(|f| (f.freezes, f.target) = (windows(freeze), target(Some("db"), Some("db-1"))));
    assert_eq!(other.verdict(&restart(&["db"])), Verdict::Allow);
    let asks = json!([{ "reason": "holidays", "from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z", "verdict": "confirm" }]);
    let f = Facts::good().with(|f| f.freezes = windows(asks));
    assert_eq!(f.verdict(&restart(&["api"])), Verdict::Confirm);
    let by_tag = json!([{ "reason": "x", "from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z", "tags": ["nobody"] }]);
    assert_eq!(Facts::good().with(|f| f.freezes = windows(by_tag)).verdict(&restart(&["api"])), Verdict::Allow);
}

#[test]
fn a_weekly_freeze_knows_its_zone_its_midnight_and_its_summer() {
    let window = |from: &str, to: &str| {
        let value = json!([{ "reason": "x", "days": ["fri"], "from": from, "to": to, "zone": "Europe/Berlin" }]);
        windows(value).remove(0)
    };
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let evening = window("16:00", "24:00");
    // 2026-03-27 is a Friday in winter time, 2026-04-03 one in summer time.
    for (inside, moment) in [
        (false, "2026-03-27T14:59:00Z"),
        (true, "2026-03-27T15:00:00Z"),
        (true, "2026-03-27T22:59:00Z"),
        (false, "2026-03-27T23:00:00Z"),
        (true, "2026-04-03T14:00:00Z"),
        (false, "2026-04-03T22:00:00Z"),
        (false, "2026-03-26T18:00:00Z"),
    ] {
        assert_eq!(evening.holds(at(moment)), inside, "{moment}");
    }
    let night = window("22:00", "06:00");
    for (inside, moment) in [
        (false, "2026-03-27T20:59:00Z"),
        (true, "2026-03-27T21:00:00Z"),
        (true, "2026-03-28T04:59:00Z"),
        (false, "2026-03-28T05:00:00Z"),
        (false, "2026-03-27T03:00:00Z"),
    ] {
        assert_eq!(night.holds(at(moment)), inside, "{moment}");
    }
}

#[test]
fn a_freeze_that_freezes_nothing_or_allows_something_is_refused() {
    let problem = |value: serde_json::Value| serde_json::from_value::<FreezeWindow>(value).map(|window| window.problem());
    for bad in [
        json!({ "reason": "x", "from": "16:00", "to": "24:00" }),
        json!({ "reason": "x", "from": "16:00", "to": "16:00", "days": ["fri"] }),
        json!({ "reason": "x", "from": "2026-12-24T00:00:00Z", "to": "2026-12-20T00:00:00Z" }),
        json!({ "reason": "x", "from": "2026-12-20T00:00:00Z", "to": "24:00", "days": ["fri"] }),
        json!({ "reason": "x", "from": "2026-12-20T00:00:00Z", "to": "2026-12-24T00:00:00Z", "days": ["fri"] }),
    ] {
        assert!(problem(bad.clone()).unwrap().is_some(), "{bad}");
    }
    for bad in [
        json!({ "from": "2026-12-20T00:00:00Z", "to": "2026-12-24T00:00:00Z" }),
        json!({ "reason": " ", "from": "2026-12-20T00:00:00Z", "to": "2026-12-24T00:00:00Z" }),
        json!({ "reason": "x", "from": "2026-12-20T00:00:00Z", "to": "2026-12-24T00:00:00Z", "verdict": "allow" }),
        json!({ "reason": "x", "from": "25:00", "to": "26:00", "days": ["fri"] }),
        json!({ "reason": "x", "from": "16:00", "to": "24:00", "days": ["someday"] }),
        json!({ "reason": "x", "from": "16:00", "to": "24:00", "days": ["fri"], "zone": "Mars/Olympus" }),
        json!({ "reason": "x", "from": "16:00", "to": "24:00", "days": ["fri"], "service": "api" }),
    ] {
        assert!(problem(bad.clone()).is_err(), "{bad}");
    }
}
