//! Webhook bodies as Alertmanager 0.34 posts them.

use paramedic::domain::Fingerprint;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

/// One alert of a body.
#[derive(Debug, Clone)]
struct One {
    resolved: bool,
    labels: Labels,
    starts_at: String,
}

/// One notification of one group.
#[derive(Debug, Clone)]
pub struct Hook {
    group: String,
    alerts: Vec<One>,
}

/// A notification of one firing alert, in the group that Alertmanager's `group_by: [alertname]` would make.
pub fn firing(alertname: &str, labels: &[(&str, &str)]) -> Hook {
    let mut all: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.insert("alertname".into(), alertname.into());
    let alert = One { resolved: false, labels: all, starts_at: "2026-03-01T03:00:00Z".into() };
    Hook { group: format!("{{}}:{{alertname=\"{alertname}\"}}"), alerts: vec![alert] }
}

impl Hook {
    /// The notification that follows when all of it resolved.
    pub fn resolved(mut self) -> Self {
        self.alerts.iter_mut().for_each(|alert| alert.resolved = true);
        self
    }

    /// The same labels firing once more, from another instant on.
    pub fn again(mut self, starts_at: &str) -> Self {
        self.alerts.iter_mut().for_each(|alert| alert.starts_at = starts_at.to_owned());
        self
    }

    pub fn in_group(mut self, group: &str) -> Self {
        self.group = group.to_owned();
        self
    }

    /// One notification with the alerts of both.
    pub fn and(mut self, other: Self) -> Self {
        self.alerts.extend(other.alerts);
        self
    }

    pub fn body(&self) -> Value {
        let over = self.alerts.iter().all(|alert| alert.resolved);
        let (status, reason) = if over { ("resolved", "all alerts resolved") } else { ("firing", "first notification") };
        json!({
            "version": "4", "groupKey": self.group, "truncatedAlerts": 0, "status": status, "receiver": "paramedic",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "routeLabels": {},
            "externalURL": "http://alertmanager.example:9093", "notification_reason": reason,
            "alerts": self.alerts.iter().map(One::json).collect::<Vec<_>>(),
        })
    }
}

impl One {
    fn json(&self) -> Value {
        let ends_at = if self.resolved { "2026-03-01T03:30:00Z" } else { "0001-01-01T00:00:00Z" };
        let subject = ["service", "instance"].iter().find_map(|name| self.labels.get(*name)).map_or("something", String::as_str);
        json!({
            "status": if self.resolved { "resolved" } else { "firing" },
            "labels": self.labels,
            "annotations": { "summary": format!("{subject} needs attention") },
            "startsAt": self.starts_at, "endsAt": ends_at,
            "generatorURL": "http://prometheus.example:9090/graph",
            "fingerprint": Fingerprint::of(&self.labels).0,
        })
    }
}
