//! The classifier's rules: a file that is refused says where; one that is taken never lets an alert fall below its rule.

use super::Target;
use paramedic::classifier::{Labels, Rules};
use paramedic::config::rules_of;
use paramedic::domain::Level;
use std::collections::BTreeSet;
use std::path::Path;

pub const TARGET: Target = Target {
    name: "classifier",
    check,
    seeds,
    words: &[
        "rules:\n",
        "  - name: ",
        "    level: 1\n",
        "    why: ",
        "    match:\n",
        "      - ",
        "    examples:\n",
        "      - { alertname: ",
        "    not_examples:\n",
        "    runbook: service_crash\n",
        "    mode: review\n",
        "'alertname=~\"Foo|Bar\"'",
        "&a ",
        "*a",
        "<<: ",
        "null",
        "~",
        "!!binary ",
        "{",
        "[",
        "? ",
    ],
    longest: 2048,
};

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let runbooks = BTreeSet::from(["service_crash".to_owned(), "disk_space_low".to_owned()]);
    match rules_of(Path::new("classifier.yaml"), &text, &runbooks) {
        Err(complaints) => super::complaints_have_places(&text, &complaints),
        Ok(rules) => classifies(&rules),
    }
}

fn classifies(rules: &Rules) {
    for name in ["ServiceDown", "Foo", "", "é"] {
        let labels = Labels::from([("alertname".to_owned(), name.to_owned())]);
        let found = rules.classify_labels(&labels);
        assert_eq!(found, rules.classify_labels(&labels));
        assert!(found.rule.is_some() || found.level == Level::Two, "{found:?}");
        for asked in ["1", "2", "3", "9", "x"] {
            let mut raised = labels.clone();
            raised.insert("paramedic_level".into(), asked.into());
            assert!(rules.classify_labels(&raised).level >= Level::One);
        }
    }
}

/// Each shipped rule alone, and all of them.
fn seeds() -> Vec<Vec<u8>> {
    let shipped = super::file("config/classifier.yaml");
    let rules = shipped.split("\n  - name:").skip(1).map(|rule| format!("rules:\n  - name:{rule}\n"));
    let odd = ["", "rules: []\n", "rules:\n  - &a { name: x, level: 3, why: y, match: ['a=b'], examples: [{ a: b }] }\n  - *a\n"];
    let odd = odd.into_iter().map(str::to_owned);
    rules.chain(odd).chain([shipped.clone()]).map(String::into_bytes).collect()
}
