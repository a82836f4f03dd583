//! Alerts as Alertmanager sends them.

use serde_json::{Value, json};

/// Each number is another alert, with a fingerprint of its own.
pub fn alert(name: &str, service: &str, number: u64, resolved: bool) -> Value {
    let status = if resolved { "resolved" } else { "firing" };
    let at = |seconds: u64| chrono::DateTime::from_timestamp(1_780_000_000 + seconds as i64, 0).unwrap().to_rfc3339();
    json!({
        "status": status,
        "labels": { "alertname": name, "service": service, "instance": format!("web-{number}:9100"), "severity": "critical" },
        "annotations": { "summary": format!("{service} does not answer on web-{number}") },
        "startsAt": at(number), "endsAt": if resolved { at(number + 100) } else { "0001-01-01T00:00:00Z".to_owned() },
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up%3D%3D0", "fingerprint": format!("{number:016x}"),
    })
}

/// A delivery of one group.
pub fn body(group: &str, alerts: &[Value]) -> Value {
    json!({
        "version": "4", "groupKey": format!("{{}}:{{service=\"{group}\"}}"), "truncatedAlerts": 0, "status": alerts[0]["status"],
        "receiver": "paramedic", "groupLabels": { "service": group }, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093", "alerts": alerts,
    })
}

pub async fn post(http: &reqwest::Client, url: &str, body: &Value) -> bool {
    http.post(url).json(body).send().await.is_ok_and(|answer| answer.status().is_success())
}
