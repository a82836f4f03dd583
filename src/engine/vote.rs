//! The door's half of a decision, the same for Slack, the API and the command line: who is it, is the signature theirs, store it.
//! Never acts.

use super::Engine;
use crate::domain::{Approval, ApprovalId, ApprovalState, Channel, Decision, Entry, Notice, Opinion, Time, Via, Vote};
use crate::safety::{Approvers, NotAllowed, Policies, facts_of, may_approve, verify};
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

/// By whom it is decided who may decide: the configuration's list, and the policies.
#[derive(Debug, Clone, Copy)]
pub struct Electorate<'a> {
    pub approvers: &'a Approvers,
    /// Needed for a yes only: whoever cannot read them can still say no.
    pub policies: Option<&'a Policies>,
}

/// Durable when this returns; the first decision stands.
pub async fn vote(store: &Store, who: Electorate<'_>, id: ApprovalId, ballot: Ballot, now: Time) -> Result<Approval, DecideError> {
    let Electorate { approvers, policies } = who;
    let approval = store.approval(id).await?;
    let quorum = approval.as_ref().map_or(1, |approval| approval.request.quorum);
    let by = approvers.person(&ballot.who, ballot.via, quorum)?;
    if let (Some(approval), Some(signature)) = (&approval, &ballot.signature) {
        verify(signature, approval.digest(), &by.name, approvers.keys_of(&by.name))?;
    }
    if let (Some(approval), Decision::Grant) = (&approval, ballot.decision) {
        let policies = policies.ok_or_else(|| NotAllowed::Policy("the policies were not read".to_owned()))?;
        let asked = asked_by(store, approval).await?;
        let facts = facts_of(&asked).map_err(NotAllowed::Policy)?;
        may_approve(&by, &approval.request, approvers, policies, facts)?;
    }
    let vote = Vote { by, decision: ballot.decision, at: now, signature: ballot.signature };
    store.decide(id, vote, ballot.shown.as_deref()).await
}

/// The opinions with which the ledger asked.
async fn asked_by(store: &Store, approval: &Approval) -> Result<Vec<Opinion>, StoreError> {
    let entries = store.entries(approval.incident()).await?;
    let asked = entries.into_iter().find_map(|recorded| match recorded.entry {
        Entry::Asked { approval: id, opinions, .. } if id == approval.id() => Some(opinions),
        _ => None,
    });
    Ok(asked.unwrap_or_else(Vec::new))
}

impl Engine {
    pub async fn decide(&self, id: ApprovalId, ballot: Ballot) -> Result<Approval, DecideError> {
        let approval = vote(&self.parts.store, self.electorate(), id, ballot, self.now()).await?;
        if !matches!(approval.state, ApprovalState::Asked) {
            metrics::counter!("paramedic_approvals_total", "state" => approval.state.word()).increment(1);
        }
        self.ring();
        Ok(approval)
    }

    fn electorate(&self) -> Electorate<'_> {
        Electorate { approvers: &self.parts.approvers, policies: Some(self.parts.checker.policies()) }
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
