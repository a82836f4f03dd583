//! Layer 7, the risk score: how much could go wrong, from 0 to 1. Below the first threshold nothing is asked; from there on a change
//! has to say why; from the second one on a human confirms. It never denies: what is never done is the floor's and the policies' to say.
//!
//! Base by tier, then what adds to it, then the quality of the stated reason:
//!
//! | observe | reversible | disruptive | destructive | production | off-hours | secrets | destroys | no reason | 50 characters | a test or a way back |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | 0.10, free text 0.20 | 0.30 | 0.35 | 0.80 | +0.20 | +0.10 | +0.30 | +0.20 | +0.10 | -0.05 | -0.05 |
//!
//! A restart in production at 3 AM comes to 0.65: the boundary table lets it go. Without a reason, or about secrets, a human is asked.

use crate::domain::{Action, Effect, Impact, Inventory, Layer, Moment, Opinion, Place, Resource, Risk, Score, ServiceName, Tier, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `risk` of the configuration: may be lowered, never raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// From here on a change has to state its reason.
    pub reason: Score,
    /// From here on a human confirms.
    pub confirm: Score,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { reason: Score::of_hundredths(30), confirm: Score::of_hundredths(70) }
    }
}

impl Thresholds {
    /// What is wrong with them, by key.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let most = Self::default();
        let raised = [("reason", self.reason, most.reason), ("confirm", self.confirm, most.confirm)];
        let raised = raised.into_iter().filter(|(_, mine, most)| mine > most);
        let mut problems: Vec<_> =
            raised.map(|(key, _, most)| (key, format!("thresholds may be lowered, never raised: expected at most {most}"))).collect();
        if self.reason > self.confirm {
            problems.push(("reason", format!("expected at most `confirm`, which is {}", self.confirm)));
        }
        problems
    }
}

pub fn judge(risk: &Risk, action: &Action, thresholds: Thresholds) -> Opinion {
    let verdict = verdict(risk.score, action.effect.changes_something(), says_why(action), thresholds);
    let reason = match verdict {
        Verdict::Allow => format!("risk {risk}"),
        _ if risk.score >= thresholds.confirm => format!("risk {risk} is {} or more: a human confirms", thresholds.confirm),
        _ => format!("risk {risk} is {} or more, and no reason is given: a human confirms", thresholds.reason),
    };
    Opinion::new(Layer::Risk, verdict, reason)
}

fn verdict(score: Score, changes: bool, says_why: bool, thresholds: Thresholds) -> Verdict {
    let unsaid = changes && !says_why && score >= thresholds.reason;
    if score >= thresholds.confirm || unsaid { Verdict::Confirm } else { Verdict::Allow }
}

/// What adds up, in hundredths.
pub fn score(action: &Action, resources: &[Resource], moment: Moment) -> Risk {
    let (name, base) = base(action);
    let mut parts = vec![(name, base)];
    let mut add = |holds: bool, name: &'static str, by: i64| {
        if holds {
            parts.push((name, by));
        }
    };
    if let Some(name) = production(resources) {
        add(true, name, 20);
    }
    add(moment.off_hours, "off-hours", 10);
    add(about_secrets(action), "about secrets", 30);
    add(destroys(action), "destroys", 20);
    let reason = stated_reason(action);
    if action.effect.changes_something() {
        add(reason.is_empty(), "no reason given", 10);
        add(reason.chars().count() >= 50, "reason in full", -5);
        add(mentions_a_way_back(reason), "tested or with a way back", -5);
    }
    let score = Score::of_hundredths(parts.iter().map(|(_, by)| by).sum());
    Risk { score, parts: parts.into_iter().enumerate().map(|(index, part)| shown(index, part)).collect() }
}

fn shown(index: usize, (name, by): (&str, i64)) -> String {
    let sign = match (index, by < 0) {
        (0, _) => "",
        (_, true) => "-",
        (_, false) => "+",
    };
    format!("{name} {sign}{}", Score::of_hundredths(by.abs()))
}

fn base(action: &Action) -> (&'static str, i64) {
    match action.tier {
        // Logs, files and commands bring back whatever somebody wrote there; numbers and states do not.
        Tier::Observe if action.tool.contains("logs") || action.tool.contains("command") => ("observe", 20),
        Tier::Observe => ("observe", 10),
        Tier::Reversible => ("reversible", 30),
        Tier::Disruptive => ("disruptive", 35),
        Tier::Destructive => ("destructive", 80),
    }
}

pub fn is_production(environment: &str) -> bool {
    let environment = environment.to_ascii_lowercase();
    environment.starts_with("prod") || environment == "live"
}

/// A service that says nothing of its environment counts as one in production.
fn production(resources: &[Resource]) -> Option<&'static str> {
    let somewhere = || resources.iter().filter(|resource| resource.place != Place::Nowhere);
    match somewhere().any(|resource| is_production(&resource.environment)) {
        true => Some("production"),
        false => somewhere().any(|resource| resource.environment.is_empty()).then_some("environment not declared"),
    }
}

