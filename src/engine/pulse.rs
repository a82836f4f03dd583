//! The server's own pulse: while it beats somebody listens. A start finds out for how long nobody did, and so does a server that stood still
//! (SIGSTOP, a suspended machine) and goes on; it is written down, and nobody's silence. What fired and resolved meanwhile cannot be known.

use super::Engine;
use crate::domain::Time;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
const EVERY: chrono::Duration = chrono::Duration::seconds(30);
/// Less is a restart: Alertmanager sends again.
const OUTAGE: chrono::Duration = chrono::Duration::minutes(2);
/// Less between two looks, which come every second, is a busy machine.
const STOOD_STILL: chrono::Duration = chrono::Duration::seconds(10);

/// The first beat, before anything else is done: writes down since when nobody listened, and counts that as nobody's silence.
pub async fn begin_to_listen(store: &Store, now: Time) -> Result<(), StoreError> {
    let Some(before) = store.beat(now).await?.filter(|before| *before < now) else { return Ok(()) };
    nobody_listened(store, before, now).await?;
    Ok(())
}

/// True if it was an outage.
async fn nobody_listened(store: &Store, since: Time, now: Time) -> Result<bool, StoreError> {
    // While others listen, starts of one that ends again and again excuse nobody.
    if store.is_shared() && now - since < EVERY * 2 {
        return Ok(false);
    }
    let outage = now - since >= OUTAGE;
    if outage {
        let (from, to) = (since.format("%Y-%m-%d %H:%M:%SZ"), now.format("%Y-%m-%d %H:%M:%SZ"));
        tracing::warn!(%from, %to, "nobody listened: what fired and resolved meanwhile is not known (`paramedic incidents --outages`)");
        store.note_outage(since, now).await?;
    }
    // Last: what failed before it is tried again, and nobody is excused twice.
    store.excuse_heartbeats(now - since).await?;
    Ok(outage)
}

/// When somebody looked last, by the clock's pulse.
pub(super) struct Pulse(Mutex<Time>);

impl Pulse {
    pub fn at(now: Time) -> Self {
        Self(Mutex::new(now))
    }
}

impl Engine {
    /// The time. Where the server stood still until then, that is written down first: nobody may be judged by a silence that is about to be
    /// excused. Held across the writing for that reason: whoever asks meanwhile waits.
    pub(super) async fn awake(&self) -> Result<Time, StoreError> {
        let mut last = self.pulse.0.lock().await;
        let (now, pulse) = (self.now(), self.parts.clock.pulse());
        let gap = pulse - *last;
        if gap > STOOD_STILL && self.stood_still(now - gap, now).await? {
            self.look_soon();
        }
        *last = pulse;
        Ok(now)
    }

    async fn stood_still(&self, since: Time, now: Time) -> Result<bool, StoreError> {
        let store = &self.parts.store;
        tracing::warn!(seconds = (now - since).num_seconds(), "the server stood still");
        let others = store.beat(now).await?.filter(|_| store.is_shared());
        nobody_listened(store, others.map_or(since, |others| others.max(since)), now).await
    }

    pub(super) async fn pulse_loop(self: Arc<Self>, stop: CancellationToken) {
        let mut last = self.now();
        while !stop.is_cancelled() {
            match self.beat(last).await {
                Ok(at) => last = at,
                Err(e) => tracing::warn!(error = %e, "the server's pulse could not be stored"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// When it was stored last.
    async fn beat(&self, last: Time) -> Result<Time, StoreError> {
        let now = self.awake().await?;
        if now < last + EVERY {
            return Ok(last);
        }
        self.parts.store.beat(now).await?;
        Ok(now)
    }
}
