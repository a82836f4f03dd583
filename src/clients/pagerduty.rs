//! PagerDuty's Events API v2: trigger, acknowledge, resolve under one `dedup_key`. Cuts what is too long, with a mark, before it is
//! sent. Never decides when to page.

use super::http::{self, HttpError};
use crate::domain::Severity;
use reqwest::{StatusCode, Url, header::RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub const API_URL: &str = "https://events.pagerduty.com";

const TIMEOUT: Duration = Duration::from_secs(10);
/// PagerDuty asks for minutes, not seconds, after a 429.
const LIMITED: Duration = Duration::from_secs(120);

const MAX_DEDUP_KEY: usize = 255;
const MAX_SUMMARY: usize = 1024;
/// The API's limit is 512 KB for the whole event; the rest of ours is small.
const MAX_DETAILS: usize = 400 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum PagerDutySetupError {
    #[error("`{0}` is not an address for PagerDuty: expected {API_URL} (plain http only on loopback)")]
    Url(String),
    #[error(transparent)]
    Http(#[from] HttpError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PagerDutyError {
    #[error("pagerduty, to be tried again: {why}")]
    Later { after: Option<Duration>, why: String },
    /// Until somebody puts it right, here or there.
    #[error("pagerduty refuses: {why}")]
    Refused { why: String },
    /// This event will never be taken.
    #[error("pagerduty refuses the event: {why}")]
    Never { why: String },
}

/// What a responder's phone shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    pub summary: String,
    /// The host or service that is in trouble.
    pub source: String,
    pub severity: Severity,
    pub custom_details: Value,
}

pub struct PagerDuty {
    http: reqwest::Client,
    url: Url,
    routing_key: SecretString,
}

impl PagerDuty {
    pub fn new(api_url: &str, routing_key: SecretString) -> Result<Self, PagerDutySetupError> {
        let wrong = || PagerDutySetupError::Url(api_url.to_owned());
        let base = http::safe_url(api_url).ok_or_else(wrong)?;
        let url = base.join("/v2/enqueue").map_err(|_| wrong())?;
        Ok(Self { http: http::client(TIMEOUT)?, url, routing_key })
    }

    /// Opens an alert, or adds to the open one of the same key.
    pub async fn trigger(&self, dedup_key: &str, trigger: &Trigger) -> Result<(), PagerDutyError> {
        let severity = match trigger.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let payload = json!({
            "summary": cut(required(&trigger.summary, "no summary"), MAX_SUMMARY),
            "source": cut(required(&trigger.source, "paramedic"), MAX_SUMMARY),
            "severity": severity,
            "custom_details": bounded(&trigger.custom_details),
        });
        self.send("trigger", dedup_key, Some(payload)).await
    }

    pub async fn acknowledge(&self, dedup_key: &str) -> Result<(), PagerDutyError> {
        self.send("acknowledge", dedup_key, None).await
    }

    pub async fn resolve(&self, dedup_key: &str) -> Result<(), PagerDutyError> {
        self.send("resolve", dedup_key, None).await
    }

    async fn send(&self, event_action: &str, key: &str, payload: Option<Value>) -> Result<(), PagerDutyError> {
        let mut event = json!({
            "routing_key": self.routing_key.expose_secret(),
            "event_action": event_action,
            "dedup_key": dedup_key(key),
        });
        if let Some(payload) = payload {
            event["payload"] = payload;
            event["client"] = json!("Paramedic");
        }
        let reply = self.http.post(self.url.clone()).json(&event).send().await;
        let reply = reply.map_err(|e| PagerDutyError::Later { after: None, why: e.without_url().to_string() })?;
        judge(reply).await
    }
}

async fn judge(reply: reqwest::Response) -> Result<(), PagerDutyError> {
    let status = reply.status();
    let why = format!("answered {}", status.as_u16());
    let later = |after| Err(PagerDutyError::Later { after, why: why.clone() });
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::BAD_REQUEST => match reply.bytes().await {
            Ok(body) => Err(bad_request(&why, &body)),
            Err(_) => later(None),
        },
        StatusCode::TOO_MANY_REQUESTS => later(Some(retry_after(&reply).map_or(LIMITED, |named| named.max(LIMITED)))),
        status if status.is_client_error() || status.is_redirection() => Err(PagerDutyError::Refused { why }),
        _ => later(None),
    }
}

