//! Runs a diagnosis command's plan: argv processes, wired by us, each in a sandbox of its own. Never a shell, never `$PATH`, never the
//! caller's environment; and where the kernel offers no sandbox, nothing at all.

mod confine;
mod files;
mod filter;
mod inside;
mod pinned;
mod pipeline;
mod told;

pub use inside::{Order, REFUSED, SAYS, enter};
pub use pipeline::run;
pub use told::{Ended, Told};

use std::path::PathBuf;
use std::time::Duration;

/// How a program enters its sandbox, and what it finds there.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Our own binary, which confines itself and then becomes the program.
    pub program: PathBuf,
    /// Paramedic's own ground: not there for whoever is inside.
    pub hidden: Vec<PathBuf>,
    /// For the whole command.
    pub limit: Duration,
}

/// As `/proc` names the running binary, even where it has been replaced on disk meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// For a whole command.
const LIMIT: Duration = Duration::from_secs(30);

impl Default for Sandbox {
    fn default() -> Self {
        Self { program: PathBuf::from(THIS_PROGRAM), hidden: Vec::new(), limit: LIMIT }
    }
}

/// How much a command may do: what its danger level allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// SAFE and LOW: nothing is written, nobody is signalled.
    Read,
    /// MEDIUM and HIGH, confirmed by a human: files may be written, except in the system's own places.
    Change,
}

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("{0} is not installed: expected it in {folders}", folders = crate::safety::command::FOLDERS.join(", "))]
    NotInstalled(String),
    #[error("{0} is not run: {1}")]
    NotTrusted(String, String),
    #[error("{0} could not be started: {1}")]
    NotStarted(String, std::io::Error),
    /// As a shell would say it; the command goes on as after any failure.
    #[error("{0}: {1}")]
    NoInput(String, std::io::Error),
    /// The kernel, or something about this machine, does not let us confine it.
    #[error("the sandbox refused: {0}")]
    NotConfined(String),
    /// Heard from the process that was to become the program.
    #[error("{0}")]
    Refused(String),
}
