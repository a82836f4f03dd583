//! Asking a human: the target is looked at, the request is spelled out and sealed, and what could not be looked at is not asked.

use super::Engine;
use super::error::EngineError;
use super::gate::{planner_of, told_to_humans};
use crate::clients::fleet::{Disk, Resources, ServiceStatus};
use crate::domain::{
    Action, Approval, ApprovalId, Effect, Entry, HostName, Incident, Opinion, Proposal, Request, Sealed, Seen, SeenDisk, SeenService,
    ServiceName, Time,
};
use crate::safety::{Consent, needed};
use crate::store::{Claim, Commit, Wake};
use serde_json::json;
use ssh_key::rand_core::{OsRng, RngCore as _};

/// Whoever proposes on Paramedic's behalf. No approver may have this name.
pub const AGENT: &str = "agent";

impl Engine {
    pub(super) async fn ask(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        proposal: Proposal,
        action: Action,
        opinions: Vec<Opinion>,
    ) -> Result<Wake, EngineError> {
        let id = self.parts.store.next_approval().await?;
        let parts = &self.parts;
        let needed = needed(&action, &opinions, &parts.consent, parts.checker.policies());
        let seen = self.look(incident, &action).await;
        // Without an end of what it takes, as strict as there is: nobody will be asked.
        let consent = needed.as_ref().copied().unwrap_or(Consent { quorum: u32::MAX, signature: true });
        let request = self.request(id, incident, &action, &opinions, (seen.as_ref().cloned().unwrap_or_default(), consent))?;
        let decide_by = request.decide_by;
        let entry = Entry::Asked {
            approval: id,
            proposal,
            planner: planner_of(incident),
            action,
            opinions,
            expires_at: decide_by,
            request: Some(request.text().to_owned()),
        };
        let approval = Approval::asked(request);
        let unseen = match needed.and(seen) {
            Ok(_) => {
                self.commit(claim, incident, Commit { entries: vec![entry], asked: Some(approval), ..Commit::default() }).await?;
                metrics::counter!("paramedic_approvals_total", "state" => "asked").increment(1);
                return Ok(Wake::At(decide_by));
            }
            Err(unseen) => unseen,
        };
        let summary = approval.request.summary();
        let approval = approval.unavailable(&unseen, self.now()).map_err(|_| super::decide::fenced(incident))?;
        let mut entries = vec![entry, Entry::Unavailable { approval: id, why: unseen.clone() }];
        if incident.escalated.is_none() {
            entries.push(Entry::Escalated { why: format!("nobody could be asked for {summary}: {unseen}") });
        }
        self.commit(claim, incident, Commit { entries, asked: Some(approval), ..Commit::default() }).await?;
        metrics::counter!("paramedic_approvals_total", "state" => "unavailable").increment(1);
        Ok(Wake::Now)
    }

    fn request(
        &self,
        id: ApprovalId,
        incident: &Incident,
        action: &Action,
        opinions: &[Opinion],
        (seen, consent): (Seen, Consent),
    ) -> Result<Sealed, EngineError> {
        let settings = &self.parts.settings;
        let asked_at = whole_millis(self.now());
        let decide_by = asked_at + settings.approval_expires;
        let request = Request {
            approval: id,
            incident: incident.id,
            requester: AGENT.to_owned(),
            tool: action.tool.clone(),
            tier: action.tier,
            target: action.target.clone(),
            arguments: action.arguments.clone(),
            effect: action.effect.clone(),
            reasons: told_to_humans(opinions),
            words: action.reason.clone(),
            seen,
            policy_version: self.parts.policy_version.clone(),
            quorum: consent.quorum,
            signature: consent.signature,
            asked_at,
            decide_by,
            execute_by: decide_by + settings.execute_within,
            nonce: nonce().map_err(EngineError::NoRandomness)?,
        };
        // What is sealed is what is stored, shown and signed, to the byte: a secret goes before, or never.
        Ok(Sealed::seal(&self.redactor().record(request)?)?)
    }

    /// What the action's target looks like now. A question has none; anything else that cannot be read is not decided on.
    pub(super) async fn look(&self, incident: &Incident, action: &Action) -> Result<Seen, String> {
        let mut seen = Seen::default();
        if !action.effect.changes_something() {
            return Ok(seen);
        }
        if let (Effect::Clean { .. }, Some(host)) = (&action.effect, &action.target.host) {
            seen.disks = self.look_at_disks(incident, host).await?;
            return Ok(seen);
        }
        for name in self.parts.inventory.touched(action) {
            let host = action.target.host.as_ref();
            let there = self.parts.inventory.service(name).is_some_and(|service| host.is_some_and(|host| service.hosts.contains(host)));
            seen.services.push(self.look_at_service(incident, name, host.filter(|_| there)).await?);
        }
        if let (Effect::Command { .. }, Some(host), true) = (&action.effect, &action.target.host, seen.services.is_empty()) {
            seen.disks = self.look_at_disks(incident, host).await?;
            return Ok(seen);
        }
        if seen.services.is_empty() { Err(format!("{} names nothing that could be looked at", action.tool)) } else { Ok(seen) }
    }

    async fn look_at_service(&self, incident: &Incident, name: &ServiceName, host: Option<&HostName>) -> Result<SeenService, String> {
        let status: ServiceStatus = self.reading(incident, "check_service_status", json!({ "service": name, "host": host })).await?;
        Ok(SeenService {
            service: name.clone(),
            host: host.cloned(),
            active: status.active,
            state: self.redactor().text(&status.state).chars().take(200).collect(),
            since: status.since.and_then(|since| Time::from_timestamp(since.timestamp(), 0)),
            pid: status.pid,
            instances: status.instances,
            instances_active: status.instances_active,
        })
    }

    async fn look_at_disks(&self, incident: &Incident, host: &HostName) -> Result<Vec<SeenDisk>, String> {
        let resources: Resources =
            self.reading(incident, "check_system_resources", json!({ "host": host, "check_types": ["disk"] })).await?;
        let percent = |used: f64| used.clamp(0.0, 100.0).round() as u8;
        let look = |disk: Disk| SeenDisk { host: host.clone(), mount: disk.mount, used_percent: percent(disk.used_percent) };
        let seen: Vec<SeenDisk> = resources.disks.into_iter().flatten().map(look).collect();
        if seen.is_empty() { Err(format!("{host} named no disk")) } else { Ok(seen) }
    }

    /// Through the gate, as every reading.
    async fn reading<T: serde::de::DeserializeOwned>(
        &self,
        incident: &Incident,
        tool: &str,
        arguments: serde_json::Value,
    ) -> Result<T, String> {
        let reason = "what a human decides on".to_owned();
        let outcome = self.observe(incident, &Proposal { tool: tool.to_owned(), arguments, reason, step: None, call: None }).await;
        if !outcome.ok {
            return Err(format!("the target could not be read: {}", outcome.said));
        }
        serde_json::from_value(outcome.output).map_err(|e| format!("the target's reading is not of the kind expected: {e}"))
    }
}

fn whole_millis(time: Time) -> Time {
    Time::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

/// 128 bits of the operating system's randomness.
fn nonce() -> Result<String, String> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).map_err(|e| e.to_string())?;
    Ok(hex::encode(bytes))
}
