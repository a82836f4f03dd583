//! Is the service running, since when, how many of it?

use super::arguments::{self, place, read, schema, understood};
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Effect, HostName, Outcome, ServiceName, Tier};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tells whether a service is active, its state, since when it runs and how many instances are up. Reads only.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The service's name in the inventory.
    service: ServiceName,
    /// One of its hosts; all of them without it.
    #[serde(default)]
    host: Option<HostName>,
}

pub struct CheckServiceStatus;

#[async_trait]
impl Tool for CheckServiceStatus {
    fn name(&self) -> &'static str {
        "check_service_status"
    }

    fn tier(&self) -> Tier {
        Tier::Observe
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let arguments: Arguments = read(arguments)?;
        let service = arguments::service(&arguments.service, about)?;
        let target = place(service, arguments.host.as_ref(), about);
        understood(&arguments, target, Effect::Observe)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let target = &permit.action().target;
        let Some(service) = target.service.as_ref().and_then(|name| bench.inventory.service(name)) else {
            return Outcome::failed("the service is not in the inventory any more").into();
        };
        match bench.fleet_for(&permit).status(service, target.host.as_ref()).await {
            Err(e) => Outcome::failed(e.to_string()).into(),
            Ok(status) => {
                let said = format!("{} is {}", service.name, status.state);
                super::restart::outcome(said, &status).into()
            }
        }
    }
}
