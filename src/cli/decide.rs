//! `paramedic approve` and `paramedic deny`: a decision from a terminal on the server's machine, by the login that the configuration
//! names; where it names nobody, by whoever may open the store.

use super::{Files, approvals, sign, table};
use crate::domain::{Approval, ApprovalId, ApprovalState, Clock as _, Decision, SystemClock, Via};
use crate::engine::{Ballot, Electorate, vote};
use crate::safety::{Approvers, Policies};
use crate::store::{DecideError, Store};
use anyhow::Context as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// Sign the digest with this key: a file of ssh-keygen, or the .pub of a key that an agent holds.
    #[arg(long, value_name = "KEY", requires = "id")]
    sign_with: Option<PathBuf>,
    /// A signature made elsewhere by `ssh-keygen -Y sign -n approval@paramedic`.
    #[arg(long, value_name = "FILE", requires = "id", conflicts_with = "sign_with")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    decide: DecideArgs,
}

#[derive(Debug, clap::Args)]
pub struct DecideArgs {
    /// APR-7, or 7. Without it, what is waiting for a decision.
    id: Option<String>,
    /// The first twelve digits, or more, of the digest that you were shown: nothing is decided if it is another.
    #[arg(long, value_name = "HEX", requires = "id")]
    digest: Option<String>,
    #[command(flatten)]
    files: Files,
}

/// Who decides what, without the signature.
struct Wanted {
    decision: Decision,
    digest: Option<String>,
    approvers: Approvers,
    /// Read for a yes only: a mistake in one keeps nobody from saying no.
    policies: Option<Policies>,
}

pub async fn approve(args: ApproveArgs) -> anyhow::Result<ExitCode> {
    let ApproveArgs { sign_with, signature, decide } = args;
    let given = signature.map(|file| std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))).transpose()?;
    let signature = move |approval: &Approval| match &sign_with {
        Some(key) => sign::sign(key, approval.digest()).map(Some),
        None => Ok(given.clone()),
    };
    run(decide, Decision::Grant, &signature).await
}

pub async fn deny(args: DecideArgs) -> anyhow::Result<ExitCode> {
    run(args, Decision::Deny, &|_| Ok(None)).await
}

type Signing<'a> = &'a (dyn Fn(&Approval) -> anyhow::Result<Option<String>> + Sync);

async fn run(args: DecideArgs, decision: Decision, signature: Signing<'_>) -> anyhow::Result<ExitCode> {
    let id: Option<ApprovalId> = match args.id.as_deref().map(str::parse).transpose() {
        Ok(id) => id,
        Err(e) => {
            eprintln!("paramedic: {e}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let policies = || matches!(decision, Decision::Grant).then(|| args.files.policies()).transpose();
    let read = args.files.store_url().and_then(|url| Ok((url, args.files.approvers()?, policies()?)));
    let (url, approvers, policies) = match read {
        Ok(read) => read,
        Err(code) => return Ok(code),
    };
    let store = Store::open_beside(&url).await?;
    let Some(id) = id else {
        println!("{}", approvals::list(&store.open_approvals().await?, false));
        return Ok(ExitCode::SUCCESS);
    };
    let code = decide(&store, id, Wanted { decision, digest: args.digest, approvers, policies }, signature).await?;
    if code == ExitCode::SUCCESS && decision == Decision::Grant {
        for why in args.files.in_force(&store, SystemClock.now()).await?.halts {
            eprintln!("paramedic: everything is halted, so that it is not begun and this approval becomes void: {}", table::whole(&why));
        }
    }
    Ok(code)
}

async fn decide(store: &Store, id: ApprovalId, wanted: Wanted, signature: Signing<'_>) -> anyhow::Result<ExitCode> {
    let approval = store.approval(id).await?;
    let (mut shown, mut signed) = (wanted.digest, None);
    if let Some(approval) = approval.filter(|approval| approval.state == ApprovalState::Asked) {
        if !asked_back(&approval, wanted.decision)? {
            eprintln!("paramedic: nothing was decided");
            return Ok(ExitCode::from(super::EX_FAILED));
        }
        signed = signature(&approval)?;
        // What was read here is what is decided on, whatever the row says a moment later.
        shown.get_or_insert_with(|| approval.digest().0.clone());
    }
    let ballot = Ballot { who: login_name(), via: Via::Cli, decision: wanted.decision, shown, signature: signed };
    let electorate = Electorate { approvers: &wanted.approvers, policies: wanted.policies.as_ref() };
    match vote(store, electorate, id, ballot, SystemClock.now()).await {
        Ok(approval) => {
            let word = match approval.state {
                ApprovalState::Asked => format!("approved, {} more must", approval.missing()),
                _ => approval.state.word().to_owned(),
            };
            let what = format!("{} {}", approval.request.tool, table::exact(&approval.request.facts()));
            println!("{id} {word}: {} ({}) [{}]", table::whole(&what), approval.incident(), approval.digest().short());
            Ok(ExitCode::SUCCESS)
        }
        Err(DecideError::Store(e)) => Err(e.into()),
        Err(e) => {
            eprintln!("paramedic: {e}");
            Ok(ExitCode::from(super::EX_FAILED))
        }
    }
}

/// At a terminal the request is shown and asked back for; a script said what it wants.
fn asked_back(approval: &Approval, decision: Decision) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let word = match decision {
        Decision::Grant => "Approve",
        Decision::Deny => "Deny",
    };
    println!("{}", approvals::one(approval));
    print!("{word} {}? [y/N] ", approval.id());
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The real user's name, not what an environment variable claims, where the system knows one.
pub(super) fn login_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_else(|_| String::new());
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(uid.to_string().as_str()));
    line.and_then(|line| line.split(':').next()).map_or_else(|| format!("uid {uid}"), str::to_owned)
}
