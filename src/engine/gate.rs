//! The gate: the only caller of a tool's `run`. Judge with today's facts, append `started`, act, append `finished`.

use super::error::EngineError;
use super::{Engine, facts};
use crate::domain::{
    Action, Agent, Approval, Effect, Entry, InFlight, Incident, Inventory, Layer, Opinion, Outcome, PlannerKind, Proposal, Proposer,
    ServiceName, Verdict,
};
use crate::planner::ToolSchema;
use crate::safety::{AuthorizedAction, Limits, Ruling, Situation};
use crate::store::{BudgetUse, Claim, Commit, Point, Soundness, StoreError, Wake, pass};
use crate::tools::{self, About, Ran, Tool};
use serde_json::{Value, json};
use std::time::Duration;

/// No tool may take longer; what it had begun is then in doubt.
const TOOL_TIMEOUT: Duration = Duration::from_secs(120);
/// How soon an action asks again whether the store has been looked over.
const LOOKED_OVER: chrono::Duration = chrono::Duration::milliseconds(200);
/// An output larger than this is cut before it is stored.
const OUTPUT_LIMIT: usize = 64 * 1024;
/// What was done is stored whole: a clean-up's report names every file, however oddly each is spelled.
const REPORT_LIMIT: usize = 16 * 1024 * 1024;

