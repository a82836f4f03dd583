//! What can go wrong on the way to a service or host. Never hides whether the far end may have acted: `maybe_done` is what
//! the engine's "in doubt" rests on, so a doubtful case answers yes.

use crate::redaction::beginning;
use std::time::Duration;

/// How long each kind of outward call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To reach a host's sshd and be let in.
    pub connect: Duration,
    /// To read a state, a log or resources.
    pub observe: Duration,
    /// To restart, start, scale or clean.
    pub restart: Duration,
    /// From SIGTERM to SIGKILL of a child.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            observe: Duration::from_secs(15),
            restart: Duration::from_secs(60),
            stop: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    #[error("`{place}` cannot be reached: {why}")]
    Unreachable { place: String, why: String },
    /// Whoever was asked knows the request and declines it; nothing was done.
    #[error("{by} refused: {why}")]
    Refused { by: String, why: String },
    #[error("{what} at {place} did not end within {} s{}", after.as_secs_f32(), if *maybe_done { ", it may still take effect" } else { "" })]
    TimedOut { what: String, place: String, after: Duration, maybe_done: bool },
    #[error("{what} is not supported: {why}")]
    NotSupported { what: String, why: String },
    /// The far end answered something else than the protocol says.
    #[error("{place} did not answer as expected: {why}")]
    Protocol { place: String, why: String, maybe_done: bool },
    #[error("{what} at {place} failed: {why}")]
    Failed { what: String, place: String, why: String, maybe_done: bool },
}

impl ReachError {
    /// May an acting request have taken effect all the same?
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Refused { .. } | Self::NotSupported { .. } => false,
            Self::TimedOut { maybe_done, .. } | Self::Protocol { maybe_done, .. } | Self::Failed { maybe_done, .. } => *maybe_done,
        }
    }

    /// After a first effect nothing that follows can be "surely not done".
    pub(super) fn after_an_effect(self) -> Self {
        match self {
            Self::TimedOut { what, place, after, .. } => Self::TimedOut { what, place, after, maybe_done: true },
            Self::Protocol { place, why, .. } => Self::Protocol { place, why, maybe_done: true },
            Self::Failed { what, place, why, .. } => Self::Failed { what, place, why, maybe_done: true },
            Self::Unreachable { .. } | Self::Refused { .. } | Self::NotSupported { .. } => Self::Failed {
                what: "the rest of an action that had begun".to_owned(),
                place: "its target".to_owned(),
                why: self.to_string(),
                maybe_done: true,
            },
        }
    }
}

/// Bytes of a stranger, fit for an error message: printable, and not many of them.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // Enough for that many characters, each as long as may be.
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * 200 + 4)]);
    format!("`{}`", beginning(head.trim_end(), 200).escape_debug())
}
