//! `paramedic check`: every mistake by its file and line, no secret in any of them, and what flags and variables make of the file.

use super::{configured, run, run_with, shipped};
use std::path::Path;

#[test]
fn the_shipped_configuration_is_fine() {
    let folder = shipped();
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("config/paramedic.yaml: ok\n  listens on 127.0.0.1:9911, mode auto, runbooks alone\n"), "{}", ran.out);
    assert!(ran.out.contains("warning: the inventory lists no service") && ran.err.is_empty(), "{ran:?}");
}

const MAIN: &str = r#"server:
  listen: everywhere
  tokn: x
mode: yolo
store:
  url: ${STORE_URL}
planner:
  steps: 40
  first: ${FIRST}
approvals:
  expire_seconds: 1
limits:
  scale_up: 9
llm:
  base_url: http://127.0.0.1:1/v1
  model: m
  timeout_seconds_file: key
  temperature: ${LLM_KEY}
slack:
  bot_token_file: bot
  channel: '#incidents'
pagerduty:
  routing_key: ${NOT_SET}
prometheus:
  url_file: prom
email: { url_file: nowhere, from: a@example.org, to: [a@example.org] }
"#;

const SERVICES: &str = r#"hosts:
  - name: app-1
    reach: { local: {} }
    log_roots: [/var/log/app, /etc]
services:
  - name: worker
    hosts: [app-1, nowhere]
    reach: { systemd: { unit: worker.service, template: worker.service } }
    alerts: ['alertname=~"("']
    pool: pgbouncer
  - name: api gateway
    reach: { process: { command: [/bin/sleep, "1000"] } }
"#;

const RULES: &str = r#"rules:
  - name: crash
    level: 1
    why: it is down
    match: ['alertname="ServiceDown"']
    examples: [{ alertname: ServiceDown }, { alertname: Elsewhere }]
    not_examples: [{ alertname: ServiceDown, service: x }]
    runbook: no_such_runbook
  - name: crash
    level: 2
    why: " "
    match: ['alertname="Other"']
    examples: [{ alertname: Other }]
  - name: odd
    level: 7
    why: w
    match: ['alertname="Odd"']
    examples: [{ alertname: Odd }]
"#;

const RUNBOOK: &str = r#"name: wrong
why: to be told
steps:
  - id: Logs
    tool: get_service_logs
    args: { service: "{{ incident.service }}", colour: red }
    reason: r
  - id: wipe
    tool: run_shell
    reason: r
  - id: status
    tool: check_service_status
    when: incident.service and
    args: { service: "{{ incident.servce }" }
    reason: r
verify:
  tool: restart_service
  args: { service: x, reason: y }
  expect: ok
  within: soon
"#;

const ENVIRONMENT: [(&str, &str); 3] = [("STORE_URL", "mysql://u:s3kret-db@h/x"), ("FIRST", "s3kret-first"), ("LLM_KEY", "s3kret-llm")];

fn write_mistakes(folder: &Path) {
    let config = folder.join("config");
    std::fs::write(config.join("classifier.yaml"), RULES).unwrap();
    std::fs::write(config.join("runbooks/wrong.yaml"), RUNBOOK).unwrap();
    std::fs::write(config.join("runbooks/torn.yaml"), "name: torn\nsteps: [\n").unwrap();
    std::fs::write(config.join("bot"), "s3kret-bot\n").unwrap();
    std::fs::write(config.join("prom"), "s3kret-prom\n").unwrap();
}

