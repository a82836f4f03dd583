//! Everything under config/ that planning reads, loaded as it is, and every runbook walked to its end.

use super::stage::{Stage, paramedic_acts};
use paramedic::classifier::{Rules, RulesFile};
use paramedic::domain::{Level, Outcome, PlannerKind, Problem};
use paramedic::planner::{Next, Runbook, RunbookFile, ToolShape, ToolShapes};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Tools and arguments as planners know them.
fn tools() -> ToolShapes {
    let list = [
        ("get_service_logs", "service host lines level"),
        ("get_metrics", "query duration step"),
        ("check_system_resources", "host check_types"),
        ("check_service_status", "service host"),
        ("get_alerts", "service host"),
        ("restart_service", "service host reason"),
        ("clean_disk_space", "host paths min_age_days reason"),
        ("scale_service", "service add reason"),
        ("restart_connection_pool", "service reason"),
        ("restart_consumers", "service reason"),
        ("send_notification", "channel severity message"),
        ("request_human_confirmation", "action_description reason risk_level rollback_plan"),
    ];
    let shape = |(tool, arguments): (&str, &str)| {
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        (tool.to_owned(), ToolShape { arguments, acts: paramedic_acts(tool) })
    };
    list.into_iter().map(shape).collect()
}

/// What each tool brings back when all is well.
fn good_output(tool: &str) -> Value {
    match tool {
        "get_service_logs" => json!({ "service": "api", "lines": ["panic"], "count": 1, "cut": false }),
        "get_metrics" => json!({ "query": "up", "series": [], "count": 0, "cut": false }),
        "check_system_resources" => json!({
            "cpu": { "load1": 0.1, "busy_percent": 3.0, "cores": 2 },
            "memory": { "used_percent": 40.0, "available": 1, "total": 2 },
            "disks": [{ "mount": "/", "used_percent": 61.0, "available": 1, "total": 2 }],
        }),
        "check_service_status" => {
            json!({ "active": true, "state": "active", "since": null, "pid": 1, "instances": 1, "instances_active": 1, "detail": "" })
        }
        "get_alerts" => json!({ "alerts": [], "count": 0 }),
        "restart_connection_pool" => json!({ "service": "api", "pool": "pgbouncer", "active": true }),
        "restart_consumers" => json!({ "service": "api", "restarted": ["mailer"] }),
        "clean_disk_space" => json!({ "removed": [], "files": 0, "bytes": 0, "kept": 2 }),
        _ => json!({ "service": "api", "active": true }),
    }
}

