//! How dangerous a shell command is, and what follows from that.

use super::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Ordered: a higher level is never less dangerous. Written in capitals, as on-call engineers read them in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DangerLevel {
    /// Shows the state of the machine and nothing that somebody wrote.
    Safe,
    /// Reads only: contents of files, logs, answers of services.
    Low,
    /// Changes little, or is not understood well enough to be called reading.
    Medium,
    /// Changes or removes something, runs code nobody looked at, or shows a secret.
    High,
    /// Cannot be undone, takes the machine down, touches security, or cannot be read at all.
    Critical,
}

impl DangerLevel {
    pub const ALL: [Self; 5] = [Self::Safe, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub fn verdict(self) -> Verdict {
        match self {
            Self::Safe | Self::Low => Verdict::Allow,
            Self::Medium | Self::High => Verdict::Confirm,
            Self::Critical => Verdict::Deny,
        }
    }

    /// May it change something?
    pub fn changes_something(self) -> bool {
        self >= Self::Medium
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "SAFE",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

impl fmt::Display for DangerLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for DangerLevel {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|level| level.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is no danger level: expected SAFE, LOW, MEDIUM, HIGH or CRITICAL"))
    }
}
