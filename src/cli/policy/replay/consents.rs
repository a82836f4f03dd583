//! Stored approvals, judged again: would those who said yes still count, and would they still be enough? What would not be asked any more
//! is the actions' matter.

use super::shown;
use crate::cli::table;
use crate::config::GROUPS;
use crate::domain::{ApprovalId, Decision, Entry, IncidentId, Principal, Recorded, Time, Via};
use crate::safety::{Approvers, Consent, ConsentRules, Policies, Voter, facts_of, needed};
use crate::store::{Store, StoreError};
use serde::Serialize;

/// By whom and what it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Electors<'a> {
    pub approvers: &'a Approvers,
    pub rules: &'a ConsentRules,
    pub policies: &'a Policies,
}

/// An approval that would have gone otherwise: by one approver, or by how many it takes.
#[derive(Debug, Serialize)]
struct Otherwise {
    approval: ApprovalId,
    incident: IncidentId,
    /// When they decided, or when it was asked.
    at: Time,
    tool: String,
    on: String,
    was: String,
    would_be: String,
    why: String,
}

#[derive(Debug, Default, Serialize)]
pub struct Consents {
    judged: usize,
    /// No request is stored with these: an older version asked.
    skipped: usize,
    differences: Vec<Otherwise>,
}

impl Consents {
    /// Judges the approval that this entry asked for, if it is one that asks.
    pub async fn take(&mut self, store: &Store, by: Electors<'_>, recorded: &Recorded) -> Result<(), StoreError> {
        let Entry::Asked { approval, opinions, .. } = &recorded.entry else { return Ok(()) };
        let (Some(approval), Ok(facts)) = (store.approval(*approval).await?, facts_of(opinions)) else {
            self.skipped += 1;
            return Ok(());
        };
        self.judged += 1;
        let request = &approval.request;
        let differs = |at: Time, was: String, would_be: String, why: String| Otherwise {
            approval: approval.id(),
            incident: approval.incident(),
            at,
            tool: request.tool.clone(),
            on: shown(facts),
            was,
            would_be,
            why,
        };
        let then = Consent { quorum: request.quorum, signature: request.signature };
        // An error is a denial by now, and told with the actions.
        if let Ok(now) = needed(&request.action(), opinions, by.rules, by.policies)
            && now != then
        {
            let why = "how many the policies release it with, and `approvals` of the configuration".to_owned();
            self.differences.push(differs(request.asked_at, people(then), people(now), why));
        }
        for vote in approval.votes.iter().filter(|vote| vote.decision == Decision::Grant) {
            if let Err(why) = by.policies.may_approve(by.voter(&vote.by), Some(&request.requester), facts) {
                self.differences.push(differs(vote.at, format!("approved by {}", vote.by), "refused".to_owned(), why));
            }
        }
        Ok(())
    }

    /// Nothing where there was nothing to judge.
    pub fn lines(&self) -> Vec<String> {
        let rows: Vec<Vec<String>> = self.differences.iter().map(Otherwise::row).collect();
        let mut lines = Vec::new();
        if !rows.is_empty() {
            let header = ["APPROVAL", "INCIDENT", "WHEN", "TOOL", "ON", "WAS", "WOULD BE", "BECAUSE"];
            lines.push(table::render(&header, &rows));
        }
        if self.judged > 0 {
            let approvals = if self.judged == 1 { "approval" } else { "approvals" };
            lines.push(format!("{} {approvals} judged: {} would differ", self.judged, rows.len()));
        }
        if self.skipped > 0 {
            lines.push(format!("{} approvals from before their requests were kept", self.skipped));
        }
        lines
    }
}

impl Otherwise {
    fn row(&self) -> Vec<String> {
        let when = self.at.format("%Y-%m-%d %H:%M:%SZ").to_string();
        let [approval, incident] = [self.approval.to_string(), self.incident.to_string()];
        vec![approval, incident, when, self.tool.clone(), self.on.clone(), self.was.clone(), self.would_be.clone(), self.why.clone()]
    }
}

impl Electors<'_> {
    /// As they were taken then: whoever decided was on the list, which is no policy and is not judged again.
    fn voter<'b>(&self, by: &'b Principal) -> Voter<'b> {
        let named = self.approvers.named(&by.name).is_some();
        Voter { by, named, groups: if named || by.via != Via::Cli { &GROUPS } else { &[] } }
    }
}

fn people(consent: Consent) -> String {
    let each = if consent.signature { ", each with their own key" } else { "" };
    match consent.quorum {
        1 => format!("1 approver{each}"),
        several => format!("{several} approvers{each}"),
    }
}
