//! Raise: accepted alerts become incidents or join one. Idempotent: an alert is taken once, a repetition changes nothing, a
//! firing that comes after its own resolution opens nothing.

use super::Engine;
use super::error::{EngineError, unwound};
use super::flapping::count;
use crate::classifier::{self as cause, Candidate, Classification, Scene};
use crate::domain::{Alert, AlertStatus, Channel, Entry, Fingerprint, Incident, IncidentId, Level, Notice, ServiceName, Severity, Target};
use crate::store::{Duty, StoreError, Waiting};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BATCH: i64 = 1_000;
/// Only inhibits others: kept, and nobody's incident, as heartbeats are.
const INHIBITOR: &str = "InfoInhibitor";
const TICK: Duration = Duration::from_secs(1);
/// Incidents younger than this count when many services degrade together.
pub(super) const STORM_WINDOW: chrono::Duration = chrono::Duration::minutes(10);
/// The join key of large-scale degradation. While such an incident is open, nothing is changed anywhere.
pub(super) const STORM_KEY: &str = "large-scale degradation";

/// Stands for the group of alerts that were found by asking.
const ASKED: &str = "found by asking";
/// Stands for the group of alerts that flap.
const FLAPPING: &str = "flapping";
/// Stands for the rule where none matches.
const NO_RULE: &str = "unknown";

/// Alerts of one key that came together. The first one is the strictest.
struct Group {
    key: String,
    target: Target,
    found: Classification,
    alerts: Vec<Waiting>,
}

impl Group {
    fn take(&mut self, waiting: Waiting, found: Classification) {
        match found.level > self.found.level {
            true => {
                self.found = found;
                self.alerts.insert(0, waiting);
            }
            false => self.alerts.push(waiting),
        }
    }

    fn severity(&self) -> Severity {
        self.alerts.iter().map(|waiting| waiting.alert.severity()).max().unwrap_or(Severity::Info)
    }

    fn ids(&self) -> Vec<i64> {
        self.alerts.iter().map(|waiting| waiting.id).collect()
    }

