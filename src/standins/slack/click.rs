//! A user's click as Slack delivers it: the full payload, form-encoded and signed; and the forgeries that must not pass.

use super::{Shared, SlackMessage, SlackStandin, api};
use crate::clients::http;
use crate::domain::Time;
use crate::http::slack::{SIGNATURE, SignatureError, TIMESTAMP, signature};
use crate::standins::serve::lock;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::Duration;

/// Slack waits this long for an acknowledgement.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// Signed with another secret.
    WrongSecret,
    /// Altered after it was signed.
    Tampered,
    /// Signed six minutes ago.
    Stale,
    /// Well signed, but with two actions at once.
    TwoActions,
}

#[derive(Debug, thiserror::Error)]
pub enum ClickError {
    #[error("no message {0}")]
    NoMessage(String),
    #[error("the message has no button `{0}`: it shows {1:?}")]
    NoButton(String, Vec<String>),
    #[error("sign the click")]
    Sign(#[from] SignatureError),
    #[error("deliver the click to {0}: {1}")]
    Deliver(String, String),
    #[error("nobody is connected over Socket Mode")]
    NotLinked,
    #[error("the click was not acknowledged within {0:?}")]
    NotAcknowledged(Duration),
}

/// Bytes that can be delivered, again and again.
#[derive(Debug, Clone)]
pub struct SignedClick {
    pub body: String,
    pub timestamp: String,
    pub signature: String,
}

impl SlackStandin {
    /// Clicks a live button of the message `ts` as `user`, over HTTP; `base_url` is Paramedic's. The status of its answer.
    pub async fn click(&self, base_url: &str, ts: &str, action_id: &str, user: &str, now: Time) -> Result<u16, ClickError> {
        let signed = self.sign_click(ts, action_id, user, None, now)?;
        self.deliver(base_url, &signed).await
    }

    pub fn sign_click(
        &self,
        ts: &str,
        action_id: &str,
        user: &str,
        forgery: Option<Forgery>,
        now: Time,
    ) -> Result<SignedClick, ClickError> {
        let mut payload = self.shared.payload(ts, action_id, user)?;
        if forgery == Some(Forgery::TwoActions) {
            let first = payload["actions"][0].clone();
            payload["actions"] = json!([first, first]);
        }
        let encoded =
            |payload: &Value| form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
        let age = if forgery == Some(Forgery::Stale) { 360 } else { 0 };
        let secret = match forgery {
            Some(Forgery::WrongSecret) => "0000000000000000000000000000000",
            _ => Self::SIGNING_SECRET,
        };
        let timestamp = (now.timestamp() - age).to_string();
        let body = encoded(&payload);
        let signature = signature(&SecretString::from(secret), &timestamp, body.as_bytes())?;
        if forgery == Some(Forgery::Tampered) {
            payload["user"]["id"] = json!("U0MALLORY");
        }
        Ok(SignedClick { body: encoded(&payload), timestamp, signature })
    }

    /// Posts the bytes to Paramedic's door; delivering twice is a replay.
    pub async fn deliver(&self, base_url: &str, click: &SignedClick) -> Result<u16, ClickError> {
        Ok(self.post(&format!("{base_url}/slack/interactions"), click).await?.0)
    }

