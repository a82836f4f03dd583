//! Puts a question to a human. The answer is data and authorises nothing.

use super::arguments::{read, schema, understood};
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Effect, Outcome, Tier};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks a human a question and waits for yes or no. The answer authorises nothing: an action that needs leave is asked for by itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// What the question is about.
    action_description: String,
    /// Why you ask.
    reason: String,
    /// low, medium or high.
    risk_level: RiskLevel,
    /// How it could be undone.
    #[serde(default)]
    rollback_plan: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RiskLevel {
    Low,
    Medium,
    High,
}

pub struct RequestHumanConfirmation;

#[async_trait]
impl Tool for RequestHumanConfirmation {
    fn name(&self) -> &'static str {
        "request_human_confirmation"
    }

    fn tier(&self) -> Tier {
        Tier::Observe
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let mut arguments: Arguments = read(arguments)?;
        if arguments.action_description.trim().is_empty() {
            return Err("expected `action_description`: what the human is asked".into());
        }
        arguments.action_description = arguments.action_description.chars().take(1_500).collect();
        arguments.reason = arguments.reason.chars().take(1_000).collect();
        understood(&arguments, about.target.clone(), Effect::Question)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        // The gate answers a question with the human's decision; there is nothing to run.
        let _ = (permit, bench);
        Outcome::failed("a question is answered by a human, not run").into()
    }
}
