//! A model's server with a script instead of a model: `/v1/chat/completions`, as strict about requests as the strictest real one
//! and as sloppy in its answers as the sloppiest. Answers in the script's order; after its end it says that it has no more to say.
//! A generator, where there is one, answers instead of the script.

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// One scripted answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These tools with these arguments, at once.
    Calls(Vec<(String, Json)>),
    /// Words and calls.
    Both(String, Vec<(String, Json)>),
    Text(String),
    /// A call whose arguments are this text, JSON or not.
    RawArguments(String, String),
    /// A call whose arguments are an object instead of text, without id or type.
    ObjectArguments(String, Json),
    /// A complete answer without usage, ids, finish_reason.
    Bare(String),
    /// No text, no calls.
    Empty,
    /// This body with status 200.
    Body(String),
    /// Any other status, `Retry-After` in seconds, any body.
    Status(u16, Option<u64>, String),
    /// Never answers.
    Hang,
    /// Breaks off in the middle of the answer.
    Drop,
}

impl Reply {
    pub fn call(tool: &str, arguments: Json) -> Self {
        Self::Calls(vec![(tool.to_owned(), arguments)])
    }

    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Makes an answer from the whole request. Runs on one of the server's threads: it must not block.
pub type Generator = dyn Fn(&Json) -> Reply + Send + Sync;

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    generator: Option<Arc<Generator>>,
    requests: Vec<Json>,
    refused: Vec<String>,
    key: Option<String>,
    answers: u64,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("replies", &self.replies).field("answers", &self.answers).finish_non_exhaustive()
    }
}

/// A running stand-in; dropping it ends it.
#[derive(Debug)]
pub struct ModelStandin {
    address: std::net::SocketAddr,
    script: Arc<Mutex<Script>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for ModelStandin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ModelStandin {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> std::io::Result<Self> {
        Self::with_key(replies, None).await
    }

    /// Answers 401 to any other key.
    pub async fn with_key(replies: impl IntoIterator<Item = Reply>, key: Option<&str>) -> std::io::Result<Self> {
        Self::serve(Script { replies: replies.into_iter().collect(), key: key.map(str::to_owned), ..Script::default() }).await
    }

    /// Answers by this instead of a script. Keeps no requests: the generator saw them all.
    pub async fn answering(generator: Arc<Generator>) -> std::io::Result<Self> {
        Self::serve(Script { generator: Some(generator), ..Script::default() }).await
    }

    async fn serve(script: Script) -> std::io::Result<Self> {
        let script = Arc::new(Mutex::new(script));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let limit = DefaultBodyLimit::max(LARGEST_REQUEST);
        let router = Router::new().route("/v1/chat/completions", post(complete)).layer(limit).with_state(Arc::clone(&script));
        let server = tokio::spawn(async move {
            // Ends when it is dropped; an error of the listener ends the script, and its client sees that.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, script, server })
    }

    /// The base URL to configure.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn push(&self, reply: Reply) {
        self.locked().replies.push_back(reply);
    }

    /// Every request that was well-formed, in order, repetitions included.
    pub fn requests(&self) -> Vec<Json> {
        self.locked().requests.clone()
    }

    /// Why requests were answered 400 or 401.
    pub fn refused(&self) -> Vec<String> {
        self.locked().refused.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a gateway would take.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

async fn complete(State(script): State<Arc<Mutex<Script>>>, headers: HeaderMap, body: Bytes) -> Response {
    let (reply, number, model) = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &script.key
            && headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) != Some(&format!("Bearer {key}"))
        {
            script.refused.push("wrong key".to_owned());
            return error(StatusCode::UNAUTHORIZED, "Incorrect API key provided");
        }
        let request = serde_json::from_slice::<Json>(&body).map_err(|error| format!("not JSON: {error}"));
        let checked = request.and_then(|request| check_request(&request).map(|()| request));
        match checked {
            Err(why) => {
                script.refused.push(why.clone());
                return error(StatusCode::BAD_REQUEST, &why);
            }
            Ok(request) => {
                let model = request["model"].clone();
                script.answers += 1;
                let number = script.answers;
                let reply = match script.generator.clone() {
                    Some(generator) => {
                        drop(script);
                        generator(&request)
                    }
                    None => {
                        script.requests.push(request);
                        script.replies.pop_front().unwrap_or_else(|| Reply::text("I have nothing more to say."))
                    }
                };
                (reply, number, model)
            }
        }
    };
    answer(reply, number, &model).await
}

async fn answer(reply: Reply, number: u64, model: &Json) -> Response {
    let calls = |calls: &[(String, Json)]| -> Vec<Json> {
        let call = |(index, (name, arguments)): (usize, &(String, Json))| json!({ "id": format!("chatcmpl-tool-{number}-{index}"), "type": "function", "function": { "name": name, "arguments": arguments.to_string() } });
        calls.iter().enumerate().map(call).collect()
    };
    match reply {
        Reply::Text(text) => whole(number, model, &json!({ "role": "assistant", "content": text }), "stop"),
        Reply::Empty => whole(number, model, &json!({ "role": "assistant", "content": "" }), "stop"),
        Reply::Calls(list) => {
            let message = json!({ "role": "assistant", "content": null, "tool_calls": calls(&list) });
            whole(number, model, &message, "tool_calls")
        }
        Reply::Both(text, list) => {
            let message = json!({ "role": "assistant", "content": text, "tool_calls": calls(&list) });
            whole(number, model, &message, "tool_calls")
        }
        Reply::RawArguments(name, arguments) => {
            let call = json!({ "id": "same-id", "type": "function", "function": { "name": name, "arguments": arguments } });
            whole(number, model, &json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls")
        }
        Reply::ObjectArguments(name, arguments) => {
            let call = json!({ "function": { "name": name, "arguments": arguments } });
            json_body(&json!({ "choices": [{ "message": { "content": null, "tool_calls": [call] } }] }).to_string())
        }
        Reply::Bare(text) => json_body(&json!({ "choices": [{ "message": { "content": text } }] }).to_string()),
        Reply::Body(body) => json_body(&body),
        Reply::Status(status, wait, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match wait {
                Some(wait) => (status, [(header::RETRY_AFTER, wait.to_string())], body).into_response(),
                None => (status, body).into_response(),
            }
        }
        Reply::Hang => std::future::pending().await,
        Reply::Drop => {
            let parts = [Ok(Bytes::from_static(b"{\"choices\"")), Err(std::io::Error::other("scripted to break off"))];
            Body::from_stream(futures::stream::iter(parts)).into_response()
        }
    }
}

fn whole(number: u64, model: &Json, message: &Json, finish: &str) -> Response {
    json_body(
        &json!({
            "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1_700_000_000, "model": model,
            "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
            "usage": { "prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100 },
        })
        .to_string(),
    )
}

fn json_body(body: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_owned()).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "code": status.as_u16() } });
    (status, body.to_string()).into_response()
}

