//! Removes old files below declared log roots.

use super::arguments::{self, read, schema, understood};
use super::restart::outcome;
use super::{About, Bench, Ran, Tool, Understood};
use crate::domain::{Action, Effect, Host, HostName, Outcome, Target, Tier, Time};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Removes files older than `min_age_days` (7 or more) below a host's declared log roots and reports each file and byte.
/// Links are never followed, folders never removed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The host's name in the inventory; the incident's host without it.
    #[serde(default)]
    host: Option<HostName>,
    /// Folders at or below declared log roots; all declared roots of the host and its services without it.
    #[serde(default)]
    paths: Vec<String>,
    /// Only files older than this many days; never less than 7.
    #[serde(default = "seven")]
    min_age_days: u32,
    /// Why, in a sentence.
    #[serde(default)]
    reason: String,
}

fn seven() -> u32 {
    7
}

pub struct CleanDiskSpace;

#[async_trait]
impl Tool for CleanDiskSpace {
    fn name(&self) -> &'static str {
        "clean_disk_space"
    }

    fn tier(&self) -> Tier {
        Tier::Disruptive
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let mut arguments: Arguments = read(arguments)?;
        let name = arguments.host.clone().or_else(|| about.target.host.clone());
        let name = name.ok_or("the incident names no host of the inventory: expected `host`")?;
        let host = arguments::host(&name, about)?;
        if arguments.paths.is_empty() {
            arguments.paths = declared_roots(host, about);
        }
        arguments.host = Some(name.clone());
        let effect = Effect::Clean { paths: arguments.paths.clone(), min_age_days: arguments.min_age_days };
        understood(&arguments, Target { service: None, host: Some(name) }, effect)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let action = permit.action();
        let (Effect::Clean { paths, min_age_days }, Some(host)) = (&action.effect, &action.target.host) else {
            return Outcome::failed("not a clean-up").into();
        };
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        match bench.fleet_for(&permit).clean(host, &paths, *min_age_days, bench.clock.now()).await {
            Err(e) => {
                Outcome { ok: false, output: json!({ "error": e.to_string(), "outcome_unknown": e.maybe_done() }), said: e.to_string() }
                    .into()
            }
            Ok(cleaned) => {
                let files = cleaned.removed.len();
                let said =
                    format!("removed {files} files, {} bytes; kept {}; refused {}", cleaned.bytes, cleaned.kept, cleaned.refused.len());
                let output = json!({ "files": files, "bytes": cleaned.bytes, "kept": cleaned.kept, "removed": cleaned.removed, "refused": cleaned.refused });
                outcome(said, &output).into()
            }
        }
    }

    /// Cleaning twice removes nothing that cleaning once would not have: not knowing does no harm, but it is not success.
    async fn probe(&self, _action: &Action, _since: Time, _bench: &Bench) -> Option<Outcome> {
        Some(Outcome::failed("the clean-up broke off; old files below the roots may be left, and none but those were touched"))
    }
}

fn declared_roots(host: &Host, about: About<'_>) -> Vec<String> {
    let on_host = about.inventory.services().filter(|service| service.hosts.contains(&host.name));
    let roots = host.log_roots.iter().chain(on_host.flat_map(|service| &service.log_roots));
    let mut names: Vec<String> = roots.map(|root: &PathBuf| Path::display(root).to_string()).collect();
    names.sort();
    names.dedup();
    names
}
