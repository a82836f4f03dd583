//! Slack on loopback: the Web API as far as Paramedic uses it, the buttons' clicks over HTTP and over Socket Mode.

mod api;
mod checks;
mod click;
mod socket;

pub use click::{ClickError, Forgery, SignedClick};

use super::fault::Faults;
use super::serve::{News, Served, bind, lock, serve};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// A message as the channel shows it now.
#[derive(Debug, Clone, PartialEq)]
pub struct SlackMessage {
    pub channel: String,
    pub ts: String,
    pub thread_ts: Option<String>,
    pub text: String,
    pub blocks: Vec<Value>,
    /// What the application posted along with it, unseen.
    pub metadata: Option<Value>,
    /// What it said before each edit, oldest first.
    pub earlier: Vec<(String, Vec<Value>)>,
}

impl SlackMessage {
    /// The `action_id`s of its live buttons.
    pub fn buttons(&self) -> Vec<&str> {
        self.elements().filter_map(|element| element.get("action_id")?.as_str()).collect()
    }

    fn elements(&self) -> impl Iterator<Item = &Value> {
        let actions = self.blocks.iter().filter(|block| block["type"] == "actions");
        actions.filter_map(|block| block.get("elements")?.as_array()).flatten()
    }

    /// All text that a reader sees, a line a text object.
    pub fn shown(&self) -> String {
        fn collect(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    into.extend(map.get("text").and_then(Value::as_str).map(str::to_owned));
                    let sorted: BTreeMap<_, _> = map.iter().collect();
                    sorted.values().for_each(|inner| collect(inner, into));
                }
                Value::Array(items) => items.iter().for_each(|inner| collect(inner, into)),
                _ => {}
            }
        }
        let mut texts = Vec::new();
        self.blocks.iter().for_each(|block| collect(block, &mut texts));
        texts.join("\n")
    }
}

#[derive(Debug)]
struct State {
    messages: Vec<SlackMessage>,
    /// Calls of each method, those that failed included.
    calls: BTreeMap<String, usize>,
    /// Is the scope `channels:history` there?
    may_read: bool,
    /// Ephemeral answers, in order.
    answers: Vec<String>,
    /// Counts timestamps, tickets and envelopes.
    count: u64,
    tickets: BTreeSet<String>,
    links: Vec<UnboundedSender<String>>,
    /// By envelope, with what came along.
    acknowledged: BTreeMap<String, Value>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            calls: BTreeMap::new(),
            may_read: true,
            answers: Vec::new(),
            count: 0,
            tickets: BTreeSet::new(),
            links: Vec::new(),
            acknowledged: BTreeMap::new(),
        }
    }
}

impl Shared {
    fn count(&self, method: &str) {
        *lock(&self.state).calls.entry(method.to_owned()).or_default() += 1;
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    faults: Faults,
    news: News,
    /// `http://127.0.0.1:PORT`
    base: String,
    /// `ws://127.0.0.1:PORT`
    socket: String,
}

#[derive(Debug)]
pub struct SlackStandin {
    shared: Arc<Shared>,
    _servers: [Served; 2],
}

impl SlackStandin {
    pub const BOT_TOKEN: &'static str = "xoxb-stand-in";
    pub const APP_TOKEN: &'static str = "xapp-stand-in";
    pub const SIGNING_SECRET: &'static str = "8f742231b10e8888abcd99yyyzzz85a5";
    pub const CHANNEL: &'static str = "C0INCIDENTS";
    pub const CHANNEL_NAME: &'static str = "#incidents";
    pub const TEAM: &'static str = "T0STANDIN";
    pub const APP: &'static str = "A0STANDIN";

    pub async fn start() -> std::io::Result<Self> {
        let (web, web_address) = bind().await?;
        let (ws, ws_address) = bind().await?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            faults: Faults::default(),
            news: News::default(),
            base: format!("http://{web_address}"),
            socket: format!("ws://{ws_address}"),
        });
        let links = tokio::spawn(socket::accept(ws, shared.clone()));
        let servers = [serve(web, web_address, api::router(shared.clone())), Served::new(ws_address, links)];
        Ok(Self { shared, _servers: servers })
    }

    pub fn api_url(&self) -> String {
        format!("{}/api", self.shared.base)
    }

    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Oldest first.
    pub fn messages(&self) -> Vec<SlackMessage> {
        lock(&self.shared.state).messages.clone()
    }

    /// How often a method was called, whatever came of it.
    pub fn calls(&self, method: &str) -> usize {
        lock(&self.shared.state).calls.get(method).copied().unwrap_or(0)
    }

    /// The application was given no scope to read what was said.
    pub fn may_not_read(&self) {
        lock(&self.shared.state).may_read = false;
    }

    /// What was said to the clicking user alone.
    pub fn answers(&self) -> Vec<String> {
        lock(&self.shared.state).answers.clone()
    }

    /// Somebody deletes a message in the channel.
    pub fn delete(&self, ts: &str) {
        lock(&self.shared.state).messages.retain(|message| message.ts != ts);
    }

    /// Waits for the first Some of `look`, without sleeping.
    pub async fn until<T>(&self, patience: Duration, mut look: impl FnMut(&[SlackMessage]) -> Option<T>) -> Option<T> {
        self.shared.news.until(patience, || look(&lock(&self.shared.state).messages)).await
    }

    /// Waits for a Socket Mode connection.
    pub async fn linked(&self, patience: Duration) -> bool {
        let look = || (!lock(&self.shared.state).links.is_empty()).then_some(());
        self.shared.news.until(patience, look).await.is_some()
    }
}
