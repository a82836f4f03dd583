//! The boundary table, level and mode, the strictest of all, and what an approval can and cannot do.

use super::*;
use Verdict::{Allow, Confirm, Deny};

#[test]
fn the_nine_rows_of_the_boundary_table_hold_as_they_are_shipped() {
    let rows: [(&str, Action, Verdict); 9] = [
        ("restart a single service", restart(&["api"]), Allow),
        ("clean logs older than 7 days", clean(&["/var/log/app/api"], 7), Allow),
        ("scale up by 2 at most", scale("api", 2), Allow),
        ("restart a connection pool", Action { tool: "restart_connection_pool".into(), ..restart(&["pooler"]) }, Allow),
        ("change a proxy's configuration", Action { tool: "update_config".into(), ..restart(&["api"]) }, Confirm),
        ("roll back a deployment", Action { tool: "rollback_deployment".into(), ..restart(&["api"]) }, Confirm),
        ("delete any data", Action { tool: "delete_database".into(), ..restart(&["db"]) }, Deny),
        ("database failover", Action { tool: "database_failover".into(), ..restart(&["db"]) }, Deny),
        ("change security policies", Action { tool: "modify_security_policy".into(), ..restart(&["api"]) }, Deny),
    ];
    for (row, action, expected) in rows {
        assert_eq!(Facts::good().policy(&action).verdict, expected, "{row}: the policies");
        assert_eq!(Facts::good().verdict(&action), expected, "{row}: everything");
    }
    let block = Action { tool: "apply_network_block".into(), ..restart(&["api"]) };
    let question = action("request_human_confirmation", Effect::Question, target(Some("api"), None));
    let nothing = Action { tool: String::new(), ..restart(&["api"]) };
    for (action, expected) in [(block, Confirm), (question, Confirm), (nothing, Deny)] {
        assert_eq!(Facts::good().verdict(&action), expected, "{}", action.tool);
    }
}

#[test]
fn level_and_mode_each_only_make_it_stricter() {
    let levels = [(Level::One, Allow), (Level::Two, Confirm), (Level::Three, Deny)];
    let modes = [(Mode::Auto, Allow), (Mode::Review, Confirm), (Mode::Disabled, Deny)];
    for (level, by_level) in levels {
        for (mode, by_mode) in modes {
            let facts = Facts::good().with(|f| (f.level, f.mode) = (level, mode));
            for action in [restart(&["api"]), scale("api", 1), clean(&["/var/log/app/api"], 7)] {
                assert_eq!(facts.verdict(&action), by_level.max(by_mode), "level {level}, mode {mode}, {}", action.tool);
            }
            assert_eq!(facts.verdict(&observe()), Allow, "looking is allowed at level {level}, mode {mode}");
            let tell = action("send_notification", Effect::Talk, target(None, None));
            assert_eq!(facts.verdict(&tell), Allow, "telling is allowed at level {level}, mode {mode}");
        }
    }
}

#[test]
fn an_escalated_incident_is_observed_and_not_touched() {
    let facts = Facts::good().with(|f| f.escalated = true);
    facts.denied_by(&restart(&["api"]), Layer::Level, "a human owns it");
    assert_eq!(facts.verdict(&observe()), Allow);
}

#[test]
fn a_tool_that_lies_about_its_tier_is_denied() {
    let quiet = Action { tier: Tier::Observe, ..restart(&["api"]) };
    Facts::good().denied_by(&quiet, Layer::Level, "disagree");
    for reader in ["get_metrics", "check_service_status", "send_notification", "request_human_confirmation"] {
        let acting = Action { tool: reader.into(), ..restart(&["api"]) };
        let denials = Facts::good().denials(&acting);
        let lie = denials.iter().find(|opinion| opinion.layer == Layer::Boundary);
        assert!(lie.is_some_and(|opinion| opinion.reason.contains("changes nothing, and this would")), "{denials:?}");
    }
    let loud = Action { tier: Tier::Destructive, ..observe() };
    Facts::good().denied_by(&loud, Layer::Level, "disagree");
}

#[test]
fn the_strictest_layer_wins_whichever_it_is_and_all_are_heard() {
    // Floor, boundary, level, scope and budget, each denying alone and all together.
    let own = restart(&["paramedic"]);
    let foreign = restart(&["other"]);
    let used_up = Facts::good().with(|f| f.usage.restarts = [(service("api"), 3)].into());
    let escalated = Facts::good().with(|f| f.escalated = true);
    let unknown = Action { tool: "reboot_everything".into(), ..restart(&["api"]) };
    for (facts, action) in
        [(&Facts::good(), &own), (&Facts::good(), &foreign), (&used_up, &restart(&["api"])), (&escalated, &restart(&["api"]))]
    {
        assert_eq!(facts.verdict(action), Deny, "{action:?}");
    }
    assert_eq!(Facts::good().verdict(&unknown), Deny);
    let all = Facts::good().with(|f| {
        (f.level, f.mode, f.escalated) = (Level::Three, Mode::Disabled, true);
        f.usage = Usage::default();
    });
    let layers: Vec<Layer> = all.denials(&Action { tool: "drop_table".into(), ..restart(&["other"]) }).iter().map(|o| o.layer).collect();
    for layer in [Layer::Floor, Layer::Boundary, Layer::Level, Layer::Scope, Layer::Budget] {
        assert!(layers.contains(&layer), "{layer:?} is silent: {layers:?}");
    }
}

