//! Alerts of Paramedic's own: they go the way of all others, and page.

use crate::classifier::LEVEL_LABEL;
use crate::domain::{Alert, AlertStatus, Fingerprint, Time};
use std::collections::BTreeMap;

/// Firing, critical, of level 3. `source` tells those of one name apart, `group` is their key, `since` tells one firing from the next.
pub(super) fn own_alert(name: &str, source: Option<&str>, group: String, summary: String, since: Time) -> Alert {
    let labels = [("alertname", Some(name)), ("source", source), ("severity", Some("critical")), (LEVEL_LABEL, Some("3"))];
    let labels = labels.into_iter().filter_map(|(label, value)| Some((label.to_owned(), value?.to_owned())));
    let labels: BTreeMap<String, String> = labels.collect();
    Alert {
        status: AlertStatus::Firing,
        fingerprint: Fingerprint::of(&labels),
        annotations: BTreeMap::from([("summary".to_owned(), summary)]),
        starts_at: since,
        ends_at: None,
        generator_url: String::new(),
        group_key: group,
        origin: Default::default(),
        labels,
    }
}
