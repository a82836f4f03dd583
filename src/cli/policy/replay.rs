//! `paramedic policy replay`: stored actions, and who let them begin, judged again with the facts of their time by the policies on disk
//! now. Reads the store beside a running server and changes nothing.

mod consents;

use crate::cli::{EX_USAGE, Files, say, table};
use crate::domain::{Clock as _, Facts, IncidentId, Layer, Place, Recorded, Seq, SystemClock, Time, Verdict};
use crate::safety::Policies;
use crate::store::Store;
use consents::{Consents, Electors};
use serde::Serialize;
use std::process::ExitCode;

/// Entries read at once.
const PAGE: i64 = 1_000;

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// How far back: a number and d, h or m.
    #[arg(long, default_value = "30d", value_parser = back)]
    since: chrono::Duration,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

fn back(text: &str) -> Result<chrono::Duration, String> {
    let wrong = || format!("`{text}`: expected a number and d, h or m, such as 30d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: i64 = number.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(wrong)?;
    match unit {
        "d" => Ok(chrono::Duration::days(number)),
        "h" => Ok(chrono::Duration::hours(number)),
        "m" => Ok(chrono::Duration::minutes(number)),
        _ => Err(wrong()),
    }
}

/// An action that the policies would end otherwise.
#[derive(Debug, Serialize)]
struct Difference {
    incident: IncidentId,
    seq: Seq,
    at: Time,
    tool: String,
    on: String,
    was: Verdict,
    would_be: Verdict,
    /// The policies' own words, then and now.
    policy_was: String,
    policy_would_be: String,
}

#[derive(Debug, Serialize)]
struct Replay {
    since: Time,
    /// The version judged by.
    version: String,
    judged: usize,
    /// No facts are stored with these: refused before any policy was asked, or recorded by an older version.
    skipped: usize,
    /// The policies would say otherwise, and a stricter layer decides anyway.
    hidden: usize,
    differences: Vec<Difference>,
    approvals: Consents,
}

pub async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let policies = match super::load(&args.files) {
        Ok(policies) => policies,
        Err(code) => return Ok(code),
    };
    let read = args.files.store_url().and_then(|url| Ok((url, args.files.approvers()?, args.files.consent_rules()?)));
    let (url, approvers, rules) = match read {
        Ok(read) => read,
        Err(code) => return Ok(code),
    };
    let electors = Electors { approvers: &approvers, rules: &rules, policies: &policies };
    let Some(since) = SystemClock.now().checked_sub_signed(args.since) else {
        eprintln!("paramedic: --since: there was no time so long ago");
        return Ok(ExitCode::from(EX_USAGE));
    };
    let store = Store::open_beside(&url).await?;
    let mut replay = Replay::new(since, &policies);
    let mut after = (IncidentId(0), 0);
    loop {
        let page = store.entries_since(since, after, PAGE).await?;
        let Some((incident, last)) = page.last() else { break };
        after = (*incident, last.seq);
        for (incident, recorded) in &page {
            let would_be = replay.take(&policies, *incident, recorded);
            if would_be == Some(Verdict::Confirm) {
                replay.approvals.take(&store, electors, recorded).await?;
            }
        }
    }
    store.close().await;
    say(&if args.json { serde_json::to_string_pretty(&replay)? } else { replay.text() })?;
    Ok(ExitCode::SUCCESS)
}

impl Replay {
    fn new(since: Time, policies: &Policies) -> Self {
        let (version, approvals) = (policies.version().0.clone(), Consents::default());
        Self { since, version, judged: 0, skipped: 0, hidden: 0, differences: Vec::new(), approvals }
    }

    /// How it would end now, where that can be told.
    fn take(&mut self, policies: &Policies, incident: IncidentId, recorded: &Recorded) -> Option<Verdict> {
        let opinions = recorded.entry.opinions();
        let policy = opinions.iter().find(|opinion| opinion.layer == Layer::Policy);
        let (Some(then), Some(grounds)) = (policy, recorded.entry.grounds()) else {
            self.skipped += usize::from(!opinions.is_empty());
            return None;
        };
        let mut now = policies.judge(grounds.facts.clone());
        // What is asked and nobody may release is not done, whoever says yes.
        if let (Verdict::Confirm, Err(why)) = (now.verdict, policies.consent(&grounds.facts)) {
            (now.verdict, now.reason) = (Verdict::Deny, why);
        }
        let others = opinions.iter().filter(|opinion| opinion.layer != Layer::Policy).map(|opinion| opinion.verdict);
        let (was, would_be) = (others.clone().fold(then.verdict, Verdict::max), others.fold(now.verdict, Verdict::max));
        self.judged += 1;
        if was == would_be {
            self.hidden += usize::from(then.verdict != now.verdict);
            return Some(would_be);
        }
        self.differences.push(Difference {
            incident,
            seq: recorded.seq,
            at: recorded.at,
            tool: grounds.facts.tool.clone(),
            on: shown(&grounds.facts),
            was,
            would_be,
            policy_was: then.reason.clone(),
            policy_would_be: now.reason,
        });
        Some(would_be)
    }

    fn text(&self) -> String {
        let header = ["INCIDENT", "ENTRY", "WHEN", "TOOL", "ON", "WAS", "WOULD BE", "BECAUSE"];
        let rows: Vec<Vec<String>> = self
            .differences
            .iter()
            .map(|d| {
                let when = d.at.format("%Y-%m-%d %H:%M:%SZ").to_string();
                let verdicts = [d.was.to_string(), d.would_be.to_string()];
                let [was, would_be] = verdicts;
                vec![
                    d.incident.to_string(),
                    d.seq.to_string(),
                    when,
                    d.tool.clone(),
                    d.on.clone(),
                    was,
                    would_be,
                    d.policy_would_be.clone(),
                ]
            })
            .collect();
        let mut lines = if rows.is_empty() { Vec::new() } else { vec![table::render(&header, &rows)] };
        let since = self.since.format("%Y-%m-%d %H:%M:%SZ");
        let version = self.version.get(..12).unwrap_or(&self.version);
        lines.push(format!("{} judged since {since} by version {version}: {} would differ", self.judged, self.differences.len()));
        if self.hidden > 0 {
            lines.push(format!("{} more would be judged otherwise by the policies, and end the same by a stricter layer", self.hidden));
        }
        if self.skipped > 0 {
            lines
                .push(format!("{} without stored facts: refused before any policy was asked, or from before they were kept", self.skipped));
        }
        lines.extend(self.approvals.lines());
        lines.join("\n")
    }
}

fn shown(facts: &Facts) -> String {
    let each = facts.resources.iter().map(|resource| match &resource.place {
        Place::Nowhere => "-".to_owned(),
        other => other.to_string(),
    });
    each.collect::<Vec<_>>().join(", ")
}
