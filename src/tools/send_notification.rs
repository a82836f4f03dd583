//! Tells humans something through the outbox.

use super::arguments::{read, schema, understood};
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Channel, Effect, Notice, Outcome, Severity, Tier};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Sends a message to the team. Use it to tell what you found; the outcome of an incident is told in any case.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// slack, pagerduty (pages somebody) or email.
    channel: Channel,
    /// info, warning or critical.
    severity: Word,
    /// Up to 2,000 characters.
    message: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Info,
    Warning,
    Critical,
}

impl From<Word> for Severity {
    fn from(word: Word) -> Self {
        match word {
            Word::Info => Self::Info,
            Word::Warning => Self::Warning,
            Word::Critical => Self::Critical,
        }
    }
}

pub struct SendNotification;

#[async_trait]
impl Tool for SendNotification {
    fn name(&self) -> &'static str {
        "send_notification"
    }

    fn tier(&self) -> Tier {
        Tier::Observe
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let mut arguments: Arguments = read(arguments)?;
        if arguments.message.trim().is_empty() {
            return Err("expected `message`: what to tell".into());
        }
        arguments.message = arguments.message.chars().take(2_000).collect();
        understood(&arguments, about.target.clone(), Effect::Talk)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let arguments: Arguments = match read(&permit.action().arguments) {
            Ok(arguments) => arguments,
            Err(e) => return Outcome::failed(e).into(),
        };
        if !bench.channels.contains(&arguments.channel) {
            return Outcome::failed(format!("{} is not configured", arguments.channel)).into();
        }
        let severity = Severity::from(arguments.severity);
        let notice = match arguments.channel {
            Channel::Pagerduty => Notice::Page { severity, summary: arguments.message },
            Channel::Slack | Channel::Email => Notice::Message { severity, text: arguments.message },
        };
        let outcome = Outcome::ok(
            format!("a message to {} is in the outbox", arguments.channel),
            json!({ "channel": arguments.channel, "queued": true }),
        );
        Ran { outcome, notices: vec![(arguments.channel, notice)] }
    }
}
