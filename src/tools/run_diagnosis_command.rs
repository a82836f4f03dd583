//! Runs a shell command that looks, as plain programs in a sandbox. How dangerous it is says its own text, read with a real grammar; what is
//! said about it elsewhere counts for nothing.

use super::arguments::{self, read, schema, understood};
use super::{About, Bench, Ran, Tool, Understood};
use crate::clients::sandbox::{Ended, Told};
use crate::domain::{DangerLevel, Effect, HostName, Outcome, Service, ServiceName, Target, Tier};
use crate::redaction::beginning;
use crate::safety::AuthorizedAction;
use crate::safety::command::classify;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Runs one command line on a host, for at most 30 seconds, such as `df -h / | tail -1`, `journalctl -u nginx -n 50` or
/// `ss -tlnp`. It is read before it runs and given a danger level: SAFE and LOW (reads only) run at once, MEDIUM and HIGH are put to a
/// human, CRITICAL is never run. There is no shell: pipes, `;`, `&&`, `||`, file name patterns, `2>&1` and `2>/dev/null` work;
/// variables, `$(...)`, loops, `cd`, sudo and redirections into files do not.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The host's name in the inventory; without it the incident's, or the service's.
    #[serde(default)]
    host: Option<HostName>,
    /// The service it is about; its host is used if none is named.
    #[serde(default)]
    service: Option<ServiceName>,
    /// The command line.
    command: String,
    /// Why, in a sentence.
    #[serde(default)]
    reason: String,
}

pub struct RunDiagnosisCommand;

#[async_trait]
impl Tool for RunDiagnosisCommand {
    fn name(&self) -> &'static str {
        "run_diagnosis_command"
    }

    /// Of what it may become: its arguments come from the inventory and the alert's identity, as those of a tool that acts.
    fn tier(&self) -> Tier {
        Tier::Destructive
    }

    fn tier_of(&self, effect: &Effect) -> Tier {
        match effect {
            Effect::Command { danger: DangerLevel::Safe | DangerLevel::Low, .. } => Tier::Observe,
            Effect::Command { danger: DangerLevel::Medium, .. } => Tier::Reversible,
            Effect::Command { danger: DangerLevel::High, .. } => Tier::Disruptive,
            _ => Tier::Destructive,
        }
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let mut arguments: Arguments = read(arguments)?;
        let host = host(&arguments, about)?;
        let reading = classify(&arguments.command);
        if let (true, Err(why)) = (reading.level < DangerLevel::Critical, &reading.plan) {
            return Err(format!("the command ({}) cannot be run as plain programs: {why}", reading.level));
        }
        arguments.host = Some(host.clone());
        let effect = Effect::Command { command: arguments.command.clone(), danger: reading.level };
        understood(&arguments, Target { service: arguments.service.clone(), host: Some(host) }, effect)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let action = permit.action();
        let (Effect::Command { command, danger }, Some(host)) = (&action.effect, &action.target.host) else {
            return Outcome::failed("no command and host to run it on").into();
        };
        match bench.fleet_for(&permit).command(host, command).await {
            Err(e) => {
                let output = json!({ "error": e.to_string(), "outcome_unknown": e.maybe_done() });
                Outcome { ok: false, said: e.to_string(), output }.into()
            }
            Ok(told) => outcome(&told, command, *danger, host).into(),
        }
    }
}

/// The host that is named, that of the service that is named, the incident's, that of the incident's service: the first there is.
fn host(arguments: &Arguments, about: About<'_>) -> Result<HostName, String> {
    let incidents = about.target.host.as_ref();
    let of = |service: &Service| match service.hosts.as_slice() {
        [one] => Some(one.clone()),
        several => incidents.filter(|host| several.contains(host)).cloned(),
    };
    let named = arguments.service.as_ref().map(|name| arguments::service(name, about)).transpose()?;
    let own = || about.target.service.as_ref().and_then(|name| about.inventory.service(name)).and_then(of);
    let name = match (&arguments.host, named) {
        (Some(host), _) => Some(host.clone()),
        (None, Some(service)) => of(service),
        (None, None) => incidents.cloned().or_else(own),
    };
    let name = name.ok_or("neither the incident nor the service names one host of the inventory: expected `host`")?;
    arguments::host(&name, about).map(|host| host.name.clone())
}

/// A command that looks is done when it ended, whatever its exit code says: `grep` that finds nothing ends with 1. One that changes something
/// is done when it says so.
fn outcome(told: &Told, command: &str, danger: DangerLevel, host: &HostName) -> Outcome {
    let changes = danger.changes_something();
    let ok = if changes { told.succeeded() } else { told.ended == Ended::ByItself };
    let lines = match told.stdout.lines().count() {
        1 => "1 line".to_owned(),
        n => format!("{n} lines"),
    };
    let last = told.stdout.lines().last().map_or(String::new(), |line| format!("; the last: {}", beginning(line, 120)));
    let said = match (told.ended, told.exit) {
        (Ended::TimedOut, _) => format!("stopped after {} s; {lines}{last}", told.took_ms / 1000),
        (Ended::TooMuch, _) => format!("stopped: it said too much; {lines}{last}"),
        (Ended::ByItself, Some(0)) => format!("{lines}{last}"),
        (Ended::ByItself, exit) => {
            let code = exit.map_or("nobody knows how".to_owned(), |code| format!("exit code {code}"));
            let error = told.stderr.lines().last().map_or(String::new(), |line| format!(": {}", beginning(line, 120)));
            format!("{code}{error}; {lines}{last}")
        }
    };
    let output = json!({
        "host": host, "command": command, "danger_level": danger, "exit": told.exit, "ended": told.ended, "stdout": told.stdout, "stderr": told.stderr,
        "cut": told.cut, "outcome_unknown": changes && told.ended != Ended::ByItself,
    });
    Outcome { ok, said, output }
}
