//! The configuration of what tells humans. Secrets are secrets from the moment they are read.

use crate::clients::{pagerduty, slack};
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSettings {
    pub bot_token: SecretString,
    /// An id or `#name`.
    pub channel: String,
    #[serde(default = "slack_api_url")]
    pub api_url: String,
    /// Slack user ids that may decide. Empty: nobody may.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// The workspace and the app that clicks must come from, where they are set (`T…`, `A…`).
    #[serde(default)]
    pub team_id: Option<String>,
    #[serde(default)]
    pub app_id: Option<String>,
    /// For clicks over HTTP.
    #[serde(default)]
    pub signing_secret: Option<SecretString>,
    /// For clicks over Socket Mode.
    #[serde(default)]
    pub app_token: Option<SecretString>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutySettings {
    pub routing_key: SecretString,
    #[serde(default = "pagerduty_api_url")]
    pub api_url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// `smtp://host:port` or `smtps://host:port`; may hold a login.
    pub url: SecretString,
    pub from: String,
    pub to: Vec<String>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<SecretString>,
}

fn slack_api_url() -> String {
    slack::API_URL.to_owned()
}

fn pagerduty_api_url() -> String {
    pagerduty::API_URL.to_owned()
}
