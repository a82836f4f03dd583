//! The shipped alert rules on Paramedic itself: Prometheus' own program runs their cases, and no rule is without one that fires.

use crate::reaching::need;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
}

#[derive(Deserialize)]
struct Cases {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    alert_rule_test: Vec<Look>,
}

#[derive(Deserialize)]
struct Look {
    alertname: String,
    exp_alerts: Vec<IgnoredAny>,
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "deploy/prometheus"].iter().collect()
}

fn rules() -> Vec<Rule> {
    let text = std::fs::read_to_string(folder().join("paramedic.rules.yml")).unwrap();
    serde_saphyr::from_str::<Rules>(&text).unwrap().groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Paramedic's own metrics that the rules ask for.
pub fn metrics() -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = rules().into_iter().flat_map(|rule| rule.expr.split(|c| !word(c)).map(str::to_owned).collect::<Vec<_>>());
    names.filter(|name| name.starts_with("paramedic_")).collect()
}

#[test]
fn the_cases_of_the_shipped_rules_hold() {
    need("/usr/bin/promtool", "prometheus");
    for arguments in [["check", "rules", "paramedic.rules.yml"], ["test", "rules", "paramedic.rules.test.yml"]] {
        let done = Command::new("/usr/bin/promtool").args(arguments).current_dir(folder()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "promtool {}: {said}", arguments.join(" "));
    }
}

#[test]
fn each_shipped_rule_has_a_case_in_which_it_fires() {
    let text = std::fs::read_to_string(folder().join("paramedic.rules.test.yml")).unwrap();
    let looks = serde_saphyr::from_str::<Cases>(&text).unwrap().tests.into_iter().flat_map(|case| case.alert_rule_test);
    let fires: BTreeSet<String> = looks.filter(|look| !look.exp_alerts.is_empty()).map(|look| look.alertname).collect();
    let rules: BTreeSet<String> = rules().into_iter().map(|rule| rule.alert).collect();
    assert!(rules.len() > 15, "{rules:?}");
    assert_eq!(fires, rules);
}
