//! News of many alerts in brief: what an entry of a large incident says about them.

use super::alert::{Alert, Fingerprint, Severity};
use super::entry::line;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Alerts in brief: those of one name and severity, and since when each fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub alertname: String,
    pub severity: Severity,
    pub since: BTreeMap<Fingerprint, Time>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Crowd {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Joined>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub resolved: BTreeSet<Fingerprint>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub silenced: BTreeSet<Fingerprint>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unsilenced: BTreeSet<Fingerprint>,
}

impl Crowd {
    /// One that fires.
    pub fn join(&mut self, alert: &Alert) {
        let since = BTreeMap::from([(alert.fingerprint.clone(), alert.starts_at)]);
        self.joined.push(Joined { alertname: alert.name().to_owned(), severity: alert.severity(), since });
    }

    /// What came after it.
    pub fn follow(&mut self, later: Self) {
        for joined in later.joined {
            for fingerprint in joined.since.keys() {
                self.resolved.remove(fingerprint);
            }
            match self.joined.iter_mut().find(|mine| mine.alertname == joined.alertname && mine.severity == joined.severity) {
                Some(mine) => mine.since.extend(joined.since),
                None => self.joined.push(joined),
            }
        }
        self.resolved.extend(later.resolved);
    }

    /// The first so many of each kind.
    pub fn first(&self, most: usize) -> Self {
        let few = |set: &BTreeSet<Fingerprint>| set.iter().take(most).cloned().collect();
        let joined = |joined: &Joined| Joined {
            since: joined.since.iter().take(most).map(|(fingerprint, at)| (fingerprint.clone(), *at)).collect(),
            ..joined.clone()
        };
        Self {
            joined: self.joined.iter().take(most).map(joined).collect(),
            resolved: few(&self.resolved),
            silenced: few(&self.silenced),
            unsilenced: few(&self.unsilenced),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.resolved.is_empty() && self.silenced.is_empty() && self.unsilenced.is_empty()
    }
}

impl fmt::Display for Crowd {
    /// `412 alerts joined in brief (ServiceDown 400, HighLatency 12), 3 resolved`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Names told one by one.
        const NAMES: usize = 5;
        let count: usize = self.joined.iter().map(|joined| joined.since.len()).sum();
        let mut parts = Vec::new();
        if count > 0 {
            let name = |joined: &Joined| format!("{} {}", line(&joined.alertname), joined.since.len());
            let mut names: Vec<String> = self.joined.iter().take(NAMES).map(name).collect();
            if self.joined.len() > NAMES {
                names.push("and others".to_owned());
            }
            parts.push(format!("{count} joined ({})", names.join(", ")));
        }
        let sets =
            [(&self.resolved, "resolved"), (&self.silenced, "silenced in Alertmanager"), (&self.unsilenced, "not silenced any more")];
        parts.extend(sets.iter().filter(|(set, _)| !set.is_empty()).map(|(set, word)| format!("{} {word}", set.len())));
        write!(f, "alerts in brief: {}", parts.join(", "))
    }
}