/// File, line and place of each complaint, and how it begins to say what is wrong.
const EXPECTED: &str = r#"config/paramedic.yaml:2: server.listen: `everywhere` is not an address: expected IP:PORT
config/paramedic.yaml:3: server.tokn: unknown field `tokn`, expected `listen` or `webhook_token`
config/paramedic.yaml:4: mode: unknown variant `yolo`, expected one of `auto`, `review`, `disabled`
config/paramedic.yaml:6: store.url: expected sqlite:///absolute/file.db, sqlite://relative/file.db
config/paramedic.yaml:8: planner.steps: expected 1 to 25
config/paramedic.yaml:9: planner.first: unknown variant `(hidden)`, expected `runbook` or `model`
config/paramedic.yaml:11: approvals.expire_seconds: expected 5 to 86400
config/paramedic.yaml:13: limits.scale_up: bounds may be tightened, never loosened: expected at most 2
config/paramedic.yaml:17: llm.timeout_seconds_file: unknown field `timeout_seconds_file`
config/paramedic.yaml:18: llm.temperature: invalid type: string "(hidden)", expected f32
config/paramedic.yaml:19: slack: expected signing_secret (clicks over HTTP) or app_token (Socket Mode)
config/paramedic.yaml:23: pagerduty.routing_key: the environment has no NOT_SET: expected it to be set
config/paramedic.yaml:25: prometheus.url: expected http:// or https:// and a host
config/paramedic.yaml:26: email.url_file: config/nowhere: No such file or directory
config/services.yaml:4: hosts[0].log_roots[1]: `/etc` cannot be a log root: expected an absolute folder
config/services.yaml:7: services[0].hosts[1]: host `nowhere` is not listed under hosts
config/services.yaml:8: services[0].reach.systemd.template: expected `{n}`
config/services.yaml:9: services[0].alerts[0]: not a regular expression: unclosed group
config/services.yaml:10: services[0].pool: service `pgbouncer` is not listed under services
config/services.yaml:11: services[1].name: `api gateway` is not a name: expected 1 to 128 letters
config/classifier.yaml:6: rules[0].examples[1]: rule `crash` does not match this example of its own
config/classifier.yaml:7: rules[0].not_examples[0]: rule `crash` matches this, and says that it must not
config/classifier.yaml:8: rules[0].runbook: runbook `no_such_runbook` does not exist: expected one of connection_pool
config/classifier.yaml:9: rules[1].name: rule `crash` is listed twice
config/classifier.yaml:11: rules[1].why: rule `crash` has to say why
config/classifier.yaml:15: rules[2].level: level 7 does not exist: expected 1 (fix), 2 (confirm) or 3 (escalate)
config/runbooks/torn.yaml:2: error: line 2 column 8: unclosed bracket
config/runbooks/wrong.yaml:4: steps[0].id: `Logs` is not an id: expected a small letter
config/runbooks/wrong.yaml:6: steps[0].args.colour: get_service_logs has no argument `colour`: expected host, level
config/runbooks/wrong.yaml:9: steps[1].tool: tool `run_shell` does not exist: expected one of check_service_status
config/runbooks/wrong.yaml:13: steps[2].when: not an expression
config/runbooks/wrong.yaml:14: steps[2].args.service: not a template
config/runbooks/wrong.yaml:17: verify.tool: restart_service can change something
config/runbooks/wrong.yaml:20: verify.within: `soon` is not a duration: expected 30s, 5m
"#;

#[test]
fn every_mistake_of_every_file_is_told_at_once_with_its_line_and_without_secrets() {
    let folder = configured(MAIN, SERVICES);
    write_mistakes(folder.path());
    let ran = run_with(folder.path(), &["check"], &ENVIRONMENT);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(!format!("{ran:?}").contains("s3kret"), "a secret is shown: {}", ran.err);
    let (mut told, mut expected): (Vec<&str>, Vec<&str>) = (ran.err.lines().collect(), EXPECTED.lines().collect());
    assert_eq!(told.pop(), Some(format!("paramedic: {} errors in the configuration", expected.len()).as_str()), "{}", ran.err);
    told.sort();
    expected.sort();
    for (told, expected) in told.iter().zip(&expected) {
        assert!(told.starts_with(expected), "expected `{expected}…`, told `{told}`; all of it:\n{}", ran.err);
    }
    assert_eq!((told.len(), ran.out.as_str()), (expected.len(), ""), "{}", ran.err);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let folder = configured("server: { listen: \"127.0.0.1:1\" }\nmode: auto", "services: []");
    let check = |args: &[&str], environment: &[(&str, &str)]| {
        let ran = run_with(folder.path(), &[&["check"], args].concat(), environment);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out.lines().find(|line| line.contains("listens on")).unwrap().trim().to_owned()
    };
    assert_eq!(check(&[], &[]), "listens on 127.0.0.1:1, mode auto, runbooks alone");
    let variables = [("PARAMEDIC_MODE", "review"), ("PARAMEDIC_LISTEN", "127.0.0.1:2")];
    assert_eq!(check(&[], &variables), "listens on 127.0.0.1:2, mode review, runbooks alone");
    let flags = ["--listen", "127.0.0.1:3", "--mode", "disabled", "--llm-url", "http://127.0.0.1:4/v1", "--llm-model", "m-1"];
    assert_eq!(check(&flags, &variables), "listens on 127.0.0.1:3, mode disabled, runbook first, model m-1");
    let other = folder.path().join("elsewhere");
    std::fs::rename(folder.path().join("config"), &other).unwrap();
    assert_eq!(check(&[], &[("PARAMEDIC_CONFIG", "elsewhere/paramedic.yaml")]), "listens on 127.0.0.1:1, mode auto, runbooks alone");
}

