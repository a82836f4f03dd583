//! The classifier's rules: which alert is of which level, and why. Every rule carries examples that are run when it is loaded.
//! The strictest of all rules that match wins; nothing in an alert can lower a level.

use super::matcher::{self, Matcher};
use crate::domain::{Alert, Level, Mode, Problem};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An alert's labels.
pub type Labels = BTreeMap<String, String>;

/// An alert may carry this label to raise its level; a value that is not 1, 2 or 3 counts as 2.
pub const LEVEL_LABEL: &str = "paramedic_level";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesFile {
    pub rules: Vec<RuleFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    pub name: String,
    pub level: Level,
    /// Told to humans: why an alert like this is of this level.
    pub why: String,
    /// All have to fit.
    #[serde(rename = "match")]
    pub matchers: Vec<String>,
    /// Label sets that this rule must win.
    pub examples: Vec<Labels>,
    /// Label sets that this rule must not match.
    #[serde(default)]
    pub not_examples: Vec<Labels>,
    #[serde(default)]
    pub runbook: Option<String>,
    /// Stricter than the configuration's mode, never looser.
    #[serde(default)]
    pub mode: Option<Mode>,
}

/// What the rules say about one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    pub level: Level,
    /// None: no rule matched.
    pub rule: Option<String>,
    pub why: String,
    pub runbook: Option<String>,
    pub mode: Option<Mode>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    level: Level,
    why: String,
    matchers: Vec<Matcher>,
    runbook: Option<String>,
    mode: Option<Mode>,
}

