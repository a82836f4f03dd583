//! What else is firing?

use super::arguments::{read, schema, understood};
use super::{About, Bench, Ran, Tool, Understood};
use crate::clients::alertmanager::ActiveAlert;
use crate::domain::{Effect, HostName, Outcome, ServiceName, Tier};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Lists the alerts that are active in Alertmanager now, of one service or host or all. Reads only.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// Only alerts with this `service` label.
    #[serde(default)]
    service: Option<ServiceName>,
    /// Only alerts whose `instance` is this host.
    #[serde(default)]
    host: Option<HostName>,
}

/// Alerts in an output; more are counted, not shown.
const SHOWN: usize = 50;

fn show(alert: &ActiveAlert) -> Value {
    json!({ "alertname": alert.labels.get("alertname"), "labels": alert.labels, "state": alert.status.state, "starts_at": alert.starts_at })
}

pub struct GetAlerts;

#[async_trait]
impl Tool for GetAlerts {
    fn name(&self) -> &'static str {
        "get_alerts"
    }

    fn tier(&self) -> Tier {
        Tier::Observe
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let arguments: Arguments = read(arguments)?;
        understood(&arguments, about.target.clone(), Effect::Observe)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let Some(alertmanager) = &bench.alertmanager else {
            return Outcome::failed("no alertmanager is configured (alertmanager.url)").into();
        };
        let arguments: Arguments = match read(&permit.action().arguments) {
            Ok(arguments) => arguments,
            Err(e) => return Outcome::failed(e).into(),
        };
        // Names hold no quotes, backslashes or regex characters but the dot, which is escaped.
        let service = arguments.service.map(|name| format!("service=\"{name}\""));
        let host = arguments.host.map(|name| format!("instance=~\"{}(:[0-9]+)?\"", name.as_str().replace('.', "\\\\.")));
        let matchers: Vec<String> = service.into_iter().chain(host).collect();
        match alertmanager.active(&matchers).await {
            Err(e) => Outcome::failed(e.to_string()).into(),
            Ok(alerts) => {
                let shown: Vec<Value> = alerts.iter().take(SHOWN).map(show).collect();
                let output = json!({ "alerts": shown, "count": alerts.len(), "cut": alerts.len() > SHOWN });
                Outcome::ok(format!("{} alerts are active", alerts.len()), output).into()
            }
        }
    }
}
