//! `paramedic hand`: the host's end of an SSH connection. All of it is in the hand itself; this hands over stdin, stdout and
//! what sshd says about the caller.

use crate::clients::fleet::{Limits, hand};
use crate::domain::{Clock, SystemClock};
use std::{path::PathBuf, process::ExitCode, time::Duration};

#[derive(Debug, clap::Args)]
pub struct HandArgs {
    /// What this host allows Paramedic to ask for.
    #[arg(long, default_value = "/etc/paramedic/hand.yaml")]
    config: PathBuf,
    /// Answer this one request only; a certificate's forced command says it.
    #[arg(long, value_name = "DIGEST:SERIAL:UNTIL")]
    only: Option<hand::Terms>,
}

/// 0 for every reply, refusals included; 74 if the reply could not be written.
pub async fn run(args: HandArgs) -> ExitCode {
    let caller = hand::Caller { connection: std::env::var("SSH_CONNECTION").ok(), command: std::env::var("SSH_ORIGINAL_COMMAND").ok() };
    let bounds = hand::Bounds { allow_list: &args.config, terms: args.only.as_ref() };
    let usual = Limits::default();
    // Ends before the asking end's own limit, so that the asker hears what timed out.
    let limits = Limits { observe: usual.observe - Duration::from_secs(3), restart: usual.restart - Duration::from_secs(5), ..usual };
    let served = hand::serve(bounds, &caller, tokio::io::stdin(), tokio::io::stdout(), SystemClock.now(), &limits).await;
    // Ends here and now: after a caller who never finished a request, the thread that reads stdin would keep the runtime waiting.
    match served {
        Ok(()) => std::process::exit(0),
        Err(e) => {
            eprintln!("paramedic hand: the reply could not be written: {e}");
            std::process::exit(74)
        }
    }
}
