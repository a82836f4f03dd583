//! `paramedic demo`: the main job on this machine in under a minute. A real server, real webhook bodies over HTTP, child
//! processes as services; Slack, PagerDuty and a model are loopback stand-ins. Exit code 0 only if all went as told.

mod acts;
mod service;
mod show;

pub use service::{DemoServiceArgs, serve_badly};

use super::stage::{Stage, roomy_folder};
use crate::standins::model::Reply;
use acts::{Act, Told};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Leave the server running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let stage = Stage::open(roomy_folder()?, &services()?, Some(script())).await?;
    println!("Paramedic listens on http://{} with its ledger in {}", stage.app.address, stage.path().display());
    let mut told = Vec::new();
    for act in [Act::Crash, Act::Disk, Act::Latency, Act::Corruption] {
        println!("\n{}", act.heading());
        told.push(acts::play(act, &stage).await?);
    }
    println!("\n{}", show::table(&told));
    let failures: Vec<String> = told.iter().flat_map(Told::failures).collect();
    for failure in &failures {
        println!("not as told: {failure}");
    }
    if args.keep {
        println!("\nStill running; look around with:\n  paramedic incidents --config {}\nCtrl-C ends it.", stage.config.display());
        tokio::signal::ctrl_c().await?;
    }
    stage.close().await?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::EX_FAILED) })
}

/// The inventory: this machine, and this binary as the services.
fn services() -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let process = |name: &str| serde_json::json!({ "process": { "command": [program, "demo-service", name] } });
    let value = serde_json::json!({
        "hosts": [{ "name": "demo-host", "reach": { "local": {} }, "log_roots": ["${SANDBOX}/var/log/checkout"] }],
        "services": [
            { "name": "checkout", "environment": "production", "owner": "payments", "hosts": ["demo-host"], "reach": process("checkout") },
            { "name": "orders-db", "environment": "production", "owner": "data", "hosts": ["demo-host"], "reach": process("orders-db"),
              "alerts": ["instance=\"db-primary-01\""] },
        ],
    });
    Ok(format!("{value:#}\n"))
}

/// A model that wants the one thing nobody may have.
fn script() -> Vec<Reply> {
    let beg = serde_json::json!({ "database": "orders", "reason": "it is corrupt; drop it and rebuild" });
    vec![
        Reply::call("delete_database", beg.clone()),
        Reply::call("delete_database", beg),
        Reply::text("I was refused. The orders database is corrupt; a human has to restore it from a backup."),
    ]
}