/// The reason in the arguments, which binds what is done, else the planner's own words.
fn stated_reason(action: &Action) -> &str {
    let argued = action.arguments.get("reason").and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    argued.unwrap_or(action.reason.trim())
}

fn says_why(action: &Action) -> bool {
    !stated_reason(action).is_empty()
}

/// A test or a rollback plan, and not that there is none.
fn mentions_a_way_back(reason: &str) -> bool {
    let words: Vec<String> = words(reason);
    let is = |at: usize, known: &[&str]| words.get(at).is_some_and(|word| known.contains(&word.as_str()));
    let mentioned = |at: usize| is(at, &["test", "tests", "tested", "rollback"]) || (is(at, &["roll", "rolled"]) && is(at + 1, &["back"]));
    let denied = |at: usize| {
        let before = (at.saturating_sub(3)..at).any(|at| is(at, &["no", "not", "never", "without", "cannot", "isn", "wasn", "untested"]));
        before || (at + 1..at + 3).any(|at| is(at, &["none", "missing", "impossible"]))
    };
    (0..words.len()).any(|at| mentioned(at) && !denied(at))
}

/// Arguments that say what is done. Names of the inventory and what is only said are left out, and a question to Prometheus: its answer
/// is numbers.
fn telling_arguments(action: &Action) -> Vec<&str> {
    fn texts<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => into.push(text),
            Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Object(fields) => fields.values().for_each(|field| texts(field, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let said = ["reason", "service", "host", "message", "channel", "question", "query"];
    let mut found = Vec::new();
    if let Value::Object(fields) = &action.arguments {
        fields.iter().filter(|(key, _)| !said.contains(&key.as_str())).for_each(|(_, value)| texts(value, &mut found));
    }
    found
}

const SECRET_WORDS: [&str; 21] = [
    "secret",
    "secrets",
    "password",
    "passwords",
    "passwd",
    "shadow",
    "credential",
    "credentials",
    "token",
    "tokens",
    "apikey",
    "keystore",
    "htpasswd",
    "kubeconfig",
    "ssh",
    "gnupg",
    "rsa",
    "ed25519",
    "pem",
    "p12",
    "env",
];

/// `api_key`, `private-key`, `server.key`: a key that opens something, not a key of a map.
fn about_secrets(action: &Action) -> bool {
    let own = action.tool.contains("secret");
    own || telling_arguments(action).iter().any(|text| {
        let words = words(text);
        let pair =
            |a: &str, b: &str| matches!((a, b), ("api" | "private" | "access" | "signing" | "ssl" | "tls" | "server", "key" | "keys"));
        words.iter().any(|word| SECRET_WORDS.contains(&word.as_str())) || words.windows(2).any(|two| pair(&two[0], &two[1]))
    })
}

/// The tier says so, or the name or an argument does. Old logs are not meant: the boundary table calls their going recoverable, and the
/// floor holds where and how old.
fn destroys(action: &Action) -> bool {
    let destructive = |text: &str| {
        let verbs = ["delete", "drop", "purge", "wipe", "truncate", "destroy", "erase", "rm", "shred", "force"];
        words(text).iter().any(|word| verbs.contains(&word.as_str()))
    };
    let cleaning = matches!(action.effect, Effect::Clean { .. });
    action.tier == Tier::Destructive || destructive(&action.tool) || (!cleaning && telling_arguments(action).iter().any(|t| destructive(t)))
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// What it would probably mean.
pub fn impact(action: &Action, inventory: &Inventory) -> Impact {
    let of = |users: String, downtime: &str, data: String| Impact { users, downtime: downtime.to_owned(), data };
    match &action.effect {
        Effect::Observe | Effect::Talk | Effect::Question => of("none".into(), "none", "none is changed".into()),
        Effect::Command { danger, .. } if !danger.changes_something() => of("none".into(), "none", "none is changed".into()),
        Effect::Command { .. } => {
            let unknown = "not known: whatever the command does";
            of(unknown.into(), unknown, "whatever it writes; nothing below /etc, /usr, /boot and their like".into())
        }
        Effect::Restart { services } => {
            of(users_of(services, inventory), "seconds, while it restarts", "none; requests under way are lost".into())
        }
        Effect::Scale { service, .. } => of(format!("none is cut off; {service} gets more instances"), "none", "none".into()),
        Effect::Clean { paths, min_age_days } => {
            of("none".into(), "none", format!("files older than {min_age_days} days below {} are removed for good", paths.join(", ")))
        }
    }
}

/// Those of the services, and of what declares to depend on them.
fn users_of(services: &[ServiceName], inventory: &Inventory) -> String {
    let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
    let needs = |other: &crate::domain::Service| other.depends_on.iter().chain(&other.pool).any(|name| services.contains(name));
    let others: Vec<&str> =
        inventory.services().filter(|other| needs(other) && !services.contains(&other.name)).map(|other| other.name.as_str()).collect();
    match others.is_empty() {
        true => format!("those of {}", names.join(", ")),
        false => format!("those of {}, and of what depends on it: {}", names.join(", "), others.join(", ")),
    }
}
