//! The server's own pulse: while it beats somebody listens. A start finds out for how long nobody did, and writes it down: what fired and
//! resolved meanwhile cannot be known.

use super::Engine;
use crate::domain::Time;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
const EVERY: chrono::Duration = chrono::Duration::seconds(30);
/// Less is a restart: Alertmanager sends again.
const OUTAGE: chrono::Duration = chrono::Duration::minutes(2);

/// The first beat, before anything else is done: writes down since when nobody listened, and counts that as nobody's silence.
pub async fn begin_to_listen(store: &Store, now: Time) -> Result<(), StoreError> {
    let Some(before) = store.beat(now).await?.filter(|before| *before < now) else { return Ok(()) };
    // While others listen, starts of one that ends again and again excuse nobody.
    if store.is_shared() && now - before < EVERY * 2 {
        return Ok(());
    }
    store.excuse_heartbeats(now - before).await?;
    if now - before < OUTAGE {
        return Ok(());
    }
    let (from, to) = (before.format("%Y-%m-%d %H:%M:%SZ"), now.format("%Y-%m-%d %H:%M:%SZ"));
    tracing::warn!(%from, %to, "nobody listened: what fired and resolved meanwhile is not known (`paramedic incidents --outages`)");
    store.note_outage(before, now).await
}

impl Engine {
    pub(super) async fn pulse_loop(self: Arc<Self>, stop: CancellationToken) {
        let mut last = self.now();
        while !stop.is_cancelled() {
            let now = self.now();
            if now >= last + EVERY {
                match self.parts.store.beat(now).await {
                    Ok(_) => last = now,
                    Err(e) => tracing::warn!(error = %e, "the server's pulse could not be stored"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}
