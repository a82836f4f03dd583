//! What went wrong with Slack, in the only terms that matter to a sender: try again, post anew, or give up.

use crate::clients::http::HttpError;
use crate::redaction::beginning;
use serde_json::Value;
use slack_morphism::errors::{SlackClientApiError, SlackClientError};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum SlackSetupError {
    #[error("`{0}` is not an address for Slack: expected https://slack.com/api (plain http only on loopback)")]
    Url(String),
    #[error("read the system's root certificates (Debian: ca-certificates)")]
    Roots(#[source] std::io::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// No variant carries a token or a body of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlackError {
    /// Not now. `after` is the least wait where Slack, or reason, names one; without it nobody knows whether it was taken.
    #[error("slack, to be tried again: {why}")]
    Later { after: Option<Duration>, why: String },
    /// The message to edit, or the thread to answer in, is not there any more.
    #[error("slack: {why}")]
    Gone { why: String },
    /// Until somebody puts it right: a token, a scope, a channel, an address.
    #[error("slack refuses: {why}")]
    Refused { why: String },
    /// The same message will never be taken.
    #[error("slack refuses the message: {why}")]
    Never { why: String },
}

const UNNAMED_LIMIT: Duration = Duration::from_secs(30);

impl SlackError {
    pub fn later(after: Option<Duration>, why: impl Into<String>) -> Self {
        Self::Later { after, why: why.into() }
    }

    pub fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }

    /// Of an answer with no word from Slack in it. A 4xx comes from something in between, or from a wrong address.
    pub(super) fn of_status(status: u16, after: Option<Duration>) -> Self {
        match status {
            429 => Self::later(Some(after.unwrap_or(UNNAMED_LIMIT)), "rate limited (429)"),
            400..=499 => Self::Refused { why: format!("answered {status}: is api_url right?") },
            _ => Self::later(None, format!("answered {status}")),
        }
    }

    fn of_code(error: &SlackClientApiError) -> Self {
        let why = match details(error) {
            Some(details) => format!("{}: {details}", error.code),
            None => error.code.clone(),
        };
        match error.code.as_str() {
            "message_not_found" | "thread_not_found" | "cant_update_message" | "edit_window_closed" => Self::Gone { why },
            "invalid_blocks"
            | "invalid_blocks_format"
            | "msg_too_long"
            | "msg_blocks_too_long"
            | "no_text"
            | "invalid_arguments"
            | "invalid_json"
            | "json_not_object"
            | "invalid_metadata_format" => Self::Never { why },
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => Self::later(Some(UNNAMED_LIMIT), why),
            "fatal_error" | "internal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => Self::later(None, why),
            // A token, a scope, a channel: an operator can put it right. An unknown word is treated the same: nothing is lost.
            _ => Self::Refused { why },
        }
    }
}

impl From<SlackClientError> for SlackError {
    fn from(error: SlackClientError) -> Self {
        match error {
            SlackClientError::RateLimitError(limit) => Self::of_status(429, limit.retry_after),
            SlackClientError::HttpError(http) => Self::of_status(http.status_code.as_u16(), None),
            SlackClientError::ApiError(api) => Self::of_code(&api),
            SlackClientError::HttpProtocolError(error) => {
                let cause = error.cause.map(|cause| cause.to_string());
                Self::later(None, format!("no connection: {}", cause.as_deref().unwrap_or("unknown cause")))
            }
            SlackClientError::ProtocolError(error) => Self::later(None, format!("answered what is not Slack's JSON: {}", error.json_error)),
            // The others do not come from a call; their texts may hold bodies.
            _ => Self::later(None, "the client failed"),
        }
    }
}

/// Slack says which block it does not like in `response_metadata.messages`.
fn details(error: &SlackClientApiError) -> Option<String> {
    let body: Value = serde_json::from_str(error.http_response_body.as_deref()?).ok()?;
    let messages = body.pointer("/response_metadata/messages")?.as_array()?;
    let text: Vec<_> = messages.iter().filter_map(Value::as_str).collect();
    (!text.is_empty()).then(|| beginning(&text.join("; "), 300))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> SlackError {
        SlackError::of_code(&SlackClientApiError::new(code.into()))
    }

    #[test]
    fn what_an_operator_can_repair_is_tried_again_slowly_and_a_bad_message_never() {
        for code in ["invalid_auth", "account_inactive", "channel_not_found", "missing_scope", "not_in_channel", "a_word_of_tomorrow"] {
            assert!(matches!(of(code), SlackError::Refused { .. }), "{code}");
        }
        assert!(matches!(of("internal_error"), SlackError::Later { after: None, .. }));
        assert!(matches!(of("invalid_blocks"), SlackError::Never { .. }));
        assert!(matches!(of("message_not_found"), SlackError::Gone { .. }));
    }
}
