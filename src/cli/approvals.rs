//! `paramedic approvals`: what waits for a decision, or one approval as its sealed request tells it, or its exact bytes. Reads the
//! store beside a running server.

use super::{Files, table};
use crate::domain::{Approval, ApprovalId, Digest};
use crate::notify::{PLANNERS_WORDS, planners_words, progress};
use crate::store::Store;
use crate::view;
use anyhow::anyhow;
use std::io::Write as _;
use std::process::ExitCode;

/// Of the planner's words.
const MAX_WORDS: usize = 600;

#[derive(Debug, clap::Args)]
pub struct ApprovalsArgs {
    /// APR-7, or 7. Without it, what is waiting for a decision.
    id: Option<String>,
    /// The newest, whatever became of them.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// The exact bytes that are decided on and no more: their SHA-256 is the digest.
    #[arg(long, requires = "id")]
    bytes: bool,
    /// The digest's 64 digits and no more, without a line break: what a signature signs.
    #[arg(long, requires = "id", conflicts_with = "bytes")]
    digest: bool,
    /// As the API gives it.
    #[arg(long, conflicts_with_all = ["bytes", "digest"])]
    json: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: ApprovalsArgs) -> anyhow::Result<ExitCode> {
    let id: Option<ApprovalId> = match args.id.as_deref().map(str::parse).transpose() {
        Ok(id) => id,
        Err(e) => {
            eprintln!("paramedic: {e}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    let url = match args.files.store_url() {
        Ok(url) => url,
        Err(code) => return Ok(code),
    };
    let store = Store::open_beside(&url).await?;
    let Some(id) = id else {
        let approvals = view::approvals(&store, args.all, args.limit).await?;
        let text = match args.json {
            true => serde_json::to_string_pretty(&approvals.iter().map(view::approval).collect::<Vec<_>>())?,
            false => list(&approvals, args.all),
        };
        super::say(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    let approval = store.approval(id).await?.ok_or_else(|| anyhow!("there is no approval {id}"))?;
    match (args.bytes, args.digest, args.json) {
        (true, ..) => exactly(approval.request.text())?,
        (_, true, _) => exactly(&approval.digest().0)?,
        (_, _, true) => super::say(&serde_json::to_string_pretty(&view::approval(&approval))?)?,
        _ => super::say(&one(&approval))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Without a line break: these bytes are hashed and signed.
fn exactly(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A line each, with the reasons under it.
pub fn list(approvals: &[Approval], all: bool) -> String {
    if approvals.is_empty() {
        return if all { "no approvals".into() } else { "no approval is waiting".into() };
    }
    let lines = approvals.iter().flat_map(|approval| {
        let request = &approval.request;
        let state = match all {
            true => table::plain(&approval.state.to_string()),
            false => format!("until {}", request.decide_by.format("%H:%M:%SZ")),
        };
        let what = format!("{} {} on {}", request.tool, table::exact(&request.facts()), request.target);
        let head = format!("{} ({}) {state}: {} [{}]", approval.id(), request.incident, table::whole(&what), approval.digest().short());
        let reasons = request.reasons.iter().map(|reason| format!("    {}", table::plain(reason)));
        std::iter::once(head).chain(reasons.filter(move |_| !all)).collect::<Vec<_>>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// All that is decided on, from the sealed request and nothing else; the planner's words in a box of their own.
pub fn one(approval: &Approval) -> String {
    let request = &approval.request;
    let mut lines = vec![
        format!("{} ({}) {}", approval.id(), request.incident, table::plain(&approval.state.to_string())),
        format!("  {} on {}", table::whole(&request.tool), request.target),
        format!("  {}", table::exact(&request.facts())),
    ];
    for (title, entries) in [("it looks like this", request.seen.lines()), ("a human is asked because", request.reasons.clone())] {
        if !entries.is_empty() {
            lines.push(format!("  {title}:"));
            lines.extend(entries.iter().map(|entry| format!("    {}", table::whole(entry))));
        }
    }
    if let Some(words) = planners_words(approval) {
        let cut: String = words.chars().take(MAX_WORDS).collect();
        let mark = if words.chars().nth(MAX_WORDS).is_some() { "… (cut)" } else { "" };
        lines.push(format!("  ┌ {PLANNERS_WORDS}"));
        lines.extend(format!("{cut}{mark}").lines().map(|line| format!("  │ {}", table::whole(line))));
        lines.push("  └".into());
    }
    lines.extend(progress(approval).map(|progress| format!("  {}", table::whole(&progress))));
    if request.signature {
        lines.push("  only signed approvals count (--sign-with KEY)".into());
    }
    let clock = |at: crate::domain::Time| at.format("%Y-%m-%d %H:%M:%SZ");
    lines.push(format!("  decide by {}, begin by {}", clock(request.decide_by), clock(request.execute_by)));
    lines.push(format!(
        "  asked by {} under rules {}, as paramedic check prints them",
        table::plain(&request.requester),
        short(&request.policy_version)
    ));
    lines.push(format!("  digest {}", approval.digest().short()));
    lines.join("\n")
}

fn short(version: &str) -> String {
    Digest(table::plain(version)).short().to_owned()
}
