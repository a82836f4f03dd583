//! When an alert flaps: it resolved so often lately that the next firing is no news, and one more fix would fix nothing.

use crate::domain::{Problem, Time};
use serde::Deserialize;

/// `flapping` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlapBounds {
    /// An alert that resolved so often within the window flaps when it fires once more; 0: none ever does.
    pub times: u32,
    /// And is quiet again after as much time without a change.
    pub within_seconds: u32,
}

impl Default for FlapBounds {
    fn default() -> Self {
        Self { times: 4, within_seconds: 1_800 }
    }
}

impl FlapBounds {
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.times != 0 && !(2..=100).contains(&self.times) {
            problems.push(Problem::new("flapping.times", "expected 2 to 100, or 0 for never"));
        }
        if !(60..=86_400).contains(&self.within_seconds) {
            problems.push(Problem::new("flapping.within_seconds", "expected 60 to 86400"));
        }
        problems
    }

    /// Resolutions from then on count.
    pub fn since(&self, now: Time) -> Time {
        now - chrono::Duration::seconds(self.within_seconds.into())
    }
}
