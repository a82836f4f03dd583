//! Looks over the store once, at the start, and tells a human when it is found to be damaged, by this look or by the log's audit. The gate
//! changes nothing before that has ended, and nothing on a damaged store; alerts are taken and humans told as long as it can be written.

use super::Engine;
use super::error::unwound;
use super::own::own_alert;
use crate::store::Soundness;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
const DAMAGED: &str = "StoreDamaged";

impl Engine {
    pub(super) async fn sound_loop(self: Arc<Self>, stop: CancellationToken) {
        metrics::gauge!("paramedic_store_damaged").set(0.0);
        let (mut looked, mut told) = (false, false);
        while !stop.is_cancelled() {
            if !looked {
                match unwound(async { Ok(self.parts.store.look_over().await?) }).await {
                    Ok(()) => looked = true,
                    Err(e) => {
                        tracing::error!(error = %e, "the store could not be looked over: nothing is changed before that; tried again")
                    }
                }
                self.ring();
            }
            if let Soundness::Damaged(why) = self.parts.store.soundness()
                && !told
            {
                told = self.tell_of_damage(&why).await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// An alert of Paramedic's own, of level 3, if the store still takes one.
    async fn tell_of_damage(&self, why: &str) -> bool {
        metrics::gauge!("paramedic_store_damaged").set(1.0);
        tracing::error!("THE STORE IS DAMAGED: {why}. Nothing is changed any more; docs/crash-safety.md says what to do");
        let taken = self.take(vec![own_alert(DAMAGED, None, DAMAGED.to_owned(), why.to_owned(), self.now())]).await;
        taken.inspect_err(|e| tracing::error!(error = %e, "and it takes no alert that would tell a human; it is tried again")).is_ok()
    }
}
