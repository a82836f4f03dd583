//! Alertmanager's webhook body (version "4"), read leniently: unknown fields are ignored, missing ones filled in, one broken
//! alert does not cost the others. Labels and annotations are hostile text: always data.

use crate::domain::{Alert, AlertStatus, Fingerprint, Origin, Time};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a body came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub alerts: Vec<Alert>,
    /// Items of `alerts` that are not alerts, with what was expected.
    pub broken: Vec<String>,
    /// Alerts that `max_alerts` left out of the body: nobody will send them.
    pub truncated: u64,
    pub group_key: String,
    /// What all alerts of the group have in common, those that were left out too.
    pub group_labels: BTreeMap<String, String>,
}

/// `Err` says what was expected, and where.
pub fn parse(body: &[u8], received_at: Time) -> Result<Delivery, String> {
    let value: Value = serde_json::from_slice(body).map_err(|e| format!("expected Alertmanager's JSON: {e}"))?;
    let Value::Object(fields) = value else { return Err("expected a JSON object with a list `alerts`".into()) };
    let Some(Value::Array(items)) = fields.get("alerts") else {
        return Err("expected a list `alerts`, as Alertmanager's webhook sends it (version \"4\")".into());
    };
    let (group_key, origin) = (group_key(&fields), origin(&fields));
    let status = status_of(&fields);
    let group_labels = texts(fields.get("groupLabels"), "groupLabels").unwrap_or_default();
    let truncated = fields.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or(0);
    let alerts = Vec::with_capacity(items.len());
    let mut delivery = Delivery { alerts, broken: Vec::new(), truncated, group_key, group_labels };
    for (index, item) in items.iter().enumerate() {
        match alert(item, &delivery.group_key, status, received_at) {
            Ok(alert) => delivery.alerts.push(Alert { origin: origin.clone(), ..alert }),
            Err(why) => delivery.broken.push(format!("alerts[{index}]: {why}")),
        }
    }
    match (delivery.alerts.is_empty(), delivery.broken.first()) {
        (true, Some(first)) => Err(first.clone()),
        _ => Ok(delivery),
    }
}

fn alert(item: &Value, group_key: &str, group_status: Option<AlertStatus>, received_at: Time) -> Result<Alert, String> {
    let Value::Object(fields) = item else { return Err("expected an object".into()) };
    let labels = texts(fields.get("labels"), "labels")?;
    if labels.is_empty() {
        return Err("expected `labels` with at least one label".into());
    }
    let status = status_of(fields).or(group_status).unwrap_or(AlertStatus::Firing);
    let fingerprint = match fields.get("fingerprint") {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 128 => Fingerprint(text.clone()),
        _ => Fingerprint::of(&labels),
    };
    let ends_at = time(fields.get("endsAt")).filter(|_| status == AlertStatus::Resolved);
    Ok(Alert {
        status,
        annotations: texts(fields.get("annotations"), "annotations")?,
        // Without a start a repetition cannot be told from news: news it is, nothing is lost.
        starts_at: time(fields.get("startsAt")).unwrap_or(received_at),
        ends_at,
        generator_url: text(fields.get("generatorURL")),
        fingerprint,
        group_key: group_key.to_owned(),
        origin: Origin::default(),
        labels,
    })
}

fn status_of(fields: &Map<String, Value>) -> Option<AlertStatus> {
    match fields.get("status").and_then(Value::as_str) {
        Some("firing") => Some(AlertStatus::Firing),
        Some("resolved") => Some(AlertStatus::Resolved),
        _ => None,
    }
}

/// Only a body of version 4 is Alertmanager's: other senders imitate it and are not to be found in its lists.
fn origin(fields: &Map<String, Value>) -> Origin {
    match fields.get("version").and_then(Value::as_str) {
        Some("4") => Origin { receiver: text(fields.get("receiver")), sender: text(fields.get("externalURL")), asked: None },
        _ => Origin::default(),
    }
}

/// Alertmanager's group key; of other senders the group's labels stand for it.
fn group_key(fields: &Map<String, Value>) -> String {
    match fields.get("groupKey") {
        Some(Value::String(key)) if !key.is_empty() => key.clone(),
        _ => fields.get("groupLabels").map(Value::to_string).unwrap_or_default(),
    }
}

/// A map of texts; numbers and truth values count as the text they look like.
fn texts(value: Option<&Value>, name: &str) -> Result<BTreeMap<String, String>, String> {
    let fields = match value {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(format!("expected `{name}` to be an object of texts")),
    };
    let read = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok((key.clone(), text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok((key.clone(), value.to_string())),
        Value::Null => Ok((key.clone(), String::new())),
        Value::Array(_) | Value::Object(_) => Err(format!("expected `{name}.{key}` to be a text")),
    };
    fields.iter().map(read).collect()
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn time(value: Option<&Value>) -> Option<Time> {
    let time = Time::from(chrono::DateTime::parse_from_rfc3339(value?.as_str()?).ok()?);
    // Go's zero time means "not set"; a year that milliseconds cannot hold is no time either.
    (time.timestamp() > 0 && time.timestamp() < 253_402_300_800)
        .then(|| Time::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time))
}
