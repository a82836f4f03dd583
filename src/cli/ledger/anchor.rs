//! `paramedic ledger anchor`: the newest checkpoint to every place of `ledger.anchors`, now, and to standard output, from where it can
//! go to any other place.

use super::Files;
use crate::domain::{Clock as _, SystemClock};
use crate::ledger::Signed;
use crate::publish;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct AnchorArgs {
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: AnchorArgs) -> anyhow::Result<ExitCode> {
    let (store, keys) = match super::open(&args.files).await? {
        Ok(open) => open,
        Err(code) => return Ok(code),
    };
    let key = super::own_key(&store, &keys)?;
    let signed = Signed::open(super::newest(&store).await?.note.as_bytes(), &key, &[])?;
    super::super::say(signed.note.trim_end_matches('\n'))?;
    let (now, mut failed) = (SystemClock.now(), false);
    for target in publish::targets(&keys) {
        match target.anchor(&store, &signed, now).await {
            Ok(()) => eprintln!("anchored in {target}"),
            Err(e) => {
                eprintln!("paramedic: {e}");
                failed = true;
            }
        }
    }
    store.anchored(signed.checkpoint.size, now).await?;
    Ok(if failed { ExitCode::from(super::super::EX_FAILED) } else { ExitCode::SUCCESS })
}
