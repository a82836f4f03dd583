//! `paramedic serve`: runs until SIGTERM or SIGINT, then drains.

use super::Files;
use super::log::Log;
use crate::app::App;
use crate::domain::SystemClock;
use crate::store::Freeze;
use clap::builder::FalseyValueParser;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    files: Files,
    /// Log lines as JSON.
    #[arg(long, env = "PARAMEDIC_LOG_JSON", value_parser = FalseyValueParser::new())]
    log_json: bool,
}

pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let log = Log::to_stderr(args.log_json);
    let config = match args.files.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    log.redact(&config.redactor);
    let redactor = config.redactor.clone();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (mode, services) = (config.settings.mode, config.inventory.services().count());
    let planners = if config.llm.is_some() { "runbooks and a model" } else { "runbooks alone" };
    // Before the listener is there, so that a stop during the start is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = App::start(config, Arc::new(SystemClock), Freeze::default()).await;
    let app = app.map_err(|e| anyhow::anyhow!("{}", redactor.text(&format!("{e:#}"))))?;
    tracing::info!(%mode, services, "listening on http://{}, planning by {planners}", app.address);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new steps, running effects finish");
    let drained = app.stop().await;
    if !drained {
        tracing::error!("an effect did not finish in time; it is in doubt and will be probed at the next start");
    }
    Ok(if drained { ExitCode::SUCCESS } else { ExitCode::from(super::EX_FAILED) })
}
