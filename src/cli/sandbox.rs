//! `paramedic sandbox`: started by Paramedic itself for each program of a diagnosis command. Confines itself, then becomes the program.

use crate::clients::sandbox::{Order, REFUSED, SAYS, SandboxError, enter};
use std::io::Write as _;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// What to become, as JSON.
    #[arg(long)]
    order: String,
}

/// Does not return if all is well.
pub fn run(args: &SandboxArgs) -> ExitCode {
    let refused = |why: String| {
        say(&format!("{SAYS}{why}\n"));
        ExitCode::from(REFUSED)
    };
    match serde_json::from_str::<Order>(&args.order) {
        Err(e) => refused(format!("not an order: {e}")),
        Ok(order) => match enter(&order) {
            Err(e @ SandboxError::NoInput(..)) => {
                say(&format!("{e}\n"));
                ExitCode::FAILURE
            }
            Err(e) => refused(e.to_string()),
            Ok(never) => match never {},
        },
    }
}

/// In one piece: the other programs of a pipeline may speak at the same time, into the same pipe.
fn say(text: &str) {
    // Nobody else could be told that nobody listens.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
