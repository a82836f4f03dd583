//! Policies: what an operator's rule changes, that a failing policy denies, and who may approve what.

use super::*;
use crate::safety::{Approver, Approvers, Consent, Voter};
use Verdict::{Allow, Confirm, Deny};

const BOUNDARY: &str = include_str!("../../../config/policies/boundary.cedar");
const APPROVALS: &str = include_str!("../../../config/policies/approvals.cedar");

/// The shipped policies and one file of the operator's.
pub(super) fn with(own: &str) -> Arc<Policies> {
    Arc::new(Policies::load(&files(own)).unwrap())
}

pub(super) fn files(own: &str) -> Vec<(String, String)> {
    let files = [("approvals.cedar", APPROVALS), ("boundary.cedar", BOUNDARY), ("own.cedar", own)];
    files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec()
}

pub(super) fn said(policies: &Arc<Policies>, facts: &Facts, action: &Action) -> (Verdict, String) {
    let opinions = SafetyChecker::new(facts.limits.clone(), policies.clone()).judge(action, &facts.situation());
    let opinion = opinions.into_iter().find(|opinion| opinion.layer == Layer::Policy).unwrap();
    (opinion.verdict, opinion.reason)
}

fn ruled(policies: &Arc<Policies>, facts: &Facts, action: &Action) -> Verdict {
    let opinions = SafetyChecker::new(facts.limits.clone(), policies.clone()).judge(action, &facts.situation());
    opinions.iter().map(|opinion| opinion.verdict).max().unwrap()
}

fn facts_of(action: &Action) -> crate::domain::Facts {
    Facts::good().policy(action).grounds.unwrap().facts
}

#[test]
fn without_any_policy_about_it_everything_is_denied_and_said_so() {
    let only = [(
        "own.cedar".to_owned(),
        "@id(\"look\")\n@reason(\"r\")\npermit (principal == Agent::\"diagnoser\", action == Action::\"execute\", resource);".to_owned(),
    )];
    let policies = Arc::new(Policies::load(&only).unwrap());
    let (verdict, reason) = said(&policies, &Facts::good(), &restart(&["api"]));
    assert_eq!((verdict, reason.as_str()), (Deny, "no policy permits restart_service on api"));
    assert_eq!(said(&policies, &Facts::good(), &observe()), (Allow, "policy look: r".into()));
}

#[test]
fn a_permit_for_everything_stays_above_the_floor_and_below_the_rest() {
    let everything = with("@id(\"all\")\n@reason(\"whatever\")\npermit (principal, action, resource);");
    let facts = Facts::good();
    assert_eq!(ruled(&everything, &facts, &Action { tool: "update_config".into(), ..restart(&["api"]) }), Allow);
    let never = [
        Action { tool: "delete_database".into(), ..restart(&["db"]) },
        Action { tool: "reboot_everything".into(), ..restart(&["api"]) },
        restart(&["other"]),
        restart(&["paramedic"]),
        clean(&["/etc"], 30),
        clean(&["/var/log/app/api"], 1),
        scale("api", 3),
    ];
    for action in never {
        assert_eq!(ruled(&everything, &facts, &action), Deny, "{action:?}");
    }
    assert_eq!(ruled(&everything, &Facts::good().with(|f| f.level = Level::Two), &restart(&["api"])), Confirm);
    let question = action("request_human_confirmation", Effect::Question, target(Some("api"), None));
    assert_eq!(ruled(&everything, &facts, &question), Confirm, "a question is put to a human");
}

/// `db` carries the tag, `api` does not; `web-2` runs `other`, which does.
fn tagged() -> Facts {
    let process = json!({ "process": { "command": ["/bin/true"] } });
    let file = json!({
        "hosts": [
            { "name": "web-1", "reach": { "local": {} }, "log_roots": ["/var/log/app"] },
            { "name": "web-2", "reach": { "local": {} }, "log_roots": ["/var/log/app"] },
        ],
        "services": [
            { "name": "api", "reach": process, "hosts": ["web-1"], "environment": "staging", "depends_on": ["db"] },
            { "name": "db", "reach": process, "tags": ["payments"], "owner": "data", "environment": "production" },
            { "name": "other", "reach": process, "hosts": ["web-2"], "tags": ["payments"], "environment": "staging" },
        ],
    });
    let inventory = Inventory::build(serde_json::from_value::<InventoryFile>(file).unwrap()).unwrap();
    Facts { inventory, ..Facts::good() }
}

