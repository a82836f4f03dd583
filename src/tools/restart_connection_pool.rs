//! Restarts the connection pool that a service declares.

use super::arguments::{self, place, read, schema, understood};
use super::restart::{probe_all, restart_all};
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Action, Effect, Outcome, ServiceName, Target, Tier, Time};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Restarts a service's database connection pool (the `pool` that the inventory declares for it). No data is touched.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The service whose pool is exhausted.
    service: ServiceName,
    /// Why, in a sentence.
    reason: String,
}

pub struct RestartConnectionPool;

#[async_trait]
impl Tool for RestartConnectionPool {
    fn name(&self) -> &'static str {
        "restart_connection_pool"
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
        let pool = service.pool.clone().ok_or_else(|| format!("{} declares no `pool` in the inventory", service.name))?;
        let host = arguments::service(&pool, about).ok().and_then(|pool| place(pool, None, about).host);
        let target = Target { service: Some(pool.clone()), host };
        understood(&arguments, target, Effect::Restart { services: vec![pool] })
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let action = permit.action();
        let Effect::Restart { services } = &action.effect else {
            return Outcome::failed("not a restart").into();
        };
        match (restart_all(services, action.target.host.as_ref(), &bench.fleet_for(&permit), bench).await, services.first()) {
            (Err(failed), _) => failed.into(),
            (Ok(_), pool) => {
                let output = json!({ "service": action.arguments.get("service"), "pool": pool, "active": true });
                Outcome::ok(format!("pool {} restarted and active", pool.map_or("", ServiceName::as_str)), output).into()
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