/// The tools as a model sees them.
pub(super) fn tool_schemas() -> Vec<ToolSchema> {
    tools::all()
        .iter()
        .map(|tool| {
            let mut parameters = tool.schema();
            let description = match parameters.as_object_mut().and_then(|fields| fields.remove("description")) {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            ToolSchema { name: tool.name().to_owned(), description, parameters }
        })
        .collect()
}

impl Engine {
    pub(super) async fn gate(&self, claim: &Claim, incident: &mut Incident, mut proposal: Proposal) -> Result<Wake, EngineError> {
        // A secret in a wish is gone before anything is judged, shown or approved: what is decided on is what is done.
        self.redactor().proposal(&mut proposal);
        // One spelling of one wish, whatever order a planner wrote it in.
        proposal.arguments.sort_all_objects();
        let (tool, action) = match self.understand(incident, &proposal) {
            Ok(understood) => understood,
            Err(opinion) => return self.deny(claim, incident, proposal, vec![opinion]).await,
        };
        let changes = action.effect.changes_something();
        let ruling = self.judge(incident, action, None).await;
        if changes
            && !matches!(ruling, Ruling::Denied(..))
            && let Some(wake) = self.wait_for_cause(claim, incident).await?
        {
            return Ok(wake);
        }
        match ruling {
            Ruling::Denied(_, opinions) => self.deny(claim, incident, proposal, opinions).await,
            Ruling::Confirm(action, opinions) => self.ask(claim, incident, proposal, action, opinions).await,
            Ruling::Allowed(permit, opinions) => self.act(claim, incident, tool, proposal, (permit, opinions), None).await,
        }
    }

    fn understand(&self, incident: &Incident, proposal: &Proposal) -> Result<(&'static dyn Tool, Action), Opinion> {
        if let Some(opinion) = self.parts.checker.screen(&proposal.tool) {
            return Err(opinion);
        }
        let Some(tool) = tools::find(&proposal.tool) else {
            let reason = format!("{} is not available here: a human would have to do it", proposal.tool);
            return Err(Opinion::new(Layer::Boundary, Verdict::Deny, reason));
        };
        let about = About { inventory: &self.parts.inventory, target: &incident.target };
        let action = tools::understand(tool, proposal, about).map_err(|why| Opinion::new(Layer::Arguments, Verdict::Deny, why))?;
        Ok((tool, action))
    }

    /// The SafetyChecker's word on an action, with the facts of this moment. A fact that cannot be read stays missing.
    pub(super) async fn judge(&self, incident: &Incident, action: Action, approval: Option<&Approval>) -> Ruling {
        let now = self.now();
        let settings = &self.parts.settings;
        let usage = facts::usage(&self.parts.store, settings.storm_services, incident.id, &action, now).await;
        let proposer = Proposer::of(planner_of(incident), incident.runbook.as_deref());
        let (in_force, trust) = facts::authority(&self.parts.store, &self.parts.halt_file, &proposer, &action, now).await;
        let situation = Situation {
            now,
            incident: incident.id,
            level: incident.level,
            mode: facts::mode(settings.mode, incident.mode, &self.parts.inventory, &action, &incident.target),
            escalated: incident.escalated.is_some(),
            target: &incident.target,
            inventory: &self.parts.inventory,
            usage,
            own: &self.parts.own,
            approval,
            proposer: &proposer,
            trust: trust.as_ref(),
            in_force: in_force.as_ref(),
        };
        self.parts.checker.rule(action, &situation)
    }

    async fn deny(&self, claim: &Claim, incident: &mut Incident, proposal: Proposal, opinions: Vec<Opinion>) -> Result<Wake, EngineError> {
        metrics::counter!("paramedic_actions_total", "tool" => known_name(&proposal.tool), "verdict" => "deny", "outcome" => "none")
            .increment(1);
        let planner = planner_of(incident);
        if opinions.iter().any(|opinion| opinion.critical) {
            tracing::error!(incident = %incident.id, tool = %proposal.tool, "a planner asked for something that is never done");
        }
        self.append(claim, incident, vec![Entry::Denied { proposal, planner, opinions }]).await
    }

    /// Record, act, record.
    pub(super) async fn act(
        &self,
        claim: &Claim,
        incident: &mut Incident,
        tool: &dyn Tool,
        proposal: Proposal,
        ruled: (AuthorizedAction, Vec<Opinion>),
        approval: Option<Approval>,
    ) -> Result<Wake, EngineError> {
        let (permit, opinions) = ruled;
        let action = permit.action().clone();
        if action.effect.changes_something() && self.parts.store.soundness() == Soundness::Unknown {
            return Ok(Wake::At(self.now() + LOOKED_OVER));
        }
        let verdict = opinions.iter().map(|o| o.verdict).max().unwrap_or(Verdict::Deny);
        let started = Entry::Started {
            proposal,
            planner: planner_of(incident),
            action: action.clone(),
            verdict,
            opinions,
            approval: permit.approval(),
        };
        let mut commit = Commit {
            entries: vec![started],
            budget: budget(&action, self.parts.checker.limits()),
            hold: holds(incident, &action, &self.parts.inventory),
            judged_by: permit.orders(),
            hosts_at_once: action.effect.changes_something().then(|| self.parts.checker.limits().hosts_at_once),
            ..Commit::default()
        };
        if let Some(approval) = approval {
            commit.moved = Some((approval.spend(self.now()).map_err(|e| illegal(incident, &e))?, "granted"));
        }
        match self.commit(claim, incident, commit).await {
            Err(EngineError::Store(StoreError::Busy { thing, holder })) => {
                return self.put_off(claim, incident, &thing, &holder.to_string()).await;
            }
            // Another worker was faster by a moment: judged again, it is denied with the reason that is true then.
            Err(EngineError::Store(StoreError::Spent(why))) => {
                tracing::info!(incident = %incident.id, %why, "a budget was used up between the judgement and the start");
                return Ok(Wake::At(self.now() + chrono::Duration::seconds(1)));
            }
            other => other?,
        }
        let ran = self.run_bounded(tool, permit.started_as(incident.seq), Some(claim)).await;
        self.finish(claim, incident, &action, ran).await
    }

    async fn put_off(&self, claim: &Claim, incident: &mut Incident, thing: &str, holder: &str) -> Result<Wake, EngineError> {
        if !incident.waiting {
            self.append(claim, incident, vec![Entry::Waiting { why: format!("{holder} is remediating {thing}") }]).await?;
        }
        Ok(Wake::At(self.now() + chrono::Duration::seconds(1)))
    }

    /// `claim`: under which something is changed. Only as long as it holds is a step of the tool taken.
    async fn run_bounded(&self, tool: &dyn Tool, permit: AuthorizedAction, claim: Option<&Claim>) -> Ran {
        pass(Point::Dispatch, || tool.name().to_owned());
        let claim = claim.filter(|_| permit.action().effect.changes_something());
        if let Some(claim) = claim
            && let Some(why) = self.overtaken(claim, permit.orders()).await
        {
            tracing::warn!(incident = %claim.incident, tool = tool.name(), %why, "an action was not begun");
            return Outcome::failed(format!("not begun: {why}")).into();
        }
        let ran = self.in_time(claim, TOOL_TIMEOUT, tool.run(permit, &self.parts.bench)).await;
        pass(Point::Result, || tool.name().to_owned());
        match ran {
            Ok(ran) => Ran { outcome: self.redactor().outcome(ran.outcome), ..ran },
            Err(said) => Outcome { ok: false, output: json!({ "error": said, "outcome_unknown": true }), said }.into(),
        }
    }

    /// An outcome that is not known is probed by reading, never repeated.
    pub(super) async fn finish(&self, claim: &Claim, incident: &mut Incident, action: &Action, ran: Ran) -> Result<Wake, EngineError> {
        let Ran { outcome, notices } = ran;
        let unknown = action.effect.changes_something() && outcome.output.get("outcome_unknown") == Some(&Value::Bool(true));
        let entry =
            if unknown { self.doubt(incident, action).await } else { Entry::Finished { outcome: bounded(outcome, &action.effect) } };
        let word = if matches!(&entry, Entry::Finished { outcome } if outcome.ok) { "ok" } else { "failed" };
        metrics::counter!("paramedic_actions_total", "tool" => action.tool.clone(), "verdict" => "allow", "outcome" => word).increment(1);
        self.commit(claim, incident, Commit { entries: vec![entry], notices, ..Commit::default() }).await?;
        Ok(Wake::Now)
    }

    /// Runs an observing action without a step of its own: verification reads again and again.
    pub(super) async fn observe(&self, incident: &Incident, proposal: &Proposal) -> Outcome {
        let (tool, action) = match self.understand(incident, proposal) {
            Ok(understood) => understood,
            Err(opinion) => return Outcome::failed(opinion.reason),
        };
        if action.effect != Effect::Observe {
            return Outcome::failed(format!("{} does not observe: a check only reads", action.tool));
        }
        match self.judge(incident, action, None).await {
            Ruling::Allowed(permit, _) => bounded(self.run_bounded(tool, permit, None).await.outcome, &Effect::Observe),
            Ruling::Confirm(..) | Ruling::Denied(..) => Outcome::failed("the SafetyChecker does not allow the check"),
        }
    }

    /// The same, for an action that a crash interrupted: reading again does no harm.
    pub(super) async fn run_again(&self, incident: &Incident, running: &InFlight) -> Ran {
        let action = running.action.clone();
        let Some(tool) = tools::find(&action.tool) else { return Outcome::failed("the tool is not there any more").into() };
        match self.judge(incident, action, None).await {
            Ruling::Allowed(permit, _) => self.run_bounded(tool, permit.started_as(running.seq), None).await,
            Ruling::Confirm(..) | Ruling::Denied(..) => Outcome::failed("the SafetyChecker does not allow it any more").into(),
        }
    }
}

pub(super) fn planner_of(incident: &Incident) -> PlannerKind {
    incident.run.as_ref().map_or(PlannerKind::Runbook, |run| run.planner)
}

/// Why a human is asked, and beside that how risky it is and what it would probably mean.
pub(super) fn told_to_humans(opinions: &[Opinion]) -> Vec<String> {
    let why = opinions.iter().filter(|o| o.verdict == Verdict::Confirm).map(|o| o.reason.clone());
    let facts = opinions.iter().find_map(|o| o.grounds.as_ref()).map(|grounds| &grounds.facts);
    let facts = facts.filter(|facts| facts.agent == Agent::Remediator);
    let beside = facts.map(|facts| [format!("risk {}", facts.risk), format!("estimated impact: {}", facts.impact)]);
    why.chain(beside.into_iter().flatten()).collect()
}

/// Invented tool names are a model's text: they do not become metric labels.
fn known_name(tool: &str) -> String {
    if tools::find(tool).is_some() || crate::safety::is_forbidden(tool) { tool.to_owned() } else { "unknown".to_owned() }
}

fn illegal(incident: &Incident, error: &crate::domain::IllegalTransition) -> EngineError {
    tracing::warn!(incident = %incident.id, error = %error, "an approval moved on while it was being used");
    EngineError::Store(StoreError::Fenced(incident.id))
}

fn budget(action: &Action, limits: &Limits) -> Vec<BudgetUse> {
    let (hour, day) = (Some((limits.restarts_per_hour, facts::RESTARTS_WITHIN)), Some((limits.scale_up, facts::SCALED_WITHIN)));
    match &action.effect {
        Effect::Restart { services } => {
            let one = |service: &ServiceName| BudgetUse { kind: "restart", service: Some(service.clone()), amount: 1, most: hour };
            services.iter().map(one).collect()
        }
        Effect::Scale { service, add } => vec![BudgetUse { kind: "scale", service: Some(service.clone()), amount: *add, most: day }],
        Effect::Clean { .. } => vec![BudgetUse { kind: "clean", service: None, amount: 1, most: None }],
        Effect::Command { danger, .. } if danger.changes_something() => {
            vec![BudgetUse { kind: "command", service: None, amount: 1, most: None }]
        }
        Effect::Command { .. } | Effect::Observe | Effect::Talk | Effect::Question => Vec::new(),
    }
}

/// What nobody else may remediate meanwhile, and the hosts that are being worked on.
fn holds(incident: &Incident, action: &Action, inventory: &Inventory) -> Vec<String> {
    let mut things: Vec<String> = match &action.effect {
        Effect::Restart { services } => services.iter().map(|service| format!("service:{service}")).collect(),
        Effect::Scale { service, .. } => vec![format!("service:{service}")],
        Effect::Clean { .. } => action.target.host.iter().map(|host| format!("host:{host}")).collect(),
        Effect::Command { danger, .. } if danger.changes_something() => {
            action.target.host.iter().map(|host| format!("host:{host}")).collect()
        }
        Effect::Command { .. } | Effect::Observe | Effect::Talk | Effect::Question => return Vec::new(),
    };
    things.extend(incident.target.service.iter().map(|service| format!("service:{service}")));
    things.extend(inventory.hosts_of(action).into_iter().map(|host| format!("on:{host}#{}", incident.id)));
    things.sort();
    things.dedup();
    things
}

fn bounded(mut outcome: Outcome, effect: &Effect) -> Outcome {
    let text = outcome.output.to_string();
    let most = if matches!(effect, Effect::Clean { .. }) { REPORT_LIMIT } else { OUTPUT_LIMIT };
    if text.len() > most {
        let head: String = text.chars().take(OUTPUT_LIMIT / 4).collect();
        outcome.output = json!({ "cut": true, "bytes": text.len(), "head": head });
    }
    outcome
}
