//! Layer 5: at the limit, one below it, and unknown. Unknown counts as used up.

use super::*;

#[test]
fn three_restarts_of_a_service_an_hour_and_no_fourth() {
    for (used, allowed) in [(0, true), (2, true), (3, false), (4, false), (u32::MAX, false)] {
        let facts = Facts::good().with(|f| f.usage.restarts = [(service("api"), used)].into());
        assert_eq!(facts.verdict(&restart(&["api"])) == Verdict::Allow, allowed, "{used} used");
    }
    let facts = Facts::good().with(|f| f.usage.restarts = [(service("api"), 3)].into());
    facts.denied_by(&restart(&["api"]), Layer::Budget, "api was restarted 3 times in the past hour (limit 3)");
    let one_of_two = Facts::good().with(|f| f.usage.restarts.extend([(service("worker"), 3)]));
    one_of_two.denied_by(&restart(&["api", "worker"]), Layer::Budget, "worker was restarted 3 times");
    let tighter = Facts::good().with(|f| f.limits.restarts_per_hour = 0);
    tighter.denied_by(&restart(&["api"]), Layer::Budget, "limit 0");
}

#[test]
fn two_more_instances_a_day_and_not_one_beyond() {
    for (used, add, allowed) in
        [(0, 1, true), (0, 2, true), (1, 1, true), (0, 3, false), (1, 2, false), (2, 1, false), (0, u32::MAX, false)]
    {
        let facts = Facts::good().with(|f| f.usage.scaled = [(service("api"), used)].into());
        assert_eq!(facts.verdict(&scale("api", add)) == Verdict::Allow, allowed, "{add} on top of {used}");
    }
    Facts::good().denied_by(&scale("api", 0), Layer::Budget, "expected one instance or more to add");
    let overflow = Facts::good().with(|f| f.usage.scaled = [(service("api"), u32::MAX)].into());
    overflow.denied_by(&scale("api", u32::MAX), Layer::Budget, "is over +2");
}

#[test]
fn ten_actions_an_incident_are_enough() {
    for (used, allowed) in [(9, true), (10, false), (11, false)] {
        let facts = Facts::good().with(|f| f.usage.actions = Some(used));
        for action in [restart(&["api"]), scale("api", 1), clean(&["/var/log/app/api"], 7)] {
            assert_eq!(facts.verdict(&action) == Verdict::Allow, allowed, "{used} used, {}", action.tool);
        }
    }
}

#[test]
fn the_brake_stops_every_change_when_many_services_degrade() {
    for (degraded, allowed) in [(1, true), (4, true), (5, false), (50, false)] {
        let facts = Facts::good().with(|f| f.usage.degraded = Some(degraded));
        assert_eq!(facts.verdict(&restart(&["api"])) == Verdict::Allow, allowed, "{degraded} degraded");
        assert_eq!(facts.verdict(&observe()), Verdict::Allow);
    }
    let facts = Facts::good().with(|f| f.usage.degraded = Some(5));
    facts.denied_by(&clean(&["/var/log/app/api"], 7), Layer::Budget, "the brake is on");
}

#[test]
fn three_hosts_at_once_and_the_own_one_counts_once() {
    let here = Action { target: target(Some("api"), Some("web-1")), ..restart(&["api"]) };
    let held = |names: &[&str]| names.iter().map(|name| host(name)).collect::<Vec<_>>();
    let cases = [(vec![], true), (held(&["a", "b"]), true), (held(&["a", "b", "c"]), false), (held(&["a", "b", "web-1"]), true)];
    for (hosts, allowed) in cases {
        let facts = Facts::good().with(|f| f.usage.hosts = Some(hosts.clone()));
        assert_eq!(facts.verdict(&here) == Verdict::Allow, allowed, "{hosts:?}");
    }
}

#[test]
fn a_fact_that_could_not_be_read_denies_whatever_changes_something() {
    type Forget = fn(&mut Usage);
    let forgotten: [(Forget, Action, &str); 5] = [
        (|u| u.restarts.clear(), restart(&["api"]), "the restarts of api could not be read"),
        (|u| u.scaled.clear(), scale("api", 1), "the scale-ups of api could not be read"),
        (|u| u.actions = None, clean(&["/var/log/app/api"], 7), "actions could not be counted"),
        (|u| u.hosts = None, clean(&["/var/log/app/api"], 7), "the hosts being worked on could not be read"),
        (|u| u.degraded = None, restart(&["api"]), "degraded services could not be counted"),
    ];
    for (forget, action, reason) in forgotten {
        let facts = Facts::good().with(|f| forget(&mut f.usage));
        facts.denied_by(&action, Layer::Budget, reason);
        assert_eq!(facts.verdict(&observe()), Verdict::Allow, "looking needs no budget");
    }
}

#[test]
fn bounds_may_be_tightened_and_what_is_loosened_is_named() {
    assert!(Limits::default().loosened().is_empty());
    let limits = Limits { restarts_per_hour: 4, scale_up: 1, brake_services: 6, ..Limits::default() };
    assert_eq!(limits.loosened(), [("restarts_per_hour", 3), ("brake_services", 5)]);
}
