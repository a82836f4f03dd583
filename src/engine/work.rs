//! The workers: a bounded number of incidents at once, and one worker that takes only level 3, so that no slow fix ever
//! delays a page.

use super::Engine;
use super::error::{EngineError, unwound};
use crate::store::{Claim, Lane, StoreError, Wake};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the store is asked what has become due; a bell shortens it.
const TICK: Duration = Duration::from_millis(200);
/// A lease outlives the longest single step (a restart over SSH, a model's answer) with room to spare.
const LEASE: chrono::Duration = chrono::Duration::minutes(5);
/// After this long a worker gives an incident back between two steps, so that its lease never runs out in one.
const HOLD: chrono::Duration = chrono::Duration::minutes(1);
const AFTER_ERROR: Duration = Duration::from_millis(500);

impl Engine {
    pub(super) fn start_workers(self: Arc<Self>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        tasks.spawn(self.clone().work(Lane::LevelThree, stop.clone()));
        for _ in 0..self.parts.settings.workers {
            tasks.spawn(self.clone().work(Lane::Any, stop.clone()));
        }
    }

    async fn work(self: Arc<Self>, lane: Lane, stop: CancellationToken) {
        let bell = match lane {
            Lane::Any => &self.due,
            Lane::LevelThree => &self.urgent,
        };
        while !stop.is_cancelled() {
            let pause = match unwound(self.take_one(lane, &stop)).await {
                Ok(true) => continue,
                Ok(false) => TICK,
                Err(e) => {
                    tracing::error!(error = %e, "a step failed; it is tried again");
                    AFTER_ERROR
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Works on the most urgent incident that is due, until it has to wait for something.
    async fn take_one(&self, lane: Lane, stop: &CancellationToken) -> Result<bool, EngineError> {
        let now = self.now();
        if !self.parts.store.any_due(lane, now).await? {
            return Ok(false);
        }
        let Some(claim) = self.parts.store.claim(lane, now, now + LEASE).await? else { return Ok(false) };
        // Another one may be due as well: let the next worker look.
        self.ring();
        match unwound(self.work_on(&claim, lane, stop)).await {
            Ok(wake) => {
                self.trouble_over(claim.incident);
                self.give_back(&claim, wake, stop).await;
            }
            // Somebody else goes on with it, or a door was faster: nothing of this step happened.
            Err(EngineError::Store(StoreError::Fenced(_))) => self.give_back(&claim, Wake::Now, stop).await,
            Err(e) => {
                tracing::error!(incident = %claim.incident, error = %e, "a step failed; it is tried again");
                let wait = self.trouble(claim.incident, &e).await;
                self.give_back(&claim, Wake::At(self.now() + wait), stop).await;
            }
        }
        Ok(true)
    }

    /// A store that cannot be written is asked again until it can: nobody else may work on the incident before that.
    async fn give_back(&self, claim: &Claim, wake: Wake, stop: &CancellationToken) {
        while let Err(e) = self.parts.store.release(claim, wake, self.now()).await {
            tracing::error!(incident = %claim.incident, error = %e, "an incident could not be given back");
            tokio::select! {
                // The next server forgets every lease.
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AFTER_ERROR) => {}
            }
        }
    }

    async fn work_on(&self, claim: &Claim, lane: Lane, stop: &CancellationToken) -> Result<Wake, EngineError> {
        let taken_at = self.now();
        let Some(mut incident) = self.parts.store.incident(claim.incident).await? else {
            return Err(EngineError::Vanished(claim.incident));
        };
        let mut took_in = false;
        loop {
            let started = std::time::Instant::now();
            let wake = self.step(claim, &mut incident, &mut took_in).await?;
            // Two counters, not a histogram: the recorder reads a histogram by spinning until no writer is under way, which has no
            // place on a thread that others work on.
            metrics::counter!("paramedic_steps_total").increment(1);
            metrics::counter!("paramedic_step_microseconds_total")
                .increment(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
            // The urgent lane pages; what is looked into afterwards is the others' work.
            let paged = lane == Lane::LevelThree && incident.escalated.is_some();
            if paged || wake != Wake::Now || stop.is_cancelled() || self.now() - taken_at > HOLD {
                return Ok(wake);
            }
            if lane == Lane::Any && self.parts.store.any_more_urgent(claim, self.now()).await? {
                return Ok(Wake::Now);
            }
        }
    }
}
