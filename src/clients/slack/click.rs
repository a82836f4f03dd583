//! A click on Approve or Deny, read leniently from Slack's interaction payload. Says what was clicked and by whom; whether that
//! person may decide, and whether there is still something to decide, is judged elsewhere.

use super::Posted;
use crate::domain::{ApprovalId, Decision, Digest};
use serde_json::Value;

/// The `action_id`s of the two buttons.
pub const APPROVE: &str = "approve";
pub const DENY: &str = "deny";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    pub approval: ApprovalId,
    pub decision: Decision,
    /// Of the action that the button spoke of; the approval's own must be the same.
    pub digest: Digest,
    pub user_id: String,
    pub user_name: String,
    pub team: Option<String>,
    pub app_id: Option<String>,
    /// Where the user can be answered; outside text, checked before use.
    pub response_url: Option<String>,
    /// The message with the buttons.
    pub message: Option<Posted>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClickError {
    #[error("the payload is not JSON")]
    NotJson(#[from] serde_json::Error),
    #[error("the payload is a `{0}`: expected block_actions")]
    NotAClick(String),
    #[error("the payload has no user")]
    NoUser,
    #[error("the payload has no action")]
    NoAction,
    #[error("the payload has {0} actions: expected one, so none is taken")]
    SeveralActions(usize),
    #[error("no button has the action id `{0}`")]
    UnknownAction(String),
    #[error("the button's value does not name an approval: {0}")]
    BadValue(String),
}

impl Click {
    pub fn parse(payload: &str) -> Result<Self, ClickError> {
        Self::read(&serde_json::from_str(payload)?)
    }

    pub fn read(payload: &Value) -> Result<Self, ClickError> {
        let kind = text(payload, "/type").unwrap_or_default();
        if kind != "block_actions" {
            return Err(ClickError::NotAClick(shown(&kind)));
        }
        let user_id = text(payload, "/user/id").filter(|id| !id.is_empty()).ok_or(ClickError::NoUser)?;
        let action = match payload.get("actions").and_then(Value::as_array).map(Vec::as_slice) {
            Some([action]) => action,
            None | Some([]) => return Err(ClickError::NoAction),
            Some(several) => return Err(ClickError::SeveralActions(several.len())),
        };
        let decision = decision(action)?;
        let (approval, digest) = value(action)?;
        let user_name = text(payload, "/user/username").or_else(|| text(payload, "/user/name"));
        Ok(Self {
            approval,
            decision,
            digest,
            user_name: user_name.unwrap_or_else(|| user_id.clone()),
            user_id,
            team: text(payload, "/team/id").or_else(|| text(payload, "/user/team_id")),
            app_id: text(payload, "/api_app_id"),
            response_url: text(payload, "/response_url"),
            message: message(payload),
        })
    }
}

fn decision(action: &Value) -> Result<Decision, ClickError> {
    match text(action, "/action_id").as_deref() {
        Some(APPROVE) => Ok(Decision::Grant),
        Some(DENY) => Ok(Decision::Deny),
        other => Err(ClickError::UnknownAction(shown(other.unwrap_or("")))),
    }
}

/// The value that our own renderer wrote; Slack brings it back as it was.
fn value(action: &Value) -> Result<(ApprovalId, Digest), ClickError> {
    let raw = text(action, "/value").ok_or_else(|| ClickError::BadValue("it has none".into()))?;
    let bad = |why: &str| ClickError::BadValue(format!("{why} in `{}`", shown(&raw)));
    let value: Value = serde_json::from_str(&raw).map_err(|_| bad("no JSON"))?;
    let approval = text(&value, "/approval").and_then(|id| id.parse().ok()).ok_or_else(|| bad("no approval"))?;
    let digest = text(&value, "/digest").filter(|d| !d.is_empty()).ok_or_else(|| bad("no digest"))?;
    Ok((approval, Digest(digest)))
}

fn message(payload: &Value) -> Option<Posted> {
    let channel = text(payload, "/container/channel_id").or_else(|| text(payload, "/channel/id"))?;
    let ts = text(payload, "/container/message_ts").or_else(|| text(payload, "/message/ts"))?;
    Some(Posted { channel, ts })
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

/// Outside text in an error message: short, and one line.
fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn payload() -> Value {
        json!({
            "type": "block_actions", "user": { "id": "U1", "username": "ana" }, "team": { "id": "T1" }, "api_app_id": "A1",
            "container": { "type": "message", "message_ts": "1.2", "channel_id": "C1" },
            "actions": [{ "type": "button", "action_id": "approve", "value": r#"{"approval":"APR-3","digest":"ab"}"# }]
        })
    }

    #[test]
    fn a_click_says_what_was_clicked_by_whom_and_where() {
        let click = Click::parse(&payload().to_string()).unwrap();
        assert_eq!((click.approval, click.decision), (ApprovalId(3), Decision::Grant));
        assert_eq!((click.user_id.as_str(), click.user_name.as_str()), ("U1", "ana"));
        assert_eq!(click.message, Some(Posted { channel: "C1".into(), ts: "1.2".into() }));
        assert_eq!(click.response_url, None);
    }

    #[test]
    fn several_actions_in_one_payload_are_refused_together() {
        let mut two = payload();
        let again = two["actions"][0].clone();
        two["actions"].as_array_mut().unwrap().push(again);
        assert!(matches!(Click::read(&two), Err(ClickError::SeveralActions(2))));
    }

    #[test]
    fn what_is_not_a_click_says_why() {
        let broken = |pointer: &str, with: Value| {
            let mut payload = payload();
            *payload.pointer_mut(pointer).unwrap() = with;
            Click::read(&payload).unwrap_err()
        };
        assert!(matches!(Click::parse("{"), Err(ClickError::NotJson(_))));
        assert!(matches!(Click::parse("[]"), Err(ClickError::NotAClick(_))));
        assert!(matches!(broken("/type", json!("view_submission")), ClickError::NotAClick(_)));
        assert!(matches!(broken("/user", json!(null)), ClickError::NoUser));
        assert!(matches!(broken("/actions", json!([])), ClickError::NoAction));
        assert!(matches!(broken("/actions/0/action_id", json!("drop")), ClickError::UnknownAction(_)));
        for value in
            [json!(null), json!("x"), json!("{}"), json!(r#"{"approval":"APR-0","digest":"ab"}"#), json!(r#"{"approval":"APR-3"}"#)]
        {
            assert!(matches!(broken("/actions/0/value", value), ClickError::BadValue(_)));
        }
    }
}
