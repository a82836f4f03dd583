//! Floor 7: the command line. A file a subcommand; each parses its arguments, calls one thing below, and chooses the exit code.

mod approvals;
mod chaos;
mod check;
mod classify;
mod costs;
mod decide;
mod demo;
mod explain;
mod hand;
mod incidents;
mod ledger;
mod log;
mod orders;
mod policy;
mod sandbox;
mod serve;
mod sign;
mod stage;
mod store;
mod table;
mod trust;
mod witness;

use crate::config::{self, Complaint, Config, Overrides};
use crate::domain::CostLimits;
use crate::publish::LedgerKeys;
use crate::redaction::Redactor;
use crate::safety::{Approvers, ConsentRules, Policies};
use clap::{Parser as _, error::ErrorKind};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// sysexits.h: the words on the command line or in a configuration are wrong.
const EX_USAGE: u8 = 64;
/// The input to read is wrong.
const EX_DATAERR: u8 = 65;
/// Something failed while it ran.
const EX_FAILED: u8 = 1;

#[derive(Debug, clap::Parser)]
#[command(name = "paramedic", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Receive alerts, diagnose, fix within bounds, ask and tell humans.
    Serve(serve::ServeArgs),
    /// Read the configuration and say everything that is wrong with it.
    Check(Files),
    /// List incidents, or show one with its transcript.
    Incidents(incidents::IncidentsArgs),
    /// List what waits for a human's decision, or show one request to the byte.
    Approvals(approvals::ApprovalsArgs),
    /// Grant an approval: `paramedic approve APR-7`.
    Approve(decide::ApproveArgs),
    /// Refuse an approval: `paramedic deny APR-7`.
    Deny(decide::DecideArgs),
    /// The ledger as a transparency log: verify it, prove an entry, take it elsewhere.
    Ledger(ledger::LedgerArgs),
    /// Co-sign checkpoints of other machines' ledgers, each only if it takes back nothing that was seen.
    Witness(witness::WitnessArgs),
    /// Move everything from a SQLite file to PostgreSQL, or back.
    Store(store::StoreArgs),
    /// Stop changing anything, at once and everywhere: `paramedic halt --reason "…"`.
    Halt(orders::ReasonArgs),
    /// End a halt.
    Resume(orders::ReasonArgs),
    /// Leave a service to humans: `paramedic hands-off api --reason "…" --for 2h`.
    HandsOff(orders::HandsOffArgs),
    /// Give it back.
    HandsOn(orders::HandsOnArgs),
    /// What keeps Paramedic from acting now: halts, hands off, freezes, open breakers.
    Orders(orders::OrdersArgs),
    /// Close an incident whose end was never told: `paramedic close INC-7 --reason "…"`.
    Close(orders::CloseArgs),
    /// How far each agent is trusted, and why; `paramedic trust close-breaker AGENT --reason "…"`.
    Trust(trust::TrustArgs),
    /// What the model costs on a day, of which service, and what is left of the limits.
    Costs(costs::CostsArgs),
    /// What would happen to which alert, without running anything.
    Classify(classify::ClassifyArgs),
    /// What the SafetyChecker would say to an action, layer by layer, and which policy decides.
    Explain(explain::ExplainArgs),
    /// Check the policies, or judge stored actions again by edited ones.
    Policy(policy::PolicyArgs),
    /// Tell the main job's story on this machine, with child processes as services. Needs nothing, changes nothing.
    Demo(demo::DemoArgs),
    /// Run scenarios and compare what was done with what was expected.
    Chaos(chaos::ChaosArgs),
    /// Answer one request of Paramedic on this host; started by sshd as a forced command.
    Hand(hand::HandArgs),
    /// One program of a diagnosis command, confined.
    #[command(hide = true)]
    Sandbox(sandbox::SandboxArgs),
    /// A service for the demo to break.
    #[command(hide = true)]
    DemoService(demo::DemoServiceArgs),
}

/// The configuration a command works with.
#[derive(Debug, Clone, clap::Args)]
pub struct Files {
    /// services.yaml, classifier.yaml, runbooks/ and policies/ lie beside it.
    #[arg(long, env = "PARAMEDIC_CONFIG", default_value = "config/paramedic.yaml")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

impl Files {
    /// The store alone: a mistake elsewhere keeps nobody from reading and deciding.
    fn store_url(&self) -> Result<String, ExitCode> {
        config::store_url(&self.config, &self.overrides, &|name| std::env::var(name).ok()).map_err(|complaints| {
            complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
            ExitCode::from(EX_USAGE)
        })
    }

