//! Alertmanager's API on loopback, as far as Paramedic asks it: what it lists, what is silenced, how long it has been up, and what it
//! answers when it is ill.

use super::serve::{Served, bind, lock, serve};
use crate::domain::{Fingerprint, Time};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, PartialEq)]
struct Held {
    labels: BTreeMap<String, String>,
    starts_at: Time,
    receiver: String,
    silenced: bool,
}

#[derive(Debug)]
struct Desk {
    alerts: Vec<Held>,
    up_since: Time,
    /// A status and a body instead of the list.
    ill: Option<(u16, String)>,
    /// Lists given.
    asked: usize,
}

#[derive(Debug)]
pub struct AlertmanagerApiStandin {
    desk: Arc<Mutex<Desk>>,
    server: Served,
}

impl AlertmanagerApiStandin {
    pub async fn start(up_since: Time) -> std::io::Result<Self> {
        let (listener, address) = bind().await?;
        let desk = Arc::new(Mutex::new(Desk { alerts: Vec::new(), up_since, ill: None, asked: 0 }));
        let router = Router::new().route("/api/v2/alerts", get(alerts)).route("/api/v2/status", get(status)).with_state(desk.clone());
        Ok(Self { desk, server: serve(listener, address, router) })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// It holds this firing alert for this receiver from now on.
    pub fn hold(&self, alertname: &str, labels: &[(&str, &str)], starts_at: Time, receiver: &str) {
        let mut labels: BTreeMap<String, String> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        labels.insert("alertname".into(), alertname.into());
        lock(&self.desk).alerts.push(Held { labels, starts_at, receiver: receiver.into(), silenced: false });
    }

    /// All that it holds of this name is silenced, or not any more.
    pub fn silence(&self, alertname: &str, silenced: bool) {
        let named = |held: &&mut Held| held.labels.get("alertname").map(String::as_str) == Some(alertname);
        lock(&self.desk).alerts.iter_mut().filter(named).for_each(|held| held.silenced = silenced);
    }

    /// It holds nothing any more.
    pub fn forget(&self) {
        lock(&self.desk).alerts.clear();
    }

    /// It has been up since then only.
    pub fn restarted(&self, up_since: Time) {
        lock(&self.desk).up_since = up_since;
    }

    /// It answers this instead of a list; `None`: it is well again.
    pub fn ill(&self, ill: Option<(u16, &str)>) {
        lock(&self.desk).ill = ill.map(|(status, body)| (status, body.to_owned()));
    }

    /// How often it was asked for a list.
    pub fn asked(&self) -> usize {
        lock(&self.desk).asked
    }
}

async fn alerts(Shared(desk): Shared<Arc<Mutex<Desk>>>) -> Response {
    let mut desk = lock(&desk);
    desk.asked += 1;
    match &desk.ill {
        Some((status, body)) => (StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body.clone()).into_response(),
        None => Json(desk.alerts.iter().map(Held::json).collect::<Vec<_>>()).into_response(),
    }
}

async fn status(Shared(desk): Shared<Arc<Mutex<Desk>>>) -> Json<Value> {
    Json(json!({ "cluster": { "status": "ready" }, "uptime": lock(&desk).up_since.to_rfc3339() }))
}

impl Held {
    fn json(&self) -> Value {
        let (state, by) = if self.silenced { ("suppressed", vec!["5a1e"]) } else { ("active", Vec::new()) };
        let summary = self.labels.get("service").map_or("something", String::as_str);
        json!({
            "annotations": { "summary": format!("{summary} needs attention") }, "endsAt": "2126-01-01T00:00:00.000Z",
            "fingerprint": Fingerprint::of(&self.labels), "receivers": [{ "name": self.receiver }],
            "startsAt": self.starts_at.to_rfc3339(), "updatedAt": self.starts_at.to_rfc3339(),
            "status": { "inhibitedBy": [], "silencedBy": by, "state": state },
            "generatorURL": "http://prometheus.example:9090/graph", "labels": self.labels,
        })
    }
}