#[test]
fn an_approval_lets_exactly_its_own_action_through() {
    let asked = scale("api", 1);
    let facts = Facts::good().with(|f| (f.level, f.approval) = (Level::Two, Some(granted(&asked))));
    match facts.rule(&asked) {
        Ruling::Allowed(permit, _) => {
            assert_eq!((permit.approval(), permit.incident(), permit.action()), (Some(ApprovalId(3)), INCIDENT, &asked));
        }
        other => panic!("{other:?}"),
    }
    let reworded = Action { reason: "said otherwise".into(), ..asked.clone() };
    assert_eq!(facts.verdict(&reworded), Allow, "the planner's words bind nothing");
    let others = [
        scale("api", 2),
        scale("db", 1),
        restart(&["api"]),
        Action { target: target(Some("api"), Some("web-1")), ..asked.clone() },
        Action { arguments: json!({ "service": "api", "add": 1, "force": true }), ..asked.clone() },
        Action { tier: Tier::Destructive, ..asked.clone() },
        Action { tool: "restart_consumers".into(), ..asked.clone() },
    ];
    for other in others {
        assert_eq!(facts.verdict(&other), Confirm, "{other:?}");
    }
}

#[test]
fn an_approval_of_another_incident_or_state_lets_nothing_through() {
    let asked = scale("api", 1);
    let by = Principal { name: "ana".into(), via: Via::Cli };
    let states = [
        ApprovalState::Asked,
        ApprovalState::Denied { by: by.clone(), at: NOW },
        ApprovalState::Expired { at: NOW, granted: false },
        ApprovalState::Void { why: "resolved".into(), at: NOW },
        ApprovalState::Unavailable { why: "no answer".into(), at: NOW },
        ApprovalState::Used { by, at: NOW },
    ];
    for state in states {
        let approval = Approval { state: state.clone(), ..granted(&asked) };
        let facts = Facts::good().with(|f| (f.level, f.approval) = (Level::Two, Some(approval)));
        assert_eq!(facts.verdict(&asked), Confirm, "{state:?}");
    }
    let elsewhere = Approval { request: request(IncidentId(8), &asked), ..granted(&asked) };
    let facts = Facts::good().with(|f| (f.level, f.approval) = (Level::Two, Some(elsewhere)));
    assert_eq!(facts.verdict(&asked), Confirm);
}

#[test]
fn an_approval_turns_no_denial_into_anything() {
    let denied = [
        (Facts::good(), restart(&["other"])),
        (Facts::good(), restart(&["paramedic"])),
        (Facts::good(), clean(&["/etc"], 30)),
        (Facts::good(), Action { tool: "delete_database".into(), ..restart(&["db"]) }),
        (Facts::good().with(|f| f.level = Level::Three), restart(&["api"])),
        (Facts::good().with(|f| f.mode = Mode::Disabled), restart(&["api"])),
        (Facts::good().with(|f| f.escalated = true), restart(&["api"])),
        (Facts::good().with(|f| f.usage.actions = None), restart(&["api"])),
        (Facts::good(), scale("api", 3)),
    ];
    for (facts, action) in denied {
        let facts = facts.with(|f| f.approval = Some(granted(&action)));
        assert_eq!(facts.verdict(&action), Deny, "{action:?}");
    }
}

#[test]
fn a_permit_at_level_one_names_no_approval() {
    match Facts::good().rule(&restart(&["api"])) {
        Ruling::Allowed(permit, opinions) => {
            assert_eq!(permit.approval(), None);
            assert!(opinions.iter().all(|opinion| opinion.verdict == Allow), "{opinions:?}");
            // What it was judged by stays with the judgement, through the ledger and back.
            let policy = opinions.into_iter().find(|opinion| opinion.layer == Layer::Policy).unwrap();
            assert_eq!(policy.grounds.as_ref().unwrap().decided_by, ["restart_service"]);
            let stored = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<Opinion>(&stored).unwrap(), policy);
            let old = json!({ "layer": "boundary", "verdict": "allow", "reason": "from before" });
            assert_eq!(serde_json::from_value::<Opinion>(old).unwrap().grounds, None);
        }
        other => panic!("{other:?}"),
    }
}
