//! Prometheus' query API, read only. The answer is read with a limit; warnings (a partial answer) are passed on, not dropped.

use super::answer::{AnswerError, chain, read_limited};
use super::http::{self, HttpError};
use prometheus_http_query::Client;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

const LIMIT: usize = 2 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("prometheus url `{url}`: {why}")]
    Url { url: String, why: String },
    #[error("prometheus did not answer: {0}")]
    Unreachable(String),
    #[error("prometheus refused the query: {0}")]
    Refused(String),
    #[error("prometheus answered something that is not its API's JSON: {0}")]
    Strange(String),
}

/// Samples as they came: `result` is Prometheus' own JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    pub result: Vec<Value>,
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<ResultSet>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct ResultSet {
    #[serde(default, rename = "resultType")]
    kind: String,
    result: Value,
}

impl ResultSet {
    /// A scalar (`1 + 1`, `scalar(x)`) and a text come as a bare pair of time and value: they are shown as one series without labels.
    fn series(self) -> Option<Vec<Value>> {
        match (self.kind.as_str(), self.result) {
            ("scalar" | "string", pair) => Some(vec![serde_json::json!({ "metric": {}, "value": pair })]),
            (_, Value::Array(series)) => Some(series),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub struct Prometheus(Client);

impl Prometheus {
    pub fn new(url: &str) -> Result<Self, PrometheusError> {
        let client = http::client(Duration::from_secs(15))?;
        let why = |e: prometheus_http_query::Error| PrometheusError::Url { url: url.to_owned(), why: e.to_string() };
        Ok(Self(Client::from(client, url).map_err(why)?))
    }

    pub async fn instant(&self, query: &str) -> Result<Answer, PrometheusError> {
        read(self.0.query(query).timeout(10_000).get_raw().await).await
    }

    /// From `start` to `end` (seconds since 1970), a sample every `step` seconds.
    pub async fn range(&self, query: &str, start: i64, end: i64, step: f64) -> Result<Answer, PrometheusError> {
        read(self.0.query_range(query, start, end, step).timeout(10_000).get_raw().await).await
    }
}

async fn read(response: Result<reqwest::Response, prometheus_http_query::Error>) -> Result<Answer, PrometheusError> {
    let response = response.map_err(|e| PrometheusError::Unreachable(chain(&e)))?;
    let body = read_limited(response, LIMIT).await?;
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|e| PrometheusError::Strange(e.to_string()))?;
    match (envelope.status.as_str(), envelope.data.map(ResultSet::series)) {
        ("success", Some(Some(result))) => Ok(Answer { result, warnings: envelope.warnings }),
        ("success", _) => Err(PrometheusError::Strange("no list of results".into())),
        (status, _) => Err(PrometheusError::Refused(envelope.error.unwrap_or_else(|| format!("status {status}")))),
    }
}
