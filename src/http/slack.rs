//! Slack's door: is it Slack who speaks, what was clicked, may this user decide? Verifies the raw bytes before anything is decoded.
//! Never decides: a click is only a click until the engine has stored it.

use crate::clients::slack::{Click, ClickError};
use crate::domain::Time;
use crate::notify::SlackSettings;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

pub const SIGNATURE: &str = "x-slack-signature";
pub const TIMESTAMP: &str = "x-slack-request-timestamp";

/// Seconds, either way.
const WINDOW: u64 = 300;

#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("no signing secret is configured")]
    NoSecret,
    #[error("expected exactly one {0} header")]
    Header(&'static str),
    #[error("the timestamp is no number of seconds")]
    Timestamp,
    #[error("the request is {0} s away from now: at most {WINDOW} s count")]
    Stale(u64),
    #[error("the signature does not fit the body")]
    Wrong,
}

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("expected exactly one form field `payload`")]
    Form,
    #[error("expected the form fields `text` and `user_id`, each once")]
    Command,
    #[error(transparent)]
    Click(#[from] ClickError),
}

impl IntoResponse for DoorError {
    /// The caller learns which half failed; the log has the rest.
    fn into_response(self) -> Response {
        match self {
            Self::Signature(_) => (StatusCode::UNAUTHORIZED, "the request is not signed by Slack, or too old\n").into_response(),
            Self::Form | Self::Command | Self::Click(_) => (StatusCode::BAD_REQUEST, format!("{self}\n")).into_response(),
        }
    }
}

/// A request to `POST /slack/interactions`. `body` is as it came over the wire.
pub fn receive(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Time) -> Result<Click, DoorError> {
    verify(secret, headers, body, now)?;
    Ok(Click::parse(&payload(body)?)?)
}

/// Signed by Slack, within the window. The same bytes pass again inside it: that an approval is decided once is the store's part.
pub fn verify(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Time) -> Result<(), SignatureError> {
    let timestamp = only(headers, TIMESTAMP)?;
    let signature = only(headers, SIGNATURE)?;
    if secret.expose_secret().is_empty() {
        return Err(SignatureError::NoSecret);
    }
    let claimed = signature.strip_prefix("v0=").and_then(|hex| hex::decode(hex).ok());
    let mac = mac(secret, timestamp, body)?;
    // `verify_slice` compares in constant time.
    mac.verify_slice(&claimed.ok_or(SignatureError::Wrong)?).map_err(|_| SignatureError::Wrong)?;
    let at: i64 = timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
    match now.timestamp().abs_diff(at) {
        away if away > WINDOW => Err(SignatureError::Stale(away)),
        _ => Ok(()),
    }
}

/// `v0=…`, as Slack writes it.
pub fn signature(secret: &SecretString, timestamp: &str, body: &[u8]) -> Result<String, SignatureError> {
    let mac = mac(secret, timestamp, body)?;
    Ok(format!("v0={}", hex::encode(mac.finalize().into_bytes())))
}

/// Why a click does not count; what the user who clicked is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("you are not on the list of approvers (slack.approvers): nothing was decided")]
    NoApprover,
    #[error("this click comes from another workspace: nothing was decided")]
    OtherTeam,
    #[error("this click comes from another app: nothing was decided")]
    OtherApp,
}

/// A signature proves that Slack sent it; this, that the one who clicked may decide.
pub fn may_decide(click: &Click, settings: &SlackSettings) -> Result<(), NotAllowed> {
    permitted(&click.user_id, click.team.as_ref(), click.app_id.as_ref(), settings)
}

/// Does this user's word count, coming from this workspace and app?
pub fn permitted(user: &str, team: Option<&String>, app: Option<&String>, settings: &SlackSettings) -> Result<(), NotAllowed> {
    let fits = |wanted: &Option<String>, is: Option<&String>| wanted.is_none() || wanted.as_ref() == is;
    if !fits(&settings.team_id, team) {
        return Err(NotAllowed::OtherTeam);
    }
    if !fits(&settings.app_id, app) {
        return Err(NotAllowed::OtherApp);
    }
    if allowed(user, &settings.approvers) { Ok(()) } else { Err(NotAllowed::NoApprover) }
}

/// Doubt denies: with no approvers listed, nobody is one.
pub fn allowed(user_id: &str, approvers: &[String]) -> bool {
    !user_id.is_empty() && approvers.iter().any(|approver| approver == user_id)
}

fn mac(secret: &SecretString, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, SignatureError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|_| SignatureError::NoSecret)?;
    for part in [b"v0:", timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    Ok(mac)
}

fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(SignatureError::Header(name)),
    }
}

