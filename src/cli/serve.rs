//! `paramedic serve`: runs until SIGTERM or SIGINT, then drains.

use super::Files;
use crate::app::App;
use crate::domain::SystemClock;
use crate::store::Freeze;
use clap::builder::FalseyValueParser;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    files: Files,
    /// Log lines as JSON.
    #[arg(long, env = "PARAMEDIC_LOG_JSON", value_parser = FalseyValueParser::new())]
    log_json: bool,
}

pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr(args.log_json);
    let config = match args.files.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (mode, services) = (config.settings.mode, config.inventory.services().count());
    let planners = if config.llm.is_some() { "runbooks and a model" } else { "runbooks alone" };
    // Before the listener is there, so that a stop during the start is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = App::start(config, Arc::new(SystemClock), Freeze::default()).await?;
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

/// RUST_LOG says how much; libraries that log whole bodies or tickets are silent whatever it says.
pub fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = ["async_openai=off", "slack_morphism=off"].iter().filter_map(|d| d.parse().ok()).fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let builder = if std::io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    // A second subscriber in one process (tests) is refused, and the first one stays.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
