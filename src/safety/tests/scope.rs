//! Layer 3: an incident's own service, what it declares to need, and its hosts; nothing else.

use super::*;

#[test]
fn the_service_and_what_it_declares_to_need_are_in_scope_one_step_far() {
    for near in ["api", "db", "pooler", "worker"] {
        assert_eq!(Facts::good().verdict(&restart(&[near])), Verdict::Allow, "{near}");
    }
    Facts::good().denied_by(&restart(&["other"]), Layer::Scope, "other is neither api nor a declared dependency of it");
    Facts::good().denied_by(&scale("other", 1), Layer::Scope, "other is neither api nor a declared dependency of it");
    let one_of_two = restart(&["api", "other"]);
    Facts::good().denied_by(&one_of_two, Layer::Scope, "other is neither");
}

#[test]
fn what_is_not_in_the_inventory_is_out_of_scope() {
    let facts = Facts::good().with(|f| f.usage.restarts.extend([(service("ghost"), 0)]));
    facts.denied_by(&restart(&["ghost"]), Layer::Scope, "service ghost is not in the inventory");
    let nowhere = Action { target: target(Some("api"), Some("ghost-host")), ..restart(&["api"]) };
    Facts::good().denied_by(&nowhere, Layer::Scope, "host ghost-host is not in the inventory");
    let looking = Action { target: target(Some("ghost"), None), ..observe() };
    Facts::good().denied_by(&looking, Layer::Scope, "service ghost is not in the inventory");
    Facts::good().denied_by(&restart(&[]), Layer::Scope, "nothing to restart");
}

#[test]
fn a_service_is_acted_upon_only_where_it_runs() {
    let here = Action { target: target(Some("api"), Some("web-1")), ..restart(&["api"]) };
    assert_eq!(Facts::good().verdict(&here), Verdict::Allow);
    let there = Action { target: target(Some("api"), Some("web-2")), ..restart(&["api"]) };
    Facts::good().denied_by(&there, Layer::Scope, "api does not run on web-2");
}

#[test]
fn an_incident_about_a_host_restarts_nothing_and_one_about_nothing_does_nothing() {
    let about_host = Facts::good().with(|f| f.target = target(None, Some("web-1")));
    about_host.denied_by(&restart(&["api"]), Layer::Scope, "the incident names no service of the inventory");
    assert_eq!(about_host.verdict(&clean(&["/var/log/app/api"], 7)), Verdict::Allow);
    let about_nothing = Facts::good().with(|f| f.target = Target::default());
    about_nothing.denied_by(&restart(&["api"]), Layer::Scope, "the incident names no service of the inventory");
    about_nothing.denied_by(&clean(&["/var/log/app/api"], 7), Layer::Scope, "host web-1 is not this incident's");
    assert_eq!(about_nothing.verdict(&observe()), Verdict::Allow);
}

#[test]
fn cleaning_stays_below_declared_roots_of_the_incidents_hosts() {
    let on = |name: &str, path: &str| Action { target: target(None, Some(name)), ..clean(&[path], 7) };
    for (host_name, path) in
        [("web-1", "/var/log/app/x"), ("web-1", "/var/log/api"), ("web-1", "/var/log/api/deep/er"), ("db-1", "/var/log/db")]
    {
        assert_eq!(Facts::good().verdict(&on(host_name, path)), Verdict::Allow, "{path} on {host_name}");
    }
    Facts::good().denied_by(&on("db-1", "/var/log/dbx"), Layer::Scope, "lies below no declared log root of db-1");
    Facts::good().denied_by(&on("web-1", "/var/log/apix"), Layer::Scope, "`/var/log/apix` lies below no declared log root of web-1");
    Facts::good().denied_by(&on("web-1", "/var/log/db"), Layer::Scope, "below no declared log root");
    Facts::good().denied_by(&on("web-2", "/var/log/app/x"), Layer::Scope, "host web-2 is not this incident's");
    Facts::good().denied_by(&on("ghost-host", "/var/log/app/x"), Layer::Scope, "no host of the inventory to clean");
    let nothing = Action { effect: Effect::Clean { paths: Vec::new(), min_age_days: 7 }, ..on("db-1", "") };
    Facts::good().denied_by(&nothing, Layer::Scope, "no log roots are declared");
    let no_host = Action { target: target(Some("api"), None), ..clean(&["/var/log/api"], 7) };
    Facts::good().denied_by(&no_host, Layer::Scope, "no host of the inventory to clean");
}
