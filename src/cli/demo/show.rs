//! What the audience sees: the transcript as it grows, and the table at the end.

use super::acts::Told;
use crate::cli::stage::Stage;
use crate::cli::table;
use crate::domain::{IncidentId, Seq};

/// Prints what the ledger has gained since `seen`; gives the last entry shown.
pub async fn news(stage: &Stage, id: IncidentId, seen: Seq) -> anyhow::Result<Seq> {
    let mut last = seen;
    for recorded in stage.store().entries(id).await? {
        if recorded.seq > seen {
            println!("  {}  {}", recorded.at.format("%H:%M:%S%.3f"), recorded.entry);
            last = recorded.seq;
        }
    }
    Ok(last)
}

pub fn table(told: &[Told]) -> String {
    let rows: Vec<Vec<String>> = told
        .iter()
        .map(|t| {
            let incident = &t.incident;
            let acted = incident.steps.iter().filter(|step| step.changed_something()).map(|step| step.proposal.tool.clone());
            let refused =
                incident.steps.iter().filter(|step| step.outcome().is_none()).map(|step| format!("{} (refused)", step.proposal.tool));
            let mut actions: Vec<String> = acted.chain(refused).collect();
            actions.dedup();
            let actions = if actions.is_empty() { "none".to_owned() } else { actions.join(", ") };
            let took = format!("{:.2} s", (incident.updated_at - incident.opened_at).num_milliseconds() as f64 / 1000.0);
            let as_told = if t.failures().is_empty() { "yes" } else { "NO" };
            let state = incident.state.as_str().replace('_', " ");
            vec![incident.id.to_string(), incident.alertname().to_owned(), incident.level.to_string(), actions, state, took, as_told.into()]
        })
        .collect();
    table::render(&["INCIDENT", "ALERT", "LEVEL", "ACTIONS", "STATE", "TOOK", "AS TOLD"], &rows)
}
