//! Policies in Cedar: a file that is refused says where; a set that is taken gives the same verdict each time and never a looser one than
//! none at all.

use super::Target;
use paramedic::domain::{Agent, Facts, Principal, Resource, Verdict, Via};
use paramedic::safety::{Policies, Voter};
use serde_json::{Value, json};

pub const TARGET: Target = Target {
    name: "policy",
    check,
    seeds,
    words: &[
        "@id(\"a\")",
        "@reason(\"b\")",
        "permit (",
        "forbid (",
        "principal",
        "action",
        "resource",
        "context",
        "principal == Agent::\"remediator\"",
        "action == Action::\"execute\"",
        "Action::\"propose\"",
        "Action::\"approve\"",
        "Action::\"release\"",
        "resource is Service",
        "resource in ",
        "Service::\"api\"",
        "Host::\"web-1\"",
        "when {",
        "unless {",
        "};",
        "context.risk",
        "context.level",
        "context.storm",
        "context has requester",
        ".contains(",
        ".containsAny(",
        "resource.tags",
        "resource.environment == \"production\"",
        " like \"*\"",
        " if ",
        " then ",
        " else ",
        " && ",
        " || ",
        "9223372036854775807",
        "-9223372036854775808",
        " + ",
        " * ",
        "?principal",
        "decimal(\"1.0\")",
        "ip(\"1.2.3.4\")",
        "// ",
        "\\u{1F600}",
    ],
    longest: 4096,
};

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let files = [("site.cedar".to_owned(), text.to_string())];
    match Policies::load(&files) {
        Ok(policies) => judges(&policies),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a problem");
            for problem in &problems {
                assert_eq!(problem.file, "site.cedar", "{problem}");
                assert!(!problem.message.trim().is_empty(), "{problem:?}");
                match problem.at {
                    Some((line, column)) => {
                        let lines: Vec<&str> = text.split('\n').collect();
                        assert!((1..=lines.len()).contains(&line), "line {line} of {}: {problem}", lines.len());
                        assert!((1..=lines[line - 1].chars().count() + 1).contains(&column), "{problem}");
                    }
                    None => assert!(problem.message.starts_with("no policy is there"), "{problem}"),
                }
            }
        }
    }
}

fn judges(policies: &Policies) {
    assert!(policies.count() > 0, "none at all was taken");
    for (id, written) in policies.all() {
        assert!(!id.is_empty() && !written.reason.trim().is_empty() && written.line > 0, "{written:?}");
    }
    let who = Principal { name: "ana".into(), via: Via::Slack };
    let voter = Voter { by: &who, named: true, groups: &["approvers"] };
    for facts in scenes() {
        let opinion = policies.judge(facts.clone());
        assert_eq!(opinion, policies.judge(facts.clone()));
        let decided = &opinion.grounds.as_ref().expect("what it was judged by").decided_by;
        assert!(opinion.verdict == Verdict::Deny || !decided.is_empty(), "nobody decided: {opinion:?}");
        let known = decided.iter().all(|id| policies.written(id).is_some());
        assert!(known, "decided by a policy that is not there: {opinion:?}");
        assert_eq!(policies.consent(&facts).is_ok(), policies.consent(&facts).is_ok());
        let own = policies.may_approve(voter, Some(&who.name), &facts);
        assert!(own.is_err(), "somebody may approve their own wish");
        let _ = policies.may_approve(voter, None, &facts);
    }
}

fn scenes() -> Vec<Facts> {
    let resource = |value: Value| serde_json::from_value::<Resource>(value).unwrap();
    let facts = |agent: Agent, tool: &str, tier: &str, resources: Vec<Resource>| {
        let value = json!({
            "agent": agent, "tool": tool, "tier": tier, "level": 1, "mode": "auto", "risk": { "score": 0.55, "parts": [] },
            "impact": { "users": "", "downtime": "", "data": "" }, "restarts_left": 3, "instances_left": 2, "actions_left": 5, "storm": false,
            "moment": { "hour": 23, "weekday": 7, "off_hours": true }, "resources": resources,
        });
        serde_json::from_value::<Facts>(value).unwrap()
    };
    let api = resource(
        json!({ "kind": "service", "name": "api", "hosts": ["web-1"], "environment": "production", "owner": "web", "tags": ["payments"] }),
    );
    let host = resource(json!({ "kind": "host", "name": "web-1" }));
    let nowhere = resource(json!({ "kind": "nowhere" }));
    vec![
        facts(Agent::Remediator, "restart_service", "disruptive", vec![api.clone(), host]),
        facts(Agent::Diagnoser, "get_service_logs", "observe", vec![api]),
        facts(Agent::Notifier, "send_notification", "observe", vec![nowhere]),
    ]
}

/// The shipped files whole, and each of their policies alone.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (path, bytes) in super::files("config/policies") {
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let text = String::from_utf8(bytes).unwrap();
            seeds.extend(text.split_inclusive(";\n").map(|policy| policy.as_bytes().to_vec()));
            seeds.push(text.into_bytes());
        }
    }
    seeds.push(Vec::new());
    seeds.extend(deep().map(String::into_bytes));
    seeds
}

/// Conditions that fill one policy.
fn deep() -> impl Iterator<Item = String> {
    let conditions = [
        ("(", "true", ")", 24),
        ("!", "true", "", 3500),
        ("-", "1 == 1", "", 3500),
        ("1 + ", "1 == 1", "", 900),
        ("true && ", "true", "", 450),
        ("true || ", "true", "", 450),
        ("if true then ", "true", " else true", 60),
        ("[", "1", "].contains(1)", 20),
        ("{a: ", "1", "}.a == 1", 20),
    ];
    conditions.into_iter().map(|(open, middle, close, times)| {
        let condition = format!("{}{middle}{}", open.repeat(times), close.repeat(times));
        format!("@id(\"deep\") @reason(\"deep\")\npermit (principal, action, resource) when {{ {condition} }};\n")
    })
}