#[test]
fn a_forbid_of_executing_leaves_asking_and_a_forbid_of_both_leaves_nothing() {
    let facts = tagged();
    let by_hand = with(
        "@id(\"payments_by_hand\")\n@reason(\"payments are never touched unasked\")\n\
         forbid (principal == Agent::\"remediator\", action == Action::\"execute\", resource) when { resource.tags.contains(\"payments\") };",
    );
    assert_eq!(said(&by_hand, &facts, &restart(&["db"])), (Confirm, "policy payments_by_hand: payments are never touched unasked".into()));
    assert_eq!(said(&by_hand, &facts, &restart(&["api"])).0, Allow);
    // One of several is enough; and a host is as delicate as what runs on it.
    assert_eq!(said(&by_hand, &facts, &restart(&["api", "db"])).0, Confirm);
    let on_web_2 = Action { target: target(None, Some("web-2")), ..clean(&["/var/log/app"], 7) };
    assert_eq!(said(&by_hand, &facts, &on_web_2).0, Confirm);
    assert_eq!(said(&by_hand, &facts, &clean(&["/var/log/app"], 7)).0, Allow);

    let never = with(
        "@id(\"hands_off\")\n@reason(\"ask data\")\nforbid (principal == Agent::\"remediator\", action, resource) when { resource.owner == \"data\" };",
    );
    assert_eq!(said(&never, &facts, &restart(&["db"])), (Deny, "policy hands_off: ask data".into()));
    let by_host = with("@id(\"host\")\n@reason(\"r\")\nforbid (principal == Agent::\"remediator\", action, resource in Host::\"web-1\");");
    assert_eq!(said(&by_host, &facts, &restart(&["api"])).0, Deny);
    assert_eq!(said(&by_host, &facts, &restart(&["db"])).0, Allow);
}

#[test]
fn policies_see_each_fact_they_are_told() {
    type Change = Box<dyn Fn(&mut Facts)>;
    let rows: [(&str, Change); 8] = [
        ("context.level == 2", Box::new(|f| f.level = Level::Two)),
        ("context.mode == Mode::\"review\"", Box::new(|f| f.mode = Mode::Review)),
        ("context.storm", Box::new(|f| f.usage.degraded = Some(5))),
        ("context.storm", Box::new(|f| f.usage.degraded = None)),
        ("context.restarts_left == 0", Box::new(|f| f.usage.restarts = Default::default())),
        ("context.restarts_left == 1", Box::new(|f| f.usage.restarts = [(service("api"), 2)].into())),
        ("context.actions_left == 0", Box::new(|f| f.usage.actions = None)),
        ("context.actions_left == 3", Box::new(|f| f.usage.actions = Some(7))),
    ];
    for (condition, change) in rows {
        let policies = with(&format!(
            "@id(\"x\")\n@reason(\"r\")\nforbid (principal == Agent::\"remediator\", action, resource) when {{ {condition} }};"
        ));
        assert_eq!(said(&policies, &Facts::good(), &restart(&["api"])).0, Allow, "{condition} holds when it should not");
        assert_eq!(said(&policies, &Facts::good().with(change), &restart(&["api"])).0, Deny, "{condition} does not hold when it should");
    }
    // The epoch was a Thursday, at midnight.
    let always = [
        "context.hour == 0 && context.weekday == 4 && context.off_hours",
        "context.tier == Tier::\"disruptive\"",
        "context.risk == 65",
        "resource == Service::\"api\"",
    ];
    for condition in always {
        let policies = with(&format!(
            "@id(\"x\")\n@reason(\"r\")\nforbid (principal == Agent::\"remediator\", action, resource) when {{ {condition} }};"
        ));
        assert_eq!(said(&policies, &Facts::good(), &restart(&["api"])).0, Deny, "{condition}");
    }
}

#[test]
fn a_policy_that_fails_while_it_is_asked_denies_and_is_not_skipped() {
    // Passes every check at load, and overflows.
    let overflow = "context.risk * 9223372036854775807 > 1 && context.risk * 9223372036854775807 < 0";
    for effect in ["forbid", "permit"] {
        let policies = with(&format!("@id(\"odd\")\n@reason(\"r\")\n{effect} (principal, action, resource) when {{ {overflow} }};"));
        let (verdict, reason) = said(&policies, &Facts::good(), &restart(&["api"]));
        assert_eq!(verdict, Deny, "{effect}");
        assert!(reason.starts_with("a policy failed, which denies: ") && reason.contains("odd"), "{reason}");
        let who = Principal { name: "ana".into(), via: Via::Cli };
        assert!(policies.may_approve(door(&who), None, &facts_of(&restart(&["api"]))).unwrap_err().contains("odd"));
        assert!(policies.consent(&facts_of(&restart(&["api"]))).unwrap_err().contains("odd"));
    }
}

#[test]
fn facts_that_the_schema_does_not_know_are_denied() {
    let invented = Action { tool: "invented".into(), ..restart(&["api"]) };
    let (verdict, reason) = said(&shipped(), &Facts::good(), &invented);
    assert!(verdict == Deny && reason.starts_with("the policies could not be asked: "), "{reason}");
}

