//! Asks a witness for a cosignature: C2SP's tlog-witness, `POST URL/add-checkpoint`. Sends checkpoints and proofs, never entries.

use super::answer::{chain, read_limited};
use super::http::{self, HttpError};
use crate::redaction::beginning;
use reqwest::Url;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const LIMIT: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("`{0}` is not a witness's address: expected http:// or https:// and a host")]
    Url(String),
    #[error("the witness did not answer: {0}")]
    Unreachable(String),
}

/// What a witness says to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Its signature lines, not verified.
    Cosigned(Vec<u8>),
    /// It has seen a checkpoint of this size last.
    Conflict(u64),
    Refused {
        status: u16,
        said: String,
    },
}

#[derive(Debug, Clone)]
pub struct WitnessClient {
    http: reqwest::Client,
    url: Url,
}

impl WitnessClient {
    pub fn new(prefix: &str) -> Result<Self, WitnessError> {
        let wrong = || WitnessError::Url(prefix.to_owned());
        if !http::is_url(prefix) {
            return Err(wrong());
        }
        let url = Url::parse(&format!("{}/add-checkpoint", prefix.trim_end_matches('/'))).map_err(|_| wrong())?;
        Ok(Self { http: http::client(TIMEOUT)?, url })
    }

    pub async fn add_checkpoint(&self, body: String) -> Result<Reply, WitnessError> {
        let sent = self.http.post(self.url.clone()).body(body).send().await;
        let answer = sent.map_err(|e| WitnessError::Unreachable(chain(&e)))?;
        let status = answer.status().as_u16();
        let body = read_limited(answer, LIMIT).await.map_err(|e| WitnessError::Unreachable(e.to_string()))?;
        if status == 200 {
            return Ok(Reply::Cosigned(body));
        }
        let said = String::from_utf8_lossy(&body).into_owned();
        match (status, said.trim_end().parse()) {
            (409, Ok(size)) => Ok(Reply::Conflict(size)),
            _ => Ok(Reply::Refused { status, said: beginning(&said, 200) }),
        }
    }
}
