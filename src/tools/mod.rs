//! Floor 4: the tools, one file each; the list below is the registry. A tool runs only with an `AuthorizedAction`, which
//! only the SafetyChecker makes, and only the engine's gate calls `run`.

mod arguments;
mod check_service_status;
mod check_system_resources;
mod clean_disk_space;
mod get_alerts;
mod get_metrics;
mod get_service_logs;
mod request_human_confirmation;
mod restart;
mod restart_connection_pool;
mod restart_consumers;
mod restart_service;
mod run_diagnosis_command;
mod scale_service;
mod send_notification;

use crate::clients::alertmanager::Alertmanager;
use crate::clients::fleet::Fleet;
use crate::clients::prometheus::Prometheus;
use crate::domain::{Action, Channel, Clock, Effect, Inventory, Notice, Outcome, Proposal, Target, Tier, Time};
use crate::planner::{ToolShape, ToolShapes};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What tools reach the world with.
#[derive(Clone)]
pub struct Bench {
    pub inventory: Arc<Inventory>,
    pub fleet: Arc<Fleet>,
    pub prometheus: Option<Prometheus>,
    pub alertmanager: Option<Alertmanager>,
    /// Channels that are configured.
    pub channels: Vec<Channel>,
    pub clock: Arc<dyn Clock>,
}

impl Bench {
    /// The same, asking on behalf of an action of this name: for a probe, which has no permit of its own.
    pub fn on_behalf(&self, name: &str) -> Self {
        Self { fleet: Arc::new(self.fleet.on_behalf(name)), ..self.clone() }
    }

    /// The fleet, asking on behalf of the permit: a host's own log names the incident and the action's entry.
    fn fleet_for(&self, permit: &AuthorizedAction) -> Fleet {
        self.fleet.on_behalf(&permit.name())
    }
}

/// Against what a proposal is understood: the inventory and the incident's own target, never log or annotation text.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub inventory: &'a Inventory,
    pub target: &'a Target,
}

/// A proposal's arguments, typed and filled in.
#[derive(Debug)]
pub struct Understood {
    pub arguments: Value,
    pub target: Target,
    pub effect: Effect,
}

/// What a run brought: the outcome, and notices that go into the outbox with it.
#[derive(Debug)]
pub struct Ran {
    pub outcome: Outcome,
    pub notices: Vec<(Channel, Notice)>,
}

impl From<Outcome> for Ran {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, notices: Vec::new() }
    }
}

#[async_trait]
pub trait Tool: Send + Sync {
    fn name(&self) -> &'static str;

    /// The highest it may reach.
    fn tier(&self) -> Tier;

    /// With this effect.
    fn tier_of(&self, _effect: &Effect) -> Tier {
        self.tier()
    }

    /// JSON schema of the arguments; its description is the tool's.
    fn schema(&self) -> Value;

    /// Types the arguments and names the target and the effect. An error says what was expected.
    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String>;

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran;

    /// After a crash: did the action started at `since` happen? Reads only; `None` when nothing can tell.
    async fn probe(&self, _action: &Action, _since: Time, _bench: &Bench) -> Option<Outcome> {
        None
    }
}

/// The registry.
static TOOLS: [&dyn Tool; 13] = [
    &get_service_logs::GetServiceLogs,
    &get_metrics::GetMetrics,
    &check_system_resources::CheckSystemResources,
    &check_service_status::CheckServiceStatus,
    &get_alerts::GetAlerts,
    &run_diagnosis_command::RunDiagnosisCommand,
    &restart_service::RestartService,
    &clean_disk_space::CleanDiskSpace,
    &scale_service::ScaleService,
    &restart_connection_pool::RestartConnectionPool,
    &restart_consumers::RestartConsumers,
    &send_notification::SendNotification,
    &request_human_confirmation::RequestHumanConfirmation,
];

pub fn all() -> &'static [&'static dyn Tool] {
    &TOOLS
}

pub fn find(name: &str) -> Option<&'static dyn Tool> {
    TOOLS.iter().copied().find(|tool| tool.name() == name)
}

/// Each tool's argument names and whether it acts, for the check of runbooks at load.
pub fn shapes() -> ToolShapes {
    TOOLS.iter().map(|tool| (tool.name().to_owned(), shape(*tool))).collect()
}

fn shape(tool: &dyn Tool) -> ToolShape {
    let arguments = match tool.schema().pointer("/properties") {
        Some(Value::Object(properties)) => properties.keys().cloned().collect(),
        _ => BTreeSet::new(),
    };
    ToolShape { arguments, acts: tool.tier() > Tier::Observe }
}

/// Makes an action of a proposal; says nothing about permission.
pub fn understand(tool: &dyn Tool, proposal: &Proposal, about: About<'_>) -> Result<Action, String> {
    let Understood { mut arguments, target, effect } = tool.understand(&proposal.arguments, about)?;
    // One spelling of one action, whatever order its fields are declared in.
    arguments.sort_all_objects();
    Ok(Action { tool: tool.name().to_owned(), tier: tool.tier_of(&effect), target, arguments, effect, reason: proposal.reason.clone() })
}
