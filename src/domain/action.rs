//! What a planner wants (a proposal), what it comes to on this inventory (an action), and what came of it (an outcome).

use super::danger::DangerLevel;
use super::inventory::{HostName, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a tool reaches. Ordered: a higher tier is never less dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Observe,
    Reversible,
    Disruptive,
    Destructive,
}

/// A planner's wish, not yet understood: the tool may not exist, the arguments may be nonsense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub tool: String,
    pub arguments: serde_json::Value,
    /// Why the planner wants it; shown to humans, judged by nobody.
    pub reason: String,
    /// The runbook's step id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The model's tool call id, so that its answer can be matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
}

/// Where an incident, or an action, takes place. Either may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.service, &self.host) {
            (Some(service), Some(host)) => write!(f, "{service} on {host}"),
            (Some(service), None) => write!(f, "{service}"),
            (None, Some(host)) => write!(f, "host {host}"),
            (None, None) => f.write_str("no known target"),
        }
    }
}

/// What an action would change, in the terms that the SafetyChecker judges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Reads only.
    Observe,
    /// Tells a human something.
    Talk,
    /// Asks a human a question; the answer authorises nothing.
    Question,
    /// Restarts these services (a pool and consumers are services too), each counted on its own budget.
    Restart { services: Vec<ServiceName> },
    /// Removes files older than `min_age_days` below `paths`.
    Clean { paths: Vec<String>, min_age_days: u32 },
    /// Adds `add` instances.
    Scale { service: ServiceName, add: u32 },
    /// Runs a diagnosis command; whether that changes something is what its danger level says.
    Command { command: String, danger: DangerLevel },
}

impl Effect {
    pub fn changes_something(&self) -> bool {
        match self {
            Self::Observe | Self::Talk | Self::Question => false,
            Self::Restart { .. } | Self::Clean { .. } | Self::Scale { .. } => true,
            Self::Command { danger, .. } => danger.changes_something(),
        }
    }
}

/// A tool with its arguments and target, understood. Says nothing about permission: that is `AuthorizedAction`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub tool: String,
    pub tier: Tier,
    pub target: Target,
    /// The arguments as the tool understood them, defaults filled in.
    pub arguments: serde_json::Value,
    pub effect: Effect,
    pub reason: String,
}

impl Action {
    /// `restart_service {"service":"api"}`, for transcripts and humans.
    pub fn summary(&self) -> String {
        format!("{} {}", self.tool, self.arguments)
    }
}

/// SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// Enough for a human to compare with what another surface shows.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

/// What a tool brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub ok: bool,
    /// One line for the transcript.
    pub said: String,
    /// What later steps and the model read; size-limited where it was made.
    #[serde(default)]
    pub output: serde_json::Value,
}

impl Outcome {
    pub fn ok(said: impl Into<String>, output: serde_json::Value) -> Self {
        Self { ok: true, said: said.into(), output }
    }

    pub fn failed(said: impl Into<String>) -> Self {
        let said = said.into();
        Self { ok: false, output: serde_json::json!({ "error": said }), said }
    }
}
