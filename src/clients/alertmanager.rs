//! Alertmanager's API v2, read only: which alerts there are now, and in what state.

use super::answer::{AnswerError, chain, read_limited};
use super::http::{self, HttpError};
use crate::domain::Time;
use crate::redaction::beginning;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: usize = 64 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum AlertmanagerError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("alertmanager did not answer: {0}")]
    Unreachable(String),
    #[error("alertmanager answered {status}: {body}")]
    Refused { status: u16, body: String },
    #[error("alertmanager answered something that is not its API's JSON: {0}")]
    Strange(String),
}

/// An alert that Alertmanager holds as active.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveAlert {
    pub labels: BTreeMap<String, String>,
    pub fingerprint: String,
    #[serde(rename = "startsAt")]
    pub starts_at: String,
    pub status: ActiveStatus,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveStatus {
    pub state: String,
}

/// An alert as Alertmanager holds it, in whatever state.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedAlert {
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    pub fingerprint: String,
    pub starts_at: Time,
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
    pub receivers: Vec<ReceiverName>,
    pub status: ListedStatus,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ReceiverName {
    pub name: String,
}

/// What keeps it from being sent: ids of silences, fingerprints of inhibiting alerts, names of time intervals (newer versions).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedStatus {
    /// active, suppressed or unprocessed.
    pub state: String,
    #[serde(default)]
    pub silenced_by: Vec<String>,
    #[serde(default)]
    pub inhibited_by: Vec<String>,
    #[serde(default)]
    pub muted_by: Vec<String>,
}

/// A complete list.
#[derive(Debug, Clone)]
pub struct Listing {
    pub alerts: Vec<ListedAlert>,
    /// A young Alertmanager has not been told of everything yet.
    pub up_since: Time,
}

#[derive(Debug, Deserialize)]
struct Status {
    uptime: Time,
}

#[derive(Debug, Clone)]
pub struct Alertmanager {
    client: reqwest::Client,
    url: String,
}

impl Alertmanager {
    pub fn new(url: &str) -> Result<Self, AlertmanagerError> {
        Ok(Self { client: http::client(Duration::from_secs(10))?, url: url.trim_end_matches('/').to_owned() })
    }

    /// Active alerts that fit all of the matchers (Alertmanager's syntax); all active ones without any.
    pub async fn active(&self, matchers: &[String]) -> Result<Vec<ActiveAlert>, AlertmanagerError> {
        let filters: Vec<(&str, &str)> = matchers.iter().map(|m| ("filter", m.as_str())).chain([("active", "true")]).collect();
        self.get("alerts", &filters).await
    }

    /// Everything it holds, silenced and inhibited alerts too. An answer that is not whole and readable is an error: what is not on the list
    /// may be taken for gone.
    pub async fn listing(&self) -> Result<Listing, AlertmanagerError> {
        let all = ["active", "silenced", "inhibited", "unprocessed"].map(|kind| (kind, "true"));
        let alerts = self.get("alerts", &all).await?;
        // Asked after the list: one that restarts in between is young then.
        let status: Status = self.get("status", &[]).await?;
        Ok(Listing { alerts, up_since: status.uptime })
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, query: &[(&str, &str)]) -> Result<T, AlertmanagerError> {
        let request = self.client.get(format!("{}/api/v2/{what}", self.url)).query(query);
        let response = request.send().await.map_err(|e| AlertmanagerError::Unreachable(chain(&e)))?;
        let status = response.status();
        let body = read_limited(response, LIMIT).await?;
        if !status.is_success() {
            let body = beginning(&String::from_utf8_lossy(&body), 300);
            return Err(AlertmanagerError::Refused { status: status.as_u16(), body });
        }
        serde_json::from_slice(&body).map_err(|e| AlertmanagerError::Strange(e.to_string()))
    }
}
