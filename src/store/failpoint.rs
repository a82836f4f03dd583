//! Freeze points: tests stop the server for good just before or just after a chosen durable write, as a power cut would,
//! and start another on the same file. Without the feature `failpoints` nothing is ever frozen.

#[cfg(feature = "failpoints")]
use std::sync::Arc;
#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicI64, Ordering};

/// Before the write reaches the disk, or after it did and before anybody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezePoint {
    Before,
    After,
}

#[cfg(feature = "failpoints")]
#[derive(Debug)]
struct Plan {
    at: FreezePoint,
    left: AtomicI64,
    reached: tokio::sync::Notify,
}

/// Which write to stop at; by default none.
#[derive(Debug, Clone, Default)]
pub struct Freeze {
    #[cfg(feature = "failpoints")]
    plan: Option<Arc<Plan>>,
}

impl Freeze {
    /// Stops at the `nth` ledger write, counted from 1: neither that one nor any later one comes back. What needs no ledger goes
    /// on until whoever awaits `reached` kills the server.
    #[cfg(feature = "failpoints")]
    pub fn at(nth: i64, at: FreezePoint) -> Self {
        Self { plan: Some(Arc::new(Plan { at, left: AtomicI64::new(nth), reached: tokio::sync::Notify::new() })) }
    }

    /// Waits until the point is reached; the server is then as good as dead. Without a plan, never.
    #[cfg(feature = "failpoints")]
    pub async fn reached(&self) {
        match &self.plan {
            Some(plan) => plan.reached.notified().await,
            None => std::future::pending().await,
        }
    }

    #[cfg(feature = "failpoints")]
    pub(super) async fn pass(&self, at: FreezePoint) {
        let Some(plan) = &self.plan else { return };
        let left = if at == FreezePoint::Before { plan.left.fetch_sub(1, Ordering::SeqCst) - 1 } else { plan.left.load(Ordering::SeqCst) };
        let frozen = if plan.at == FreezePoint::Before || at == FreezePoint::After { left <= 0 } else { left < 0 };
        if frozen {
            plan.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(feature = "failpoints"))]
    pub(super) async fn pass(&self, _at: FreezePoint) {}
}
