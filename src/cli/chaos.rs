//! `paramedic chaos run DIR`: scenarios as data. Each opens a stage of its own, breaks something, sends a real webhook body, and
//! compares what was done with what was expected and what was forbidden.

mod junit;
mod scenario;

use super::stage::{Stage, now, roomy_folder};
use super::table;
use crate::domain::{Incident, StepEnd};
use crate::standins::Sample;
use anyhow::{Context as _, anyhow};
use scenario::Scenario;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub struct ChaosArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Run every scenario in a folder.
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// A folder of scenarios (*.yaml), or one of them.
    #[arg(default_value = "chaos/scenarios")]
    path: PathBuf,
    /// Also write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// A scenario as it went.
pub struct Played {
    pub name: String,
    pub state: String,
    pub did: Vec<String>,
    /// What was not as expected; empty is a pass.
    pub failures: Vec<String>,
    pub transcript: Vec<String>,
    pub took: Duration,
}

pub async fn run(args: ChaosArgs) -> anyhow::Result<ExitCode> {
    let What::Run(args) = args.what;
    let mut scenarios = Vec::new();
    for path in files(&args.path)? {
        match scenario::read(&path) {
            Ok(scenario) => scenarios.push(scenario),
            Err(complaints) => {
                complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
                return Ok(ExitCode::from(super::EX_USAGE));
            }
        }
    }
    let mut played = Vec::new();
    for scenario in &scenarios {
        let begun = Instant::now();
        let result = play(scenario).await;
        played.push(result.unwrap_or_else(|e| broken(scenario, &e, begun.elapsed())));
    }
    println!("{}", report(&played));
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::render(&played)).with_context(|| format!("write {}", path.display()))?;
    }
    let passed = played.iter().all(|p| p.failures.is_empty());
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(super::EX_FAILED) })
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("read the scenarios in {}", path.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml")).collect();
    found.sort();
    if found.is_empty() { Err(anyhow!("no scenarios (*.yaml) in {}", path.display())) } else { Ok(found) }
}

async fn play(scenario: &Scenario) -> anyhow::Result<Played> {
    let begun = Instant::now();
    let replies = (!scenario.model.is_empty()).then(|| scenario.replies());
    let stage = Stage::open(roomy_folder()?, &scenario.services_yaml()?, replies).await?;
    let incident = act(&stage, scenario).await;
    let transcript = match &incident {
        Ok(incident) => stage.store().entries(incident.id).await?.iter().map(|recorded| recorded.entry.to_string()).collect(),
        Err(_) => Vec::new(),
    };
    stage.close().await?;
    let incident = incident?;
    let did = dispatched(&incident);
    Ok(Played {
        name: scenario.name.clone(),
        state: incident.state.as_str().to_owned(),
        failures: failures(scenario, &incident, &did),
        did,
        transcript,
        took: begun.elapsed(),
    })
}

async fn act(stage: &Stage, scenario: &Scenario) -> anyhow::Result<Incident> {
    for file in &scenario.files {
        stage.file(&file.path, file.bytes, file.age_days)?;
    }
    if let Some(service) = &scenario.crash {
        stage.crash(service).await?;
    }
    let labels: Vec<(&str, &str)> = scenario.labels();
    let alert = Sample::firing(&scenario.alert.alertname, &labels, &scenario.alert.description, now());
    let id = stage.raise(&alert, PATIENCE).await?;
    if let Some(decision) = scenario.answer {
        stage.wait(id, PATIENCE, |incident| incident.pending.is_some()).await?;
        let pending = stage.incident(id).await?.pending.ok_or_else(|| anyhow!("nobody was asked, so there is nothing to answer"))?;
        stage.click(pending.approval, decision.into(), PATIENCE).await?;
    }
    if let Some(tool) = &scenario.clears_after {
        let cleared = |incident: &Incident| incident.steps.iter().any(|step| &step.proposal.tool == tool && step.changed_something());
        if stage.wait(id, PATIENCE, cleared).await? {
            stage.resolve(&alert).await?;
        }
    }
    // The expected end, and every planner's last word: what is forbidden would come until then.
    let ended = |incident: &Incident| incident.state == scenario.expected_state && incident.pending.is_none() && quiet(incident);
    stage.wait(id, PATIENCE, ended).await?;
    stage.incident(id).await
}

fn quiet(incident: &Incident) -> bool {
    incident.state.is_final() || incident.run.as_ref().is_some_and(|run| run.over)
}

/// The tools that were let through, in order: run, or put to a human.
fn dispatched(incident: &Incident) -> Vec<String> {
    let through = incident.steps.iter().filter(|step| !matches!(step.end, StepEnd::Denied));
    through.map(|step| step.proposal.tool.clone()).collect()
}

fn failures(scenario: &Scenario, incident: &Incident, did: &[String]) -> Vec<String> {
    let missing =
        scenario.expected_actions.iter().filter(|tool| !did.contains(tool)).map(|tool| format!("expected {tool}, which was not done"));
    let forbidden = scenario.forbidden_actions.iter().filter(|tool| did.contains(tool)).map(|tool| format!("DANGER: {tool} was done"));
    let state =
        (incident.state != scenario.expected_state).then(|| format!("expected state {}, got {}", scenario.expected_state, incident.state));
    missing.chain(forbidden).chain(state).collect()
}

fn broken(scenario: &Scenario, error: &anyhow::Error, took: Duration) -> Played {
    Played {
        name: scenario.name.clone(),
        state: "-".into(),
        did: Vec::new(),
        failures: vec![format!("the scenario could not be played: {error:#}")],
        transcript: Vec::new(),
        took,
    }
}

fn report(played: &[Played]) -> String {
    let rows: Vec<Vec<String>> = played
        .iter()
        .map(|p| {
            let result = if p.failures.is_empty() { "PASS" } else { "FAIL" };
            vec![result.into(), p.name.clone(), p.state.clone(), format!("{:.2} s", p.took.as_secs_f64()), p.did.join(", ")]
        })
        .collect();
    let mut text = table::render(&["RESULT", "SCENARIO", "STATE", "TOOK", "ACTIONS"], &rows);
    for p in played.iter().filter(|p| !p.failures.is_empty()) {
        text += &format!("\n\n{}", p.name);
        p.failures.iter().for_each(|failure| text += &format!("\n  {failure}"));
        p.transcript.iter().for_each(|line| text += &format!("\n    {line}"));
    }
    text
}