fn payload(body: &[u8]) -> Result<String, DoorError> {
    let mut payloads = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
    match (payloads.next(), payloads.next()) {
        (Some((_, payload)), None) => Ok(payload.into_owned()),
        _ => Err(DoorError::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const KNOWN: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn headers(timestamp: &str, signature: &str) -> HeaderMap {
        let pairs = [(TIMESTAMP, timestamp), (SIGNATURE, signature)];
        pairs.into_iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn at(seconds: i64) -> Time {
        DateTime::from_timestamp(1_531_420_618, 0).unwrap() + TimeDelta::seconds(seconds)
    }

    #[test]
    fn slacks_own_known_answer_verifies_and_anything_else_does_not() {
        let secret = SecretString::from(SECRET);
        assert_eq!(signature(&secret, "1531420618", BODY.as_bytes()).unwrap(), KNOWN);
        let good = headers("1531420618", KNOWN);
        verify(&secret, &good, BODY.as_bytes(), at(0)).unwrap();

        let tampered = BODY.replace("roadrunner", "coyote");
        assert!(matches!(verify(&secret, &good, tampered.as_bytes(), at(0)), Err(SignatureError::Wrong)));
        assert!(matches!(verify(&SecretString::from("other"), &good, BODY.as_bytes(), at(0)), Err(SignatureError::Wrong)));
        assert!(matches!(verify(&SecretString::from(""), &good, BODY.as_bytes(), at(0)), Err(SignatureError::NoSecret)));
        for forged in ["v0=", "v0=zz", "v1=a2", &KNOWN[3..], &KNOWN[..40], ""] {
            let forged = headers("1531420618", forged);
            assert!(matches!(verify(&secret, &forged, BODY.as_bytes(), at(0)), Err(SignatureError::Wrong)));
        }
        assert!(matches!(verify(&secret, &HeaderMap::new(), BODY.as_bytes(), at(0)), Err(SignatureError::Header(_))));
    }

    #[test]
    fn a_request_counts_for_five_minutes_either_way() {
        let secret = SecretString::from(SECRET);
        let good = headers("1531420618", KNOWN);
        for near in [-300, 300] {
            verify(&secret, &good, BODY.as_bytes(), at(near)).unwrap();
        }
        for far in [-301, 301, 4_000_000] {
            assert!(matches!(verify(&secret, &good, BODY.as_bytes(), at(far)), Err(SignatureError::Stale(_))));
        }
        let odd = headers("9223372036854775807x", &signature(&secret, "9223372036854775807x", b"").unwrap());
        assert!(matches!(verify(&secret, &odd, b"", at(0)), Err(SignatureError::Timestamp)));
        let far = headers("-9223372036854775808", &signature(&secret, "-9223372036854775808", b"").unwrap());
        assert!(matches!(verify(&secret, &far, b"", at(0)), Err(SignatureError::Stale(_))));
    }

    #[test]
    fn a_form_has_one_payload() {
        for bad in ["", "payload", "other=1", "payload={}&payload={}"] {
            let result = payload(bad.as_bytes());
            assert!(bad == "payload" || matches!(result, Err(DoorError::Form)), "{bad}: {result:?}");
        }
        assert_eq!(payload(b"payload=%7B%7D").unwrap(), "{}");
    }

    #[test]
    fn a_click_counts_from_an_approver_of_the_configured_workspace_and_app() {
        let payload = serde_json::json!({
            "type": "block_actions", "user": { "id": "U1" }, "team": { "id": "T1" }, "api_app_id": "A1",
            "actions": [{ "action_id": "deny", "value": r#"{"approval":"APR-3","digest":"ab"}"# }]
        });
        let click = Click::read(&payload).unwrap();
        let with = |more: serde_json::Value| {
            let mut settings = serde_json::json!({ "bot_token": "x", "channel": "#ops", "approvers": ["U1"] });
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            may_decide(&click, &serde_json::from_value(settings).unwrap())
        };
        assert_eq!(with(serde_json::json!({})), Ok(()));
        assert_eq!(with(serde_json::json!({ "team_id": "T1", "app_id": "A1" })), Ok(()));
        assert_eq!(with(serde_json::json!({ "team_id": "T2" })), Err(NotAllowed::OtherTeam));
        assert_eq!(with(serde_json::json!({ "app_id": "A2" })), Err(NotAllowed::OtherApp));
        assert_eq!(with(serde_json::json!({ "approvers": ["U2"] })), Err(NotAllowed::NoApprover));
        let teamless = Click { team: None, ..click.clone() };
        let settings = serde_json::json!({ "bot_token": "x", "channel": "#ops", "approvers": ["U1"], "team_id": "T1" });
        assert_eq!(may_decide(&teamless, &serde_json::from_value(settings).unwrap()), Err(NotAllowed::OtherTeam));
    }

    #[test]
    fn nobody_may_decide_unless_listed() {
        assert!(!allowed("U1", &[]));
        assert!(!allowed("", &[String::new()]));
        assert!(!allowed("U1", &["U11".into()]));
        assert!(allowed("U1", &["U0".into(), "U1".into()]));
    }
}
