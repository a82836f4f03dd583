//! What keeps an incident from being worked on for a while: another one that is probably its cause, or an alert that flaps.

use super::Incident;
use crate::domain::entry::{Entry, Recorded};
use crate::domain::ids::IncidentId;
use crate::domain::time::Time;

/// Nothing is begun or changed before `behind` has ended, and no longer than `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub behind: IncidentId,
    pub since: Time,
    pub until: Time,
}

/// An alert fires and resolves again and again: a human has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flapping {
    pub times: u32,
    /// When an alert fired or resolved last.
    pub changed_at: Time,
    pub quiet_for: chrono::Duration,
}

impl Flapping {
    /// When it is quiet again, if nothing changes until then.
    pub fn quiet_at(&self) -> Time {
        self.changed_at + self.quiet_for
    }
}

impl Incident {
    pub(super) fn hold(&mut self, behind: IncidentId, until: Time, at: Time) {
        let since = self.held.as_ref().map_or(at, |held| held.since);
        self.held = Some(Held { behind, since, until });
        self.related.insert(behind);
    }

    /// The time in which it was held is no fault of the run's.
    pub(super) fn release(&mut self, at: Time) {
        let Some(held) = self.held.take() else { return };
        let waited = at - held.since;
        self.waited += waited;
        self.excuse(waited);
    }

    pub(super) fn flap(&mut self, times: u32, quiet_for: u32, at: Time) {
        let quiet_for = chrono::Duration::seconds(quiet_for.into());
        self.flapping = Some(Flapping { times, changed_at: at, quiet_for });
    }

    /// What any entry about alerts means besides itself.
    pub(super) fn follow(&mut self, recorded: &Recorded) {
        let alone = matches!(
            recorded.entry,
            Entry::AlertJoined { .. } | Entry::AlertResolved { .. } | Entry::Silenced { .. } | Entry::Unsilenced { .. }
        );
        if alone {
            self.news += 1;
        }
        let changed = match &recorded.entry {
            Entry::AlertJoined { .. } | Entry::AlertResolved { .. } => true,
            Entry::ManyAlerts(crowd) => !crowd.joined.is_empty() || !crowd.resolved.is_empty(),
            _ => false,
        };
        if let (true, Some(flapping)) = (changed, self.flapping.as_mut()) {
            flapping.changed_at = recorded.at;
        }
    }
}
