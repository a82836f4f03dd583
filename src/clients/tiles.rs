//! Reads a published log, from a folder or over HTTP: C2SP's tlog-tiles. What comes is bytes that nobody has verified yet.

use super::answer::{chain, read_limited};
use super::http::{self, HttpError};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// A full bundle of the longest leaves, and some room.
const LIMIT: usize = 20 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("`{0}` is not a log's address: expected http:// or https:// and a host")]
    Url(String),
    #[error("read {path}: {why}")]
    Read { path: String, why: String },
}

/// Where a published log lies.
#[derive(Debug, Clone)]
pub enum Tiles {
    Folder(PathBuf),
    Served { http: reqwest::Client, prefix: String, token: Option<SecretString> },
}

impl Tiles {
    /// `prefix` is what `checkpoint` and `tile/` stand below, such as `http://paramedic.example:9911/ledger`.
    pub fn served(prefix: &str, token: Option<SecretString>) -> Result<Self, TilesError> {
        if !http::is_url(prefix) {
            return Err(TilesError::Url(prefix.to_owned()));
        }
        Ok(Self::Served { http: http::client(TIMEOUT)?, prefix: prefix.trim_end_matches('/').to_owned(), token })
    }

    /// What lies at a path such as `tile/0/000`.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>, TilesError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(path);
                tokio::fs::read(&path).await.map_err(|e| TilesError::Read { path: path.display().to_string(), why: e.to_string() })
            }
            Self::Served { http, prefix, token } => {
                let whole = format!("{prefix}/{path}");
                let broken = |why: String| TilesError::Read { path: whole.clone(), why };
                let url = Url::parse(&whole).map_err(|e| broken(e.to_string()))?;
                let mut request = http.get(url);
                if let Some(token) = token {
                    request = request.bearer_auth(token.expose_secret());
                }
                let answer = request.send().await.map_err(|e| broken(chain(&e)))?;
                if !answer.status().is_success() {
                    return Err(broken(format!("answered {}", answer.status())));
                }
                read_limited(answer, LIMIT).await.map_err(|e| broken(e.to_string()))
            }
        }
    }
}
