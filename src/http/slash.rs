//! Slack's slash command: `/paramedic halt REASON`, `/paramedic resume REASON`, `/paramedic orders`. Over HTTP signed like every
//! request of Slack's, or over Socket Mode; who is not an approver is told so and orders nothing.

use super::Doors;
use super::slack::{self, DoorError};
use crate::clients::slack::{Said, SlashCommand};
use crate::domain::{OrderKind, Reason, Time, Via};
use crate::engine::{Engine, Wish};
use crate::notify::SlackSettings;
use crate::store::{OrderError, StoreError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde_json::json;

#[derive(Debug, PartialEq, Eq)]
enum Words<'a> {
    Halt(&'a str),
    Resume(&'a str),
    Orders,
    Unclear,
}

fn words(text: &str) -> Words<'_> {
    let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    match word {
        "halt" => Words::Halt(rest),
        "resume" => Words::Resume(rest),
        "orders" => Words::Orders,
        _ => Words::Unclear,
    }
}

/// Over HTTP.
pub async fn receive(State(doors): State<Doors>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(settings) = &doors.slack else {
        return (StatusCode::NOT_FOUND, "slack is not configured\n").into_response();
    };
    let Some(secret) = &settings.signing_secret else {
        return (StatusCode::NOT_FOUND, "slack.signing_secret is not configured: slash commands over HTTP need it\n").into_response();
    };
    let command = match read(secret, &headers, &body, doors.clock.now()) {
        Ok(command) => command,
        Err(e) => {
            tracing::warn!(error = %e, "a request to /slack/commands was refused");
            return e.into_response();
        }
    };
    let app = command.app_id.clone();
    match take(&doors.engine, settings, command, app.as_ref()).await {
        Ok(Said { text, to_all }) => {
            let to = if to_all { "in_channel" } else { "ephemeral" };
            Json(json!({ "response_type": to, "text": text })).into_response()
        }
        Err(e) => {
            tracing::error!(error = %e, "an order could not be stored");
            (StatusCode::SERVICE_UNAVAILABLE, "the order could not be stored: nothing was ordered\n").into_response()
        }
    }
}

/// Over Socket Mode, whose connection our own app's token opened: that the app is ours needs no other proof.
pub async fn take_command(engine: &Engine, settings: &SlackSettings, command: SlashCommand) -> Result<Said, StoreError> {
    take(engine, settings, command, settings.app_id.as_ref()).await
}

/// That Slack sent it is known; whether the one who typed it may order, is looked at here.
async fn take(engine: &Engine, settings: &SlackSettings, command: SlashCommand, app: Option<&String>) -> Result<Said, StoreError> {
    if let Err(not_allowed) = slack::permitted(&command.user_id, command.team.as_ref(), app, settings) {
        tracing::warn!(user = %command.user_id, "a slash command by somebody who may not order");
        return Ok(to_the_user(&not_allowed.to_string()));
    }
    let (kind, reason) = match words(&command.text) {
        Words::Orders => return Ok(to_the_user(&in_force(engine).await?)),
        Words::Unclear => {
            return Ok(to_the_user("expected `halt REASON`, `resume REASON` or `orders`: nothing was ordered"));
        }
        Words::Halt(reason) => (OrderKind::Halt, reason),
        Words::Resume(reason) => (OrderKind::Resume, reason),
    };
    let reason = match Reason::parse(reason) {
        Ok(reason) => reason,
        Err(e) => return Ok(to_the_user(&format!("{e}: nothing was ordered"))),
    };
    match engine.order(Wish { kind, who: command.user_id, via: Via::Slack, reason }).await {
        Ok(order) => Ok(to_all(&order.to_string())),
        Err(OrderError::Store(e)) => Err(e),
        Err(e) => Ok(to_the_user(&e.to_string())),
    }
}

async fn in_force(engine: &Engine) -> Result<String, StoreError> {
    let in_force = engine.in_force().await?;
    let halts = in_force.halts.iter().map(|halt| format!("halted: {halt}"));
    let lines: Vec<String> = halts.chain(in_force.hands_off.into_iter().map(|(_, order)| order)).collect();
    Ok(if lines.is_empty() { "nothing stands in the way".into() } else { lines.join("\n") })
}

fn to_the_user(text: &str) -> Said {
    Said { text: crate::notify::escape(text), to_all: false }
}

/// The channel sees who halted and why.
fn to_all(text: &str) -> Said {
    Said { text: crate::notify::escape(text), to_all: true }
}

/// A field that comes twice is none: which one counts would be a guess.
fn read(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Time) -> Result<SlashCommand, DoorError> {
    slack::verify(secret, headers, body, now)?;
    let field = |name: &str| {
        let mut values = form_urlencoded::parse(body).filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    };
    let (Some(text), Some(user_id)) = (field("text"), field("user_id")) else { return Err(DoorError::Command) };
    Ok(SlashCommand { text, user_id, team: field("team_id"), app_id: field("api_app_id") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_word_and_a_reason() {
        let words = |text: &str| format!("{:?}", super::words(text));
        assert_eq!(words(" halt  deploy of the year "), "Halt(\" deploy of the year\")");
        assert_eq!(words("resume\tdone"), "Resume(\"done\")");
        assert_eq!((words("halt"), words("orders").as_str()), ("Halt(\"\")".to_owned(), "Orders"));
        for unclear in ["", "stop", "HALT now", "halted by mistake"] {
            assert_eq!(words(unclear), "Unclear", "{unclear}");
        }
    }

    #[test]
    fn a_field_that_comes_twice_or_a_body_without_a_user_is_no_command() {
        let secret = SecretString::from("s");
        let signed = |body: &str| {
            let signature = slack::signature(&secret, "100", body.as_bytes()).unwrap();
            let pairs = [(slack::TIMESTAMP, "100".to_owned()), (slack::SIGNATURE, signature)];
            let headers: HeaderMap = pairs.into_iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            read(&secret, &headers, body.as_bytes(), Time::from_timestamp(100, 0).unwrap())
        };
        assert_eq!(signed("text=halt+now&user_id=U1&team_id=T1").unwrap().user_id, "U1");
        for bad in ["", "text=halt", "user_id=U1", "text=halt&user_id=U1&user_id=U2", "text=halt&text=x&user_id=U1"] {
            assert!(matches!(signed(bad), Err(DoorError::Command)), "{bad}");
        }
        let unsigned = read(&secret, &HeaderMap::new(), b"text=halt&user_id=U1", Time::UNIX_EPOCH);
        assert!(matches!(unsigned, Err(DoorError::Signature(_))));
    }
}
