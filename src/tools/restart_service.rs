//! Restarts one service.

use super::arguments::{self, place, read, schema, understood};
use super::restart::{probe_all, restart_all};
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Action, Effect, HostName, Outcome, ServiceName, Tier, Time};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Restarts one service of the inventory, at most three times an hour. Use it for a service that crashed or hangs, after
/// looking at its state and logs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The service's name in the inventory.
    service: ServiceName,
    /// One of its hosts; all of them without it.
    #[serde(default)]
    host: Option<HostName>,
    /// Why, in a sentence.
    reason: String,
}

pub struct RestartService;

#[async_trait]
impl Tool for RestartService {
    fn name(&self) -> &'static str {
        "restart_service"
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
        let target = place(service, arguments.host.as_ref(), about);
        let effect = Effect::Restart { services: vec![service.name.clone()] };
        understood(&arguments, target, effect)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let action = permit.action();
        let Effect::Restart { services } = &action.effect else {
            return Outcome::failed("not a restart").into();
        };
        match restart_all(services, action.target.host.as_ref(), &bench.fleet_for(&permit), bench).await {
            Err(failed) => failed.into(),
            Ok(_) => {
                let name = services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
                Outcome::ok(format!("{name} restarted and active"), json!({ "service": name, "active": true, "state": "active" })).into()
            }
        }
    }

    async fn probe(&self, action: &Action, since: Time, bench: &Bench) -> Option<Outcome> {
        let Effect::Restart { services } = &action.effect else {
            return None;
        };
        probe_all(services, action.target.host.as_ref(), since, bench).await
    }
}
