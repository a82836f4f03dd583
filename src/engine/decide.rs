//! The step that looks at an approval and acts on what became of it: judged, looked at and counted again before anything is done.

use super::Engine;
use super::error::EngineError;
use crate::domain::{Approval, ApprovalState, Decision, Entry, Incident, Opinion, Outcome, Pending, Principal, Proposal, Verdict, Vote};
use crate::safety::{Ruling, consent, consented, released};
use crate::store::{Claim, Commit, Wake};
use crate::tools;
use serde_json::json;

impl Engine {
    /// Looks at the approval that the incident waits for.
    pub(super) async fn answer(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let Some(pending) = incident.pending.clone() else { return Ok(Wake::Now) };
        let Some(approval) = self.parts.store.approval(pending.approval).await? else {
            let why = "an earlier version of Paramedic asked, or its row is gone".to_owned();
            return self.append(claim, incident, vec![Entry::Void { approval: pending.approval, why }]).await;
        };
        if let Some(why) = pointless(incident, &approval).filter(|_| approval.state.is_open()) {
            return self.void(claim, incident, approval, why).await;
        }
        let (id, now) = (approval.id(), self.now());
        let entry = match &approval.state {
            ApprovalState::Granted { .. } if now >= approval.request.execute_by => return self.expire(claim, incident, approval).await,
            ApprovalState::Asked if now >= approval.request.decide_by => return self.expire(claim, incident, approval).await,
            ApprovalState::Asked => return self.wait(claim, incident, &pending, &approval).await,
            ApprovalState::Granted { by, .. } => {
                return self.granted(claim, incident, &pending, approval.clone(), by.clone()).await;
            }
            ApprovalState::Denied { by, .. } => Entry::Refused { approval: id, by: by.clone() },
            ApprovalState::Expired { granted, .. } => Entry::Expired { approval: id, granted: *granted },
            ApprovalState::Void { why, .. } => Entry::Void { approval: id, why: why.clone() },
            ApprovalState::Unavailable { why, .. } => Entry::Unavailable { approval: id, why: why.clone() },
            ApprovalState::Used { .. } => Entry::Void { approval: id, why: "it was used before".into() },
        };
        self.append(claim, incident, vec![entry]).await
    }

    /// Not enough have decided. Whoever has is taken down, so that the others see it.
    async fn wait(&self, claim: &Claim, incident: &mut Incident, pending: &Pending, approval: &Approval) -> Result<Wake, EngineError> {
        let granted: Vec<&Vote> = approval.votes.iter().filter(|vote| vote.decision == Decision::Grant).collect();
        let Some(news) = granted.get(pending.votes) else { return Ok(Wake::At(approval.request.decide_by)) };
        let after = u32::try_from(pending.votes + 1).unwrap_or(u32::MAX);
        let missing = approval.request.quorum.saturating_sub(after);
        self.append(claim, incident, vec![Entry::Voted { approval: approval.id(), by: news.by.clone(), missing }]).await
    }

    async fn void(&self, claim: &Claim, incident: &mut Incident, approval: Approval, why: &str) -> Result<Wake, EngineError> {
        let (id, from) = (approval.id(), approval.state.word());
        let voided = approval.void(why, self.now()).map_err(|_| fenced(incident))?;
        let entries = vec![Entry::Void { approval: id, why: why.into() }];
        self.end(claim, incident, entries, voided, from).await
    }

    /// A page, never a silent end: nobody decided in time, or what was decided was not begun in time.
    async fn expire(&self, claim: &Claim, incident: &mut Incident, approval: Approval) -> Result<Wake, EngineError> {
        let (id, from, summary) = (approval.id(), approval.state.word(), approval.request.summary());
        let granted = matches!(approval.state, ApprovalState::Granted { .. });
        let why = match granted {
            true => format!("{id} was granted and could not be begun in time: {summary}"),
            false => format!("nobody decided {id} in time: {summary}"),
        };
        let mut entries = vec![Entry::Expired { approval: id, granted }];
        if incident.escalated.is_none() {
            entries.push(Entry::Escalated { why });
        }
        let expired = approval.expire(self.now()).map_err(|_| fenced(incident))?;
        self.end(claim, incident, entries, expired, from).await
    }

    /// What was decided on cannot be read any more: nobody knows whether it still is what was shown. A human hears of it.
    async fn unavailable(&self, claim: &Claim, incident: &mut Incident, approval: Approval, why: String) -> Result<Wake, EngineError> {
        let (id, from, summary) = (approval.id(), approval.state.word(), approval.request.summary());
        let mut entries = vec![Entry::Unavailable { approval: id, why: why.clone() }];
        if incident.escalated.is_none() {
            entries.push(Entry::Escalated { why: format!("{id} was granted and not done ({summary}): {why}") });
        }
        let ended = approval.unavailable(&why, self.now()).map_err(|_| fenced(incident))?;
        self.end(claim, incident, entries, ended, from).await
    }

