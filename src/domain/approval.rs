//! A human's permission for one exact request: asked, then granted, denied, expired, void or unavailable; a granted one is used once.

use super::action::{Action, Digest};
use super::ids::{ApprovalId, IncidentId};
use super::request::Sealed;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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

/// Who decided: an approver's name in the configuration; of somebody it does not name, a Slack user id or a login.
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

/// One person's decision on one approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    pub by: Principal,
    pub decision: Decision,
    pub at: Time,
    /// Of the request's digest, as `ssh-keygen -Y sign` writes it. A signature always approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ApprovalState {
    Asked,
    /// `by` is the one whose vote made the quorum.
    Granted {
        by: Principal,
        at: Time,
    },
    Denied {
        by: Principal,
        at: Time,
    },
    /// `granted`: decided in time and not begun in time.
    Expired {
        at: Time,
        granted: bool,
    },
    /// Pointless: the alert resolved, the target changed, the run ended.
    Void {
        why: String,
        at: Time,
    },
    /// The target could not be read: nobody can see what is decided on.
    Unavailable {
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
            Self::Unavailable { .. } => "unavailable",
            Self::Used { .. } => "used",
        }
    }

    /// May it still change?
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Asked | Self::Granted { .. })
    }
}

impl fmt::Display for ApprovalState {
    /// `granted by ana via cli at …`, for whoever comes too late.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        match self {
            Self::Asked => f.write_str(word),
            Self::Granted { by, at } | Self::Denied { by, at } => write!(f, "{word} by {by} at {}", clock(*at)),
            Self::Used { by, at } => write!(f, "{word}: granted by {by}, begun at {}", clock(*at)),
            Self::Expired { at, granted: true } => write!(f, "{word} at {}: granted, and not begun in time", clock(*at)),
            Self::Expired { at, granted: false } => write!(f, "{word} at {}: nobody decided in time", clock(*at)),
            Self::Void { why, .. } | Self::Unavailable { why, .. } => write!(f, "{word}: {why}"),
        }
    }
}

fn clock(at: Time) -> impl fmt::Display {
    at.format("%Y-%m-%d %H:%M:%SZ")
}

#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// What is decided on, and all that it is shown from.
    pub request: Sealed,
    /// In the order in which they came.
    pub votes: Vec<Vote>,
    pub state: ApprovalState,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    #[error("{0} is already {1}: the first decision stands")]
    Decided(ApprovalId, ApprovalState),
    #[error("{0} expired at {at}: nobody decided in time, and the incident was escalated", at = clock(*.1))]
    TooLate(ApprovalId, Time),
    #[error("{0} is {1}, not granted: it authorises nothing")]
    NotGranted(ApprovalId, &'static str),
    #[error("{0} was to be begun by {at}: it authorises nothing any more", at = clock(*.1))]
    TooLateToBegin(ApprovalId, Time),
    #[error("{id}: {name} has approved it already; {missing} more must, and each must be somebody else")]
    Twice { id: ApprovalId, name: String, missing: u32 },
    #[error("{0} was asked for by {1}, who cannot approve it too")]
    OwnRequest(ApprovalId, String),
    #[error("{0} takes signed approvals only: paramedic approve {0} --sign-with KEY")]
    Unsigned(ApprovalId),
    #[error("a signature approves {0}: a denial has none")]
    SignedDenial(ApprovalId),
}

impl Approval {
    pub fn asked(request: Sealed) -> Self {
        Self { request, votes: Vec::new(), state: ApprovalState::Asked }
    }

    pub fn id(&self) -> ApprovalId {
        self.request.approval
    }

    pub fn incident(&self) -> IncidentId {
        self.request.incident
    }

    pub fn digest(&self) -> &Digest {
        self.request.digest()
    }

    /// Different people who have approved.
    pub fn approvers(&self) -> BTreeSet<&str> {
        self.votes.iter().filter(|vote| vote.decision == Decision::Grant).map(|vote| vote.by.name.as_str()).collect()
    }

