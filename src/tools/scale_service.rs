//! Adds instances of a service, two at most.

use super::arguments::{self, place, read, schema, understood};
use super::restart::outcome;
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Action, Effect, Outcome, ServiceName, Tier, Time};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Adds instances of a service for the time being: never more than two above its normal number.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The service's name in the inventory.
    service: ServiceName,
    /// How many instances more: 1 or 2.
    #[serde(default = "one")]
    add: u32,
    /// Why, in a sentence.
    reason: String,
}

fn one() -> u32 {
    1
}

pub struct ScaleService;

#[async_trait]
impl Tool for ScaleService {
    fn name(&self) -> &'static str {
        "scale_service"
    }

    fn tier(&self) -> Tier {
        Tier::Reversible
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let arguments: Arguments = read(arguments)?;
        let service = arguments::service(&arguments.service, about)?;
        let effect = Effect::Scale { service: service.name.clone(), add: arguments.add };
        understood(&arguments, place(service, None, about), effect)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let action = permit.action();
        let Effect::Scale { service, add } = &action.effect else {
            return Outcome::failed("not a scale-up").into();
        };
        let Some(service) = bench.inventory.service(service) else {
            return Outcome::failed("the service is not in the inventory any more").into();
        };
        match bench.fleet_for(&permit).scale(service, action.target.host.as_ref(), *add).await {
            Err(e) => {
                Outcome { ok: false, output: json!({ "error": e.to_string(), "outcome_unknown": e.maybe_done() }), said: e.to_string() }
                    .into()
            }
            Ok(scaled) => {
                let said = format!("{} scaled from {} to {}", service.name, scaled.from, scaled.to);
                outcome(said, &json!({ "service": service.name, "from": scaled.from, "to": scaled.to })).into()
            }
        }
    }

    /// The number of instances does not tell who added them: a probe can only show that none was.
    async fn probe(&self, action: &Action, _since: Time, bench: &Bench) -> Option<Outcome> {
        let Effect::Scale { service, .. } = &action.effect else {
            return None;
        };
        let service = bench.inventory.service(service)?;
        let status = bench.fleet.status(service, action.target.host.as_ref()).await.ok()?;
        let none_added = status.instances <= service.scale.base;
        none_added.then(|| Outcome::failed(format!("{} runs {} instances: none was added", service.name, status.instances)))
    }
}
