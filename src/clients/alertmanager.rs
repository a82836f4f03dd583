//! Alertmanager's API v2, read only: which alerts are active now.

use super::answer::{AnswerError, chain, read_limited};
use super::http::{self, HttpError};
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
        let request = self.client.get(format!("{}/api/v2/alerts", self.url)).query(&filters);
        let response = request.send().await.map_err(|e| AlertmanagerError::Unreachable(chain(&e)))?;
        let status = response.status();
        let body = read_limited(response, LIMIT).await?;
        if !status.is_success() {
            let body = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
            return Err(AlertmanagerError::Refused { status: status.as_u16(), body });
        }
        serde_json::from_slice(&body).map_err(|e| AlertmanagerError::Strange(e.to_string()))
    }
}
