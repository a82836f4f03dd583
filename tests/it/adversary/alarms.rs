//! What a process of tests says of itself: every panic, whoever catches it, and every error that is logged.

use std::fmt::Write as _;
use std::sync::{Mutex, Once, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LISTENING: Once = Once::new();

/// Said in the log at level error, and right so: somebody should look at a model that wants this.
const EXPECTED: [&str; 1] = ["a planner asked for something that is never done"];

pub fn listen() {
    LISTENING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A test that fails says so itself.
            if !panic.location().is_some_and(|place| place.file().starts_with("tests/")) {
                hear(format!("a panic: {panic}"));
            }
            before(panic);
        }));
        // Where another test of this process listens already, panics are heard all the same.
        let _ = tracing::subscriber::set_global_default(Errors);
    });
}

/// What was heard so far.
pub fn heard() -> Vec<String> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn hear(what: String) {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner).push(what);
}

/// Listens to errors and to nothing else.
struct Errors;

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.target().starts_with("paramedic")
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::ERROR)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        if !EXPECTED.iter().any(|expected| words.0.contains(expected)) {
            hear(format!("an error in the log: {}", words.0));
        }
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}
