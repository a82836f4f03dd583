//! Resolved needs two signals at the same time: the alert's own condition and an independent one. An alert that merely went
//! away is "symptom suppressed"; one that stays goes to the next planner or to a human.

use super::Engine;
use super::error::EngineError;
use crate::domain::{Entry, Incident, PlannerKind, Proposal, Signal, Verifying};
use crate::planner::Check;
use crate::store::{Claim, Wake};

/// How soon to look again while the independent signal is bad, and while only the alert is.
const SOON: chrono::Duration = chrono::Duration::seconds(1);
const LATER: chrono::Duration = chrono::Duration::seconds(10);

impl Engine {
    pub(super) async fn start_verifying(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let check = self.check_of(incident);
        let within = check.as_ref().map_or(self.parts.settings.verify_within, |check| check.within);
        let independent = check.map(|check| match check.expect.len() {
            0..=60 => format!("{}: {}", check.proposal.tool, check.expect),
            _ => format!("{}, as the runbook expects it", check.proposal.tool),
        });
        self.append(claim, incident, vec![Entry::VerifyStarted { deadline: self.now() + within, independent }]).await
    }

    /// The runbook's check, else whether the incident's service is active; nothing without either.
    fn check_of(&self, incident: &Incident) -> Option<Check> {
        let runbook = incident.runbook.as_ref().and_then(|name| self.parts.runbooks.get(name));
        match runbook.map(|runbook| runbook.verification(incident)) {
            Some(Ok(Some(check))) => return Some(check),
            Some(Err(e)) => tracing::warn!(incident = %incident.id, error = %e, "the runbook's check cannot be made"),
            Some(Ok(None)) | None => {}
        }
        let service = incident.target.service.as_ref()?;
        let arguments = serde_json::json!({ "service": service });
        let proposal = Proposal { tool: "check_service_status".into(), arguments, reason: "verification".into(), step: None, call: None };
        Some(Check::plain(proposal, "output.active", self.parts.settings.verify_within))
    }

    pub(super) async fn verify(&self, claim: &Claim, incident: &mut Incident) -> Result<Wake, EngineError> {
        let Some(verifying) = incident.verifying.clone() else { return Ok(Wake::Now) };
        let (alert, alert_said) = Self::alert_signal(incident);
        let (independent, independent_said) =
            if verifying.checkable { self.independent_signal(incident).await } else { (false, String::new()) };
        let mut entries = Vec::new();
        if verifying.alert != Some(alert) {
            entries.push(Entry::Signalled { signal: Signal::Alert, holds: alert, said: alert_said });
        }
        if verifying.checkable && verifying.independent != Some(independent) {
            entries.push(Entry::Signalled { signal: Signal::Independent, holds: independent, said: independent_said });
        }
        let end = self.verdict(incident, &verifying, alert, independent);
        let over = end.is_some();
        entries.extend(end);
        if !entries.is_empty() {
            self.append(claim, incident, entries).await?;
        }
        if over {
            return Ok(Wake::Now);
        }
        let again = self.now() + if alert || !independent { SOON } else { LATER };
        Ok(Wake::At(again.min(verifying.deadline)))
    }

    fn verdict(&self, incident: &Incident, verifying: &Verifying, alert: bool, independent: bool) -> Option<Entry> {
        if alert && independent {
            let by = if incident.changed_something() { "fixed" } else { "recovered by itself, nothing was changed" };
            return Some(Entry::Resolved { summary: format!("{by}; the alert resolved and the independent check holds") });
        }
        if alert && !verifying.checkable {
            return Some(Entry::Closed { outcome: "symptom suppressed: the alert resolved, and nothing independent says why".into() });
        }
        if self.now() < verifying.deadline {
            return None;
        }
        match (alert, self.next_planner(incident)) {
            (true, _) => {
                Some(Entry::Escalated { why: "symptom suppressed: the alert resolved, but the independent check does not hold".into() })
            }
            (false, Some(planner)) => {
                let run = incident.run.as_ref().map_or(1, |run| run.number + 1);
                Some(Entry::RunStarted { run, planner, runbook: incident.runbook.clone() })
            }
            (false, None) => {
                let finding = incident.finding.as_deref().map_or(String::new(), |finding| format!(" ({finding})"));
                Some(Entry::Escalated { why: format!("the alert is still firing{finding}") })
            }
        }
    }

    fn next_planner(&self, incident: &Incident) -> Option<PlannerKind> {
        let runbook = incident.runbook.as_ref().is_some_and(|name| self.parts.runbooks.contains_key(name));
        let there = [(PlannerKind::Runbook, runbook), (PlannerKind::Model, self.parts.model.is_some())];
        there.into_iter().find(|(planner, there)| *there && !incident.tried.contains(planner)).map(|(planner, _)| planner)
    }

    /// What was told by webhook, or is certain by asking (`reconcile.rs` has the conditions).
    fn alert_signal(incident: &Incident) -> (bool, String) {
        let asked = incident.alerts.values().find_map(|alert| alert.origin.asked.as_ref());
        match (incident.still_firing(), asked) {
            (true, _) => (false, "still firing".into()),
            (false, Some(asked)) => (true, asked.clone()),
            (false, None) => (true, "Alertmanager told that it resolved".into()),
        }
    }

    async fn independent_signal(&self, incident: &Incident) -> (bool, String) {
        let Some(check) = self.check_of(incident) else { return (false, "the check is gone".into()) };
        let outcome = self.observe(incident, &check.proposal).await;
        match check.holds(&outcome) {
            Ok(holds) => (holds, outcome.said),
            Err(e) => (false, format!("{} ({e})", outcome.said)),
        }
    }
}
