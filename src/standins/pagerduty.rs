//! PagerDuty's Events API v2 on loopback: required fields, sizes, the routing key, and what each event does to an incident.

use super::fault::{Fault, Faults};
use super::serve::{News, Served, bind, lock, serve};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct PagerDutyEvent {
    pub action: String,
    pub dedup_key: String,
    /// Of a trigger.
    pub payload: Option<Value>,
    /// False for an acknowledge or a resolve without an open incident: taken, and without effect.
    pub effective: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagerDutyIncident {
    Triggered,
    Acknowledged,
    Resolved,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<PagerDutyEvent>,
    incidents: BTreeMap<String, PagerDutyIncident>,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    faults: Faults,
    news: News,
}

#[derive(Debug)]
pub struct PagerDutyStandin {
    desk: Arc<Desk>,
    server: Served,
}

const MAX_EVENT: usize = 512 * 1024;

impl PagerDutyStandin {
    pub const ROUTING_KEY: &'static str = "0123456789abcdef0123456789abcdef";

    pub async fn start() -> std::io::Result<Self> {
        let (listener, address) = bind().await?;
        let desk = Arc::new(Desk::default());
        let router = Router::new().route("/v2/enqueue", post(enqueue)).layer(DefaultBodyLimit::max(4 * MAX_EVENT)).with_state(desk.clone());
        let server = serve(listener, address, router);
        Ok(Self { desk, server })
    }

    pub fn api_url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn faults(&self) -> &Faults {
        &self.desk.faults
    }

    /// Those that were taken, oldest first.
    pub fn events(&self) -> Vec<PagerDutyEvent> {
        lock(&self.desk.state).events.clone()
    }

    pub fn incident(&self, dedup_key: &str) -> Option<PagerDutyIncident> {
        lock(&self.desk.state).incidents.get(dedup_key).copied()
    }

    /// Waits for the first Some of `look`, without sleeping.
    pub async fn until<T>(&self, patience: Duration, mut look: impl FnMut(&[PagerDutyEvent]) -> Option<T>) -> Option<T> {
        self.desk.news.until(patience, || look(&lock(&self.desk.state).events)).await
    }
}

async fn enqueue(Shared(desk): Shared<Arc<Desk>>, body: Bytes) -> Response {
    let fault = desk.faults.next("enqueue");
    if let Some(fault) = fault.filter(|fault| *fault != Fault::DoneButLost) {
        return fault.answer(r#"{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly."}"#);
    }
    let answer = match check(&body) {
        Ok(event) => {
            let key = event.dedup_key.clone();
            desk.take(event);
            let taken = json!({ "status": "success", "message": "Event processed", "dedup_key": key });
            (StatusCode::ACCEPTED, Json(taken))
        }
        Err(why) => {
            let refused = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [why] });
            (StatusCode::BAD_REQUEST, Json(refused))
        }
    };
    match fault {
        Some(lost) => lost.answer(""),
        None => answer.into_response(),
    }
}

fn check(body: &[u8]) -> Result<PagerDutyEvent, String> {
    if body.len() > MAX_EVENT {
        return Err("event is larger than 512 KB".into());
    }
    let event: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("/routing_key") != Some(PagerDutyStandin::ROUTING_KEY) {
        return Err("routing_key is invalid".into());
    }
    let action = text("/event_action").filter(|action| matches!(*action, "trigger" | "acknowledge" | "resolve"));
    let action = action.ok_or("event_action must be trigger, acknowledge or resolve")?;
    let dedup_key = text("/dedup_key").ok_or("dedup_key is missing")?;
    if dedup_key.len() > 255 {
        return Err("dedup_key is longer than 255 characters".into());
    }
    if action == "trigger" {
        let summary = text("/payload/summary").ok_or("payload.summary is missing")?;
        if summary.chars().count() > 1024 {
            return Err("payload.summary is longer than 1024 characters".into());
        }
        text("/payload/source").ok_or("payload.source is missing")?;
        let severity = text("/payload/severity").ok_or("payload.severity is missing")?;
        if !matches!(severity, "critical" | "warning" | "error" | "info") {
            return Err(format!("payload.severity `{severity}` is unknown"));
        }
    }
    Ok(PagerDutyEvent {
        action: action.to_owned(),
        dedup_key: dedup_key.to_owned(),
        payload: event.get("payload").cloned(),
        effective: false,
    })
}

impl Desk {
    fn take(&self, mut event: PagerDutyEvent) {
        use PagerDutyIncident::{Acknowledged, Resolved, Triggered};
        let mut state = lock(&self.state);
        let now = state.incidents.get(&event.dedup_key).copied();
        let next = match (event.action.as_str(), now) {
            // A trigger adds to an open incident, acknowledged or not, and opens a new one after a resolve.
            ("trigger", Some(Acknowledged)) => Some(Acknowledged),
            ("trigger", _) => Some(Triggered),
            ("acknowledge", Some(Triggered | Acknowledged)) => Some(Acknowledged),
            ("resolve", Some(Triggered | Acknowledged)) => Some(Resolved),
            _ => None,
        };
        event.effective = next.is_some();
        if let Some(next) = next {
            state.incidents.insert(event.dedup_key.clone(), next);
        }
        state.events.push(event);
        drop(state);
        self.news.tell();
    }
}
