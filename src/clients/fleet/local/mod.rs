//! What a machine does about itself: its units, its resources, its disk. Serves `HostReach::Local` and the hand alike. Never
//! runs a shell and never trusts a path or a unit name that it has not checked itself.

pub mod clean;
mod exec;
mod resources;
pub mod systemd;

use super::hand::{Answer, Op};
use super::{Limits, ReachError, error};
use crate::clients::sandbox::{self, Sandbox, Scope, Told};
use crate::domain::Time;
use crate::safety::command::classify;
use std::path::PathBuf;

/// The name of this machine in errors.
pub(super) const HERE: &str = "this host";

/// Performs one request. The caller has checked that it is allowed; `roots` are the declared log roots.
pub async fn perform(op: &Op, roots: Vec<PathBuf>, now: Time, limits: &Limits, sandbox: &Sandbox) -> Result<Answer, ReachError> {
    match op {
        Op::Status { units } => systemd::status(&systemd::parse_units(units)?, limits).await.map(Answer::Instances),
        Op::Logs { units, lines, level } => {
            let units = systemd::parse_units(units)?;
            systemd::logs(&units, *lines, *level, limits).await.map(Answer::Lines)
        }
        Op::Restart { unit } => systemd::act("restart", &systemd::Unit::parse(unit)?, limits).await,
        Op::Start { unit } => systemd::act("start", &systemd::Unit::parse(unit)?, limits).await,
        Op::Resources { checks } => {
            let checks = checks.clone();
            blocking("reading resources", limits.observe, false, move || resources::read(&checks)).await.map(Answer::Resources)
        }
        Op::Clean { paths, min_age_days } => {
            let (paths, days) = (paths.clone(), *min_age_days);
            blocking("removing old files", limits.restart, true, move || Ok(clean::clean(&roots, &paths, days, now)))
                .await
                .map(Answer::Cleaned)
        }
        Op::Command { command } => diagnose(command, sandbox).await.map(Answer::Told),
    }
}

/// Read here again: what runs is what this reading says, never what somebody else made of the text.
async fn diagnose(command: &str, sandbox: &Sandbox) -> Result<Told, ReachError> {
    let reading = classify(command);
    let refused = |why: String| ReachError::Refused { by: HERE.to_owned(), why };
    let plan = reading.plan.map_err(|why| refused(format!("the command ({}) is not run: {why}", reading.level)))?;
    let scope = if reading.level.changes_something() { Scope::Change } else { Scope::Read };
    let what = || format!("the command `{}`", error::excerpt(command.as_bytes()).trim_matches('`'));
    sandbox::run(&plan, scope, sandbox).await.map_err(|e| match scope {
        Scope::Read => refused(e.to_string()),
        // The steps before the one that failed may have changed something.
        Scope::Change => ReachError::Failed { what: what(), place: HERE.to_owned(), why: e.to_string(), maybe_done: plan.steps.len() > 1 },
    })
}

/// File system calls block; they get a thread of their own and a time limit. What has begun goes on after the limit.
async fn blocking<T, F>(what: &str, limit: std::time::Duration, acts: bool, work: F) -> Result<T, ReachError>
where
    T: Send + 'static,
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
{
    let failed = |why: String| ReachError::Failed { what: what.to_owned(), place: HERE.to_owned(), why, maybe_done: acts };
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done.map_err(|e| failed(e.to_string())),
        Ok(Err(join)) => Err(failed(join.to_string())),
        Err(_) => Err(ReachError::TimedOut { what: what.to_owned(), place: HERE.to_owned(), after: limit, maybe_done: acts }),
    }
}