    /// Approvals still missing.
    pub fn missing(&self) -> u32 {
        self.request.quorum.saturating_sub(u32::try_from(self.approvers().len()).unwrap_or(u32::MAX))
    }

    /// Takes a vote in. One denial ends it; approvals grant it once there are as many different people as it needs. What comes at or
    /// after `decide_by`, or after the end, does not count.
    pub fn vote(mut self, vote: Vote) -> Result<Self, IllegalTransition> {
        self.may_vote(&vote)?;
        let (by, at, decision) = (vote.by.clone(), vote.at, vote.decision);
        self.votes.push(vote);
        self.state = match decision {
            Decision::Deny => ApprovalState::Denied { by, at },
            Decision::Grant if self.missing() == 0 => ApprovalState::Granted { by, at },
            Decision::Grant => ApprovalState::Asked,
        };
        Ok(self)
    }

    fn may_vote(&self, vote: &Vote) -> Result<(), IllegalTransition> {
        let id = self.id();
        match self.state {
            ApprovalState::Asked if vote.at < self.request.decide_by => {}
            ApprovalState::Asked | ApprovalState::Expired { granted: false, .. } => {
                return Err(IllegalTransition::TooLate(id, self.request.decide_by));
            }
            ref other => return Err(IllegalTransition::Decided(id, other.clone())),
        }
        match vote.decision {
            Decision::Deny if vote.signature.is_some() => Err(IllegalTransition::SignedDenial(id)),
            Decision::Deny => Ok(()),
            Decision::Grant if vote.by.name == self.request.requester => Err(IllegalTransition::OwnRequest(id, vote.by.name.clone())),
            Decision::Grant if self.approvers().contains(vote.by.name.as_str()) => {
                Err(IllegalTransition::Twice { id, name: vote.by.name.clone(), missing: self.missing() })
            }
            Decision::Grant if self.request.signature && vote.signature.is_none() => Err(IllegalTransition::Unsigned(id)),
            Decision::Grant => Ok(()),
        }
    }

    /// Either clock ran out.
    pub fn expire(mut self, now: Time) -> Result<Self, IllegalTransition> {
        match self.state {
            ApprovalState::Asked if now >= self.request.decide_by => self.state = ApprovalState::Expired { at: now, granted: false },
            ApprovalState::Granted { .. } if now >= self.request.execute_by => {
                self.state = ApprovalState::Expired { at: now, granted: true };
            }
            ref other => return Err(IllegalTransition::Decided(self.id(), other.clone())),
        }
        Ok(self)
    }

    pub fn void(self, why: &str, now: Time) -> Result<Self, IllegalTransition> {
        self.end(ApprovalState::Void { why: why.to_owned(), at: now })
    }

    pub fn unavailable(self, why: &str, now: Time) -> Result<Self, IllegalTransition> {
        self.end(ApprovalState::Unavailable { why: why.to_owned(), at: now })
    }

    fn end(mut self, end: ApprovalState) -> Result<Self, IllegalTransition> {
        if !self.state.is_open() {
            return Err(IllegalTransition::Decided(self.id(), self.state));
        }
        self.state = end;
        Ok(self)
    }

    /// Spends it. Happens in the same transaction as the action's `started`.
    pub fn spend(mut self, now: Time) -> Result<Self, IllegalTransition> {
        match self.state {
            ApprovalState::Granted { .. } if now >= self.request.execute_by => {
                Err(IllegalTransition::TooLateToBegin(self.id(), self.request.execute_by))
            }
            ApprovalState::Granted { by, .. } => {
                self.state = ApprovalState::Used { by, at: now };
                Ok(self)
            }
            ref other => Err(IllegalTransition::NotGranted(self.id(), other.word())),
        }
    }

    /// Lets exactly this action through, now.
    pub fn covers(&self, action: &Action, now: Time) -> bool {
        matches!(self.state, ApprovalState::Granted { .. })
            && now < self.request.execute_by
            && self.missing() == 0
            && self.request.is_for(action)
    }
}

#[cfg(test)]
pub(crate) mod tests;
