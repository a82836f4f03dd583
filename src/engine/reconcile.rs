//! Reconciliation: Alertmanager is asked what it holds, at the start, after a cut body, and now and then. What nobody sent goes the same way in
//! as what is sent; what is silenced opens nothing; what is gone is taken as resolved, but only where that is certain. An answer that
//! is not whole changes nothing.

use super::Engine;
use super::error::{EngineError, unwound};
use crate::clients::alertmanager::{Alertmanager, ListedAlert, Listing};
use crate::domain::{Alert, AlertStatus, Crowd, Entry, Fingerprint, Incident, Origin, Time};
use crate::store::{StoreError, Watched};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
/// After a failure, and between two askings because of senders that are not known.
const RETRY: chrono::Duration = chrono::Duration::seconds(30);
/// A younger alert may still be on its way: Alertmanager waits for others of its group.
const ON_ITS_WAY: chrono::Duration = chrono::Duration::minutes(2);
/// Gone is what two answers in a row do not list, so far apart, of an Alertmanager that has been up for as long: Prometheus repeats a firing
/// alert every minute or so, and the default `resolve_timeout` is as long.
const GONE_FOR: chrono::Duration = chrono::Duration::minutes(5);
/// Silences of one incident that are told one by one; further ones are told in brief.
const ONE_BY_ONE: usize = 5;
/// The receiver of the shipped example.
const USUAL_RECEIVER: &str = "paramedic";

/// Alerts of this group were left out of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub group_key: String,
    pub group_labels: BTreeMap<String, String>,
}

/// What the loop shares with doors and workers.
#[derive(Debug, Default)]
pub(super) struct Asking {
    bell: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cuts: Vec<Cut>,
    /// There is a reason to look soon: a sender that may be a peer of the Alertmanager that is asked.
    stranger: bool,
    receivers: BTreeSet<String>,
    senders: BTreeSet<String>,
    /// Alerts of open incidents that are silenced or inhibited, and by what; none before the first answer.
    silenced: Option<BTreeMap<Fingerprint, String>>,
}

impl Asking {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the loop keeps between two answers.
#[derive(Debug, Default)]
struct Memory {
    next: Option<Time>,
    asked_at: Option<Time>,
    /// Alerts that the last answer did not list, and since when none did.
    missing: BTreeMap<Fingerprint, Time>,
}

impl Engine {
    /// Asks for what a body left out; `false` if there is nobody to ask.
    pub fn ask_for(&self, cut: Cut) -> bool {
        if self.parts.bench.alertmanager.is_none() {
            return false;
        }
        self.asking.state().cuts.push(cut);
        self.asking.bell.notify_one();
        true
    }

    /// Something is well again: perhaps more was missed.
    pub(super) fn look_soon(&self) {
        self.asking.state().stranger = true;
        self.asking.bell.notify_one();
    }

    /// Remembers by which receiver alerts are sent here, and looks at senders that are new.
    pub(super) async fn learn_sender(&self, origin: &Origin) {
        if origin.receiver.is_empty() || self.parts.bench.alertmanager.is_none() {
            return;
        }
        let (fresh, stranger) = {
            let mut state = self.asking.state();
            let stranger = !origin.sender.is_empty() && !state.senders.contains(&origin.sender);
            state.stranger |= stranger;
            (!state.receivers.contains(&origin.receiver), stranger)
        };
        if stranger {
            self.asking.bell.notify_one();
        }
        if fresh {
            match self.parts.store.know_name("receiver", &origin.receiver).await {
                Ok(()) => drop(self.asking.state().receivers.insert(origin.receiver.clone())),
                Err(e) => tracing::warn!(error = %e, "a receiver's name could not be stored; it is with the next delivery"),
            }
        }
    }

    /// What the incident's ledger does not say yet about silences.
    pub(super) fn silences(&self, incident: &Incident) -> Vec<Entry> {
        let state = self.asking.state();
        let Some(silenced) = state.silenced.as_ref().filter(|_| !incident.state.is_final()) else { return Vec::new() };
        let (mut entries, mut crowd) = (Vec::new(), Crowd::default());
        for (fingerprint, name) in incident.firing() {
            let (fingerprint, alertname) = (fingerprint.clone(), name.to_owned());
            match (silenced.get(&fingerprint), incident.silenced.contains(&fingerprint), entries.len() >= ONE_BY_ONE) {
                (Some(_), false, true) => drop(crowd.silenced.insert(fingerprint)),
                (None, true, true) => drop(crowd.unsilenced.insert(fingerprint)),
                (Some(by), false, false) => entries.push(Entry::Silenced { fingerprint, alertname, by: by.clone() }),
                (None, true, false) => entries.push(Entry::Unsilenced { fingerprint, alertname }),
                _ => {}
            }
        }
        entries.extend((!crowd.is_empty()).then_some(Entry::ManyAlerts(crowd)));
        entries
    }

