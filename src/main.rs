//! The binary: parses the command line and runs it. Everything else is in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match paramedic::cli::parse() {
        Ok(cli) => cli.run().await,
        Err(code) => code,
    }
}
