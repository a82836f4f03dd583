//! An alert as Alertmanager tells it. Every text in it was written by whoever can make a rule, an exporter or a log
//! line: always data, never an instruction.

use super::time::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    Firing,
    Resolved,
}

impl AlertStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Identifies an alert by its labels: Alertmanager's own hexadecimal text where it sends one, computed otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Of the sorted labels, for senders that leave the fingerprint out. Not Alertmanager's FNV: it only has to be stable.
    pub fn of(labels: &BTreeMap<String, String>) -> Self {
        let mut hash = Sha256::new();
        for (name, value) in labels {
            for part in [name, value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        Self(hex::encode(&hash.finalize()[..8]))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The `severity` label. Unknown words count as a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub status: AlertStatus,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub starts_at: Time,
    /// Set only once resolved.
    pub ends_at: Option<Time>,
    pub generator_url: String,
    pub fingerprint: Fingerprint,
    /// Alertmanager's group; alerts of one group and one service are one incident.
    pub group_key: String,
    #[serde(default, skip_serializing_if = "Origin::is_unknown")]
    pub origin: Origin,
}

/// How an alert came here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The name of Alertmanager's receiver that it was sent by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// The sender's `externalURL`. Peers of one cluster have their own: part of no key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sender: String,
    /// Nobody sent it: Alertmanager was asked. What was seen, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

impl Origin {
    /// Of an alert that Alertmanager was asked for.
    pub fn asked(why: impl Into<String>) -> Self {
        Self { asked: Some(why.into()), ..Self::default() }
    }

    fn is_unknown(&self) -> bool {
        self == &Self::default()
    }
}

impl Alert {
    /// The `alertname` label, or `unnamed`.
    pub fn name(&self) -> &str {
        self.label("alertname").filter(|name| !name.is_empty()).unwrap_or("unnamed")
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    pub fn severity(&self) -> Severity {
        match self.label("severity").map(str::to_ascii_lowercase).as_deref() {
            Some("critical" | "page" | "emergency" | "fatal") => Severity::Critical,
            Some("info" | "none" | "informational") => Severity::Info,
            _ => Severity::Warning,
        }
    }

    /// Where it says it happens, in its own labels: `instance=db1, service=orders`. Outside text, cut.
    pub fn place(&self) -> String {
        let names = ["service", "job", "instance", "host", "namespace", "pod", "container"];
        let known = names.iter().filter_map(|name| self.label(name).filter(|v| !v.is_empty()).map(|value| (name, value)));
        let shown = known.map(|(name, value)| format!("{name}={}", value.chars().take(60).collect::<String>()));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// What the alert says of itself: summary, else description, else its name.
    pub fn headline(&self) -> &str {
        ["summary", "description", "message"]
            .iter()
            .find_map(|key| self.annotations.get(*key).map(|text| text.trim()).filter(|text| !text.is_empty()))
            .unwrap_or_else(|| self.name())
    }
}
