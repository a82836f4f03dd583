//! Raise: accepted alerts become incidents or join one. Idempotent: an alert is taken once, a repetition changes nothing, a
//! firing that comes after its own resolution opens nothing.

use super::Engine;
use super::error::{EngineError, unwound};
use crate::classifier::Classification;
use crate::domain::{Alert, AlertStatus, Channel, Entry, Incident, Level, Notice, ServiceName, Target};
use crate::store::{Duty, StoreError, Waiting};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BATCH: i64 = 500;
/// Only inhibits others: kept, and nobody's incident, as heartbeats are.
const INHIBITOR: &str = "InfoInhibitor";
const TICK: Duration = Duration::from_secs(1);
/// Incidents younger than this count when many services degrade together.
pub(super) const STORM_WINDOW: chrono::Duration = chrono::Duration::minutes(10);
/// The join key of large-scale degradation. While such an incident is open, nothing is changed anywhere.
pub(super) const STORM_KEY: &str = "large-scale degradation";

/// Stands for the group of alerts that were found by asking.
const ASKED: &str = "found by asking";

/// Alerts of one key that came together.
struct Group {
    key: String,
    target: Target,
    found: Classification,
    alerts: Vec<Waiting>,
}

impl Engine {
    pub(super) async fn raise_loop(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match unwound(async { Ok(self.raise_waiting().await?) }).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(EngineError::Store(e @ StoreError::OffDuty(_))) => tracing::info!("{e}: it raises what this one was about to"),
                Err(e) => tracing::error!(error = %e, "accepted alerts could not be raised; they are tried again"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.accepted.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Takes a batch: firings first, so that a resolution finds the incident of a firing that came with it.
    async fn raise_waiting(&self) -> Result<bool, StoreError> {
        if !self.parts.store.on_duty(Duty::Raise).await? {
            return Ok(false);
        }
        let waiting = self.parts.store.waiting_alerts(BATCH).await?;
        if waiting.is_empty() {
            return Ok(false);
        }
        let (firing, resolved): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|w| w.alert.status == AlertStatus::Firing);
        let groups = self.group(firing).await?;
        // All that came together counts together: the first of a storm's services is no single fix either.
        let crowd: BTreeSet<ServiceName> = groups.iter().filter_map(|group| group.target.service.clone()).collect();
        for group in groups {
            self.raise_group(group, &crowd).await?;
        }
        for waiting in resolved {
            self.take_resolved(waiting).await?;
        }
        self.ring();
        self.mail.notify_waiters();
        Ok(true)
    }

    async fn group(&self, firing: Vec<Waiting>) -> Result<Vec<Group>, StoreError> {
        let mut groups: Vec<Group> = Vec::new();
        for waiting in firing {
            if waiting.alert.name() == INHIBITOR || self.parts.watchdog.is_heartbeat(&waiting.alert) {
                self.parts.store.settle(waiting.id, "heartbeat", None).await?;
                continue;
            }
            if self.parts.store.resolved_before(waiting.id, &waiting.alert).await? {
                let of = self.parts.store.incident_of(&waiting.alert).await?;
                self.parts.store.settle(waiting.id, "late", of).await?;
                continue;
            }
            let target = self.parts.targets.target(&waiting.alert);
            let found = self.parts.rules.classify(&waiting.alert);
            let key = join_key(&waiting.alert, &target, &found);
            match groups.iter_mut().find(|group| group.key == key) {
                Some(group) => group.alerts.push(waiting),
                None => groups.push(Group { key, target, found, alerts: vec![waiting] }),
            }
        }
        Ok(groups)
    }

    async fn raise_group(&self, group: Group, crowd: &BTreeSet<ServiceName>) -> Result<(), StoreError> {
        let ids: Vec<i64> = group.alerts.iter().map(|w| w.id).collect();
        if self.join(&group.key, &ids).await? || self.join_across_groups(&group, &ids).await? {
            return Ok(());
        }
        if group.found.level != Level::Three && self.is_storm(&group.target, crowd).await? {
            return self.raise_storm(group, &ids).await;
        }
        self.open(group, &ids).await
    }

    async fn join(&self, key: &str, ids: &[i64]) -> Result<bool, StoreError> {
        match self.parts.store.open_incident(key).await? {
            Some(incident) => self.parts.store.assign(incident, ids, self.now()).await,
            None => Ok(false),
        }
    }

    /// The API gives no group key: what was found by asking joins whatever is open about the same target by the same rule, and what is sent
    /// later joins what was found.
    async fn join_across_groups(&self, group: &Group, ids: &[i64]) -> Result<bool, StoreError> {
        let Some(first) = group.alerts.first() else { return Ok(false) };
        let (place, rule) = place_and_rule(&first.alert, &group.target, &group.found);
        match first.alert.origin.asked {
            None => self.join(&serde_json::json!([ASKED, place, rule]).to_string(), ids).await,
            Some(_) => match self.parts.store.open_incident_about(&place, &rule).await? {
                Some(incident) => self.parts.store.assign(incident, ids, self.now()).await,
                None => Ok(false),
            },
        }
    }

    /// Opens an incident for the first alert; the others join it.
    async fn open(&self, group: Group, ids: &[i64]) -> Result<(), StoreError> {
        let Some(first) = group.alerts.into_iter().next() else { return Ok(()) };
        let Classification { level, rule, why, runbook, mode } = group.found;
        let entries =
            vec![Entry::Raised { alert: first.alert, target: group.target }, Entry::Classified { level, rule, why, runbook, mode }];
        let channels = self.channels();
        let notices = |_: &Incident| match channels.contains(&Channel::Slack) {
            true => vec![(Channel::Slack, Notice::Card)],
            false => Vec::new(),
        };
        let incident = self.parts.store.open(entries, &group.key, &[first.id], &notices, self.now()).await?;
        tracing::info!(incident = %incident.id, level = %incident.level, "raised {} ({})", incident.alertname(), incident.target);
        if ids.len() > 1 {
            self.parts.store.assign(incident.id, &ids[1..], self.now()).await?;
        }
        Ok(())
    }

    /// Is this one service of too many at once: those of fresh incidents, and those whose alerts came with it?
    async fn is_storm(&self, target: &Target, crowd: &BTreeSet<ServiceName>) -> Result<bool, StoreError> {
        let Some(service) = &target.service else { return Ok(false) };
        if self.parts.store.open_incident(STORM_KEY).await?.is_some() {
            return Ok(true);
        }
        let mut degraded = self.parts.store.degraded_services(self.now() - STORM_WINDOW).await?;
        degraded.extend(crowd.iter().cloned());
        degraded.insert(service.clone());
        Ok(degraded.len() >= self.parts.settings.storm_services as usize)
    }

    /// Many services at once are one incident of level 3, and nothing is restarted.
    async fn raise_storm(&self, mut group: Group, ids: &[i64]) -> Result<(), StoreError> {
        group.key = STORM_KEY.into();
        if self.join(&group.key, ids).await? {
            return Ok(());
        }
        group.target = Target::default();
        group.found = Classification {
            level: Level::Three,
            rule: Some("large-scale-degradation".into()),
            why: format!("{} services or more degrade at once: single fixes would make it worse", self.parts.settings.storm_services),
            runbook: None,
            mode: None,
        };
        self.open(group, ids).await
    }

    async fn take_resolved(&self, waiting: Waiting) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let open = store.open_incident_with(&waiting.alert).await?;
        let Some(incident) = (if open.is_some() { open } else { store.incident_of(&waiting.alert).await? }) else {
            return store.settle(waiting.id, "unmatched", None).await;
        };
        if !self.parts.store.assign(incident, &[waiting.id], self.now()).await? {
            self.parts.store.settle(waiting.id, "unmatched", Some(incident)).await?;
        }
        Ok(())
    }
}

/// Alerts join one incident when they are of one group, one target and one rule: what fixes one would fix the other.
fn join_key(alert: &Alert, target: &Target, found: &Classification) -> String {
    let group = if alert.origin.asked.is_some() && alert.group_key.is_empty() { ASKED } else { &alert.group_key };
    let (place, rule) = place_and_rule(alert, target, found);
    serde_json::json!([group, place, rule]).to_string()
}

fn place_and_rule(alert: &Alert, target: &Target, found: &Classification) -> (String, String) {
    let place = match (&target.service, &target.host) {
        (Some(service), _) => format!("service:{service}"),
        (None, Some(host)) => format!("host:{host}"),
        // Nothing of the inventory: however many there are of it, the one thing to do is to tell a human, once.
        (None, None) => format!("unknown:{}", alert.name()),
    };
    (place, found.rule.clone().unwrap_or_else(|| "unknown".into()))
}