fn config(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn read_runbook(text: &str) -> RunbookFile {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn runbooks() -> BTreeMap<String, Runbook> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(config("runbooks")).unwrap() {
        let path = entry.unwrap().path();
        let file = read_runbook(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(path.file_stem().unwrap().to_str(), Some(file.name.as_str()), "a runbook's file bears its name");
        let runbook = Runbook::build(file, &tools()).unwrap_or_else(|problems| panic!("{}: {problems:#?}", path.display()));
        found.insert(runbook.name().to_owned(), runbook);
    }
    found
}

fn rules_file() -> RulesFile {
    serde_saphyr::from_str(&std::fs::read_to_string(config("classifier.yaml")).unwrap()).unwrap_or_else(|error| panic!("{error}"))
}

/// Walks a runbook; returns the tools it called and its last word.
fn walk(runbook: &Runbook, stage: &mut Stage, answer: impl Fn(&str) -> Outcome) -> (Vec<String>, Next) {
    let mut called = Vec::new();
    for _ in 0..40 {
        match runbook.next(&stage.incident()) {
            Next::Propose(proposal) => {
                called.push(proposal.tool.clone());
                let outcome = answer(&proposal.tool);
                stage.finish(PlannerKind::Runbook, &proposal, outcome);
            }
            Next::Skip { step, why } => stage.push(paramedic::domain::Entry::Skipped { step, why }),
            end => return (called, end),
        }
    }
    panic!("{} does not end", runbook.name());
}

fn succeed(tool: &str) -> Outcome {
    Outcome::ok(format!("{tool} went well"), good_output(tool))
}

fn only_actions_succeed(tool: &str) -> Outcome {
    if paramedic_acts(tool) || tool == "request_human_confirmation" { succeed(tool) } else { Outcome::failed("host unreachable") }
}

#[test]
fn every_shipped_rule_wins_its_examples_and_names_a_runbook_that_exists() {
    let known: BTreeSet<String> = runbooks().into_keys().collect();
    Rules::build(rules_file(), &known).unwrap_or_else(|problems: Vec<Problem>| {
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| {
                let (rule, example) = problem.path.split_once("].").unwrap();
                let index: usize = rule.trim_start_matches("rules[").parse().unwrap();
                format!("{} {example}: {}", rules_file().rules[index].name, problem.message)
            })
            .collect();
        panic!("{}", lines.join("\n"))
    });
    for rule in rules_file().rules {
        assert!(rule.examples.len() >= 3, "{}", rule.name);
        assert!(!rule.not_examples.is_empty(), "{}", rule.name);
        assert!(rule.level == Level::Three || rule.runbook.is_some(), "{} of level {} needs a runbook", rule.name, rule.level);
    }
}

#[test]
fn every_runbook_ends_well_when_all_goes_well_and_its_check_holds() {
    for (name, runbook) in runbooks() {
        let mut stage = Stage::service_down().run(PlannerKind::Runbook);
        let (called, end) = walk(&runbook, &mut stage, succeed);
        assert!(matches!(end, Next::Done { .. }), "{name}: {end:?} after {called:?}");
        if let Some(check) = runbook.verification(&stage.incident()).unwrap() {
            assert!(check.holds(&succeed(&check.proposal.tool)).unwrap(), "{name}");
            assert!(!check.holds(&Outcome::failed("no answer")).unwrap(), "{name}");
            assert!(check.within >= chrono::Duration::minutes(5), "{name}");
        }
    }
}

#[test]
fn every_fix_is_proposed_even_where_all_diagnosis_fails() {
    let fixes = [
        ("disk_space_low", "clean_disk_space"),
        ("service_crash", "restart_service"),
        ("connection_pool_exhausted", "restart_connection_pool"),
        ("queue_backlog", "restart_consumers"),
        ("response_time_anomaly", "scale_service"),
        ("sustained_memory_growth", "restart_service"),
    ];
    let runbooks = runbooks();
    for (name, fix) in fixes {
        let (called, end) = walk(&runbooks[name], &mut Stage::service_down().run(PlannerKind::Runbook), only_actions_succeed);
        assert!(called.iter().any(|tool| tool == fix), "{name} calls {called:?}");
        assert!(matches!(end, Next::Done { .. }), "{name}: {end:?}");
    }
    for (name, runbook) in &runbooks {
        let (_, end) = walk(runbook, &mut Stage::service_down().run(PlannerKind::Runbook), only_actions_succeed);
        assert!(matches!(end, Next::Done { .. }), "{name}: {end:?}");
    }
}

#[test]
fn without_a_known_target_no_runbook_touches_anything() {
    for (name, runbook) in runbooks() {
        let nowhere = Stage::new(json!({ "alertname": "ServiceDown" }), json!({}), json!({}), 1);
        let mut stage = nowhere.run(PlannerKind::Runbook);
        let (called, end) = walk(&runbook, &mut stage, succeed);
        assert!(!called.iter().any(|tool| paramedic_acts(tool)), "{name} calls {called:?}");
        // One that could not even look hands over.
        let handed_over = matches!(&end, Next::Fail { why } if why.starts_with("no step of "));
        assert!(matches!(end, Next::Done { .. }) != called.is_empty(), "{name} calls {called:?}: {end:?}");
        assert_eq!(handed_over, called.is_empty(), "{name}: {end:?}");
        assert_eq!(runbook.verification(&stage.incident()).unwrap(), None, "{name}");
    }
}

#[test]
fn a_runbook_of_level_three_changes_nothing() {
    for rule in rules_file().rules.into_iter().filter(|rule| rule.level == Level::Three) {
        if let Some(name) = rule.runbook {
            let all = runbooks();
            let tools: Vec<_> = all[&name].tools().collect();
            assert!(tools.iter().all(|tool| !paramedic_acts(tool)), "{name}: {tools:?}");
            assert_eq!(tools.last(), Some(&"request_human_confirmation"), "{name}");
        }
    }
}

#[test]
fn a_fix_that_is_denied_ends_the_run_and_says_what_was_learnt() {
    let runbook = &runbooks()["service_crash"];
    let mut stage = Stage::service_down().run(PlannerKind::Runbook);
    loop {
        match runbook.next(&stage.incident()) {
            Next::Propose(proposal) if proposal.tool == "restart_service" => {
                stage.deny(PlannerKind::Runbook, &proposal, "restarted 3 times this hour")
            }
            Next::Propose(proposal) => stage.finish(PlannerKind::Runbook, &proposal, succeed(&proposal.tool)),
            Next::Fail { why } => {
                insta::assert_snapshot!(why, @"step restart (restart_service) was denied: restarted 3 times this hour; status: check_service_status went well; logs: get_service_logs went well");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_error_rate_runbook_restarts_only_what_is_down() {
    let runbook = &runbooks()["elevated_error_rate"];
    let walked = |active: bool| {
        let answer = move |tool: &str| match tool {
            "check_service_status" => Outcome::ok("read", json!({ "active": active })),
            other => succeed(other),
        };
        walk(runbook, &mut Stage::service_down().run(PlannerKind::Runbook), answer).0
    };
    assert!(walked(false).contains(&"restart_service".to_owned()));
    assert!(!walked(true).contains(&"restart_service".to_owned()));
}

#[test]
fn the_disk_check_reads_the_filesystem_that_the_alert_names() {
    let runbook = &runbooks()["disk_space_low"];
    for (mount, used, holds) in [("/var", 95, false), ("/var", 50, true), ("/", 95, true), ("/nowhere", 95, false)] {
        let labels = json!({ "alertname": "DiskFull", "instance": "web-1", "mountpoint": mount });
        let mut stage = Stage::new(labels, json!({}), json!({ "host": "web-1" }), 1).run(PlannerKind::Runbook);
        walk(runbook, &mut stage, succeed);
        let check = runbook.verification(&stage.incident()).unwrap().unwrap();
        let disks = json!({ "disks": [{ "mount": "/var", "used_percent": used }, { "mount": "/", "used_percent": 20 }] });
        assert_eq!(check.holds(&Outcome::ok("read", disks)).unwrap(), holds, "{mount} at {used}");
        assert!(!check.holds(&Outcome::ok("read", json!({ "disks": [] }))).unwrap());
    }
}

#[test]
fn a_runbook_with_mistakes_is_refused_with_all_of_them() {
    let file = read_runbook(
        r#"
name: bad name
why: ""
steps:
  - { id: one, tool: restart_service, args: { service: "{{ alert.annotations.service }}", force: true }, reason: x }
  - { id: one, tool: delete_database, args: {}, reason: "{{ broken" }
  - { id: Two, tool: get_alerts, when: "steps.three.ok and", args: { host: "{{ steps.three.output }}" }, reason: "" }
verify: { tool: restart_service, args: {}, expect: "output.active and nonsense", within: 5 minutes }
"#,
    );
    let problems = Runbook::build(file, &tools()).unwrap_err();
    insta::assert_snapshot!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r"
name: expected a name of letters, digits, `_` and `-`
why: expected why these steps help
steps[0].args.force: restart_service has no argument `force`: expected host, reason, service
steps[0].args.service: `alert.annotations.service` may not decide what an acting tool does: expected incident.…, target.…, alert.name or alert.labels.LABEL with one of service, app, deployment, container, unit, name, job, instance, host, hostname, node, nodename, mountpoint
steps[1].tool: tool `delete_database` does not exist: expected one of check_service_status, check_system_resources, clean_disk_space, get_alerts, get_metrics, get_service_logs, request_human_confirmation, restart_connection_pool, restart_consumers, restart_service, scale_service, send_notification
steps[1].reason: not a template: syntax error: unexpected end of input, expected end of variable block
steps[1].id: step `one` is listed twice
steps[2].id: `Two` is not an id: expected a small letter, then small letters, digits and `_`; not `verify`
steps[2].args.host: `steps.three.output` names no earlier step
steps[2].when: not an expression: syntax error: unexpected end of input, expected expression
steps[2].reason: expected why this step is done
verify.tool: restart_service can change something: a fix is verified by reading
verify.expect: `nonsense` is not known: expected incident, alert, target or steps
verify.within: `5 minutes` is not a duration: expected 30s, 5m, 1m30s or the like, more than nothing and at most a day
");
    let unknown = serde_saphyr::from_str::<RunbookFile>("name: a\nwhy: b\nsteps: []\nretries: 3\n").unwrap_err().to_string();
    assert!(unknown.contains("retries") && unknown.contains("line 4"), "{unknown}");
}

#[test]
fn a_runbook_of_which_no_step_applies_hands_over_instead_of_waiting_for_a_fix() {
    let labels = json!({ "alertname": "ServiceDown", "service": "nobody-knows" });
    let mut stage = Stage::new(labels, json!({}), json!({}), 1).run(PlannerKind::Runbook);
    let (called, end) = walk(&runbooks()["service_crash"], &mut stage, |_| panic!("nothing is to be called"));
    assert!(called.is_empty());
    let Next::Fail { why } = end else { panic!("expected the runbook to give up, it says {end:?}") };
    assert_eq!(why, "no step of service_crash applies to no known target");
}