#[test]
fn one_of_the_approvers_or_the_command_line_decides_and_nobody_for_themselves() {
    let facts = facts_of(&scale("api", 1));
    let (ana, bob) = (Principal { name: "U0ANA".into(), via: Via::Slack }, Principal { name: "bob".into(), via: Via::Cli });
    let may = |voter: Voter<'_>, requester: Option<&str>| shipped().may_approve(voter, requester, &facts);
    assert_eq!(may(listed(&ana), None), Ok(()));
    assert_eq!(may(door(&ana), None), Err("no policy lets U0ANA via slack approve scale_service".into()));
    assert_eq!(may(door(&bob), None), Ok(()));
    assert_eq!(may(listed(&ana), Some("bob")), Ok(()));
    // Through whichever door.
    for via in [Via::Slack, Via::Cli, Via::Api] {
        let bob = Principal { via, ..bob.clone() };
        assert!(may(listed(&bob), Some("bob")).unwrap_err().contains("asked for it and cannot approve it"));
    }
    // Whatever a policy says.
    let all = with("@id(\"all\")\n@reason(\"r\")\npermit (principal, action, resource);");
    assert!(all.may_approve(door(&bob), Some("bob"), &facts).is_err());
    assert_eq!(all.may_approve(door(&Principal { via: Via::Api, ..bob.clone() }), None, &facts), Ok(()));
    // A login name is not the Slack user of that name.
    let named = with(
        "@id(\"not_ana\")\n@reason(\"on leave\")\nforbid (principal == Human::\"slack/U0ANA\", action == Action::\"approve\", resource);",
    );
    assert_eq!(named.may_approve(listed(&ana), None, &facts), Err("policy not_ana: on leave".into()));
    assert_eq!(named.may_approve(door(&Principal { via: Via::Cli, ..ana }), None, &facts), Ok(()));
}

#[test]
fn a_named_approver_is_one_human_at_every_door_and_nobody_else_is_told_of_in_vain() {
    let forbid = |who: &str| {
        with(&format!(
            "@id(\"away\")\n@reason(\"on leave\")\nforbid (principal == Human::\"{who}\", action == Action::\"approve\", resource);"
        ))
    };
    let (away, facts) = (forbid("ana"), facts_of(&scale("api", 1)));
    for via in [Via::Slack, Via::Cli, Via::Api] {
        let ana = Principal { name: "ana".into(), via };
        let ana = Voter { by: &ana, named: true, groups: &["approvers"] };
        assert_eq!(away.may_approve(ana, None, &facts), Err("policy away: on leave".into()), "{via}");
    }
    let ana = Approver { name: "ana".into(), slack: Some("U0ANA".into()), login: Some("ana.k".into()), api: true, ssh_keys: Vec::new() };
    let people = Approvers { people: vec![ana], slack_ids: Vec::new() };
    let told = |who: &str| forbid(who).nobodies(&people).first().map(ToString::to_string);
    for known in ["ana", "slack/U0BEN", "cli/root"] {
        assert_eq!(told(known), None, "{known}");
    }
    let at_every_door = |who: &str| {
        Some(format!("own.cedar:1:1: `{who}` is named under `approvers`: expected Human::\"ana\", which they are at every door"))
    };
    assert_eq!(told("slack/U0ANA"), at_every_door("slack/U0ANA"));
    assert_eq!(told("cli/ana.k"), at_every_door("cli/ana.k"));
    assert_eq!(told("anna").unwrap(), "own.cedar:1:1: nobody under `approvers` is named `anna`");
    assert_eq!(told("api/ana").unwrap(), "own.cedar:1:1: `api/ana`: expected the name of an approver, slack/USER_ID or cli/LOGIN");
}

/// On the list of approvers, by a door's name.
fn listed(by: &Principal) -> Voter<'_> {
    Voter { by, named: false, groups: &["approvers"] }
}

fn door(by: &Principal) -> Voter<'_> {
    Voter { by, named: false, groups: &[] }
}

#[test]
fn one_approver_is_enough_two_with_keys_for_what_destroys_and_policies_may_want_more() {
    let facts = facts_of(&restart(&["api"]));
    assert_eq!(shipped().consent(&facts), Ok(Consent { quorum: 1, signature: false }));
    let destructive = crate::domain::Facts { tier: Tier::Destructive, ..facts.clone() };
    assert_eq!(shipped().consent(&destructive), Ok(Consent { quorum: 2, signature: true }));
    let two = with(
        "@id(\"two\")\n@reason(\"r\")\nforbid (principal, action == Action::\"release\", resource) when { context.risk >= 60 && context.approvers < 3 };",
    );
    assert_eq!(two.consent(&facts), Ok(Consent { quorum: 3, signature: false }));
    let never = with("@id(\"never\")\n@reason(\"r\")\nforbid (principal, action == Action::\"release\", resource);");
    assert!(never.consent(&facts).unwrap_err().starts_with("no policy releases restart_service on api, however many approve it"));
    let deleting = crate::domain::Facts { tool: "delete_database".into(), ..facts };
    assert!(shipped().consent(&deleting).is_err(), "what is never done is never released");
}

#[test]
fn the_version_tells_any_edit_and_no_mere_order() {
    let version = |files: &[(String, String)]| Policies::load(files).unwrap().version().clone();
    let (mut turned, plain) = (files(""), files(""));
    turned.reverse();
    assert_eq!(version(&turned), version(&plain));
    assert_ne!(version(&files("// a remark")), version(&plain));
    assert_eq!(version(&plain).0.len(), 64);
}
