//! CPU, memory and disks of a host.

use super::arguments::{self, read, schema, understood};
use super::restart::outcome;
use super::{About, Bench, Ran, Tool, Understood};
use crate::clients::fleet::{ResourceCheck, Resources};
use crate::domain::{Effect, HostName, Outcome, Target, Tier};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reads CPU load, memory and disk usage of a host. Reads only.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The host's name in the inventory; the incident's host without it.
    #[serde(default)]
    host: Option<HostName>,
    /// Any of cpu, memory, disk; all three without it.
    #[serde(default)]
    check_types: Vec<ResourceCheck>,
}

fn summary(resources: &Resources) -> String {
    let cpu = resources.cpu.map(|cpu| format!("cpu {:.0}%", cpu.busy_percent));
    let memory = resources.memory.map(|memory| format!("memory {:.0}%", memory.used_percent));
    let fullest = resources.disks.iter().flatten().max_by(|a, b| a.used_percent.total_cmp(&b.used_percent));
    let disk = fullest.map(|disk| format!("{} {:.0}%", disk.mount, disk.used_percent));
    cpu.into_iter().chain(memory).chain(disk).collect::<Vec<_>>().join(", ")
}

pub struct CheckSystemResources;

#[async_trait]
impl Tool for CheckSystemResources {
    fn name(&self) -> &'static str {
        "check_system_resources"
    }

    fn tier(&self) -> Tier {
        Tier::Observe
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let mut arguments: Arguments = read(arguments)?;
        let name = arguments.host.clone().or_else(|| about.target.host.clone());
        let name = name.ok_or("the incident names no host of the inventory: expected `host`")?;
        arguments::host(&name, about)?;
        arguments.host = Some(name.clone());
        if arguments.check_types.is_empty() {
            arguments.check_types = ResourceCheck::ALL.to_vec();
        }
        understood(&arguments, Target { service: None, host: Some(name) }, Effect::Observe)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let action = permit.action();
        let (Some(host), Ok(arguments)) = (&action.target.host, read::<Arguments>(&action.arguments)) else {
            return Outcome::failed("no host to look at").into();
        };
        match bench.fleet_for(&permit).resources(host, &arguments.check_types).await {
            Err(e) => Outcome::failed(e.to_string()).into(),
            Ok(resources) => outcome(format!("resources of {host}: {}", summary(&resources)), &resources).into(),
        }
    }
}
