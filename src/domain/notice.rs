//! What is told to humans, and where. A notice is a row in the outbox: written with the entry it speaks of, sent after.

use super::alert::Severity;
use super::ids::ApprovalId;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Slack,
    Pagerduty,
    Email,
}

impl Channel {
    pub const ALL: [Self; 3] = [Self::Slack, Self::Pagerduty, Self::Email];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// Slack: the incident's root message, posted once and then edited in place from the incident as it stands when it is sent.
    Card,
    /// Slack: a line in the incident's thread. Email: a message.
    Message { severity: Severity, text: String },
    /// Slack: the question with its two buttons, in the thread.
    Ask { approval: ApprovalId },
    /// Slack: the same message, with who has approved so far.
    AskVoted { approval: ApprovalId },
    /// Slack: the same message without buttons, saying who decided what.
    AskClosed { approval: ApprovalId },
    /// Slack: another message with the same buttons (an answer was lost, and it was posted twice) loses them too.
    StrayClosed { approval: ApprovalId, ts: String },
    /// PagerDuty `trigger`.
    Page { severity: Severity, summary: String },
    /// PagerDuty `acknowledge`: a human took it.
    Acknowledge,
    /// PagerDuty `resolve`: only after verification.
    Resolve,
}
