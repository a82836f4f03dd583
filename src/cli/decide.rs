//! `paramedic approve` and `paramedic deny`: a decision from a terminal on the server's machine. Who may open the store may
//! decide; the login name is recorded.

use super::Files;
use crate::domain::{ApprovalId, Clock as _, Decision, Principal, SystemClock, Via};
use crate::store::{DecideError, Store};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct DecideArgs {
    /// APR-7, or 7. Without it, what is waiting for a decision.
    id: Option<String>,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: DecideArgs, decision: Decision) -> anyhow::Result<ExitCode> {
    let id: Option<ApprovalId> = match args.id.as_deref().map(str::parse).transpose() {
        Ok(id) => id,
        Err(e) => {
            eprintln!("paramedic: {e}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let url = match args.files.store_url() {
        Ok(url) => url,
        Err(code) => return Ok(code),
    };
    let store = Store::open_beside(&url).await?;
    match id {
        Some(id) => decide(&store, id, decision).await,
        None => waiting(&store).await,
    }
}

async fn decide(store: &Store, id: ApprovalId, decision: Decision) -> anyhow::Result<ExitCode> {
    let by = Principal { name: login_name(), via: Via::Cli };
    match store.decide(id, decision, by, None, SystemClock.now()).await {
        Ok(approval) => {
            println!("{id} {}: {} ({})", approval.state.word(), super::table::whole(&approval.action.summary()), approval.incident);
            Ok(ExitCode::SUCCESS)
        }
        Err(DecideError::Store(e)) => Err(e.into()),
        Err(e) => {
            eprintln!("paramedic: {e}");
            Ok(ExitCode::from(super::EX_FAILED))
        }
    }
}

async fn waiting(store: &Store) -> anyhow::Result<ExitCode> {
    let open = store.open_approvals().await?;
    if open.is_empty() {
        println!("no approval is waiting");
    }
    for approval in open {
        let until = approval.expires_at.format("%H:%M:%SZ");
        println!("{} ({}) until {until}: {}", approval.id, approval.incident, super::table::whole(&approval.action.summary()));
        for reason in &approval.reasons {
            println!("    {}", super::table::plain(reason));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The real user's name, not what an environment variable claims, where the system knows one.
fn login_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_else(|_| String::new());
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(uid.to_string().as_str()));
    line.and_then(|line| line.split(':').next()).map_or_else(|| format!("uid {uid}"), str::to_owned)
}
