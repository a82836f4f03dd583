//! The places around durable writes, sends and effects where tests end a server: the process by SIGKILL at a place that its environment
//! names (`fatal`), or a server inside a test's own process for good, as a power cut would (`Freeze`). Without the feature
//! `failpoints`, which no release has, nothing is ever ended, and no variable is known.

#[cfg(feature = "failpoints")]
mod fatal;

#[cfg(feature = "failpoints")]
use std::sync::Arc;
#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicI64, Ordering};

/// A place that a server passes. Before: nothing of it has happened. After: it has, and nobody has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A delivery becomes durable.
    BeforeAccept,
    AfterAccept,
    /// Everything of a delivery is durable, and its sender is about to be told so.
    Acknowledge,
    /// An accepted alert opens an incident, joins one, or is put aside.
    BeforeRaise,
    AfterRaise,
    /// A worker takes an incident, and gives it back.
    BeforeLease,
    AfterLease,
    BeforeRelease,
    AfterRelease,
    /// Entries are appended to an incident.
    BeforeAppend,
    AfterAppend,
    /// A tool is about to run, its `started` being durable; it has run, and nothing of that is stored.
    Dispatch,
    Result,
    /// A human's decision or order becomes durable.
    BeforeDecision,
    AfterDecision,
    /// A notice is about to be sent; it was, and that is not stored; where it was put is stored, and not yet that it was sent; all is.
    Notify,
    Notified,
    BeforeSent,
    AfterSent,
    /// The log's checkpoint is kept.
    BeforeSign,
    AfterSign,
}

impl Point {
    pub const ALL: [Self; 21] = [
        Self::BeforeAccept,
        Self::AfterAccept,
        Self::Acknowledge,
        Self::BeforeRaise,
        Self::AfterRaise,
        Self::BeforeLease,
        Self::AfterLease,
        Self::BeforeRelease,
        Self::AfterRelease,
        Self::BeforeAppend,
        Self::AfterAppend,
        Self::Dispatch,
        Self::Result,
        Self::BeforeDecision,
        Self::AfterDecision,
        Self::Notify,
        Self::Notified,
        Self::BeforeSent,
        Self::AfterSent,
        Self::BeforeSign,
        Self::AfterSign,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeAccept => "before_accept",
            Self::AfterAccept => "after_accept",
            Self::Acknowledge => "acknowledge",
            Self::BeforeRaise => "before_raise",
            Self::AfterRaise => "after_raise",
            Self::BeforeLease => "before_lease",
            Self::AfterLease => "after_lease",
            Self::BeforeRelease => "before_release",
            Self::AfterRelease => "after_release",
            Self::BeforeAppend => "before_append",
            Self::AfterAppend => "after_append",
            Self::Dispatch => "dispatch",
            Self::Result => "result",
            Self::BeforeDecision => "before_decision",
            Self::AfterDecision => "after_decision",
            Self::Notify => "notify",
            Self::Notified => "notified",
            Self::BeforeSent => "before_sent",
            Self::AfterSent => "after_sent",
            Self::BeforeSign => "before_sign",
            Self::AfterSign => "after_sign",
        }
    }
}

/// Passes a point. `what` tells one passage from another: a tool, a channel, the kinds of entries.
#[cfg(feature = "failpoints")]
pub fn pass(point: Point, what: impl FnOnce() -> String) {
    fatal::pass(point, what);
}

#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_point: Point, _what: impl FnOnce() -> String) {}

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
