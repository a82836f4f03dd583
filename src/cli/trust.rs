//! `paramedic trust`: the score of each agent that proposes changes, and why; closing a breaker.

use super::orders::{self, ReasonArgs};
use super::{Files, table};
use crate::domain::Proposer;
use crate::store::Marked;
use crate::view;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct TrustArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, clap::Args)]
struct Shown {
    /// Marks of the past that are shown.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(0..=1000))]
    limit: i64,
    /// As the API gives it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lets an agent act again that was wrong three times in a row: `paramedic trust close-breaker model --reason …`.
    CloseBreaker {
        /// model, or runbook:NAME.
        agent: Proposer,
        #[command(flatten)]
        why: ReasonArgs,
    },
}

pub async fn run(args: TrustArgs) -> anyhow::Result<ExitCode> {
    if let Some(What::CloseBreaker { agent, why }) = args.what {
        return orders::close_breaker(agent, why).await;
    }
    let store = match args.shown.files.store().await? {
        Ok(store) => store,
        Err(code) => return Ok(code),
    };
    let view = view::trust(&store.trusted().await?, store.trust_marks(args.shown.limit).await?);
    let text = if args.shown.json { serde_json::to_string_pretty(&view)? } else { shown(&view) };
    super::say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(view: &view::TrustView) -> String {
    if view.agents.is_empty() {
        return "nobody has been right or wrong yet: every agent starts at 500".into();
    }
    let open = |agent: &view::AgentView| agent.breaker.as_ref().map_or("closed".to_owned(), |open| format!("OPEN: {}", open.why));
    let agents: Vec<Vec<String>> = view
        .agents
        .iter()
        .map(|agent| vec![agent.agent.to_string(), agent.score.to_string(), agent.wrong_in_a_row.to_string(), open(agent)])
        .collect();
    let marks: Vec<Vec<String>> = view
        .marks
        .iter()
        .map(|Marked { mark, score }| {
            let at = mark.at.format("%Y-%m-%d %H:%M:%SZ").to_string();
            let what = format!("{} ({}, {})", mark.kind.words(), mark.alertname, mark.place);
            vec![at, mark.agent.to_string(), mark.incident.to_string(), score.to_string(), what]
        })
        .collect();
    let agents = table::render(&["AGENT", "SCORE", "WRONG IN A ROW", "BREAKER"], &agents);
    match marks.is_empty() {
        true => agents,
        false => format!("{agents}\n\n{}", table::render(&["AT", "AGENT", "INCIDENT", "SCORE AFTER", "BECAUSE OF"], &marks)),
    }
}
