//! The risk score: each part of it, its thresholds, the hours it looks at, and the impact told beside it.

use super::*;
use crate::domain::{Facts as Known, Score};
use crate::safety::{Hours, Thresholds};
use Verdict::{Allow, Confirm};

/// In staging, in working hours, for a reason of few words.
fn quiet() -> Facts {
    let process = json!({ "process": { "command": ["/bin/true"] } });
    let service = |name: &str, environment: &str| json!({ "name": name, "reach": process, "hosts": ["web-1"], "environment": environment });
    let mut front = service("front", "production");
    front["depends_on"] = json!(["db"]);
    let file = json!({
        "hosts": [{ "name": "web-1", "reach": { "local": {} }, "log_roots": ["/var/log/app"] }, { "name": "web-2", "reach": { "local": {} }, "environment": "staging" }],
        "services": [service("api", "staging"), service("db", "Production"), service("other", ""), front],
    });
    let inventory = Inventory::build(serde_json::from_value::<InventoryFile>(file).unwrap()).unwrap();
    Facts { inventory, ..Facts::good() }
}

/// Thursday, when the tests' clock stands at midnight in UTC.
fn at_work() -> Hours {
    serde_json::from_value(json!({ "zone": "UTC", "from": "00:00", "to": "23:59" })).unwrap()
}

fn known(hours: Option<Hours>, action: &Action) -> (Known, Opinion) {
    let facts = quiet();
    let opinions = checker(&facts.limits).with_hours(hours).judge(action, &facts.situation());
    let opinion = |layer| opinions.iter().find(|opinion| opinion.layer == layer).unwrap().clone();
    (opinion(Layer::Policy).grounds.unwrap().facts, opinion(Layer::Risk))
}

fn score(action: &Action) -> i64 {
    known(Some(at_work()), action).0.risk.score.hundredths()
}

fn saying(reason: &str, action: Action) -> Action {
    Action { arguments: json!({ "service": "api", "reason": reason }), ..action }
}

#[test]
fn each_part_adds_what_the_table_says() {
    let restart_api = || saying("a trial", restart(&["api"]));
    let logs = Action { tool: "get_service_logs".into(), ..observe() };
    let destructive = |action: Action| Action { tier: Tier::Destructive, ..action };
    let with = |arguments: serde_json::Value, action: Action| Action { arguments, ..action };
    let path = |text: &str| with(json!({ "path": text }), observe());
    let long = "it has answered nothing for five minutes and its log says why";
    let rows = [
        ("looking", observe(), 10),
        ("reading what somebody wrote", logs, 20),
        ("reversible", Action { tier: Tier::Reversible, ..saying("a trial", scale("api", 1)) }, 30),
        ("disruptive", restart_api(), 35),
        ("destructive tier, and destroys", destructive(restart_api()), 100),
        ("production", saying("a trial", restart(&["db"])), 55),
        ("no environment is one in production", saying("a trial", restart(&["other"])), 55),
        ("the most delicate of several", saying("a trial", restart(&["api", "db"])), 55),
        ("a host is what runs on it", clean(&["/var/log/app"], 7), 55),
        ("a host of its own environment", Action { target: target(None, Some("web-2")), ..clean(&["/srv/logs"], 7) }, 35),
        ("about secrets", path("cat /etc/app/secrets.yaml"), 40),
        ("a key file", path("/etc/ssl/private/server.key"), 40),
        ("a key of a map is none", path("sum by (key) (rate(cache_key_hits_total[5m]))"), 10),
        ("numbers about them are not they", with(json!({ "query": "vault_token_expiry_seconds" }), observe()), 10),
        ("a service that is called so is not about them", with(json!({ "service": "secrets" }), observe()), 10),
        ("an argument that destroys", with(json!({ "sql": "DROP TABLE x", "reason": "an idea" }), restart(&["api"])), 55),
        ("no reason", Action { reason: " ".into(), ..saying("", restart(&["api"])) }, 45),
        ("a reason in full", saying(long, restart(&["api"])), 30),
        ("and with a way back", saying(&format!("{long}; rollback plan: start the old unit"), restart(&["api"])), 25),
        ("or tested", saying("tested on staging", restart(&["api"])), 30),
        ("or a test", saying("we ran the test in staging", restart(&["api"])), 30),
        ("that there is none is no way back", saying("rollback plan: none", restart(&["api"])), 35),
        ("nor is that nobody tested it", saying("it was not tested at all", restart(&["api"])), 35),
        ("the planner's words where the arguments have none", with(json!({}), Action { reason: long.into(), ..restart(&["api"]) }), 30),
    ];
    for (row, action, expected) in rows {
        assert_eq!(score(&action), expected, "{row}: {:?}", known(Some(at_work()), &action).0.risk);
    }
    assert_eq!(known(None, &restart_api()).0.risk.to_string(), "0.45 (disruptive 0.35, off-hours +0.10)");
}

