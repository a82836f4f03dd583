//! Waiting for another incident that is probably the cause: before a run begins, and before anything is changed in one. Seen by
//! `classifier/cause.rs`; here it is asked, written down and told.

use super::Engine;
use super::error::EngineError;
use crate::classifier::{self as cause, Hold, Waiting};
use crate::domain::{Channel, Entry, Incident, Notice, Severity};
use crate::store::{Claim, Commit, StoreError, Wake, urgency};

/// How often an incident that waits looks whether it still has to.
const LOOK: chrono::Duration = chrono::Duration::seconds(2);

impl Engine {
    /// Some if it has to wait now: it is written down, and nothing is begun.
    pub(super) async fn wait_for_cause(&self, claim: &Claim, incident: &mut Incident) -> Result<Option<Wake>, EngineError> {
        match self.cause_of(incident).await? {
            Some(hold) => self.hold(claim, incident, hold).await.map(Some),
            None => Ok(None),
        }
    }

    /// It waits already: does it still have to?
    pub(super) async fn look_again(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let Some(held) = incident.held.clone() else { return Ok(Wake::Now) };
        if let Some(hold) = self.cause_of(incident).await? {
            if hold.behind != held.behind {
                return self.hold(claim, incident, hold).await;
            }
            return Ok(Wake::At((self.now() + LOOK).min(hold.until)));
        }
        let over = self.now() >= held.until;
        let why = match over {
            true => format!("it has waited for {} as long as it may, and still fires", held.behind),
            false => format!("{} holds it up no longer, and it still fires", held.behind),
        };
        self.append(claim, incident, vec![Entry::Released { why }]).await
    }

    async fn cause_of(&self, incident: &Incident) -> Result<Option<Hold>, StoreError> {
        let (Some(service), now) = (&incident.target.service, self.now()) else { return Ok(None) };
        let bounds = self.parts.settings.cause;
        let nearby = self.parts.store.nearby(now - bounds.settle()).await?;
        let mine = Waiting {
            incident: incident.id,
            service,
            level: incident.level,
            urgency: urgency(incident),
            behind: incident.held.as_ref().map(|held| held.behind),
            waited: incident.waited + incident.held.as_ref().map_or(chrono::Duration::zero(), |held| now - held.since),
        };
        Ok(cause::hold(mine, &nearby, &self.parts.needs, bounds, now))
    }

    /// Told in both threads.
    async fn hold(&self, claim: &Claim, incident: &mut Incident, hold: Hold) -> Result<Wake, EngineError> {
        let Hold { behind, why, until } = hold;
        let mut elsewhere = Vec::new();
        if self.channels().contains(&Channel::Slack) && !incident.related.contains(&behind) {
            let text = format!("{} {} ({}) waits for this incident: {why}", incident.id, incident.alertname(), incident.target);
            elsewhere.push((behind, Channel::Slack, Notice::Message { severity: Severity::Info, text }));
        }
        let entries = vec![Entry::Held { behind, why, until }];
        self.commit(claim, incident, Commit { entries, elsewhere, ..Commit::default() }).await?;
        Ok(Wake::At((self.now() + LOOK).min(until)))
    }
}
