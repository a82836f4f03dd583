//! The facts of this moment that an action is judged by, read from the store. What cannot be read stays missing, and counts against it.

use super::raise::{STORM_KEY, STORM_WINDOW};
use crate::domain::{Action, Effect, InForce, IncidentId, Inventory, Mode, Proposer, Target, Time, Trust};
use crate::safety::Usage;
use crate::store::{Soundness, Store, StoreError};
use std::path::Path;

/// How far back the budgets of restarts and of scaling look.
pub const RESTARTS_WITHIN: chrono::Duration = chrono::Duration::hours(1);
pub const SCALED_WITHIN: chrono::Duration = chrono::Duration::days(1);

/// What has been used of the budgets. `storm` is the number of degraded services that make a large-scale incident.
pub async fn usage(store: &Store, storm: u32, incident: IncidentId, action: &Action, now: Time) -> Usage {
    let mut usage = Usage::default();
    if !action.effect.changes_something() {
        return usage;
    }
    let (restarted, scaled) = match &action.effect {
        Effect::Restart { services } => (services.clone(), Vec::new()),
        Effect::Scale { service, .. } => (Vec::new(), vec![service.clone()]),
        _ => (Vec::new(), Vec::new()),
    };
    for service in restarted {
        if let Some(used) = read(store.used(&service, "restart", now - RESTARTS_WITHIN).await) {
            usage.restarts.insert(service, used);
        }
    }
    for service in scaled {
        if let Some(used) = read(store.used(&service, "scale", now - SCALED_WITHIN).await) {
            usage.scaled.insert(service, used);
        }
    }
    usage.actions = read(store.actions_of(incident).await);
    usage.hosts = read(store.hosts_held().await);
    usage.degraded = read(degraded(store, storm, now).await);
    usage
}

/// The services of a large-scale incident have none of their own: while it is open, there are as many as make one.
async fn degraded(store: &Store, storm: u32, now: Time) -> Result<u32, StoreError> {
    let fresh = store.degraded_services(now - STORM_WINDOW).await?.len();
    let open = store.open_incident(STORM_KEY).await?.map_or(0, |_| storm);
    Ok(u32::try_from(fresh).unwrap_or(u32::MAX).max(open))
}

/// The strictest of the configuration's mode, the rule's, and that of every service the action touches or the incident is about.
pub fn mode(configured: Mode, of_rule: Option<Mode>, inventory: &Inventory, action: &Action, about: &Target) -> Mode {
    let touched = inventory.touched(action).into_iter().chain(about.service.as_ref());
    let by_service = touched.filter_map(|name| inventory.service(name)?.mode).max();
    [by_service, of_rule].into_iter().flatten().fold(configured, Mode::max)
}

/// What is in force now: orders, and the halt file.
pub async fn in_force(store: &Store, halt_file: &Path, now: Time) -> Result<InForce, StoreError> {
    let latest = store.latest_orders().await?;
    let mut in_force = InForce::of(&latest.orders, latest.count, now);
    in_force.halts.extend(halted_here(store, halt_file));
    Ok(in_force)
}

/// What halts everything without an order: the halt file, a damaged store.
pub fn halted_here(store: &Store, halt_file: &Path) -> Vec<String> {
    let by_file = super::halt_file(halt_file).map(|why| store.redactor().text(&why).into_owned());
    let damaged = match store.soundness() {
        Soundness::Damaged(why) => Some(format!("the store is damaged: {why}")),
        _ => None,
    };
    by_file.into_iter().chain(damaged).collect()
}

/// The orders in force and the trust in who proposes; what changes nothing needs neither.
pub async fn authority(
    store: &Store,
    halt_file: &Path,
    proposer: &Proposer,
    action: &Action,
    now: Time,
) -> (Option<InForce>, Option<Trust>) {
    if !action.effect.changes_something() {
        return (None, None);
    }
    let missing = |e: &StoreError| tracing::error!(error = %e, "orders or trust could not be read: nothing is changed");
    let in_force = in_force(store, halt_file, now).await.inspect_err(missing).ok();
    (in_force, store.trust(proposer).await.inspect_err(missing).ok())
}

fn read<T>(result: Result<T, StoreError>) -> Option<T> {
    result.inspect_err(|e| tracing::error!(error = %e, "a budget could not be read and counts as used up")).ok()
}
