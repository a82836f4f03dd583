//! `paramedic classify`: what would become of webhook bodies and of Prometheus rule files, with and without a configuration.

use super::{Ran, configured, finish, paramedic, run};
use serde_json::{Value, json};
use std::path::Path;

fn body(alertname: &str, labels: Value) -> Value {
    let mut all = json!({ "alertname": alertname });
    all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
    json!({ "version": "4", "status": "firing", "alerts": [{ "status": "firing", "labels": all, "annotations": {}, "startsAt": "2026-11-20T10:00:00Z" }] })
}

fn verdicts(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("`{line}`: {e}"))).collect()
}

/// Alert, level, what it would be, rule and runbook of each line.
fn told(ran: &Ran) -> Vec<Value> {
    verdicts(ran).iter().map(|v| json!([v["alert"], v["level"], v["would_be"], v["rule"], v["runbook"]])).collect()
}

fn classify(folder: &Path, args: &[&str], input: &str) -> Ran {
    finish(paramedic(folder, &[&["classify"], args].concat()), input)
}

#[test]
fn a_body_a_line_from_stdin_is_told_in_an_empty_folder_and_a_broken_line_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let input =
        format!("{}\n{{\"alerts\": 7}}\n\n{}\n", body("ServiceDown", json!({})), body("DBCorruption", json!({ "instance": "db-1" })));
    let ran = classify(folder.path(), &["-", "--json"], &input);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    let expected = [
        json!(["ServiceDown", 1, "fixed", "service_crash", "service_crash"]),
        json!(["DBCorruption", 3, "escalated", "database_corruption", "database_emergency"]),
    ];
    assert_eq!(told(&ran), expected);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.err.starts_with("paramedic: stdin:2: expected a list `alerts`"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_pretty_printed_body_in_a_file_is_one_body_and_the_table_is_for_humans() {
    let folder = tempfile::tempdir().unwrap();
    let pretty = serde_json::to_string_pretty(&body("HighRequestLatency", json!({ "service": "cart" }))).unwrap();
    std::fs::write(folder.path().join("body.json"), pretty).unwrap();
    std::fs::write(folder.path().join("more.jsonl"), format!("{}\n", body("Nobody\u{1b}[31mKnows", json!({})))).unwrap();
    let ran = classify(folder.path(), &["body.json", "more.jsonl"], "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let rows: Vec<Vec<&str>> =
        ran.out.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert_eq!(rows[0], ["ALERT", "LEVEL", "WOULD BE", "RULE", "RUNBOOK", "SERVICE"]);
    assert_eq!(rows[1], ["HighRequestLatency", "2", "confirmed", "response_time_anomaly", "response_time_anomaly", "-"]);
    assert_eq!(rows[2], ["Nobody [31mKnows", "2", "escalated", "-", "-", "-"], "nobody looks into it without a runbook or a model");
    assert_eq!(rows[3..], [["2 alerts: 0 fixed, 1 confirmed, 1 escalated"]], "{}", ran.out);
}

#[test]
fn what_would_be_done_follows_the_mode_and_whether_there_is_a_model() {
    let services = "services:\n  - { name: cart, reach: { process: { command: [/bin/true] } } }\n\
                    \x20 - { name: till, mode: review, reach: { process: { command: [/bin/true] } } }\n";
    let input = |service: &str| {
        format!("{}\n{}\n", body("ServiceDown", json!({ "service": service })), body("NobodyKnows", json!({ "service": service })))
    };
    let would_be = |main: &str, service: &str| {
        let folder = configured(main, services);
        let ran = classify(folder.path(), &["-", "--json"], &input(service));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        verdicts(&ran).iter().map(|verdict| verdict["would_be"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let model = "llm: { base_url: 'http://127.0.0.1:9/v1', model: some }\n";
    assert_eq!(would_be("", "cart"), ["fixed", "escalated"]);
    assert_eq!(would_be(model, "cart"), ["fixed", "confirmed"]);
    assert_eq!(would_be(model, "till"), ["confirmed", "confirmed"]);
    assert_eq!(would_be("mode: review\n", "cart"), ["confirmed", "escalated"]);
    assert_eq!(would_be("mode: disabled\n", "cart"), ["escalated", "escalated"]);
    let wrong = classify(configured("mode: sometimes\n", services).path(), &["-"], "{}");
    assert_eq!((wrong.code, wrong.err.as_str()), (Some(64), "config/paramedic.yaml:1: mode: expected auto, review or disabled\n"));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body.json"), body("ServiceDown", json!({})).to_string()).unwrap();
    for args in [&["classify", "body.json"][..], &["classify", "body.json", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = paramedic(folder.path(), args).stdout(writer).output().unwrap();
        assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stderr).as_ref()), (Some(0), ""), "{args:?}");
    }
}

const GROUPS: &str = r#"groups:
  - name: app
    rules:
      - record: job:requests:rate5m
        expr: sum by (job) (rate(requests_total[5m]))
      - alert: ServiceDown
        expr: up == 0
        for: 5m
        labels: { severity: critical }
        annotations: { summary: "{{ $labels.instance }} is down" }
      - alert: HomeMade
        expr: vector(1)
        labels: { paramedic_level: 3 }
"#;

#[test]
fn prometheus_rule_files_and_rule_resources_are_read_alert_by_alert() {
    let folder = tempfile::tempdir().unwrap();
    let resource = format!(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{ name: app }}\nspec:\n{}",
        GROUPS.lines().map(|line| format!("  {line}\n")).collect::<String>()
    );
    for (name, text) in [("rules.yml", GROUPS), ("resource.yaml", resource.as_str()), ("other.yaml", "kind: Service\n")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let one = [json!(["ServiceDown", 1, "fixed", "service_crash", "service_crash"]), json!(["HomeMade", 3, "escalated", null, null])];
    let ran = classify(folder.path(), &["--json", "--rules", "rules.yml", "resource.yaml"], "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(told(&ran), [one.clone(), one.clone()].concat());
    assert_eq!(verdicts(&ran)[0]["labels"], json!({ "alertname": "ServiceDown", "severity": "critical" }));
    let ran = classify(folder.path(), &["--json", "--rules", "other.yaml", "absent.yml", "rules.yml"], "");
    assert_eq!((ran.code, told(&ran)), (Some(65), one.to_vec()), "{ran:?}");
    let complaints: Vec<&str> = ran.err.lines().collect();
    assert!(complaints[0].starts_with("paramedic: other.yaml: expected `groups:`"), "{}", ran.err);
    assert!(complaints[1].starts_with("paramedic: absent.yml: read absent.yml") && complaints.len() == 2, "{}", ran.err);
}

#[test]
fn a_configuration_brings_its_own_rules_and_its_inventory() {
    let services = "services:\n  - name: cart\n    alerts: ['team=\"shop\"']\n    reach: { process: { command: [/bin/true] } }\n";
    let folder = configured("", services);
    let rules =
        "rules:\n  - { name: mine, level: 3, why: w, match: ['alertname=\"ServiceDown\"'], examples: [{ alertname: ServiceDown }] }\n";
    std::fs::write(folder.path().join("config/classifier.yaml"), rules).unwrap();
    let ran = classify(folder.path(), &["-", "--json"], &body("ServiceDown", json!({ "team": "shop" })).to_string());
    assert_eq!((ran.code, told(&ran)), (Some(0), vec![json!(["ServiceDown", 3, "escalated", "mine", null])]), "{ran:?}");
    assert_eq!(verdicts(&ran)[0]["service"], "cart");
    std::fs::write(folder.path().join("config/classifier.yaml"), rules.replace("level: 3", "level: 9")).unwrap();
    let ran = classify(folder.path(), &["-", "--config", "config"], "{}");
    assert_eq!((ran.code, ran.out.as_str()), (Some(64), ""), "{ran:?}");
    assert!(ran.err.starts_with("config/classifier.yaml:2: rules[0].level: "), "{}", ran.err);
    assert_eq!(run(folder.path(), &["classify", "absent.json", "--config", "elsewhere"]).code, Some(64));
}
