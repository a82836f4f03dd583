//! When an alert flaps: it resolved so often lately that the next firing is no news, and one more fix would fix nothing.

use crate::domain::{Problem, Time};
use serde::Deserialize;

/// `flapping` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlapBounds {
    /// An alert that resolved so often within the window flaps when it fires once more.
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
        let all = [("times", self.times, 2, 100), ("within_seconds", self.within_seconds, 60, 86_400)];
        let off = all.into_iter().filter(|(_, value, least, most)| !(least..=most).contains(&value));
        off.map(|(name, _, least, most)| Problem::new(format!("flapping.{name}"), format!("expected {least} to {most}"))).collect()
    }

    /// Resolutions from then on count.
    pub fn since(&self, now: Time) -> Time {
        now - chrono::Duration::seconds(self.within_seconds.into())
    }
}
