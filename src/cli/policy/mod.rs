//! `paramedic policy`: check and list the policies, print their schema, judge again what was judged.

mod replay;

use super::Files;
use crate::config;
use crate::safety::{Policies, SCHEMA};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PolicyCommand {
    /// Say everything that is wrong with policies/*.cedar, or list them.
    Check {
        #[command(flatten)]
        files: Files,
    },
    /// Judge stored actions by the policies as they are on disk now, and show what would differ.
    Replay(replay::ReplayArgs),
    /// Print the schema that policies are checked against.
    Schema,
}

pub async fn run(args: PolicyArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PolicyCommand::Check { files } => check(&files),
        PolicyCommand::Replay(args) => replay::run(args).await,
        PolicyCommand::Schema => {
            super::say(SCHEMA.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The policies beside the main file, or all that is wrong with them on stderr and exit code 64.
fn load(files: &Files) -> Result<Policies, ExitCode> {
    let folder = files.config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    config::load_policies(folder, &|name| std::env::var(name).ok()).map_err(|complaints| {
        complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
        ExitCode::from(super::EX_USAGE)
    })
}

fn check(files: &Files) -> anyhow::Result<ExitCode> {
    let policies = match load(files) {
        Ok(policies) => policies,
        Err(code) => return Ok(code),
    };
    let rows: Vec<Vec<String>> = policies
        .all()
        .map(|(id, written)| vec![id.to_owned(), format!("policies/{}:{}", written.file, written.line), written.reason.clone()])
        .collect();
    super::say(&super::table::render(&["POLICY", "WHERE", "WHY"], &rows))?;
    super::say(&format!("{} policies, version {}", policies.count(), policies.version().short()))?;
    Ok(ExitCode::SUCCESS)
}
