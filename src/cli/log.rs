//! What goes to stderr while the server runs. Every line passes through the redactor, whoever wrote it, libraries and panics too.

use crate::redaction::Redactor;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, OnceLock};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Knows shapes only until the configuration was read.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<OnceLock<Redactor>>);

impl Log {
    /// RUST_LOG says how much; libraries that log whole bodies or tickets are silent whatever it says.
    pub fn to_stderr(json: bool) -> Self {
        let log = Self::default();
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let silent = ["async_openai=off", "slack_morphism=off"];
        let filter = silent.iter().filter_map(|d| d.parse().ok()).fold(filter, EnvFilter::add_directive);
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.clone()).with_target(false);
        let builder = if io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
        // A second subscriber in one process (tests) is refused, and the first one stays.
        let _ = if json { builder.json().try_init() } else { builder.try_init() };
        log.take_panics();
        log
    }

    /// From here on the configuration's secrets are known.
    pub fn redact(&self, redactor: &Redactor) {
        // Told twice, the first stays: there is one configuration a process.
        let _ = self.0.set(redactor.clone());
    }

    fn take_panics(&self) {
        let log = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let trace = Some(Backtrace::capture()).filter(|trace| trace.status() == BacktraceStatus::Captured);
            let trace = trace.map_or(String::new(), |trace| format!("\n{trace}"));
            // With a closed stderr there is nobody to tell.
            let _ = log.clone().write_all(format!("{panic}{trace}\n").as_bytes());
        }));
    }

    fn clean(&self, line: &[u8]) -> String {
        let line = String::from_utf8_lossy(line);
        match self.0.get() {
            Some(redactor) => redactor.text(&line).into_owned(),
            None => Redactor::default().text(&line).into_owned(),
        }
    }
}

/// The subscriber hands over a whole event at once.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(self.clean(line).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