/// A 400 is for ever only where PagerDuty says what is wrong with the event itself. What it says of the routing key an operator can cure, and
/// what is not PagerDuty's own word comes from something in between.
fn bad_request(status: &str, body: &[u8]) -> PagerDutyError {
    let text = String::from_utf8_lossy(body);
    let why = format!("{status}: {}", cut(required(&text, "no reason given"), 300));
    let said: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let errors = said["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let of_the_key = |error: &Value| error.to_string().to_lowercase().replace('_', " ").contains("routing key");
    match said["status"] == "invalid event" && !errors.is_empty() && !errors.iter().any(of_the_key) {
        true => PagerDutyError::Never { why },
        false => PagerDutyError::Refused { why },
    }
}

fn retry_after(reply: &reqwest::Response) -> Option<Duration> {
    let seconds = reply.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A key that is too long keeps its head and gains its hash, so that two never become one.
fn dedup_key(key: &str) -> String {
    if key.len() <= MAX_DEDUP_KEY {
        return key.to_owned();
    }
    let mark = format!("~{}", hex::encode(&Sha256::digest(key)[..16]));
    let room = MAX_DEDUP_KEY - mark.len();
    let head = key.char_indices().take_while(|(at, c)| at + c.len_utf8() <= room).map(|(_, c)| c);
    head.chain(mark.chars()).collect()
}

fn required<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.trim().is_empty() { otherwise } else { text }
}

fn cut(text: &str, limit: usize) -> String {
    const MARK: &str = "… (cut)";
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let head = text.chars().take(limit - MARK.chars().count());
    head.chain(MARK.chars()).collect()
}

fn bounded(details: &Value) -> Value {
    let text = details.to_string();
    if text.len() <= MAX_DETAILS {
        return details.clone();
    }
    // An eighth in characters: each is at most four bytes, and escaping what JSON escaped already at most doubles it.
    json!({ "cut": cut(&text, MAX_DETAILS / 8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_fit_and_stay_apart() {
        let (a, b) = ("é".repeat(300) + "a", "é".repeat(300) + "b");
        assert!(dedup_key(&a).len() <= MAX_DEDUP_KEY);
        assert_ne!(dedup_key(&a), dedup_key(&b));
        assert_eq!(dedup_key("paramedic/INC-7"), "paramedic/INC-7");
    }

    #[test]
    fn a_wrong_key_can_be_cured_and_a_wrong_event_cannot() {
        let judged = |body: &str| bad_request("answered 400", body.as_bytes());
        for curable in [
            r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#,
            r#"{"status":"invalid key","message":"Event object is invalid","errors":["Invalid routing key"]}"#,
            "<html>Bad Request</html>",
            "",
        ] {
            assert!(matches!(judged(curable), PagerDutyError::Refused { .. }), "{curable}");
        }
        let wrong = r#"{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing or blank"]}"#;
        assert!(matches!(judged(wrong), PagerDutyError::Never { why } if why.contains("payload.summary")));
    }

    #[test]
    fn details_that_are_too_big_are_cut_with_a_mark_and_stay_under_the_limit() {
        for unit in ["x", "\u{1}", "\"", "🚑"] {
            let big = bounded(&json!({ "log": unit.repeat(600 * 1024) }));
            assert!(big.to_string().len() <= MAX_DETAILS, "{unit:?} gives {}", big.to_string().len());
            assert!(big["cut"].as_str().unwrap().ends_with("(cut)"));
        }
        assert_eq!(cut(&"s".repeat(2000), MAX_SUMMARY).chars().count(), MAX_SUMMARY);
    }
}
