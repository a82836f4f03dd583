//! The door's half of a decision, the same for Slack, the API and the command line: who is it, is the signature theirs, store it.
//! Never acts.

use super::Engine;
use crate::domain::{Approval, ApprovalId, ApprovalState, Channel, Decision, Notice, Time, Via, Vote};
use crate::safety::{Approvers, verify};
use crate::store::{DecideError, Store, StoreError};

/// A decision as it came through a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// As the door knows them: a Slack user id, a login, the name behind a token.
    pub who: String,
    pub via: Via,
    pub decision: Decision,
    /// The beginning of the digest that was shown, where the door has it.
    pub shown: Option<String>,
    pub signature: Option<String>,
}

/// Durable when this returns; the first decision stands.
pub async fn vote(store: &Store, approvers: &Approvers, id: ApprovalId, ballot: Ballot, now: Time) -> Result<Approval, DecideError> {
    let approval = store.approval(id).await?;
    let quorum = approval.as_ref().map_or(1, |approval| approval.request.quorum);
    let by = approvers.person(&ballot.who, ballot.via, quorum)?;
    if let (Some(approval), Some(signature)) = (&approval, &ballot.signature) {
        verify(signature, approval.digest(), &by.name, approvers.keys_of(&by.name))?;
    }
    let vote = Vote { by, decision: ballot.decision, at: now, signature: ballot.signature };
    store.decide(id, vote, ballot.shown.as_deref()).await
}

impl Engine {
    pub async fn decide(&self, id: ApprovalId, ballot: Ballot) -> Result<Approval, DecideError> {
        let approval = vote(&self.parts.store, &self.parts.approvers, id, ballot, self.now()).await?;
        if !matches!(approval.state, ApprovalState::Asked) {
            metrics::counter!("paramedic_approvals_total", "state" => approval.state.word()).increment(1);
        }
        self.ring();
        Ok(approval)
    }

    pub fn approvers(&self) -> &Approvers {
        &self.parts.approvers
    }

    /// A click on buttons that should not be there any more: the message they are on is closed like the one that is known.
    pub async fn close_stray(&self, id: ApprovalId, ts: &str) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let decided = store.approval(id).await?.filter(|approval| approval.state != ApprovalState::Asked);
        let Some(approval) = decided else { return Ok(()) };
        if store.ask_message(id).await?.as_deref() == Some(ts) {
            return Ok(());
        }
        let closed = (Channel::Slack, Notice::StrayClosed { approval: id, ts: ts.to_owned() });
        store.tell(approval.incident(), &[closed], self.now()).await?;
        self.mail.notify_waiters();
        Ok(())
    }
}
