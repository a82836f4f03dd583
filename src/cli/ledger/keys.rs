//! `paramedic ledger key` and `paramedic ledger keygen`.

use super::Files;
use crate::ledger::{CosignerKey, LogKey, is_origin};
use crate::publish;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// The new file; nothing is overwritten.
    file: PathBuf,
    /// The log's origin (`ledger.origin`), or the witness's name: one word without `+`.
    #[arg(long)]
    name: String,
    /// Print the key as a witness's.
    #[arg(long)]
    witness: bool,
}

pub async fn show(args: KeyArgs) -> anyhow::Result<ExitCode> {
    let (store, keys) = match super::open(&args.files).await? {
        Ok(open) => open,
        Err(code) => return Ok(code),
    };
    super::super::say(super::own_key(&store, &keys)?.vkey())?;
    Ok(ExitCode::SUCCESS)
}

pub fn make(args: &KeygenArgs) -> anyhow::Result<ExitCode> {
    if !is_origin(&args.name) {
        eprintln!("paramedic: --name: expected one word without `+`, at most 200 bytes, such as paramedic.example.com/ledger");
        return Ok(ExitCode::from(super::super::EX_USAGE));
    }
    let line = publish::create_key(&args.file, &args.name)?;
    let public = if args.witness { CosignerKey::parse(&line)?.public() } else { LogKey::parse(&line)?.public().to_owned() };
    super::super::say(&public)?;
    Ok(ExitCode::SUCCESS)
}
