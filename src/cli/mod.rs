//! Floor 7: the command line. A file a subcommand; each parses its arguments, calls one thing below, and chooses the exit code.

pub mod hand;

use std::process::ExitCode;

#[derive(Debug, clap::Parser)]
#[command(name = "paramedic", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Answer one request of Paramedic on this host; started by sshd as a forced command.
    Hand(hand::HandArgs),
}

impl Cli {
    pub async fn run(self) -> ExitCode {
        match self.command {
            Command::Hand(args) => hand::run(args).await,
        }
    }
}
