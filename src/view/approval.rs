//! How an approval is shown, the same to the API and to the command line: the sealed request, its exact text, who decided.

use crate::domain::{Approval, ApprovalId, IncidentId, Request, Vote};
use crate::store::{Store, StoreError};
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct ApprovalView {
    pub id: ApprovalId,
    pub incident: IncidentId,
    /// asked, granted, denied, expired, void, unavailable, used.
    pub state: &'static str,
    /// The state with who, when and why.
    pub said: String,
    /// SHA-256 of `text`; what a signature signs.
    pub digest: String,
    /// Different people who must still approve.
    pub missing: u32,
    pub votes: Vec<Vote>,
    pub request: Request,
    /// The canonical JSON of `request`, to the byte.
    pub text: String,
}

pub fn show(approval: &Approval) -> ApprovalView {
    ApprovalView {
        id: approval.id(),
        incident: approval.incident(),
        state: approval.state.word(),
        said: approval.state.to_string(),
        digest: approval.digest().0.clone(),
        missing: approval.missing(),
        votes: approval.votes.clone(),
        request: (*approval.request).clone(),
        text: approval.request.text().to_owned(),
    }
}

/// Those that wait for a decision, oldest first; or the newest of all.
pub async fn approvals(store: &Store, all: bool, limit: i64) -> Result<Vec<Approval>, StoreError> {
    if all { store.approvals(limit).await } else { store.open_approvals().await }
}
