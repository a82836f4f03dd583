//! A human's permission for one exact action: asked, then granted, denied, expired or void; a granted one is used once.

use super::action::{Action, Digest};
use super::ids::{ApprovalId, IncidentId};
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Through which door a decision came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    Slack,
    Cli,
    Api,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slack => "slack",
            Self::Cli => "cli",
            Self::Api => "api",
        })
    }
}

/// Who decided: a Slack user id, a login name on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub name: String,
    pub via: Via,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} via {}", self.name, self.via)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Grant,
    Deny,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ApprovalState {
    Asked,
    Granted {
        by: Principal,
        at: Time,
    },
    Denied {
        by: Principal,
        at: Time,
    },
    Expired {
        at: Time,
    },
    /// The alert resolved, or the run ended, before anyone decided.
    Void {
        why: String,
        at: Time,
    },
    Used {
        by: Principal,
        at: Time,
    },
}

impl ApprovalState {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Granted { .. } => "granted",
            Self::Denied { .. } => "denied",
            Self::Expired { .. } => "expired",
            Self::Void { .. } => "void",
            Self::Used { .. } => "used",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub id: ApprovalId,
    pub incident: IncidentId,
    /// Of `action`; a granted approval lets nothing else through.
    pub digest: Digest,
    pub action: Action,
    /// Why a human is asked, one line a layer.
    pub reasons: Vec<String>,
    pub asked_at: Time,
    pub expires_at: Time,
    pub state: ApprovalState,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    #[error("{0} is already {1}: the first decision stands")]
    Decided(ApprovalId, &'static str),
    #[error("{0} expired at {1}: nobody decided in time, and the incident was escalated")]
    TooLate(ApprovalId, Time),
    #[error("{0} is {1}, not granted: it authorises nothing")]
    NotGranted(ApprovalId, &'static str),
}

impl Approval {
    /// The first decision wins; one that comes at or after the expiry does not count.
    pub fn decide(mut self, decision: Decision, by: Principal, now: Time) -> Result<Self, IllegalTransition> {
        match self.state {
            ApprovalState::Asked if now < self.expires_at => {
                self.state = match decision {
                    Decision::Grant => ApprovalState::Granted { by, at: now },
                    Decision::Deny => ApprovalState::Denied { by, at: now },
                };
                Ok(self)
            }
            ApprovalState::Asked => Err(IllegalTransition::TooLate(self.id, self.expires_at)),
            ApprovalState::Expired { .. } => Err(IllegalTransition::TooLate(self.id, self.expires_at)),
            ref other => Err(IllegalTransition::Decided(self.id, other.word())),
        }
    }

    pub fn expire(mut self, now: Time) -> Result<Self, IllegalTransition> {
        match self.state {
            ApprovalState::Asked if now >= self.expires_at => {
                self.state = ApprovalState::Expired { at: now };
                Ok(self)
            }
            ref other => Err(IllegalTransition::Decided(self.id, other.word())),
        }
    }

    pub fn void(mut self, why: &str, now: Time) -> Result<Self, IllegalTransition> {
        match self.state {
            ApprovalState::Asked | ApprovalState::Granted { .. } => {
                self.state = ApprovalState::Void { why: why.to_owned(), at: now };
                Ok(self)
            }
            ref other => Err(IllegalTransition::Decided(self.id, other.word())),
        }
    }

    /// Spends it. Happens in the same transaction as the action's `started`.
    pub fn spend(mut self, now: Time) -> Result<Self, IllegalTransition> {
        match self.state {
            ApprovalState::Granted { by, .. } => {
                self.state = ApprovalState::Used { by, at: now };
                Ok(self)
            }
            ref other => Err(IllegalTransition::NotGranted(self.id, other.word())),
        }
    }

    /// Lets exactly this action through, now.
    pub fn covers(&self, action: &Action) -> bool {
        matches!(self.state, ApprovalState::Granted { .. }) && self.digest == action.digest()
    }
}