    /// Who may decide, without anything that only the server may read.
    fn approvers(&self) -> Result<Approvers, ExitCode> {
        or_complain(config::approvers(&self.config, &|name| std::env::var(name).ok()))
    }

    /// How many must agree by plain configuration.
    fn consent_rules(&self) -> Result<ConsentRules, ExitCode> {
        or_complain(config::consent_rules(&self.config))
    }

    /// The policies beside the main file; those that are shipped where there is no such folder. The server asks its own again.
    fn policies(&self) -> Result<Policies, ExitCode> {
        let folder = self.config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        or_complain(match folder.join("policies").exists() {
            true => config::load_policies(folder, &|name| std::env::var(name).ok()),
            false => config::shipped_policies()
                .map_err(|problems| problems.into_iter().map(|p| Complaint::of_file(Path::new(&p.file), p.message)).collect()),
        })
    }

    /// What a day of the model may cost; none without a model.
    fn cost_limits(&self) -> Result<Option<CostLimits>, ExitCode> {
        or_complain(config::cost_limits(&self.config))
    }

    /// The store and the ledger's keys alone.
    fn ledger(&self) -> Result<(String, LedgerKeys), ExitCode> {
        or_complain(config::ledger(&self.config, &self.overrides, &|name| std::env::var(name).ok()))
    }

    /// The configuration, or everything that is wrong with it on stderr and exit code 64.
    fn load(&self) -> Result<Config, ExitCode> {
        Config::load(&self.config, &self.overrides, &|name| std::env::var(name).ok()).map_err(|complaints| {
            for complaint in &complaints {
                eprintln!("{complaint}");
            }
            let count = complaints.len();
            eprintln!("paramedic: {count} {} in the configuration", if count == 1 { "error" } else { "errors" });
            ExitCode::from(EX_USAGE)
        })
    }
}

/// What was read, or the complaints on stderr and exit code 64.
fn or_complain<T>(read: Result<T, Vec<Complaint>>) -> Result<T, ExitCode> {
    read.map_err(|complaints| {
        complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
        ExitCode::from(EX_USAGE)
    })
}

/// Prints a line. A reader who has seen enough (`| head`) is no failure.
fn say(text: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Parses the command line; what is wrong with it ends with exit code 64, help with 0.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|e| {
        // A closed stdout or stderr is nothing to tell anybody about.
        let _ = e.print();
        match e.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(EX_USAGE),
        }
    })
}

impl Cli {
    pub async fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Check(files) => check::run(&files),
            Command::Incidents(args) => incidents::run(args).await,
            Command::Approvals(args) => approvals::run(args).await,
            Command::Approve(args) => decide::approve(args).await,
            Command::Deny(args) => decide::deny(args).await,
            Command::Ledger(args) => ledger::run(args).await,
            Command::Witness(args) => witness::run(args).await,
            Command::Store(args) => store::run(args).await,
            Command::Halt(args) => orders::halt(args).await,
            Command::Resume(args) => orders::resume(args).await,
            Command::HandsOff(args) => orders::hands_off(args).await,
            Command::HandsOn(args) => orders::hands_on(args).await,
            Command::Orders(args) => orders::list(args).await,
            Command::Close(args) => orders::close(args).await,
            Command::Trust(args) => trust::run(args).await,
            Command::Costs(args) => costs::run(args).await,
            Command::Classify(args) => classify::run(&args),
            Command::Explain(args) => explain::run(args).await,
            Command::Policy(args) => policy::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Chaos(args) => chaos::run(args).await,
            Command::Hand(args) => return hand::run(args).await,
            Command::Sandbox(args) => return sandbox::run(&args),
            Command::DemoService(args) => demo::serve_badly(&args),
        };
        done.unwrap_or_else(|e| {
            // Whatever a command choked on may have held one.
            eprintln!("paramedic: {}", Redactor::default().text(&format!("{e:#}")));
            ExitCode::from(EX_FAILED)
        })
    }
}
