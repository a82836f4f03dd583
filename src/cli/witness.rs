//! `paramedic witness`: stands on another machine than the ledger's and co-signs its checkpoints, until SIGTERM or SIGINT.

use crate::domain::SystemClock;
use crate::http;
use crate::ledger::{CosignerKey, PublicLogKey};
use crate::publish;
use crate::witness::Witness;
use anyhow::Context as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub struct WitnessArgs {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:9912")]
    listen: String,
    /// The witness's private key; made at the first start, under `--name`.
    #[arg(long)]
    key_file: PathBuf,
    /// The witness's name, such as witness.example.com/w1: needed once, to make the key.
    #[arg(long)]
    name: Option<String>,
    /// A log to watch: its public key, as `paramedic ledger key` prints it. Can be given several times.
    #[arg(long, required = true, value_name = "VKEY")]
    log: Vec<String>,
    /// Folder that remembers what was seen. It may never be lost, set back or shared.
    #[arg(long, default_value = "witness")]
    state: PathBuf,
}

pub async fn run(args: WitnessArgs) -> anyhow::Result<ExitCode> {
    super::log::Log::to_stderr(false);
    let logs = match args.log.iter().map(|vkey| PublicLogKey::parse(vkey)).collect::<Result<Vec<_>, _>>() {
        Ok(logs) => logs,
        Err(e) => {
            eprintln!("paramedic: --log: {e}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let line = match (publish::read_key(&args.key_file)?, &args.name) {
        (Some(line), _) => line,
        (None, Some(name)) if crate::ledger::is_origin(name) => publish::create_key(&args.key_file, name)?,
        (None, _) => {
            eprintln!("paramedic: {} is not there: expected it, or --name with one word without `+` to make it", args.key_file.display());
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let key = CosignerKey::parse(&line).with_context(|| format!("key file {}", args.key_file.display()))?;
    let public = key.public();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let names: Vec<String> = logs.iter().map(|log| log.name().to_owned()).collect();
    let witness = Arc::new(Witness::open(&args.state, key, logs)?);
    let listener = TcpListener::bind(&args.listen).await.with_context(|| format!("listen on {}", args.listen))?;
    tracing::info!(logs = names.join(", "), "listening on http://{}, witness key {public}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    });
    http::serve_witness(listener, witness, Arc::new(SystemClock), stop).await?;
    Ok(ExitCode::SUCCESS)
}
