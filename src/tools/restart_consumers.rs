//! Restarts the consumers that a service declares.

use super::arguments::{self, read, schema, understood};
use super::restart::{probe_all, restart_all};
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Action, Effect, Outcome, ServiceName, Target, Tier, Time};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Restarts the queue consumers that the inventory declares for a service, one after the other. A service that declares
/// none is its own consumer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The service whose queue is backed up.
    service: ServiceName,
    /// Why, in a sentence.
    reason: String,
}

pub struct RestartConsumers;

#[async_trait]
impl Tool for RestartConsumers {
    fn name(&self) -> &'static str {
        "restart_consumers"
    }

    fn tier(&self) -> Tier {
        Tier::Disruptive
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let arguments: Arguments = read(arguments)?;
        let service = arguments::service(&arguments.service, about)?;
        let consumers = if service.consumers.is_empty() { vec![service.name.clone()] } else { service.consumers.clone() };
        let target = Target { service: Some(service.name.clone()), host: None };
        understood(&arguments, target, Effect::Restart { services: consumers })
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let Effect::Restart { services } = &permit.action().effect else {
            return Outcome::failed("not a restart").into();
        };
        match restart_all(services, None, &bench.fleet_for(&permit), bench).await {
            Err(failed) => failed.into(),
            Ok(_) => {
                let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
                let output = json!({ "service": permit.action().arguments.get("service"), "restarted": names });
                Outcome::ok(format!("consumers restarted and active: {}", names.join(", ")), output).into()
            }
        }
    }

    async fn probe(&self, action: &Action, since: Time, bench: &Bench) -> Option<Outcome> {
        let Effect::Restart { services } = &action.effect else {
            return None;
        };
        probe_all(services, None, since, bench).await
    }
}
