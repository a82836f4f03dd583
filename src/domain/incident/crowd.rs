//! The alerts of a large incident. Its first ones are kept whole; of all others only what a resolution, a silence and a count take, so that
//! an incident of ten thousand alerts is folded, shown and asked about as quickly as one of a hundred. Whole they stay in the inbox.

use super::Incident;
use crate::domain::alert::{AlertStatus, Fingerprint, Severity};
use crate::domain::crowd::{Crowd, Joined};
use crate::domain::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An alert in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    pub alertname: String,
    pub severity: Severity,
    pub starts_at: Time,
    pub firing: bool,
}

/// Alerts in brief. Cheap to clone: a step works on a copy of its incident.
pub type Briefs = Arc<BTreeMap<Fingerprint, Brief>>;

impl Incident {
    /// So many entries of its own each alert's news gets in an incident; whatever comes then is told in brief, many in one entry.
    pub const WHOLE: usize = 100;

    /// Is further news of its alerts written down in brief?
    pub fn is_crowded(&self) -> bool {
        self.news >= Self::WHOLE
    }

    /// Does it fire, as far as the incident knows, and since when? None: no alert of this incident.
    pub fn known(&self, fingerprint: &Fingerprint) -> Option<(bool, Time)> {
        let whole = self.alerts.get(fingerprint).map(|alert| (alert.status == AlertStatus::Firing, alert.starts_at));
        whole.or_else(|| self.crowd.get(fingerprint).map(|brief| (brief.firing, brief.starts_at)))
    }

    /// How many of its alerts fire, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        let whole = self.alerts.values().filter(|alert| alert.status == AlertStatus::Firing).count();
        let brief = self.crowd.values().filter(|brief| brief.firing).count();
        (whole + brief, self.alerts.len() + self.crowd.len())
    }

    /// Alerts that are only known in brief, counted by name.
    pub fn crowd_by_name(&self) -> BTreeMap<&str, usize> {
        let mut names = BTreeMap::new();
        for brief in self.crowd.values() {
            *names.entry(brief.alertname.as_str()).or_default() += 1;
        }
        names
    }

    /// The fingerprints and names of what fires.
    pub fn firing(&self) -> impl Iterator<Item = (&Fingerprint, &str)> {
        let whole = self.alerts.values().filter(|alert| alert.status == AlertStatus::Firing);
        let brief = self.crowd.iter().filter(|(_, brief)| brief.firing);
        whole
            .map(|alert| (&alert.fingerprint, alert.name()))
            .chain(brief.map(|(fingerprint, brief)| (fingerprint, brief.alertname.as_str())))
    }

    /// Joined first, then resolved.
    pub(super) fn take_crowd(&mut self, crowd: &Crowd, at: Time) {
        for joined in &crowd.joined {
            self.take_joined(joined);
        }
        for fingerprint in &crowd.resolved {
            if let Some(alert) = self.alerts.get_mut(fingerprint) {
                (alert.status, alert.ends_at) = (AlertStatus::Resolved, Some(at));
            } else if let Some(brief) = Arc::make_mut(&mut self.crowd).get_mut(fingerprint) {
                brief.firing = false;
            }
        }
        self.silenced.extend(crowd.silenced.iter().cloned());
        self.silenced.retain(|fingerprint| !crowd.unsilenced.contains(fingerprint));
    }

    fn take_joined(&mut self, joined: &Joined) {
        for (fingerprint, starts_at) in &joined.since {
            match self.alerts.get_mut(fingerprint) {
                Some(alert) => (alert.status, alert.starts_at, alert.ends_at) = (AlertStatus::Firing, *starts_at, None),
                None => {
                    let brief =
                        Brief { alertname: joined.alertname.clone(), severity: joined.severity, starts_at: *starts_at, firing: true };
                    Arc::make_mut(&mut self.crowd).insert(fingerprint.clone(), brief);
                }
            }
        }
    }
}
