//! Approvals from both ends: the door where a human decides, and the step that acts on the decision.

use super::Engine;
use super::error::EngineError;
use crate::domain::{
    Approval, ApprovalId, ApprovalState, Decision, Effect, Entry, Incident, Opinion, Outcome, Pending, Principal, Proposal, Verdict,
};
use crate::safety::Ruling;
use crate::store::{Claim, Commit, DecideError, Wake};
use crate::tools;
use serde_json::json;

impl Engine {
    /// A human's decision through any door: durable when this returns, the first one wins.
    pub async fn decide(&self, id: ApprovalId, decision: Decision, by: Principal, digest: Option<&str>) -> Result<Approval, DecideError> {
        let approval = self.parts.store.decide(id, decision, by, digest, self.now()).await?;
        metrics::counter!("paramedic_approvals_total", "state" => approval.state.word()).increment(1);
        self.ring();
        Ok(approval)
    }

    /// Looks at the approval that the incident waits for.
    pub(super) async fn answer(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let Some(pending) = incident.pending.clone() else { return Ok(Wake::Now) };
        let Some(approval) = self.parts.store.approval(pending.approval).await? else {
            return self.append(claim, incident, vec![Entry::Void { approval: pending.approval, why: "its row is gone".into() }]).await;
        };
        let now = self.now();
        let undecided = matches!(approval.state, ApprovalState::Asked | ApprovalState::Granted { .. });
        if let Some(why) = pointless(incident, &approval).filter(|_| undecided) {
            return self.void(claim, incident, approval, why).await;
        }
        match &approval.state {
            ApprovalState::Granted { .. } if now > approval.expires_at + self.parts.settings.verify_within => {
                self.give_up(claim, incident, approval).await
            }
            ApprovalState::Asked if now < approval.expires_at => Ok(Wake::At(approval.expires_at)),
            ApprovalState::Asked => self.expire(claim, incident, approval).await,
            ApprovalState::Granted { by, .. } => self.granted(claim, incident, &pending, approval.clone(), by.clone()).await,
            ApprovalState::Denied { by, .. } => {
                self.append(claim, incident, vec![Entry::Refused { approval: approval.id, by: by.clone() }]).await
            }
            ApprovalState::Expired { .. } => self.append(claim, incident, vec![Entry::Expired { approval: approval.id }]).await,
            ApprovalState::Void { why, .. } => {
                self.append(claim, incident, vec![Entry::Void { approval: approval.id, why: why.clone() }]).await
            }
            ApprovalState::Used { .. } => {
                self.append(claim, incident, vec![Entry::Void { approval: approval.id, why: "it was used before".into() }]).await
            }
        }
    }

    async fn void(&self, claim: &Claim, incident: &mut Incident, approval: Approval, why: &str) -> Result<Wake, EngineError> {
        let (id, from) = (approval.id, approval.state.word());
        let voided = approval.void(why, self.now()).map_err(|_| fenced(incident))?;
        let entries = vec![Entry::Void { approval: id, why: why.into() }];
        self.commit(claim, incident, Commit { entries, moved: Some((voided, from)), ..Commit::default() }).await?;
        Ok(Wake::Now)
    }

    /// Granted, and still waiting for another incident to let go of the thing: a human hears of it, and the locks are freed.
    async fn give_up(&self, claim: &Claim, incident: &mut Incident, approval: Approval) -> Result<Wake, EngineError> {
        let (id, from, why) = (approval.id, approval.state.word(), "granted, but it could not be begun in time");
        let voided = approval.void(why, self.now()).map_err(|_| fenced(incident))?;
        let mut entries = vec![Entry::Void { approval: id, why: why.into() }];
        if incident.escalated.is_none() {
            entries.push(Entry::Escalated { why: format!("{id} was {why}") });
        }
        self.commit(claim, incident, Commit { entries, moved: Some((voided, from)), ..Commit::default() }).await?;
        Ok(Wake::Now)
    }

