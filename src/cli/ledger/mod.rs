//! `paramedic ledger`: a file a subcommand. They read the store beside a running server and change no entry; `verify` also works where
//! there is no store, from an export or from published tiles.

mod anchor;
mod export;
mod keys;
mod prove;
mod verify;

use super::Files;
use crate::ledger::{LogKey, PublicLogKey};
use crate::publish::{self, LedgerKeys};
use crate::store::{KeptCheckpoint, Store};
use anyhow::{Context as _, anyhow};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Is every entry what was logged, and does the log continue every checkpoint that is known?
    Verify(verify::VerifyArgs),
    /// Print a proof that an entry is in the log: `paramedic ledger prove INC-7/3`.
    Prove(prove::ProveArgs),
    /// Print every entry with its place, a line an entry.
    Export(export::ExportArgs),
    /// Take the newest checkpoint to where `ledger.anchors` says, now, and print it.
    Anchor(anchor::AnchorArgs),
    /// Print the public key that others verify with.
    Key(keys::KeyArgs),
    /// Make a private key in a new file, and print the public one.
    Keygen(keys::KeygenArgs),
}

pub async fn run(args: LedgerArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Verify(args) => verify::run(args).await,
        Command::Prove(args) => prove::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Anchor(args) => anchor::run(args).await,
        Command::Key(args) => keys::show(args).await,
        Command::Keygen(args) => keys::make(&args),
    }
}

/// The store of the configuration, with the ledger's keys.
async fn open(files: &Files) -> anyhow::Result<Result<(Store, LedgerKeys), ExitCode>> {
    let (url, keys) = match files.ledger() {
        Ok(found) => found,
        Err(code) => return Ok(Err(code)),
    };
    Ok(Ok((Store::open_beside(&url).await?, keys)))
}

/// A public key: on the command line as it is, or the first line of a file.
fn public_key(given: &str) -> anyhow::Result<PublicLogKey> {
    if let Ok(key) = PublicLogKey::parse(given) {
        return Ok(key);
    }
    let text =
        std::fs::read_to_string(given).with_context(|| format!("--key {given}: neither a public key nor a file that can be read"))?;
    PublicLogKey::parse(text.lines().next().unwrap_or_default()).with_context(|| format!("--key {given}"))
}

/// The public half of the server's own key.
fn own_key(store: &Store, keys: &LedgerKeys) -> anyhow::Result<PublicLogKey> {
    let path = keys.key_file(store.path());
    let line =
        publish::read_key(&path)?.ok_or_else(|| anyhow!("{} is not there: has `paramedic serve` run, or give --key", path.display()))?;
    let key = LogKey::parse(&line).with_context(|| format!("key file {}", path.display()))?;
    Ok(PublicLogKey::parse(key.public())?)
}

/// The newest checkpoint; none was signed before the server has run with a log.
async fn newest(store: &Store) -> anyhow::Result<KeptCheckpoint> {
    let kept = store.newest_checkpoint().await?;
    kept.ok_or_else(|| anyhow!("nothing is signed yet: `paramedic serve` signs a moment after the first entry"))
}

/// To a file, or to where commands print.
fn deliver(out: Option<&Path>, text: &str) -> anyhow::Result<()> {
    match out {
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display())),
        None => Ok(super::say(text.trim_end_matches('\n'))?),
    }
}
