//! `paramedic explain`: what the SafetyChecker would say, and who decides it. Nothing is done, asked or written.

mod action;
mod command;

use super::Files;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A shell command to read instead, or `-` for one a line on stdin: its danger level, and the part that decides it. It is never run.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["service", "tool"])]
    command: Option<String>,
    #[command(flatten)]
    action: action::ActionArgs,
    /// As JSON; of commands, an object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    if let Some(command) = &args.command {
        return command::run(command, args.json);
    }
    action::run(&args.action, &args.files, args.json).await
}
