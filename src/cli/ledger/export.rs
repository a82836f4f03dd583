//! `paramedic ledger export`: every entry with its place, a line an entry, in the log's order. What it prints and a checkpoint are all
//! that anybody needs to verify the whole ledger.

use super::Files;
use crate::ledger::export_line;
use crate::store::Store;
use anyhow::{Context as _, bail};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const AT_ONCE: u64 = 1_000;

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// JSON, a line an entry; the one form there is.
    #[arg(long)]
    jsonl: bool,
    /// A file instead of standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The first so many entries; without it, those of the newest checkpoint.
    #[arg(long, conflicts_with = "all")]
    size: Option<u64>,
    /// The newest entries too, which no checkpoint covers yet.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let (store, _) = match super::open(&args.files).await? {
        Ok(open) => open,
        Err(code) => return Ok(code),
    };
    let all = store.log_size().await?;
    let size = match args.size {
        Some(size) => size,
        None if args.all => all,
        None => super::newest(&store).await?.size,
    };
    if size > all {
        bail!("--size {size}: the log has {all} entries");
    }
    match &args.out {
        Some(path) => {
            let file = std::fs::File::create(path).with_context(|| format!("write {}", path.display()))?;
            let mut out = BufWriter::new(file);
            write(&store, size, &mut out).await?;
            out.flush().with_context(|| format!("write {}", path.display()))?;
        }
        None => write(&store, size, &mut std::io::stdout()).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(store: &Store, size: u64, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut next = 0;
    while next < size {
        let entries = store.logged(next, AT_ONCE.min(size - next)).await?;
        let mut lines = String::new();
        for entry in &entries {
            if entry.body.contains('\n') || !entry.body.starts_with('{') || entry.index != next {
                bail!("{}/{} is not what was logged: run `paramedic ledger verify`", entry.incident, entry.seq);
            }
            lines.push_str(&export_line(&entry.leaf()));
            lines.push('\n');
            next += 1;
        }
        if entries.is_empty() {
            bail!("entry {next} of the log is missing: run `paramedic ledger verify`");
        }
        match out.write_all(lines.as_bytes()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}
