//! The SafetyChecker against tables of facts, and against random ones. Here: an inventory, an incident about `api` on `web-1` at
//! level 1 with every budget fresh, and actions on it; a test changes the one fact it is about.

mod authority;
mod budgets;
mod commands;
mod floor;
mod marks;
mod mistakes;
mod policies;
mod random;
mod risk;
mod rulings;
mod scope;

use super::{FreezeWindow, Limits, OwnGround, Policies, Ruling, SafetyChecker, Situation, Usage};
use crate::domain::{
    Action, Approval, ApprovalId, ApprovalState, Decision, Effect, HostName, InForce, IncidentId, Inventory, InventoryFile, Layer, Level,
    Mode, Opinion, Principal, Proposer, Request, Sealed, Seen, ServiceName, Target, Tier, Time, Trust, Verdict, Via, Vote,
};
use serde_json::json;
use std::sync::{Arc, LazyLock};

fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn target(service_name: Option<&str>, host_name: Option<&str>) -> Target {
    Target { service: service_name.map(service), host: host_name.map(host) }
}

/// With the shipped policies, read once.
fn checker(limits: &Limits) -> SafetyChecker {
    SafetyChecker::new(limits.clone(), shipped())
}

fn shipped() -> Arc<Policies> {
    static SHIPPED: LazyLock<Arc<Policies>> = LazyLock::new(|| Arc::new(crate::config::shipped_policies().unwrap()));
    SHIPPED.clone()
}

/// `api` needs `db`, has a pool and a worker; `other` has nothing to do with it; `responder` is Paramedic's own unit.
fn inventory() -> Inventory {
    let process = json!({ "process": { "command": ["/bin/true"] } });
    let file = json!({
        "hosts": [
            { "name": "web-1", "reach": { "local": {} }, "log_roots": ["/var/log/app"] },
            { "name": "web-2", "reach": { "local": {} }, "log_roots": ["/var/log/app"] },
            { "name": "db-1", "reach": { "local": {} } },
        ],
        "services": [
            { "name": "api", "reach": process, "hosts": ["web-1"], "depends_on": ["db", "responder", "paramedic"], "pool": "pooler",
              "consumers": ["worker"], "log_roots": ["/var/log/api"] },
            { "name": "db", "reach": process, "hosts": ["db-1"], "depends_on": ["other"], "log_roots": ["/var/log/db"] },
            { "name": "pooler", "reach": process },
            { "name": "worker", "reach": process },
            { "name": "other", "reach": process, "hosts": ["web-2"] },
            { "name": "responder", "reach": { "systemd": { "unit": "paramedic.service" } }, "hosts": ["web-1"] },
            { "name": "paramedic", "reach": process },
        ],
    });
    Inventory::build(serde_json::from_value::<InventoryFile>(file).unwrap()).unwrap()
}

/// The facts of a test, owned.
struct Facts {
    level: Level,
    mode: Mode,
    escalated: bool,
    target: Target,
    usage: Usage,
    own: OwnGround,
    approval: Option<Approval>,
    limits: Limits,
    inventory: Inventory,
    proposer: Proposer,
    trust: Option<Trust>,
    in_force: Option<InForce>,
    freezes: Vec<FreezeWindow>,
}

const NOW: Time = Time::UNIX_EPOCH;
const INCIDENT: IncidentId = IncidentId(7);

/// Without the inventory and the bounds, which are the same in every test.
impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { level, mode, escalated, target, usage, approval, trust, in_force, .. } = self;
        write!(
            f,
            "level {level}, mode {mode}, escalated {escalated}, about {target}, {usage:?}, approval {}, {trust:?}, {in_force:?}",
            approval.is_some()
        )
    }
}

