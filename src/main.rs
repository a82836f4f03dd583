//! The binary: parses the command line and runs it. Everything else is in the library.

use clap::Parser as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    paramedic::cli::Cli::parse().run().await
}
