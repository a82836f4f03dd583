//! Alerts that fire and resolve again and again within an incident, and what of it is counted.

use super::Engine;
use crate::domain::{Alert, AlertStatus, Entry, Fingerprint, Incident};
use crate::store::{Assigned, StoreError};

impl Engine {
    /// The entry that says so, if one of these alerts has fired and resolved in this incident before and flaps.
    pub(super) async fn flaps_again(&self, incident: &Incident, assigned: &[Assigned]) -> Result<Option<Entry>, StoreError> {
        if incident.flapping.is_some() || self.parts.settings.flapping.times == 0 {
            return Ok(None);
        }
        let again =
            |alert: &Alert| alert.status == AlertStatus::Firing && incident.known(&alert.fingerprint).is_some_and(|(firing, _)| !firing);
        let again: Vec<&Alert> = assigned.iter().map(|assigned| &assigned.alert).filter(|alert| again(alert)).collect();
        if again.is_empty() {
            return Ok(None);
        }
        let bounds = self.parts.settings.flapping;
        let fingerprints: Vec<&Fingerprint> = again.iter().map(|alert| &alert.fingerprint).collect();
        let flaps = self.parts.store.flaps(&fingerprints, bounds.since(self.now()), bounds.times).await?;
        let worst = again.iter().filter_map(|alert| Some((*flaps.get(&alert.fingerprint)?, alert.name()))).max();
        Ok(worst.map(|(times, name)| Entry::Flapping { alertname: name.to_owned(), times, quiet_for: bounds.within_seconds }))
    }
}

/// What `/metrics` counts of entries that are about to be written.
pub(super) fn count(entries: &[Entry]) {
    for entry in entries {
        match entry {
            Entry::Flapping { .. } => metrics::counter!("paramedic_flapping_total").increment(1),
            Entry::Held { .. } => metrics::counter!("paramedic_held_total").increment(1),
            _ => {}
        }
    }
}
