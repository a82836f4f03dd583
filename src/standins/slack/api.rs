//! The Web API: token, channel, message and blocks are checked in Slack's order, failures use Slack's words.

use super::checks::{self, Refusal, refuse};
use super::{Shared, SlackMessage, SlackStandin};
use crate::standins::fault::Fault;
use crate::standins::serve::lock;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages of one answer.
const PAGE: usize = 3;

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/{method}", post(call).get(read)).route("/respond/{id}", post(respond)).with_state(shared)
}

async fn call(State(shared): State<Arc<Shared>>, Path(method): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    shared.count(&method);
    let fault = shared.faults.next(&method);
    if let Some(fault) = fault.filter(|fault| *fault != Fault::DoneButLost) {
        return fault.answer(r#"{"ok":false,"error":"ratelimited"}"#);
    }
    let answer = match method.as_str() {
        "chat.postMessage" => bot(&headers, &body).and_then(|body| post_message(&shared, &body)),
        "chat.update" => bot(&headers, &body).and_then(|body| update(&shared, &body)),
        "apps.connections.open" => open(&shared, &headers),
        other => Err(refuse("unknown_method", other)),
    };
    shared.news.tell();
    match (fault, answer) {
        (Some(lost), _) => lost.answer(""),
        (None, Ok(value)) => Json(value).into_response(),
        (None, Err(Refusal { error, detail })) => {
            Json(json!({ "ok": false, "error": error, "response_metadata": { "messages": [detail] } })).into_response()
        }
    }
}

/// What was said in a channel, newest first, or in a thread, oldest first; with what was posted unseen along with it.
async fn read(
    State(shared): State<Arc<Shared>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    shared.count(&method);
    if let Some(fault) = shared.faults.next(&method) {
        return fault.answer(r#"{"ok":false,"error":"ratelimited"}"#);
    }
    let answer = token(&headers, SlackStandin::BOT_TOKEN, "xoxb-").and_then(|()| said(&shared, &method, &asked));
    match answer {
        Ok(value) => Json(value).into_response(),
        Err(Refusal { error, detail }) => {
            Json(json!({ "ok": false, "error": error, "response_metadata": { "messages": [detail] } })).into_response()
        }
    }
}

fn said(shared: &Shared, method: &str, asked: &BTreeMap<String, String>) -> Result<Value, Refusal> {
    let word = |name: &str| asked.get(name).map(String::as_str).filter(|word| !word.is_empty());
    if word("channel") != Some(SlackStandin::CHANNEL) {
        return Err(refuse("channel_not_found", word("channel").unwrap_or("no channel")));
    }
    let state = lock(&shared.state);
    if !state.may_read {
        return Err(refuse("missing_scope", "channels:history"));
    }
    let mut found: Vec<&SlackMessage> = match (method, word("ts")) {
        ("conversations.replies", Some(ts)) => {
            state.messages.iter().filter(|message| message.ts == ts || message.thread_ts.as_deref() == Some(ts)).collect()
        }
        ("conversations.history", _) => state.messages.iter().rev().filter(|message| message.thread_ts.is_none()).collect(),
        (other, _) => return Err(refuse("unknown_method", other)),
    };
    if method == "conversations.replies" && found.is_empty() {
        return Err(refuse("thread_not_found", word("ts").unwrap_or("no ts")));
    }
    // Small pages, so that whoever reads has to turn them.
    let from: usize = word("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let more = found.len() > from + PAGE;
    found = found.into_iter().skip(from).take(PAGE).collect();
    let with_metadata = word("include_all_metadata") == Some("true");
    let messages = found.into_iter().map(|message| {
        let mut shown = shown(message);
        if with_metadata && let Some(metadata) = &message.metadata {
            shown["metadata"] = metadata.clone();
        }
        shown
    });
    let next = if more { (from + PAGE).to_string() } else { String::new() };
    Ok(json!({ "ok": true, "messages": messages.collect::<Vec<_>>(), "has_more": more, "response_metadata": { "next_cursor": next } }))
}

/// Where a click's `response_url` points.
async fn respond(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let parsed: Result<Value, _> = serde_json::from_slice(&body);
    let Some(text) = parsed.ok().and_then(|body| body.get("text")?.as_str().map(str::to_owned)) else {
        return (axum::http::StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    lock(&shared.state).answers.push(text);
    shared.news.tell();
    "ok".into_response()
}

fn bot(headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    token(headers, SlackStandin::BOT_TOKEN, "xoxb-")?;
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(refuse("invalid_post_type", kind));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| refuse("invalid_json", error.to_string()))?;
    if body.is_object() { Ok(body) } else { Err(refuse("json_not_object", "")) }
}

fn token(headers: &HeaderMap, expected: &str, kind: &str) -> Result<(), Refusal> {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    match sent.and_then(|value| value.strip_prefix("Bearer ")) {
        None => Err(refuse("not_authed", "no bearer token")),
        Some(sent) if sent == expected => Ok(()),
        Some(sent) if !sent.starts_with(kind) => Err(refuse("not_allowed_token_type", kind)),
        Some(_) => Err(refuse("invalid_auth", "")),
    }
}

fn text<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    body.get(key)?.as_str()
}

fn blocks(body: &Value) -> Vec<Value> {
    body.get("blocks").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn post_message(shared: &Shared, body: &Value) -> Result<Value, Refusal> {
    match text(body, "channel") {
        Some(SlackStandin::CHANNEL | SlackStandin::CHANNEL_NAME) => {}
        other => return Err(refuse("channel_not_found", other.unwrap_or("no channel"))),
    }
    checks::message(body)?;
    let mut state = lock(&shared.state);
    let thread_ts = text(body, "thread_ts").map(str::to_owned);
    if let Some(ts) = &thread_ts
        && !state.messages.iter().any(|message| message.ts == *ts)
    {
        return Err(refuse("thread_not_found", ts));
    }
    let count = state.next();
    let message = SlackMessage {
        channel: SlackStandin::CHANNEL.to_owned(),
        ts: format!("{}.{count:06}", 1_700_000_000 + count),
        thread_ts,
        text: text(body, "text").unwrap_or_default().to_owned(),
        blocks: blocks(body),
        metadata: body.get("metadata").cloned(),
        earlier: Vec::new(),
    };
    let answer = json!({ "ok": true, "channel": message.channel, "ts": message.ts, "message": shown(&message) });
    state.messages.push(message);
    Ok(answer)
}

fn update(shared: &Shared, body: &Value) -> Result<Value, Refusal> {
    // Unlike chat.postMessage, an edit takes no channel's name.
    if text(body, "channel") != Some(SlackStandin::CHANNEL) {
        return Err(refuse("channel_not_found", text(body, "channel").unwrap_or("no channel")));
    }
    checks::message(body)?;
    let mut state = lock(&shared.state);
    let found = state.messages.iter_mut().find(|message| Some(message.ts.as_str()) == text(body, "ts"));
    let message = found.ok_or_else(|| refuse("message_not_found", text(body, "ts").unwrap_or("no ts")))?;
    let before = (std::mem::take(&mut message.text), std::mem::take(&mut message.blocks));
    message.earlier.push(before);
    message.text = text(body, "text").unwrap_or_default().to_owned();
    message.blocks = blocks(body);
    Ok(json!({ "ok": true, "channel": message.channel, "ts": message.ts, "text": message.text, "message": shown(message) }))
}

pub fn shown(message: &SlackMessage) -> Value {
    json!({ "type": "message", "user": "U0BOT", "bot_id": "B0BOT", "ts": message.ts, "thread_ts": message.thread_ts,
        "text": message.text, "blocks": message.blocks })
}

/// Hands out an address that is good for one connection.
fn open(shared: &Shared, headers: &HeaderMap) -> Result<Value, Refusal> {
    token(headers, SlackStandin::APP_TOKEN, "xapp-")?;
    let mut state = lock(&shared.state);
    let ticket = format!("ticket-{}", state.next());
    state.tickets.insert(ticket.clone());
    Ok(json!({ "ok": true, "url": format!("{}/link/?ticket={ticket}", shared.socket) }))
}
