//! `paramedic explain`: what the SafetyChecker would say, and who decides it. Nothing is done, asked or written.

mod action;

use super::Files;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    action: action::ActionArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    action::run(&args.action, &args.files, args.json).await
}
