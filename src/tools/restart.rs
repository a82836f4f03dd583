//! Restarting, shared by the three tools that do it: run, and probe after a crash.

use super::Bench;
use crate::clients::fleet::{Fleet, ServiceStatus};
use crate::domain::{HostName, Outcome, Reach, ServiceName, Time};
use serde::Serialize;
use serde_json::json;

/// A unit's start is told in whole seconds, a child's a tick coarser, and ours in milliseconds.
const COARSE: chrono::Duration = chrono::Duration::milliseconds(1_100);

/// What came up so little before a restart was started may be taken for restarted. The Docker Engine tells starts exactly.
fn coarse(reach: &Reach) -> chrono::Duration {
    match reach {
        Reach::Docker { .. } => chrono::Duration::zero(),
        Reach::Systemd { .. } | Reach::Process { .. } => COARSE,
    }
}

pub fn outcome<T: Serialize>(said: String, output: &T) -> Outcome {
    match serde_json::to_value(output) {
        Ok(output) => Outcome::ok(said, output),
        Err(e) => Outcome::failed(format!("{said}, but the result is not JSON: {e}")),
    }
}

/// Restarts the services one after the other and stops at the first that fails or does not come up.
pub async fn restart_all(
    services: &[ServiceName],
    host: Option<&HostName>,
    fleet: &Fleet,
    bench: &Bench,
) -> Result<Vec<ServiceStatus>, Outcome> {
    let mut done = Vec::new();
    for name in services {
        let Some(service) = bench.inventory.service(name) else {
            return Err(Outcome::failed(format!("service {name} is not in the inventory any more")));
        };
        let host = host.filter(|host| service.hosts.contains(host));
        let restarted = fleet.restart(service, host).await.map_err(|e| failed(name, &e))?;
        if !restarted.after.active {
            let said = format!("{name} was restarted and is {} ({})", restarted.after.state, restarted.after.detail);
            return Err(Outcome { ok: false, said, output: json!({ "service": name, "active": false, "state": restarted.after.state }) });
        }
        done.push(restarted.after);
    }
    Ok(done)
}

fn failed(name: &ServiceName, error: &crate::clients::fleet::ReachError) -> Outcome {
    let unknown = error.maybe_done();
    let said =
        if unknown { format!("{name} may or may not have been restarted: {error}") } else { format!("{name} was not restarted: {error}") };
    Outcome { ok: false, output: json!({ "error": error.to_string(), "outcome_unknown": unknown }), said }
}

/// Whether all the services have come up since the restart was started, on each of their hosts. One that runs since before was
/// not reached.
pub async fn probe_all(services: &[ServiceName], host: Option<&HostName>, started_at: Time, bench: &Bench) -> Option<Outcome> {
    let mut words = Vec::new();
    let mut all_new = true;
    for name in services {
        let service = bench.inventory.service(name)?;
        let named = host.filter(|host| service.hosts.contains(host));
        let places: Vec<Option<&HostName>> = match (named, service.hosts.is_empty()) {
            (Some(host), _) => vec![Some(host)],
            (None, true) => vec![None],
            (None, false) => service.hosts.iter().map(Some).collect(),
        };
        for place in places {
            let status = bench.fleet.status(service, place).await.ok()?;
            let (new, said) = came_up(name, &status, started_at - coarse(&service.reach));
            all_new &= new;
            words.push(said);
        }
    }
    let output = json!({ "probed": true, "active": all_new });
    Some(Outcome { ok: all_new, said: words.join("; "), output })
}

fn came_up(name: &ServiceName, status: &ServiceStatus, from: Time) -> (bool, String) {
    let since = status.since.filter(|since| *since >= from);
    match (status.active, since) {
        (true, Some(_)) => (true, format!("{name} came up after the restart was started")),
        (true, None) => (false, format!("{name} runs since before: it was not restarted")),
        (false, _) => (false, format!("{name} is {}: it was not restarted, or did not come up", status.state)),
    }
}