    fn rule(&self) -> &str {
        self.found.rule.as_deref().unwrap_or(NO_RULE)
    }
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
        let mut groups = self.group(firing).await?;
        // The most urgent first; of equals causes before what they cause, so that the one does not begin before the other is known.
        let services: Vec<ServiceName> = groups.iter().filter_map(|group| group.target.service.clone()).collect();
        let causes = |group: &Group| {
            let service = group.target.service.as_ref();
            service.map_or(0, |service| services.iter().filter(|other| self.parts.needs.needs(service, other)).count())
        };
        groups.sort_by_cached_key(|group| (Reverse((group.found.level == Level::Three, group.severity())), causes(group)));
        // All that came together counts together: the first of a storm's services is no single fix either.
        let crowd: BTreeSet<ServiceName> = services.into_iter().collect();
        for group in groups {
            self.raise_group(group, &crowd).await?;
        }
        self.take_resolved(resolved).await?;
        self.ring();
        self.mail.notify_waiters();
        Ok(true)
    }

    async fn group(&self, firing: Vec<Waiting>) -> Result<Vec<Group>, StoreError> {
        let store = &self.parts.store;
        let (late, homes) = (store.late(&firing).await?, store.flapping_homes().await?);
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for waiting in firing {
            if waiting.alert.name() == INHIBITOR || self.parts.watchdog.is_heartbeat(&waiting.alert) {
                store.settle(waiting.id, "heartbeat", None).await?;
                continue;
            }
            if late.contains(&waiting.id) {
                let of = store.incident_of(&waiting.alert).await?;
                store.settle(waiting.id, "late", of).await?;
                continue;
            }
            let target = self.parts.targets.target(&waiting.alert);
            let found = self.parts.rules.classify(&waiting.alert);
            if let Some(home) = homes.get(&waiting.alert.fingerprint)
                && self.assign(*home, &[waiting.id], &waiting.alert, &found).await?
            {
                continue;
            }
            let key = join_key(&waiting.alert, &target, &found);
            // What would join across groups is one group at once.
            let scene = Scene::of(&target, waiting.alert.name());
            let together = match (&found.rule, &scene) {
                (None, _) | (_, Scene::Unknown(_)) => key.clone(),
                (Some(rule), _) if self.parts.settings.cause.across_groups => serde_json::json!([scene.to_string(), rule]).to_string(),
                (Some(_), _) => key.clone(),
            };
            match places.get(&together).and_then(|place| groups.get_mut(*place)) {
                Some(group) => group.take(waiting, found),
                None => {
                    places.insert(together, groups.len());
                    groups.push(Group { key, target, found, alerts: vec![waiting] });
                }
            }
        }
        Ok(groups)
    }

    async fn raise_group(&self, mut group: Group, crowd: &BTreeSet<ServiceName>) -> Result<(), StoreError> {
        if self.join(&group.key, &group).await? || self.join_across_groups(&group).await? {
            return Ok(());
        }
        if let Some((flapping, times)) = self.flapping_of(&mut group).await? {
            self.raise_flapping(flapping, times).await?;
        }
        if group.alerts.is_empty() {
            return Ok(());
        }
        if group.found.level != Level::Three && self.is_storm(&group.target, crowd).await? {
            return self.raise_storm(group).await;
        }
        self.open(group, None).await
    }

    async fn join(&self, key: &str, group: &Group) -> Result<bool, StoreError> {
        match (self.parts.store.open_incident(key).await?, group.alerts.first()) {
            (Some(incident), Some(first)) => self.assign(incident, &group.ids(), &first.alert, &group.found).await,
            _ => Ok(false),
        }
    }

    /// Puts alerts into an open incident. What is stricter than the incident pages at once: its worker may be in the middle of something.
    async fn assign(&self, incident: IncidentId, ids: &[i64], first: &Alert, found: &Classification) -> Result<bool, StoreError> {
        let Some(level) = self.parts.store.level_if_open(incident).await? else { return Ok(false) };
        let notices = match found.level == Level::Three && level < Level::Three {
            true => told_at_once(incident, first, &found.why, &self.channels()),
            false => Vec::new(),
        };
        self.parts.store.assign(incident, ids, &notices, self.now()).await
    }

    /// Alerts of other groups may be the same cause (`classifier/cause.rs` says when). The API gives no group key: what was found by asking
    /// joins whatever is open about the same target by the same rule, and what is sent later joins what was found.
    async fn join_across_groups(&self, group: &Group) -> Result<bool, StoreError> {
        let Some(first) = group.alerts.first() else { return Ok(false) };
        let scene = Scene::of(&group.target, first.alert.name());
        let asked = serde_json::json!([ASKED, scene.to_string(), group.rule()]).to_string();
        if first.alert.origin.asked.is_none() && self.join(&asked, group).await? {
            return Ok(true);
        }
        let (bounds, ruled) = (self.parts.settings.cause, group.found.rule.is_some());
        let fits = |open: &Candidate| {
            let all = group.alerts.iter().all(|waiting| cause::joins(waiting.alert.name(), &scene, ruled, open, bounds));
            first.alert.origin.asked.is_some() || all
        };
        let open = self.parts.store.open_about(&scene.to_string(), group.rule()).await?;
        match open.into_iter().find(fits) {
            Some(open) => self.assign(open.incident, &group.ids(), &first.alert, &group.found).await,
            None => Ok(false),
        }
    }

    /// Takes those out of a group that flap, and says how often the worst of them resolved lately.
    async fn flapping_of(&self, group: &mut Group) -> Result<Option<(Group, u32)>, StoreError> {
        let bounds = self.parts.settings.flapping;
        if bounds.times == 0 {
            return Ok(None);
        }
        let fingerprints: Vec<&Fingerprint> = group.alerts.iter().map(|waiting| &waiting.alert.fingerprint).collect();
        let flaps = self.parts.store.flaps(&fingerprints, bounds.since(self.now()), bounds.times).await?;
        let Some(times) = flaps.values().max().copied() else { return Ok(None) };
        let (flapping, steady): (Vec<_>, Vec<_>) =
            std::mem::take(&mut group.alerts).into_iter().partition(|waiting| flaps.contains_key(&waiting.alert.fingerprint));
        group.alerts = steady;
        let key = flapping.first().map(|first| {
            let scene = Scene::of(&group.target, first.alert.name()).to_string();
            serde_json::json!([FLAPPING, scene, group.rule()]).to_string()
        });
        let found = group.found.clone();
        Ok(key.map(|key| (Group { key, target: group.target.clone(), found, alerts: flapping }, times)))
    }

    /// One incident for all that flaps of one rule in one place; a human has it, and no run is begun.
    async fn raise_flapping(&self, group: Group, times: u32) -> Result<(), StoreError> {
        if self.join(&group.key, &group).await? {
            return Ok(());
        }
        let Some(alertname) = group.alerts.first().map(|first| first.alert.name().to_owned()) else { return Ok(()) };
        self.open(group, Some(Entry::Flapping { alertname, times, quiet_for: self.parts.settings.flapping.within_seconds })).await
    }

    /// Opens an incident for the first alert; the others join it.
    async fn open(&self, group: Group, more: Option<Entry>) -> Result<(), StoreError> {
        let ids = group.ids();
        let Some(first) = group.alerts.into_iter().next() else { return Ok(()) };
        let Classification { level, rule, why, runbook, mode } = group.found;
        let mut entries =
            vec![Entry::Raised { alert: first.alert, target: group.target }, Entry::Classified { level, rule, why, runbook, mode }];
        entries.extend(more);
        count(&entries);
        let channels = self.channels();
        let notices = |_: &Incident| match channels.contains(&Channel::Slack) {
            true => vec![(Channel::Slack, Notice::Card)],
            false => Vec::new(),
        };
        let incident = self.parts.store.open(entries, &group.key, &ids[..1], &notices, self.now()).await?;
        tracing::info!(incident = %incident.id, level = %incident.level, "raised {} ({})", incident.alertname(), incident.target);
        if ids.len() > 1 {
            self.parts.store.assign(incident.id, &ids[1..], &[], self.now()).await?;
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
    async fn raise_storm(&self, mut group: Group) -> Result<(), StoreError> {
        group.key = STORM_KEY.into();
        if self.join(&group.key, &group).await? {
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
        self.open(group, None).await
    }

    /// What resolved of one incident is given to it at once.
    async fn take_resolved(&self, resolved: Vec<Waiting>) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let mut of: BTreeMap<IncidentId, Vec<i64>> = BTreeMap::new();
        for waiting in resolved {
            let open = store.open_incident_with(&waiting.alert).await?;
            match if open.is_some() { open } else { store.incident_of(&waiting.alert).await? } {
                Some(incident) => of.entry(incident).or_default().push(waiting.id),
                None => store.settle(waiting.id, "unmatched", None).await?,
            }
        }
        for (incident, ids) in of {
            if store.assign(incident, &ids, &[], self.now()).await? {
                continue;
            }
            for id in ids {
                store.settle(id, "unmatched", Some(incident)).await?;
            }
        }
        Ok(())
    }
}

/// Alerts join one incident when they are of one group, one target and one rule: what fixes one would fix the other.
fn join_key(alert: &Alert, target: &Target, found: &Classification) -> String {
    let group = if alert.origin.asked.is_some() && alert.group_key.is_empty() { ASKED } else { &alert.group_key };
    let rule = found.rule.as_deref().unwrap_or(NO_RULE);
    serde_json::json!([group, Scene::of(target, alert.name()).to_string(), rule]).to_string()
}

/// The page that does not wait for an incident's worker; the ledger follows.
fn told_at_once(incident: IncidentId, alert: &Alert, why: &str, channels: &[Channel]) -> Vec<(Channel, Notice)> {
    let name = format!("{} {}", alert.name(), alert.place());
    let text =
        format!("{incident} needs a human: {} of level 3 has joined it: {why}. Transcript: paramedic incidents {incident}", name.trim());
    let notice = |channel: &Channel| match channel {
        Channel::Pagerduty => Notice::Page { severity: Severity::Critical, summary: text.clone() },
        Channel::Slack | Channel::Email => Notice::Message { severity: Severity::Critical, text: text.clone() },
    };
    channels.iter().map(|channel| (*channel, notice(channel))).collect()
}