    /// The status and the text of the answer.
    async fn post(&self, url: &str, click: &SignedClick) -> Result<(u16, String), ClickError> {
        let failed = |error: &dyn std::error::Error| ClickError::Deliver(url.to_owned(), error.to_string());
        let client = http::client(PATIENCE).map_err(|error| failed(&error))?;
        let request = client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header(TIMESTAMP, &click.timestamp)
            .header(SIGNATURE, &click.signature)
            .body(click.body.clone());
        let answer = request.send().await.map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(|error| failed(&error))?))
    }

    /// `/paramedic TEXT` by `user`, as Slack posts it; what Slack would show: `{response_type, text}`.
    pub async fn command(&self, base_url: &str, text: &str, user: &str, now: Time) -> Result<Value, ClickError> {
        let fields = self.command_fields(text, user);
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let timestamp = now.timestamp().to_string();
        let signature = signature(&SecretString::from(Self::SIGNING_SECRET), &timestamp, body.as_bytes())?;
        let signed = SignedClick { body, timestamp, signature };
        let url = format!("{base_url}/slack/commands");
        let (_, said) = self.post(&url, &signed).await?;
        serde_json::from_str(&said).map_err(|error| ClickError::Deliver(url, format!("{error} in `{said}`")))
    }

    /// The same command over Socket Mode; what came back with the acknowledgement.
    pub async fn socket_command(&self, text: &str, user: &str) -> Result<Value, ClickError> {
        let payload = self.command_fields(text, user).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let envelope = self.shared.send("slash_commands", Value::Object(payload)).ok_or(ClickError::NotLinked)?;
        self.acknowledged(&envelope).await
    }

    fn command_fields(&self, text: &str, user: &str) -> [(&'static str, String); 13] {
        [
            ("token", "verification-token".to_owned()),
            ("team_id", Self::TEAM.to_owned()),
            ("team_domain", "stand-in".to_owned()),
            ("channel_id", Self::CHANNEL.to_owned()),
            ("channel_name", Self::CHANNEL_NAME.trim_start_matches('#').to_owned()),
            ("user_id", user.to_owned()),
            ("user_name", "somebody".to_owned()),
            ("command", "/paramedic".to_owned()),
            ("text", text.to_owned()),
            ("api_app_id", Self::APP.to_owned()),
            ("is_enterprise_install", "false".to_owned()),
            ("response_url", format!("{}/respond/command", self.shared.base)),
            ("trigger_id", "1.2.3".to_owned()),
        ]
    }

    async fn acknowledged(&self, envelope: &str) -> Result<Value, ClickError> {
        let look = || lock(&self.shared.state).acknowledged.get(envelope).cloned();
        let seen = self.shared.news.until(PATIENCE, look).await;
        seen.ok_or(ClickError::NotAcknowledged(PATIENCE))
    }

    /// The same click over Socket Mode; returns once it is acknowledged.
    pub async fn socket_click(&self, ts: &str, action_id: &str, user: &str) -> Result<(), ClickError> {
        let payload = self.shared.payload(ts, action_id, user)?;
        let envelope = self.shared.send("interactive", payload).ok_or(ClickError::NotLinked)?;
        self.acknowledged(&envelope).await.map(|_| ())
    }
}

impl Shared {
    fn payload(&self, ts: &str, action_id: &str, user: &str) -> Result<Value, ClickError> {
        let mut state = lock(&self.state);
        let message = state.messages.iter().find(|message| message.ts == ts).cloned();
        let message = message.ok_or_else(|| ClickError::NoMessage(ts.to_owned()))?;
        let button = button(&message, action_id)?;
        let count = state.next();
        Ok(json!({
            "type": "block_actions",
            "user": { "id": user, "username": user.to_lowercase(), "name": user.to_lowercase(), "team_id": SlackStandin::TEAM },
            "api_app_id": SlackStandin::APP,
            "token": "verification-token",
            "container": { "type": "message", "message_ts": ts, "channel_id": message.channel, "is_ephemeral": false },
            "trigger_id": format!("{count}.{}", SlackStandin::TEAM),
            "team": { "id": SlackStandin::TEAM, "domain": "stand-in" },
            "enterprise": null,
            "is_enterprise_install": false,
            "channel": { "id": message.channel, "name": SlackStandin::CHANNEL_NAME.trim_start_matches('#') },
            "message": api::shown(&message),
            "state": { "values": {} },
            "response_url": format!("{}/respond/{count}", self.base),
            "actions": [{
                "type": "button", "action_id": action_id, "block_id": "decision", "text": button["text"],
                "value": button["value"], "style": button["style"], "action_ts": format!("{}.{count:06}", 1_700_000_000 + count),
            }],
        }))
    }
}

fn button(message: &SlackMessage, action_id: &str) -> Result<Value, ClickError> {
    let found = message.elements().find(|element| element["action_id"] == action_id).cloned();
    found.ok_or_else(|| {
        let shown = message.buttons().into_iter().map(str::to_owned).collect();
        ClickError::NoButton(action_id.to_owned(), shown)
    })
}
