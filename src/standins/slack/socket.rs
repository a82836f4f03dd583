//! Socket Mode's end: a WebSocket a ticket, `hello`, envelopes out, acknowledgements in.

use super::{Shared, SlackStandin};
use crate::standins::serve::lock;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// Ends, with its connections, when the task is aborted.
pub async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        links.spawn(link(stream, shared.clone()));
        while links.try_join_next().is_some() {}
    }
}

async fn link(stream: TcpStream, shared: Arc<Shared>) {
    #[expect(clippy::result_large_err, reason = "the WebSocket library's own signature")]
    let check = |request: &Request, response: Response| {
        let ticket = request.uri().query().and_then(|query| query.strip_prefix("ticket="));
        match ticket.is_some_and(|ticket| lock(&shared.state).tickets.remove(ticket)) {
            true => Ok(response),
            false => Err(ErrorResponse::new(Some("the ticket is unknown or used".into()))),
        }
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, check).await else {
        return;
    };
    let (sender, mut envelopes) = unbounded_channel::<String>();
    let hello = json!({
        "type": "hello", "num_connections": 1, "connection_info": { "app_id": SlackStandin::APP },
        "debug_info": { "host": "stand-in", "build_number": 1, "approximate_connection_time": 18060 },
    });
    if socket.send(Message::text(hello.to_string())).await.is_err() {
        return;
    }
    lock(&shared.state).links.push(sender);
    shared.news.tell();
    loop {
        tokio::select! {
            Some(envelope) = envelopes.recv() => if socket.send(Message::text(envelope)).await.is_err() { return },
            received = socket.next() => match received {
                Some(Ok(Message::Text(text))) => shared.acknowledge(&text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

impl Shared {
    /// To the connection that is youngest and alive; the envelope's id.
    pub(super) fn send(&self, kind: &str, payload: Value) -> Option<String> {
        let mut state = lock(&self.state);
        let id = format!("envelope-{}", state.next());
        let answered = kind == "slash_commands";
        let envelope = json!({ "type": kind, "envelope_id": id, "accepts_response_payload": answered, "payload": payload });
        while let Some(link) = state.links.last() {
            if link.send(envelope.to_string()).is_ok() {
                return Some(id);
            }
            state.links.pop();
        }
        None
    }

    fn acknowledge(&self, text: &str) {
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        if let Some(id) = parsed.as_ref().and_then(|ack| ack.get("envelope_id")?.as_str()) {
            let said = parsed.as_ref().and_then(|ack| ack.get("payload")).cloned().unwrap_or(Value::Null);
            lock(&self.state).acknowledged.insert(id.to_owned(), said);
            self.news.tell();
        }
    }
}

impl SlackStandin {
    /// Slack's routine refresh: every connection is asked to come again.
    pub fn refresh_links(&self) {
        let gone = json!({ "type": "disconnect", "reason": "refresh_requested", "debug_info": { "host": "stand-in" } }).to_string();
        for link in lock(&self.shared.state).links.drain(..) {
            // A connection that is gone already needs no telling.
            let _ = link.send(gone.clone());
        }
    }
}
