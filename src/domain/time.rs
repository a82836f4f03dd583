//! Time comes in as an argument: a `Clock` is read at the top of a step and nowhere below.

use std::sync::Mutex;

/// An instant in UTC. Stored as whole milliseconds since 1970.
pub type Time = chrono::DateTime<chrono::Utc>;

pub trait Clock: Send + Sync {
    fn now(&self) -> Time;

    /// What jumps when the process stood still: the same time, except on a test's clock, which may be moved on as if every moment had been
    /// lived through.
    fn pulse(&self) -> Time {
        self.now()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        chrono::Utc::now()
    }
}

/// A clock that moves only when told to: tests move time instead of sleeping.
#[derive(Debug)]
pub struct ManualClock(Mutex<Time>);

impl ManualClock {
    pub fn at(start: Time) -> Self {
        Self(Mutex::new(start))
    }

    pub fn advance(&self, by: chrono::Duration) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
