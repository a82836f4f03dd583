//! An incident whose steps fail again and again (a row that cannot be read, a defect): a human is told through the outbox, which
//! does not need the incident's own ledger, and the attempts become rarer.

use super::Engine;
use super::error::EngineError;
use crate::domain::{Channel, IncidentId, Notice, Severity};
use crate::store::StoreError;
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

const SOON: chrono::Duration = chrono::Duration::seconds(1);
/// Failures in a row after which a human hears of it.
const TELL_AFTER: u32 = 3;

impl Engine {
    /// Counts a failure; gives how long to wait before the next attempt. A store that is down or full is no fault of the
    /// incident's.
    pub(super) async fn trouble(&self, incident: IncidentId, error: &EngineError) -> chrono::Duration {
        if matches!(error, EngineError::Store(StoreError::Sql(_))) {
            return SOON;
        }
        let count = {
            let mut troubles = self.troubles();
            let count = troubles.entry(incident).or_insert(0);
            *count += 1;
            *count
        };
        if count == TELL_AFTER {
            let text = format!("{incident} cannot go on: {error}. Somebody has to look: paramedic incidents {incident}");
            let notices: Vec<(Channel, Notice)> = self.channels().into_iter().map(|channel| (channel, notice(channel, &text))).collect();
            if let Err(e) = self.parts.store.tell(incident, &notices, self.now()).await {
                tracing::error!(%incident, error = %e, "and nobody could be told");
            }
        }
        match count {
            0..TELL_AFTER => SOON,
            _ => chrono::Duration::minutes(5),
        }
    }

    pub(super) fn trouble_over(&self, incident: IncidentId) {
        self.troubles().remove(&incident);
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<IncidentId, u32>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn notice(channel: Channel, text: &str) -> Notice {
    match channel {
        Channel::Pagerduty => Notice::Page { severity: Severity::Critical, summary: text.to_owned() },
        Channel::Slack | Channel::Email => Notice::Message { severity: Severity::Critical, text: text.to_owned() },
    }
}
