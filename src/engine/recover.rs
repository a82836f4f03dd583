//! After a crash, or an answer that never came: an action was started and nobody knows. Probe by reading; else show it to a
//! human; never do it again blindly.

use super::Engine;
use super::error::EngineError;
use crate::domain::{Action, Effect, Entry, Incident};
use crate::safety::name_of;
use crate::store::{Claim, Wake};
use crate::tools;
use std::time::Duration;

const PROBE: Duration = Duration::from_secs(60);

impl Engine {
    pub(super) async fn recover(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let Some(in_flight) = incident.in_flight.clone() else { return Ok(Wake::Now) };
        if in_flight.action.effect.changes_something() {
            let entry = self.doubt(incident, &in_flight.action).await;
            return self.append(claim, incident, vec![entry]).await;
        }
        // A question in flight has its answer in the ledger already: it was granted.
        if in_flight.action.effect == Effect::Question {
            return self.finish_question(claim, incident).await;
        }
        let ran = self.run_again(incident, &in_flight).await;
        self.finish(claim, incident, &in_flight.action, ran).await
    }

    pub(super) async fn doubt(&self, incident: &Incident, action: &Action) -> Entry {
        let (since, seq) =
            incident.in_flight.as_ref().map_or((incident.updated_at, None), |running| (running.started_at, Some(running.seq)));
        let found = match tools::find(&action.tool) {
            // A probe that does not answer cannot tell.
            Some(tool) => {
                let bench = self.parts.bench.on_behalf(&name_of(incident.id, seq, &action.tool));
                tokio::time::timeout(PROBE, tool.probe(action, since, &bench)).await.unwrap_or(None)
            }
            None => None,
        };
        Entry::InDoubt { found }
    }
}