impl Rule {
    /// A rule without matchers matches nothing: it is refused at load, and would otherwise match everything.
    fn matches(&self, labels: &Labels) -> bool {
        !self.matchers.is_empty() && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

#[derive(Debug, Clone)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Reports everything that is wrong with the file at once; examples are run only once every matcher can be read.
    pub fn build(file: RulesFile, known_runbooks: &BTreeSet<String>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut names = BTreeSet::new();
        let mut rules = Vec::new();
        for (index, rule) in file.rules.iter().enumerate() {
            let at = format!("rules[{index}]");
            if !names.insert(&rule.name) {
                problems.push(Problem::new(format!("{at}.name"), format!("rule `{}` is listed twice", rule.name)));
            }
            check_words(rule, &at, known_runbooks, &mut problems);
            rules.push(read_rule(rule, &at, &mut problems));
        }
        let rules = Self(rules);
        if problems.iter().all(|problem| !problem.path.contains(".match")) {
            for (index, rule) in file.rules.iter().enumerate() {
                rules.check_examples(rule, index, &mut problems);
            }
        }
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn classify(&self, alert: &Alert) -> Classification {
        self.classify_labels(&alert.labels)
    }

    /// For alerts that exist only as a rule so far: `paramedic classify --rules`.
    pub fn classify_labels(&self, labels: &Labels) -> Classification {
        let by_rules = match self.winner(labels) {
            None => Classification {
                level: Level::Two,
                rule: None,
                why: "no rule matches: a human confirms".to_owned(),
                runbook: None,
                mode: None,
            },
            Some(rule) => Classification {
                level: rule.level,
                rule: Some(rule.name.clone()),
                why: rule.why.clone(),
                runbook: rule.runbook.clone(),
                mode: self.matching(labels).filter_map(|rule| rule.mode).max(),
            },
        };
        raise(by_rules, labels)
    }

    fn matching(&self, labels: &Labels) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(move |rule| rule.matches(labels))
    }

    /// The strictest; of several equally strict ones, the first in the file.
    fn winner(&self, labels: &Labels) -> Option<&Rule> {
        self.matching(labels).reduce(|best, rule| if rule.level > best.level { rule } else { best })
    }

    fn check_examples(&self, rule: &RuleFile, index: usize, problems: &mut Vec<Problem>) {
        let at = format!("rules[{index}]");
        for (number, labels) in rule.examples.iter().enumerate() {
            let path = format!("{at}.examples[{number}]");
            if !self.0[index].matches(labels) {
                problems.push(Problem::new(path, format!("rule `{}` does not match this example of its own", rule.name)));
                continue;
            }
            match self.winner(labels) {
                Some(other) if other.name != rule.name => {
                    let message = format!(
                        "goes to rule `{}` (level {}) instead of `{}`: the strictest wins, then the first",
                        other.name, other.level, rule.name
                    );
                    problems.push(Problem::new(path, message));
                }
                _ => {}
            }
        }
        for (number, labels) in rule.not_examples.iter().enumerate() {
            if self.0[index].matches(labels) {
                let message = format!("rule `{}` matches this, and says that it must not", rule.name);
                problems.push(Problem::new(format!("{at}.not_examples[{number}]"), message));
            }
        }
    }
}

fn check_words(rule: &RuleFile, at: &str, known_runbooks: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let mut wrong = |key: &str, message: String| problems.push(Problem::new(format!("{at}.{key}"), message));
    if rule.name.trim().is_empty() {
        wrong("name", "expected a name".to_owned());
    }
    if rule.why.trim().is_empty() {
        wrong("why", format!("rule `{}` has to say why an alert like this is of level {}", rule.name, rule.level));
    }
    if rule.matchers.is_empty() {
        wrong("match", format!("rule `{}` matches nothing: expected at least one matcher", rule.name));
    }
    if rule.examples.is_empty() {
        wrong("examples", format!("rule `{}` has no examples: expected at least one label set that it wins", rule.name));
    }
    if let Some(runbook) = rule.runbook.as_ref().filter(|name| !known_runbooks.contains(*name)) {
        let known: Vec<_> = known_runbooks.iter().map(String::as_str).collect();
        wrong("runbook", format!("runbook `{runbook}` does not exist: expected one of {}", known.join(", ")));
    }
}

fn read_rule(rule: &RuleFile, at: &str, problems: &mut Vec<Problem>) -> Rule {
    let mut matchers = Vec::new();
    for (number, text) in rule.matchers.iter().enumerate() {
        match matcher::parse(text) {
            Ok(read) => matchers.extend(read),
            Err(error) => problems.push(Problem::new(format!("{at}.match[{number}]"), error.to_string())),
        }
    }
    Rule { name: rule.name.clone(), level: rule.level, why: rule.why.clone(), matchers, runbook: rule.runbook.clone(), mode: rule.mode }
}

fn raise(mut found: Classification, labels: &Labels) -> Classification {
    let Some(text) = labels.get(LEVEL_LABEL) else { return found };
    let asked = text.trim().parse::<u8>().ok().and_then(|number| Level::try_from(number).ok());
    let wanted = asked.unwrap_or(Level::Two);
    if wanted > found.level {
        found.why = format!("{} (raised from level {} by the alert's label {LEVEL_LABEL})", found.why, found.level);
        found.level = wanted;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(name: &str, level: Level, matcher: &str, example: &str) -> RuleFile {
        RuleFile {
            name: name.to_owned(),
            level,
            why: "because".to_owned(),
            matchers: vec![matcher.to_owned()],
            examples: vec![labels(&[("alertname", example)])],
            not_examples: Vec::new(),
            runbook: None,
            mode: None,
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn three() -> RulesFile {
        let mut strict = rule("strict", Level::Three, "alertname=~\"Db.*\"", "DbGone");
        strict.mode = Some(Mode::Review);
        RulesFile {
            rules: vec![
                rule("loose", Level::One, "alertname=~\".*Down|.*Gone\"", "WebDown"),
                strict,
                rule("later", Level::One, "alertname=~\"Web.*\"", "WebSlow"),
            ],
        }
    }

    #[test]
    fn the_strictest_rule_wins_and_the_first_of_equals() {
        let rules = Rules::build(three(), &BTreeSet::new()).unwrap();
        let found = |name: &str| {
            let it = rules.classify_labels(&labels(&[("alertname", name)]));
            (u8::from(it.level), it.rule, it.mode)
        };
        assert_eq!(found("WebDown"), (1, Some("loose".to_owned()), None));
        assert_eq!(found("DbDown"), (3, Some("strict".to_owned()), Some(Mode::Review)));
        assert_eq!(found("WebSlow"), (1, Some("later".to_owned()), None));
        assert_eq!(found("Whatever"), (2, None, None));
    }

    #[test]
    fn a_label_raises_a_level_and_never_lowers_it() {
        let rules = Rules::build(three(), &BTreeSet::new()).unwrap();
        for (name, asked, level) in [
            ("WebDown", "3", 3),
            ("WebDown", " 2 ", 2),
            ("WebDown", "1", 1),
            ("DbDown", "1", 3),
            ("Whatever", "1", 2),
            ("WebDown", "0", 2),
            ("WebDown", "auto; rm -rf /", 2),
            ("WebDown", "", 2),
        ] {
            let found = rules.classify_labels(&labels(&[("alertname", name), (LEVEL_LABEL, asked), ("severity", "none")]));
            assert_eq!(u8::from(found.level), level, "{name} {asked}: {}", found.why);
        }
    }

    #[test]
    fn everything_wrong_with_a_file_is_told_at_once_by_its_place() {
        let mut file = three();
        file.rules[0].runbook = Some("nowhere".to_owned());
        file.rules[0].why = " ".to_owned();
        file.rules[0].examples.push(labels(&[("alertname", "DbDown")]));
        file.rules[1].examples.push(labels(&[("alertname", "Other")]));
        file.rules[1].not_examples.push(labels(&[("alertname", "DbGone")]));
        file.rules[2].name = "loose".to_owned();
        file.rules[2].examples.clear();
        let problems = Rules::build(file.clone(), &BTreeSet::from(["known".to_owned()])).unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "rules[0].why",
                "rules[0].runbook",
                "rules[2].name",
                "rules[2].examples",
                "rules[0].examples[1]",
                "rules[1].examples[1]",
                "rules[1].not_examples[0]",
            ],
            "{problems:#?}"
        );
        file.rules[1].matchers = vec!["alertname=\"Db".to_owned(), "a".to_owned()];
        file.rules[2].matchers.clear();
        let problems = Rules::build(file, &BTreeSet::new()).unwrap_err();
        for path in ["rules[1].match[0]", "rules[1].match[1]", "rules[2].match"] {
            assert!(problems.iter().any(|problem| problem.path == path), "{path}: {problems:#?}");
        }
    }

    proptest! {
        #[test]
        fn no_alert_makes_it_panic_or_falls_below_its_rules(
            name in prop_oneof![Just("WebDown".to_owned()), Just("DbDown".to_owned()), ".{0,20}"],
            more in proptest::collection::btree_map(prop_oneof![Just(LEVEL_LABEL.to_owned()), Just("severity".to_owned()), ".{0,12}"], ".{0,12}|[0-9]", 0..5),
        ) {
            static RULES: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(|| Rules::build(three(), &BTreeSet::new()).unwrap());
            let rules = &*RULES;
            let alone = rules.classify_labels(&labels(&[("alertname", &name)]));
            let mut all = more;
            all.insert("alertname".to_owned(), name);
            let found = rules.classify_labels(&all);
            prop_assert!(found.level >= alone.level);
            prop_assert!(found.rule.is_some() || found.level >= Level::Two);
        }
    }
}
