//! PagerDuty's event for a notice. A page carries what a responder needs before the laptop is open.

use super::text::plain;
use super::{Outgoing, SendError, words};
use crate::clients::pagerduty::{PagerDuty, Trigger};
use crate::domain::{Incident, Notice, Severity};
use serde_json::{Value, json};

const ALERTS: usize = 20;

pub async fn send(client: &PagerDuty, message: &Outgoing<'_>) -> Result<(), SendError> {
    let key = message.dedup_key;
    match message.notice {
        Notice::Page { severity, summary } => Ok(client.trigger(key, &trigger(message, *severity, summary)).await?),
        Notice::Message { severity, text } => Ok(client.trigger(key, &trigger(message, *severity, text)).await?),
        Notice::Acknowledge => Ok(client.acknowledge(key).await?),
        Notice::Resolve => Ok(client.resolve(key).await?),
        _ => Err(SendError::no_form(message)),
    }
}

fn trigger(message: &Outgoing<'_>, severity: Severity, summary: &str) -> Trigger {
    let incident = message.incident;
    let known = !summary.trim().is_empty();
    let summary = if known { summary } else { incident.alertname() };
    let target = &incident.target;
    let source = target.host.as_ref().map(ToString::to_string).or_else(|| target.service.as_ref().map(ToString::to_string));
    let source = source.or_else(|| incident.alert().map(|alert| plain(&alert.place(), 200)).filter(|place| !place.is_empty()));
    Trigger {
        summary: plain(&summary.replace('\n', " "), 2000),
        source: source.unwrap_or_else(|| "unknown".into()),
        severity,
        custom_details: details(incident, message.console_hint),
    }
}

fn details(incident: &Incident, hint: Option<&str>) -> Value {
    let (earlier, steps) = words::steps(incident);
    let alerts = incident.alerts.values().take(ALERTS).map(|alert| {
        json!({ "alertname": plain(alert.name(), 200), "status": alert.status, "since": words::time(alert.starts_at),
            "says": plain(alert.headline(), 500), "where": plain(&alert.place(), 500), "link": plain(&alert.generator_url, 500) })
    });
    let alerts: Vec<Value> = alerts.collect();
    json!({
        "incident": incident.id,
        "alertname": plain(incident.alertname(), 200),
        "target": incident.target.to_string(),
        "level": words::level(incident),
        "why": plain(&incident.why, 500),
        "state": words::state(incident),
        "finding": words::finding(incident).map(|(_, text)| plain(text, 2000)),
        "steps": steps.iter().map(|step| plain(step, 500)).collect::<Vec<_>>(),
        "earlier_steps": earlier,
        "alerts": alerts,
        "alerts_in_all": incident.counts().1,
        "read_more": hint,
    })
}
