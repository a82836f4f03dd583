//! `paramedic explain --command`: a command's danger level, its verdict, and the part that decided it.

use crate::domain::{DangerLevel, Verdict};
use crate::safety::command::{Part, Reading, classify};
use serde::Serialize;
use std::io::BufRead as _;
use std::process::ExitCode;

/// A line of the JSON output.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    command: &'a str,
    level: DangerLevel,
    verdict: Verdict,
    /// The part that made the level what it is.
    decided_by: Option<&'a Part>,
    parts: &'a [Part],
    /// It could be run without a shell, if the verdict allowed it.
    runs: bool,
    /// Why it could not.
    obstacle: Option<&'a str>,
}

pub fn run(command: &str, json: bool) -> anyhow::Result<ExitCode> {
    if command != "-" {
        explain(command, json)?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        // What is no UTF-8 is no command either, and said to be none.
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            explain(&text, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(command: &str, json: bool) -> anyhow::Result<()> {
    let reading = classify(command);
    let text = if json { serde_json::to_string(&explained(command, &reading))? } else { told(command, &reading) };
    Ok(crate::cli::say(&text)?)
}

fn explained<'a>(command: &'a str, reading: &'a Reading) -> Explained<'a> {
    Explained {
        command,
        level: reading.level,
        verdict: reading.verdict(),
        decided_by: reading.deciding(),
        parts: &reading.parts,
        runs: reading.plan.is_ok(),
        obstacle: reading.plan.as_ref().err().map(String::as_str),
    }
}

fn told(command: &str, reading: &Reading) -> String {
    let shown: String = command.chars().take(200).flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect();
    let mut lines = vec![format!("{:<8} {:<7} {shown}", reading.level, reading.verdict().to_string())];
    for part in &reading.parts {
        let mark = if reading.deciding() == Some(part) { '>' } else { ' ' };
        lines.push(format!("  {mark} {:<8} {} -- {}", part.level, part.text, part.why));
    }
    if let (Err(why), true) = (&reading.plan, reading.verdict() < Verdict::Deny) {
        lines.push(format!("    not run, even if confirmed: {why}"));
    }
    lines.join("\n")
}
