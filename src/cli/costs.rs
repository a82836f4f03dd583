//! `paramedic costs`: what models cost on a day, of which service, and what is left of the limits.

use super::{Files, table};
use crate::domain::{Clock as _, SystemClock, day_of};
use crate::view::{self, CostView, CostsView};
use chrono::NaiveDate;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct CostsArgs {
    /// In UTC, such as 2026-11-21; today without it.
    #[arg(long)]
    day: Option<NaiveDate>,
    /// As the API gives it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: CostsArgs) -> anyhow::Result<ExitCode> {
    let limits = match args.files.cost_limits() {
        Ok(limits) => limits,
        Err(code) => return Ok(code),
    };
    let store = match args.files.store().await? {
        Ok(store) => store,
        Err(code) => return Ok(code),
    };
    let day = args.day.map_or_else(|| day_of(SystemClock.now()), |day| day.to_string());
    let costs = view::costs(&store, day, limits).await?;
    super::say(&if args.json { serde_json::to_string_pretty(&costs)? } else { shown(&costs) })?;
    Ok(ExitCode::SUCCESS)
}

fn shown(costs: &CostsView) -> String {
    let left = |view: &CostView| {
        let tokens = view.tokens_left.map(|left| format!("{left} tokens"));
        let dollars = view.dollars_left.map(|left| format!("${left:.4}"));
        let parts: Vec<String> = tokens.into_iter().chain(dollars).collect();
        if parts.is_empty() { "no limit".to_owned() } else { parts.join(", ") }
    };
    let row = |name: &str, view: &CostView| {
        let calls = if view.estimated > 0 { format!("{} ({} estimated)", view.calls, view.estimated) } else { view.calls.to_string() };
        let dollars = format!("${:.4}", view.dollars);
        vec![table::plain(name), calls, view.tokens_in.to_string(), view.tokens_out.to_string(), dollars, left(view)]
    };
    let mut rows: Vec<Vec<String>> = costs.places.iter().map(|place| row(&place.place, &place.cost)).collect();
    rows.push(row("all together", &costs.all));
    let model = if costs.limits.is_none() { "; no model is configured" } else { "" };
    let table = table::render(&["SERVICE", "QUESTIONS", "TOKENS IN", "TOKENS OUT", "COST", "LEFT"], &rows);
    format!("{} (UTC){model}\n{table}", costs.day)
}