    async fn end(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        entries: Vec<Entry>,
        ended: Approval,
        from: &'static str,
    ) -> Result<Wake, EngineError> {
        let word = ended.state.word();
        self.commit(claim, incident, Commit { entries, moved: Some((ended, from)), ..Commit::default() }).await?;
        metrics::counter!("paramedic_approvals_total", "state" => word).increment(1);
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
            let votes = approval.votes.iter().filter(|vote| vote.decision == Decision::Grant).cloned().collect();
            return self.append(claim, incident, vec![Entry::Granted { approval: approval.id(), by, votes }]).await;
        }
        let Some(proposal) = incident.steps.last().map(|step| step.proposal.clone()) else { return Err(fenced(incident)) };
        if let Err(why) = self.still_granted(pending, &approval) {
            return self.void(claim, incident, approval, &format!("granted, but {why}")).await;
        }
        if approval.request.is_question() {
            return self.answer_question(claim, incident, proposal, approval).await;
        }
        match self.look(incident, &approval.request.action()).await.map(|now| approval.request.seen.drift(&now)) {
            Err(why) => self.unavailable(claim, incident, approval, why).await,
            Ok(Some(drift)) => {
                let why = format!("the target changed since it was shown: {drift}");
                self.void(claim, incident, approval, &why).await
            }
            Ok(None) => self.act_approved(claim, incident, proposal, approval).await,
        }
    }

    /// The votes as they are recorded, against the ledger, the approvers, the policy and the rules of consent of now: a row that somebody
    /// else wrote would have to say less than these do.
    fn still_granted(&self, pending: &Pending, approval: &Approval) -> Result<(), String> {
        let request = &approval.request;
        if pending.request.as_deref() != Some(request.text()) {
            return Err("its text is not the one that the ledger asked with".to_owned());
        }
        if request.policy_version != self.parts.policy_version {
            return Err("it was asked under another policy than the one in force".to_owned());
        }
        let needed = consent(&request.action(), &self.parts.consent);
        let known = tools::find(&request.tool).is_none_or(|tool| tool.tier_of(&request.effect) == request.tier);
        if !known || request.quorum < needed.quorum || (needed.signature && !request.signature) {
            return Err("fewer or weaker approvals were asked for than are needed".to_owned());
        }
        consented(approval, &self.parts.approvers)
    }

    fn released(&self, approval: &Approval, opinions: &[Opinion]) -> Result<(), String> {
        let parts = &self.parts;
        released(approval, opinions, &parts.consent, &parts.approvers, parts.checker.policies())
    }

    /// A granted action is judged again with the facts of now: what changed since it was asked may deny it.
    async fn act_approved(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        proposal: Proposal,
        approval: Approval,
    ) -> Result<Wake, EngineError> {
        let Some(tool) = tools::find(&approval.request.tool) else {
            return self.void(claim, incident, approval, "granted, but the tool is not there any more").await;
        };
        match self.judge(incident, approval.request.action(), Some(&approval)).await {
            Ruling::Allowed(permit, opinions) => match self.released(&approval, &opinions) {
                Ok(()) => self.act(claim, incident, tool, proposal, (permit, opinions), Some(approval)).await,
                Err(why) => self.void(claim, incident, approval, &format!("granted, but {why}")).await,
            },
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
        match self.judge(incident, approval.request.action(), Some(&approval)).await {
            Ruling::Allowed(permit, opinions) => {
                if let Err(why) = self.released(&approval, &opinions) {
                    return self.void(claim, incident, approval, &format!("granted, but {why}")).await;
                }
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
    let acts = approval.request.effect.changes_something();
    (acts && incident.escalated.is_some()).then_some("the incident was escalated: a human owns it")
}

/// What only asks for a confirmation has one; the strictest is what stands against it.
fn no_longer(opinions: Vec<Opinion>) -> String {
    let strictest = opinions.iter().map(|o| o.verdict).max();
    let reasons: Vec<String> = opinions.into_iter().filter(|o| Some(o.verdict) == strictest).map(|o| o.reason).collect();
    format!("granted, but no longer allowed: {}", reasons.join("; "))
}

pub(super) fn fenced(incident: &Incident) -> EngineError {
    EngineError::Store(crate::store::StoreError::Fenced(incident.id))
}