#[test]
fn a_wrong_flag_is_told_as_the_key_that_it_sets_without_its_secret() {
    let folder = shipped();
    let flags = ["check", "--listen", "there", "--mode", "yolo", "--database-url", "mysql://h/x", "--llm-api-key", "s3kret"];
    let ran = run(folder.path(), &flags);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    for key in
        ["server.listen: `there` is not an address", "mode: unknown variant `yolo`", "store.url: expected sqlite:", "llm: missing field"]
    {
        assert!(ran.err.contains(key), "{key}: {}", ran.err);
    }
    assert!(!ran.err.contains("s3kret"), "{}", ran.err);
}

#[test]
fn a_database_url_decides_which_store_is_read() {
    let folder = shipped();
    let ran = run(folder.path(), &["incidents", "--database-url", "sqlite://other/place.db"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("other/place.db") && ran.err.contains("has `paramedic serve` run with this store?"), "{}", ran.err);
}

#[test]
fn an_unknown_flag_is_a_usage_error_and_help_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [&["check", "--bogus"][..], &["chek"], &[], &["classify"]] {
        let ran = run(folder.path(), wrong);
        assert_eq!((ran.code, ran.out.as_str()), (Some(64), ""), "{wrong:?}: {ran:?}");
        assert!(ran.err.contains("Usage: paramedic"), "{wrong:?}: {}", ran.err);
    }
    let limit = run(folder.path(), &["incidents", "--limit", "0"]);
    assert!(limit.code == Some(64) && limit.err.contains("0 is not in 1..=1000"), "{limit:?}");
    for help in [&["--help"][..], &["check", "--help"], &["serve", "-h"], &["--version"]] {
        let ran = run_with(folder.path(), help, &[("PARAMEDIC_LLM_API_KEY", "s3kret")]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{help:?}: {ran:?}");
        assert!(ran.out.contains("paramedic") && !ran.out.contains("s3kret"), "{help:?}: {}", ran.out);
    }
}

#[test]
fn a_configuration_that_is_not_there_is_told_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["check", "serve", "incidents", "approve"] {
        let ran = run(folder.path(), &[command]);
        assert_eq!(ran.code, Some(64), "{command}: {ran:?}");
        assert!(ran.err.contains("config/paramedic.yaml: cannot be read"), "{command}: {}", ran.err);
    }
}

const STORMS: &str = r#"server: { listen: "127.0.0.1:0" }
correlation:
  wait_seconds: 7200
flapping:
  times: 1
  within: 5
llm:
  base_url: http://127.0.0.1:1/v1
  model: big
  prices:
    small: { input: 1, output: -2 }
  limits:
    tokens_a_day: 0
    dollars_a_day: 20
    service_dollars_a_day: nothing
"#;

#[test]
fn bounds_of_storms_and_costs_are_told_by_their_lines() {
    let folder = configured(STORMS, "services: []");
    let ran = run(folder.path(), &["check"]);
    let expected = [
        "3: correlation.wait_seconds: expected 0 to 3600",
        "5: flapping.times: expected 2 to 100, or 0 for never",
        "6: flapping.within: unknown field `within`, expected `times` or `within_seconds`",
        "11: llm.prices.small: expected dollars a million tokens, 0 or more",
        "13: llm.limits.tokens_a_day: expected a number of tokens, 1 or more; null for no limit",
        "14: llm.limits.dollars_a_day: expected a price of `big` under llm.prices: without it nothing is counted",
        "15: llm.limits.service_dollars_a_day: invalid type: string",
    ];
    assert_eq!(ran.code, Some(64), "{ran:?}");
    for line in expected {
        assert!(ran.err.contains(&format!("config/paramedic.yaml:{line}")), "{line} in\n{}", ran.err);
    }
}
