//! The hand: what a host does when Paramedic asks it over SSH. One JSON request on stdin, one JSON reply on stdout. Never does
//! what the host's own allow-list does not name, and never runs a shell.

mod allow;
mod serve;
mod terms;

pub use allow::AllowList;
pub use serve::{Bounds, Caller, serve};
pub use terms::Terms;

use crate::clients::sandbox::Told;
use crate::redaction::Redactor;
use crate::safety::command::classify;

use super::{Cleaned, InstanceStatus, LogLevel, ReachError, ResourceCheck, Resources};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// Both ends refuse another version than their own.
pub const VERSION: u32 = 1;
/// Most bytes of a request.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Most bytes of a reply.
pub const MAX_REPLY: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandRequest {
    pub version: u32,
    /// Whose doing it is, for the host's log: incident and action.
    pub request: String,
    pub op: Op,
}

/// There is no time in a request: the host's own clock says what is old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    Status { units: Vec<String> },
    Logs { units: Vec<String>, lines: u32, level: LogLevel },
    Restart { unit: String },
    Start { unit: String },
    Resources { checks: BTreeSet<ResourceCheck> },
    Clean { paths: Vec<PathBuf>, min_age_days: u32 },
    Command { command: String },
}

impl Op {
    /// One word, as the allow-list and the log have it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Logs { .. } => "logs",
            Self::Restart { .. } => "restart",
            Self::Start { .. } => "start",
            Self::Resources { .. } => "resources",
            Self::Clean { .. } => "clean",
            Self::Command { .. } => "command",
        }
    }

    /// The verb and what it is about, for logs.
    pub fn summary(&self) -> String {
        let about = match self {
            Self::Status { units } | Self::Logs { units, .. } => units.join(","),
            Self::Restart { unit } | Self::Start { unit } => unit.clone(),
            Self::Resources { .. } => String::new(),
            // Somebody may have typed a secret into it.
            Self::Command { command } => Redactor::default().text(command).into_owned(),
            Self::Clean { paths, .. } => paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(","),
        };
        format!("{} {about}", self.verb()).trim_end().to_owned()
    }

    pub fn acts(&self) -> bool {
        match self {
            Self::Restart { .. } | Self::Start { .. } | Self::Clean { .. } => true,
            Self::Status { .. } | Self::Logs { .. } | Self::Resources { .. } => false,
            Self::Command { command } => classify(command).level.changes_something(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandReply {
    pub version: u32,
    pub request: String,
    pub result: HandResult,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HandResult {
    Done(Answer),
    /// Surely nothing was done.
    Refused {
        why: String,
    },
    TimedOut {
        what: String,
        after_ms: u64,
        maybe_done: bool,
    },
    Failed {
        what: String,
        why: String,
        maybe_done: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    Instances(Vec<InstanceStatus>),
    Lines(Vec<String>),
    Resources(Resources),
    Cleaned(Cleaned),
    /// Restarted or started: the unit just before and just after, in the same breath.
    Acted {
        before: InstanceStatus,
        after: InstanceStatus,
    },
    Told(Told),
}

impl HandResult {
    pub fn from_local(result: Result<Answer, ReachError>) -> Self {
        let error = match result {
            Ok(answer) => return Self::Done(answer),
            Err(error) => error,
        };
        let (maybe_done, text) = (error.maybe_done(), error.to_string());
        match error {
            ReachError::Refused { why, .. } => Self::Refused { why },
            ReachError::TimedOut { what, after, .. } => Self::TimedOut { what, after_ms: after.as_millis() as u64, maybe_done },
            ReachError::Failed { what, why, .. } => Self::Failed { what, why, maybe_done },
            ReachError::Unreachable { .. } | ReachError::NotSupported { .. } | ReachError::Protocol { .. } => {
                Self::Failed { what: "the request".to_owned(), why: text, maybe_done }
            }
        }
    }

    /// The same at the asking end, with the host's name.
    pub fn into_result(self, host: &str) -> Result<Answer, ReachError> {
        let place = host.to_owned();
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Refused { why } => Err(ReachError::Refused { by: format!("the hand on {host}"), why }),
            Self::TimedOut { what, after_ms, maybe_done } => {
                Err(ReachError::TimedOut { what, place, after: Duration::from_millis(after_ms), maybe_done })
            }
            Self::Failed { what, why, maybe_done } => Err(ReachError::Failed { what, place, why, maybe_done }),
        }
    }
}
