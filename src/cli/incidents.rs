//! `paramedic incidents`: the list, one incident with its transcript, or the deliveries nobody could read. Reads the store
//! beside a running server.

use super::{Files, table};
use crate::domain::{Agent, Grounds, IncidentId, State};
use crate::store::{Listed, Store};
use crate::view::{self, IncidentView};
use anyhow::anyhow;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct IncidentsArgs {
    /// INC-7, or 7. Without it, the list.
    id: Option<String>,
    /// Only incidents in this state (open, diagnosing, awaiting_approval, mitigating, verifying, resolved, escalated, closed).
    #[arg(long)]
    state: Option<String>,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Deliveries that were no alerts, with the reason and their first bytes.
    #[arg(long, conflicts_with_all = ["id", "state"])]
    unreadable: bool,
    /// From when to when no server was alive: what fired and resolved in between cannot be known.
    #[arg(long, conflicts_with_all = ["id", "state", "unreadable"])]
    outages: bool,
    /// As the API gives it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: IncidentsArgs) -> anyhow::Result<ExitCode> {
    let id: Option<IncidentId> = match args.id.as_deref().map(str::parse).transpose() {
        Ok(id) => id,
        Err(e) => {
            eprintln!("paramedic: {e}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let state = match args.state.as_deref().map(view::state_of).transpose() {
        Ok(state) => state,
        Err(why) => {
            eprintln!("paramedic: {why}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let url = match args.files.store_url() {
        Ok(url) => url,
        Err(code) => return Ok(code),
    };
    let store = Store::open_beside(&url).await?;
    let text = match (id, args.unreadable) {
        (_, true) => unreadable(&store, &args).await?,
        _ if args.outages => outages(&store, &args).await?,
        (Some(id), _) => one(&store, id, args.json).await?,
        (None, false) => list(&store, state, &args).await?,
    };
    super::say(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, state: Option<State>, args: &IncidentsArgs) -> anyhow::Result<String> {
    let incidents = store.list(state, args.limit).await?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&incidents)?);
    }
    let rows: Vec<Vec<String>> = incidents
        .iter()
        .map(|i| {
            let place = i.service.clone().or_else(|| i.host.clone()).unwrap_or_else(|| "-".into());
            let opened = i.opened_at.format("%Y-%m-%d %H:%M:%SZ").to_string();
            vec![i.id.to_string(), standing(i), i.level.to_string(), place, i.alertname.clone(), opened]
        })
        .collect();
    if rows.is_empty() {
        return Ok("no incidents".into());
    }
    Ok(table::render(&["INCIDENT", "STATE", "LEVEL", "SERVICE OR HOST", "ALERT", "OPENED"], &rows))
}

/// The state, and what keeps it there.
fn standing(incident: &Listed) -> String {
    let state = incident.state.replace('_', " ");
    match (incident.waits_for, incident.flapping) {
        (Some(other), _) => format!("{state}, waits for {other}"),
        (None, true) => format!("{state}, flapping"),
        (None, false) => state,
    }
}

async fn one(store: &Store, id: IncidentId, json: bool) -> anyhow::Result<String> {
    let incident = view::incident(store, id).await?.ok_or_else(|| anyhow!("there is no {id}"))?;
    if json {
        return Ok(serde_json::to_string_pretty(&incident)?);
    }
    Ok(story(&incident))
}

/// An incident for a terminal: a heading, the transcript, what was told to whom.
pub fn story(incident: &IncidentView) -> String {
    let place = incident.service.as_deref().or(incident.host.as_deref()).unwrap_or("no known target");
    let state = incident.state.as_str().replace('_', " ");
    let mut lines = vec![format!("{} {} ({}), level {}, {state}", incident.id, table::plain(&incident.alertname), place, incident.level)];
    let clock = |at: crate::domain::Time| at.format("%H:%M:%SZ").to_string();
    if let Some(held) = &incident.waits_for {
        lines.push(format!("  waits for {} since {}, until {} at the latest", held.incident, clock(held.since), clock(held.until)));
    }
    if let Some(at) = incident.quiet_at {
        lines.push(format!("  flapping: quiet again at {}, if nothing changes until then", clock(at)));
    }
    if incident.alerts_in_all > incident.alerts.len() {
        lines.push(format!("  {} alerts, {} of them firing", incident.alerts_in_all, incident.alerts_firing));
    }
    for line in &incident.transcript {
        lines.push(format!("  {} {:>3}  {}", line.recorded.at.format("%H:%M:%S%.3f"), line.recorded.seq, line.text));
        lines.extend(line.recorded.entry.grounds().filter(|grounds| grounds.facts.agent == Agent::Remediator).map(weighed));
    }
    for notice in &incident.notices {
        let error = notice.error.as_deref().map_or(String::new(), |error| format!(" ({})", table::plain(error)));
        lines.push(format!("  told {:<9} {:<11} {}{error}", notice.channel, notice.kind, notice.state));
    }
    lines.join("\n")
}

/// How a change was weighed, below its line.
fn weighed(grounds: &Grounds) -> String {
    let by = if grounds.decided_by.is_empty() { "no policy".to_owned() } else { grounds.decided_by.join(", ") };
    let (risk, impact) = (&grounds.facts.risk, &grounds.facts.impact);
    format!("{:20}risk {risk}; by {by}; estimated impact: {}", "", table::plain(&impact.to_string()))
}

async fn unreadable(store: &Store, args: &IncidentsArgs) -> anyhow::Result<String> {
    let deliveries = store.unreadable(args.limit).await?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&deliveries)?);
    }
    if deliveries.is_empty() {
        return Ok("no unreadable deliveries".into());
    }
    let lines = deliveries.iter().map(|d| {
        let at = d.received_at.format("%Y-%m-%d %H:%M:%SZ");
        format!("{at}  {} bytes  {}\n    {}", d.size, table::plain(&d.reason), table::plain(&d.body))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn outages(store: &Store, args: &IncidentsArgs) -> anyhow::Result<String> {
    let outages = store.outages(args.limit).await?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&outages)?);
    }
    if outages.is_empty() {
        return Ok("no outages".into());
    }
    let shown = |at: crate::domain::Time| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let rows: Vec<Vec<String>> = outages
        .iter()
        .map(|outage| {
            let asked = outage.asked_at.map_or("not asked yet".to_owned(), shown);
            vec![shown(outage.began_at), shown(outage.ended_at), asked]
        })
        .collect();
    Ok(table::render(&["NOBODY LISTENED FROM", "TO", "ALERTMANAGER WAS ASKED"], &rows))
}