/// What the strictest servers insist on.
fn check_request(request: &Json) -> Result<(), String> {
    let known = ["model", "messages", "tools", "temperature", "tool_choice", "max_tokens"];
    let fields = request.as_object().ok_or("the request is not an object")?;
    if let Some(odd) = fields.iter().find(|(name, value)| !known.contains(&name.as_str()) || value.is_null()) {
        return Err(format!("field {} is unknown or null", odd.0));
    }
    if request["model"].as_str().is_none_or(str::is_empty) {
        return Err("model is missing".to_owned());
    }
    for tool in request.get("tools").and_then(Json::as_array).unwrap_or(&Vec::new()) {
        check_tool(tool)?;
    }
    check_messages(request["messages"].as_array().filter(|list| !list.is_empty()).ok_or("messages are missing")?)
}

fn check_tool(tool: &Json) -> Result<(), String> {
    let function = &tool["function"];
    let name = function["name"].as_str().unwrap_or("");
    if tool["type"] != "function" || !good_name(name) {
        return Err(format!("tool `{name}` has no good type or name"));
    }
    if function["description"].as_str().is_none_or(str::is_empty) {
        return Err(format!("tool `{name}` has no description"));
    }
    let parameters = &function["parameters"];
    let properties = parameters["properties"].as_object();
    if parameters["type"] != "object" || properties.is_none() {
        return Err(format!("the parameters of `{name}` are no schema of an object"));
    }
    let required = parameters.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
    match required.iter().find(|key| key.as_str().is_none_or(|key| properties.is_none_or(|known| !known.contains_key(key)))) {
        Some(key) => Err(format!("the parameters of `{name}` require {key}, which is no property")),
        None => Ok(()),
    }
}

fn good_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Every call is answered by a tool message of its id before anybody else speaks, once, and ids are never used again.
fn check_messages(messages: &[Json]) -> Result<(), String> {
    let mut open = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut before = "";
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().ok_or_else(|| format!("messages[{index}] has no role"))?;
        if !message["content"].is_string() {
            return Err(format!("messages[{index}] has no text"));
        }
        if role != "tool" && !open.is_empty() {
            return Err(format!("messages[{index}]: calls {open:?} have not been answered"));
        }
        match role {
            "system" if index == 0 => {}
            "user" => {}
            "assistant" if before == "assistant" => return Err(format!("messages[{index}]: two assistant messages in a row")),
            "assistant" => open = check_calls(message, index, &mut used)?,
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or("");
                if !open.remove(id) {
                    return Err(format!("messages[{index}] answers `{id}`, which was not called"));
                }
            }
            _ => return Err(format!("messages[{index}] has role `{role}` out of place")),
        }
        before = role;
    }
    match before {
        "user" | "tool" if open.is_empty() => Ok(()),
        _ => Err("the last word is not the user's or a tool's, or calls have not been answered".to_owned()),
    }
}

fn check_calls(message: &Json, index: usize, used: &mut BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let mut open = BTreeSet::new();
    let Some(calls) = message.get("tool_calls") else { return Ok(open) };
    let calls = calls.as_array().filter(|calls| !calls.is_empty());
    for call in calls.ok_or_else(|| format!("messages[{index}].tool_calls is empty"))? {
        let id = call["id"].as_str().unwrap_or("").to_owned();
        let arguments = call["function"]["arguments"].as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
        let good = call["type"] == "function"
            && good_name(call["function"]["name"].as_str().unwrap_or(""))
            && arguments.is_some_and(|json| json.is_object());
        if !good || id.is_empty() || !used.insert(id.clone()) {
            return Err(format!("messages[{index}]: call `{id}` is malformed or used twice"));
        }
        open.insert(id);
    }
    Ok(open)
}