    /// Nobody decided in time: a page, never a silent end.
    async fn expire(&self, claim: &Claim, incident: &mut Incident, approval: Approval) -> Result<Wake, EngineError> {
        let why = format!("nobody decided {} in time: {}", approval.id, approval.action.summary());
        let mut entries = vec![Entry::Expired { approval: approval.id }];
        if incident.escalated.is_none() {
            entries.push(Entry::Escalated { why });
        }
        let expired = approval.expire(self.now()).map_err(|_| fenced(incident))?;
        self.commit(claim, incident, Commit { entries, moved: Some((expired, "asked")), ..Commit::default() }).await?;
        metrics::counter!("paramedic_approvals_total", "state" => "expired").increment(1);
        Ok(Wake::Now)
    }

    async fn granted(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        pending: &Pending,
        approval: Approval,
        by: Principal,
    ) -> Result<Wake, EngineError> {
        if pending.granted.is_none() {
            return self.append(claim, incident, vec![Entry::Granted { approval: approval.id, by }]).await;
        }
        let Some(proposal) = incident.steps.last().map(|step| step.proposal.clone()) else { return Err(fenced(incident)) };
        if approval.action.effect == Effect::Question {
            return self.answer_question(claim, incident, proposal, approval).await;
        }
        self.act_approved(claim, incident, proposal, approval).await
    }

    /// A granted action is judged again with the facts of now: what changed since it was asked may deny it.
    async fn act_approved(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        proposal: Proposal,
        approval: Approval,
    ) -> Result<Wake, EngineError> {
        let Some(tool) = tools::find(&approval.action.tool) else {
            return self.void(claim, incident, approval, "granted, but the tool is not there any more").await;
        };
        match self.judge(incident, approval.action.clone(), Some(&approval)).await {
            Ruling::Allowed(permit, opinions) => self.act(claim, incident, tool, proposal, (permit, opinions), Some(approval)).await,
            Ruling::Confirm(_, opinions) | Ruling::Denied(_, opinions) => self.void(claim, incident, approval, &no_longer(opinions)).await,
        }
    }

    async fn answer_question(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        proposal: Proposal,
        approval: Approval,
    ) -> Result<Wake, EngineError> {
        match self.judge(incident, approval.action.clone(), Some(&approval)).await {
            Ruling::Allowed(permit, opinions) => {
                let action = permit.action().clone();
                let planner = super::gate::planner_of(incident);
                let verdict = Verdict::Confirm;
                let started = Entry::Started { proposal, planner, action, verdict, opinions, approval: permit.approval() };
                let spent = approval.spend(self.now()).map_err(|_| fenced(incident))?;
                self.commit(claim, incident, Commit { entries: vec![started], moved: Some((spent, "granted")), ..Commit::default() })
                    .await?;
                self.finish_question(claim, incident).await
            }
            Ruling::Confirm(_, opinions) | Ruling::Denied(_, opinions) => self.void(claim, incident, approval, &no_longer(opinions)).await,
        }
    }

    /// The answer is data: it says what a human thinks and lets nothing through.
    pub(super) async fn finish_question(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let by = match incident.steps.last().and_then(|step| step.approval) {
            Some(id) => match self.parts.store.approval(id).await?.map(|approval| approval.state) {
                Some(ApprovalState::Used { by, .. } | ApprovalState::Granted { by, .. }) => by.to_string(),
                _ => "unknown".to_owned(),
            },
            None => "unknown".to_owned(),
        };
        let outcome = Outcome::ok(format!("answered yes by {by}"), json!({ "answer": "approved", "by": by }));
        self.append(claim, incident, vec![Entry::Finished { outcome }]).await
    }
}

/// Why nobody needs to decide this any more.
fn pointless(incident: &Incident, approval: &Approval) -> Option<&'static str> {
    if !incident.still_firing() {
        return Some("the alert resolved before it was used");
    }
    let acts = approval.action.effect.changes_something();
    (acts && incident.escalated.is_some()).then_some("the incident was escalated: a human owns it")
}

/// What only asks for a confirmation has one; the strictest is what stands against it.
fn no_longer(opinions: Vec<Opinion>) -> String {
    let strictest = opinions.iter().map(|o| o.verdict).max();
    let reasons: Vec<String> = opinions.into_iter().filter(|o| Some(o.verdict) == strictest).map(|o| o.reason).collect();
    format!("granted, but no longer allowed: {}", reasons.join("; "))
}

fn fenced(incident: &Incident) -> EngineError {
    EngineError::Store(crate::store::StoreError::Fenced(incident.id))
}