impl Facts {
    /// Everything speaks for the action.
    fn good() -> Self {
        let inventory = inventory();
        let fresh = || inventory.services().map(|service| (service.name.clone(), 0)).collect();
        let usage = Usage { restarts: fresh(), scaled: fresh(), actions: Some(0), hosts: Some(Vec::new()), degraded: Some(1) };
        Self {
            level: Level::One,
            mode: Mode::Auto,
            escalated: false,
            target: target(Some("api"), Some("web-1")),
            usage,
            own: OwnGround { paths: vec!["/var/lib/paramedic".into(), "/var/log/app/paramedic".into()] },
            approval: None,
            limits: Limits::default(),
            inventory,
            proposer: Proposer::Model,
            trust: Some(Trust::default()),
            in_force: Some(InForce::default()),
            freezes: Vec::new(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            now: NOW,
            incident: INCIDENT,
            level: self.level,
            mode: self.mode,
            escalated: self.escalated,
            target: &self.target,
            inventory: &self.inventory,
            usage: self.usage.clone(),
            own: &self.own,
            approval: self.approval.as_ref(),
            proposer: &self.proposer,
            trust: self.trust.as_ref(),
            in_force: self.in_force.as_ref(),
        }
    }

    fn checker(&self) -> SafetyChecker {
        checker(&self.limits).with_freezes(self.freezes.clone())
    }

    fn rule(&self, action: &Action) -> Ruling {
        self.checker().rule(action.clone(), &self.situation())
    }

    fn verdict(&self, action: &Action) -> Verdict {
        match self.rule(action) {
            Ruling::Allowed(..) => Verdict::Allow,
            Ruling::Confirm(..) => Verdict::Confirm,
            Ruling::Denied(..) => Verdict::Deny,
        }
    }

    /// The policies' opinion.
    fn policy(&self, action: &Action) -> Opinion {
        let opinions = checker(&self.limits).judge(action, &self.situation());
        opinions.into_iter().find(|opinion| opinion.layer == Layer::Policy).unwrap()
    }

    /// The opinions that deny.
    fn denials(&self, action: &Action) -> Vec<Opinion> {
        let opinions = self.checker().judge(action, &self.situation());
        opinions.into_iter().filter(|opinion| opinion.verdict == Verdict::Deny).collect()
    }

    /// Exactly one layer denies, for this reason.
    #[track_caller]
    fn denied_by(&self, action: &Action, layer: Layer, reason: &str) {
        let denials = self.denials(action);
        assert!(matches!(self.rule(action), Ruling::Denied(..)), "{action:?} is not denied");
        assert!(
            denials.iter().all(|opinion| opinion.layer == layer) && denials.iter().any(|opinion| opinion.reason.contains(reason)),
            "expected {layer:?}: {reason}, got {denials:?}"
        );
    }
}

fn action(tool: &str, effect: Effect, target: Target) -> Action {
    let tier = if effect.changes_something() { Tier::Disruptive } else { Tier::Observe };
    let arguments = json!({ "effect": serde_json::to_value(&effect).unwrap() });
    Action { tool: tool.into(), tier, target, arguments, effect, reason: "a trial".into() }
}

fn restart(names: &[&str]) -> Action {
    let services = names.iter().map(|name| service(name)).collect();
    action("restart_service", Effect::Restart { services }, target(names.first().copied(), None))
}

fn scale(name: &str, add: u32) -> Action {
    action("scale_service", Effect::Scale { service: service(name), add }, target(Some(name), None))
}

fn clean(paths: &[&str], min_age_days: u32) -> Action {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    action("clean_disk_space", Effect::Clean { paths, min_age_days }, target(None, Some("web-1")))
}

fn observe() -> Action {
    action("get_metrics", Effect::Observe, target(Some("api"), None))
}

fn request(incident: IncidentId, action: &Action) -> Sealed {
    let request = Request {
        approval: ApprovalId(3),
        incident,
        requester: "agent".into(),
        tool: action.tool.clone(),
        tier: action.tier,
        target: action.target.clone(),
        arguments: action.arguments.clone(),
        effect: action.effect.clone(),
        reasons: Vec::new(),
        words: action.reason.clone(),
        seen: Seen::default(),
        policy_version: "p".into(),
        quorum: 1,
        signature: false,
        asked_at: NOW,
        decide_by: NOW + chrono::Duration::seconds(300),
        execute_by: NOW + chrono::Duration::seconds(900),
        nonce: "n".into(),
    };
    Sealed::seal(&request).unwrap()
}

fn granted(action: &Action) -> Approval {
    let by = Principal { name: "ana".into(), via: Via::Cli };
    let vote = Vote { by, decision: Decision::Grant, at: NOW, signature: None };
    Approval::asked(request(INCIDENT, action)).vote(vote).unwrap()
}