#[test]
fn a_standing_order_goes_at_three_in_the_morning_in_production_and_a_human_is_asked_for_more() {
    let verdict = |action: &Action| known(None, action).1.verdict;
    let plain = saying("ServiceDown: db does not serve", restart(&["db"]));
    assert_eq!((verdict(&plain), known(None, &plain).0.risk.score.hundredths()), (Allow, 65));
    let unsaid = Action { reason: String::new(), ..saying("", restart(&["db"])) };
    assert_eq!(verdict(&unsaid), Confirm);
    let secret = Action { arguments: json!({ "reason": "x", "path": "/run/secrets/db" }), ..restart(&["db"]) };
    assert_eq!(verdict(&secret), Confirm);
    assert_eq!(verdict(&Action { tier: Tier::Destructive, ..plain }), Confirm);
    // Between the thresholds a change has to say why; looking does not.
    let unsaid = Action { reason: String::new(), ..saying("", restart(&["api"])) };
    let (facts, opinion) = known(Some(at_work()), &unsaid);
    assert_eq!((facts.risk.score.hundredths(), opinion.verdict), (45, Confirm));
    assert!(opinion.reason.contains("no reason is given"), "{}", opinion.reason);
    let look = Action { reason: String::new(), target: target(Some("db"), None), ..observe() };
    assert_eq!(verdict(&look), Allow);
}

#[test]
fn thresholds_may_be_lowered_and_never_raised() {
    let of = |reason, confirm| Thresholds { reason: Score::of_hundredths(reason), confirm: Score::of_hundredths(confirm) };
    assert_eq!(of(30, 70).problems(), []);
    assert_eq!(of(0, 0).problems(), []);
    let keys = |thresholds: Thresholds| thresholds.problems().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(of(31, 70)), ["reason"]);
    assert_eq!(keys(of(30, 71)), ["confirm"]);
    assert_eq!(keys(of(30, 20)), ["reason"]);
    let facts = quiet();
    let strict = checker(&facts.limits).with_thresholds(of(0, 5));
    assert!(matches!(strict.rule(restart(&["api"]), &facts.situation()), Ruling::Confirm(..)));
    for (text, why) in [("1.2", "expected 0 to 1"), ("-0.1", "expected 0 to 1"), ("\"x\"", "invalid type")] {
        let error = serde_json::from_str::<Score>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    assert_eq!(serde_json::to_string(&Score::of_hundredths(65)).unwrap(), "0.65");
    for n in 0..=100 {
        let score = Score::of_hundredths(n);
        assert_eq!(serde_json::from_str::<Score>(&serde_json::to_string(&score).unwrap()).unwrap(), score);
    }
}

#[test]
fn working_hours_are_those_of_their_zone_and_may_go_over_midnight() {
    let hours = |value: serde_json::Value| serde_json::from_value::<Hours>(value);
    let off = |hours: &Hours, at: &str| crate::safety::hours::moment(Some(hours), at.parse().unwrap()).off_hours;
    let berlin = hours(json!({ "zone": "Europe/Berlin", "from": "09:00", "to": "18:00" })).unwrap();
    // The same hour of UTC, in summer and in winter; then a Sunday.
    let rows =
        [("2026-07-01T07:30:00Z", false), ("2026-12-01T07:30:00Z", true), ("2026-07-01T16:00:00Z", true), ("2026-07-05T10:00:00Z", true)];
    for (at, expected) in rows {
        assert_eq!(off(&berlin, at), expected, "{at}");
    }
    let night = hours(json!({ "zone": "UTC", "days": ["fri"], "from": "22:00", "to": "06:00" })).unwrap();
    // Friday's night ends on Saturday morning.
    let rows =
        [("2026-07-03T23:00:00Z", false), ("2026-07-04T05:59:00Z", false), ("2026-07-04T06:00:00Z", true), ("2026-07-03T05:00:00Z", true)];
    for (at, expected) in rows {
        assert_eq!(off(&night, at), expected, "{at}");
    }
    let wrong = [
        (json!({ "zone": "Mars/Base", "from": "09:00", "to": "18:00" }), "expected a name such as Europe/Berlin"),
        (json!({ "zone": "UTC", "from": "9 Uhr", "to": "18:00" }), "expected HH:MM"),
        (json!({ "zone": "UTC", "from": "09:00", "to": "18:00", "days": ["montag"] }), "expected mon, tue"),
        (json!({ "zone": "UTC", "from": "09:00", "to": "18:00", "day": [] }), "unknown field `day`"),
    ];
    for (value, why) in wrong {
        let error = hours(value.clone()).unwrap_err().to_string();
        assert!(error.contains(why), "{value}: {error}");
    }
}

#[test]
fn the_impact_names_who_is_cut_off_and_what_goes_for_good() {
    let impact = |action: &Action| known(None, action).0.impact.to_string();
    assert_eq!(impact(&observe()), "users: none; downtime: none; data: none is changed");
    assert_eq!(
        impact(&restart(&["db"])),
        "users: those of db, and of what depends on it: front; downtime: seconds, while it restarts; data: none; requests under way are lost"
    );
    assert_eq!(impact(&scale("api", 2)), "users: none is cut off; api gets more instances; downtime: none; data: none");
    assert_eq!(
        impact(&clean(&["/var/log/app"], 9)),
        "users: none; downtime: none; data: files older than 9 days below /var/log/app are removed for good"
    );
}