    pub(super) async fn reconcile_loop(self: Arc<Self>, stop: CancellationToken) {
        let Some(alertmanager) = self.parts.bench.alertmanager.clone() else { return };
        let mut memory = Memory::default();
        while !stop.is_cancelled() {
            if self.is_time_to_ask(&memory) {
                let now = self.now();
                let asked = unwound(self.reconcile(&alertmanager, &mut memory)).await;
                let (outcome, wait) = match asked {
                    Ok(()) => ("ok", self.parts.settings.reconcile_every),
                    Err(e) => {
                        tracing::warn!(error = %e, "what Alertmanager holds is not known; nothing is concluded, and it is asked again");
                        ("failed", RETRY)
                    }
                };
                metrics::counter!("paramedic_reconciliations_total", "outcome" => outcome).increment(1);
                (memory.asked_at, memory.next) = (Some(now), Some(now + wait));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.asking.bell.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    fn is_time_to_ask(&self, memory: &Memory) -> bool {
        let now = self.now();
        let state = self.asking.state();
        let rested = |by: chrono::Duration| memory.asked_at.is_none_or(|at| now >= at + by);
        let soon = (!state.cuts.is_empty() && rested(chrono::Duration::seconds(1))) || (state.stranger && rested(RETRY));
        soon || memory.next.is_none_or(|next| now >= next)
    }

    async fn reconcile(&self, alertmanager: &Alertmanager, memory: &mut Memory) -> Result<(), EngineError> {
        let cuts = {
            let mut state = self.asking.state();
            state.stranger = false;
            state.cuts.clone()
        };
        let listing = alertmanager.listing().await?;
        let watched = self.parts.store.watched_alerts().await?;
        let senders = self.learn_from(&listing, &watched).await?;
        self.note_silenced(&listing, &watched).await?;
        let found = self.missed(&listing, &watched, &cuts).await?;
        let gone = memory.gone(&listing, &watched, &senders, self.now());
        for (kind, alerts) in [("found", &found), ("gone", &gone)] {
            metrics::counter!("paramedic_reconciled_alerts_total", "kind" => kind).increment(alerts.len() as u64);
            for alert in alerts {
                tracing::info!(%kind, fingerprint = %alert.fingerprint, "{}", alert.name());
            }
        }
        let taken: Vec<Fingerprint> = gone.iter().map(|alert| alert.fingerprint.clone()).collect();
        self.take(found.into_iter().chain(gone).collect()).await?;
        memory.missing.retain(|fingerprint, _| !taken.contains(fingerprint));
        self.asking.state().cuts.retain(|cut| !cuts.contains(cut));
        Ok(self.parts.store.outages_asked(self.now()).await?)
    }

    /// Who sent an alert that is on the list is this Alertmanager, or a peer that shares its alerts. All senders known so far.
    async fn learn_from(&self, listing: &Listing, watched: &[Watched]) -> Result<BTreeSet<String>, StoreError> {
        let store = &self.parts.store;
        let (receivers, mut senders) = (store.known_names("receiver").await?, store.known_names("sender").await?);
        let listed: BTreeSet<&str> = listing.alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
        for Watched { alert, .. } in watched.iter().filter(|w| listed.contains(w.alert.fingerprint.0.as_str())) {
            let sender = &alert.origin.sender;
            if !sender.is_empty() && !senders.contains(sender) {
                store.know_name("sender", sender).await?;
                senders.insert(sender.clone());
            }
        }
        let mut state = self.asking.state();
        (state.receivers, state.senders) = (receivers, senders.clone());
        Ok(senders)
    }

    /// Wakes the incidents for which a silence began or ended.
    async fn note_silenced(&self, listing: &Listing, watched: &[Watched]) -> Result<(), StoreError> {
        let listed: BTreeMap<&str, &ListedAlert> = listing.alerts.iter().map(|alert| (alert.fingerprint.as_str(), alert)).collect();
        let by = |w: &Watched| Some((w.alert.fingerprint.clone(), suppressed_by(listed.get(w.alert.fingerprint.0.as_str())?)?));
        let now: BTreeMap<Fingerprint, String> = watched.iter().filter_map(by).collect();
        let before = self.asking.state().silenced.replace(now.clone());
        // After a start the ledgers may say otherwise: everybody looks once.
        let changed = |w: &&Watched| {
            let fingerprint = &w.alert.fingerprint;
            before.as_ref().is_none_or(|before| before.contains_key(fingerprint) != now.contains_key(fingerprint))
        };
        let incidents: BTreeSet<_> = watched.iter().filter(changed).map(|w| w.incident).collect();
        for incident in incidents {
            self.parts.store.poke(incident, self.now()).await?;
        }
        self.ring();
        Ok(())
    }

    /// Alerts that should have been sent here and were not.
    async fn missed(&self, listing: &Listing, watched: &[Watched], cuts: &[Cut]) -> Result<Vec<Alert>, StoreError> {
        let now = self.now();
        let receivers = self.receivers();
        let open: BTreeSet<&Fingerprint> = watched.iter().map(|w| &w.alert.fingerprint).collect();
        let mut candidates = Vec::new();
        for alert in &listing.alerts {
            let cut = cuts.iter().find(|cut| cut.group_labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value)));
            let ours = alert.receivers.iter().any(|receiver| receivers.contains(&receiver.name));
            let due = cut.is_some() || now - alert.starts_at >= ON_ITS_WAY;
            if ours && due && alert.status.state == "active" && suppressed_by(alert).is_none() {
                candidates.push(self.redactor().alert(firing(alert, cut)));
            }
        }
        candidates.retain(|alert| !open.contains(&alert.fingerprint));
        let fingerprints: Vec<Fingerprint> = candidates.iter().map(|alert| alert.fingerprint.clone()).collect();
        let known = self.parts.store.known_firings(&fingerprints, now - ON_ITS_WAY).await?;
        Ok(candidates.into_iter().filter_map(|alert| news(alert, &known, now)).collect())
    }

    fn receivers(&self) -> BTreeSet<String> {
        match &self.parts.settings.receiver {
            Some(receiver) => BTreeSet::from([receiver.clone()]),
            None => self.asking.state().receivers.iter().cloned().chain([USUAL_RECEIVER.to_owned()]).collect(),
        }
    }
}

impl Memory {
    /// Resolutions of alerts that are certainly gone.
    fn gone(&mut self, listing: &Listing, watched: &[Watched], senders: &BTreeSet<String>, now: Time) -> Vec<Alert> {
        if now - listing.up_since < GONE_FOR {
            self.missing.clear();
            return Vec::new();
        }
        let listed: BTreeSet<&str> = listing.alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
        let from_there = |origin: &Origin| origin.asked.is_some() || senders.contains(&origin.sender);
        let absent: Vec<&Alert> = watched
            .iter()
            .map(|w| &w.alert)
            .filter(|alert| from_there(&alert.origin) && !listed.contains(alert.fingerprint.0.as_str()))
            .collect();
        let names: BTreeSet<&Fingerprint> = absent.iter().map(|alert| &alert.fingerprint).collect();
        self.missing.retain(|fingerprint, _| names.contains(fingerprint));
        let mut gone = Vec::new();
        for alert in absent {
            let since = *self.missing.entry(alert.fingerprint.clone()).or_insert(now);
            if now - since >= GONE_FOR {
                let origin = Origin { asked: Some("Alertmanager was asked and does not list it any more".into()), ..alert.origin.clone() };
                gone.push(Alert { status: AlertStatus::Resolved, ends_at: Some(now), origin, ..alert.clone() });
            }
        }
        gone
    }
}

fn firing(listed: &ListedAlert, cut: Option<&Cut>) -> Alert {
    let why = match cut {
        Some(_) => "found by asking Alertmanager: it was left out of a body",
        None => "found by asking Alertmanager: nobody sent it",
    };
    Alert {
        status: AlertStatus::Firing,
        labels: listed.labels.clone(),
        annotations: listed.annotations.clone(),
        // As the webhook's reader does: the same firing has the same start, to the millisecond.
        starts_at: Time::from_timestamp_millis(listed.starts_at.timestamp_millis()).unwrap_or(listed.starts_at),
        ends_at: None,
        generator_url: listed.generator_url.clone(),
        fingerprint: Fingerprint(listed.fingerprint.clone()),
        group_key: cut.map_or(String::new(), |cut| cut.group_key.clone()),
        origin: Origin::asked(why),
    }
}

/// A firing that is known is no news. One that is over here and still on the list fires again from the same start, which would pass for a
/// repetition: it begins now.
fn news(alert: Alert, known: &BTreeMap<(Fingerprint, i64), bool>, now: Time) -> Option<Alert> {
    match known.get(&(alert.fingerprint.clone(), alert.starts_at.timestamp_millis())) {
        None => Some(alert),
        Some(false) => None,
        Some(true) => Some(Alert { starts_at: now, origin: Origin::asked("found by asking Alertmanager: it fires again"), ..alert }),
    }
}

/// What keeps it from being sent to anybody, in words.
fn suppressed_by(alert: &ListedAlert) -> Option<String> {
    let status = &alert.status;
    let kinds = [("silence", &status.silenced_by), ("inhibited by alert", &status.inhibited_by), ("muted by", &status.muted_by)];
    let words: Vec<String> = kinds.iter().filter(|(_, by)| !by.is_empty()).map(|(kind, by)| format!("{kind} {}", by.join(", "))).collect();
    match words.is_empty() {
        true => (status.state == "suppressed").then(|| "suppressed".to_owned()),
        false => Some(words.join("; ")),
    }
}
