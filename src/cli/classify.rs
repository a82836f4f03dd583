//! `paramedic classify`: what would happen to which alert, without running anything. Reads webhook bodies, or the Prometheus
//! rule files that a newcomer already has.

use super::table;
use crate::classifier::{Classification, Rules, Targets};
use crate::config;
use crate::domain::{Alert, Clock as _, Inventory, Level, Mode, SystemClock};
use crate::http::alertmanager;
use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ClassifyArgs {
    /// Webhook bodies: a file or `-`; one JSON body a line, or one body in all.
    #[arg(value_name = "FILE", required_unless_present = "rules")]
    bodies: Vec<PathBuf>,
    /// Prometheus rule files (also PrometheusRule resources): every alerting rule in them.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "bodies")]
    rules: Vec<PathBuf>,
    /// A JSON object a line.
    #[arg(long)]
    json: bool,
    /// classifier.yaml, runbooks/ and services.yaml lie beside it; without such a folder the built-in rules are used.
    #[arg(long, env = "PARAMEDIC_CONFIG")]
    config: Option<PathBuf>,
}

/// One alert and what becomes of it.
#[derive(Debug, Serialize)]
struct Verdict {
    alert: String,
    level: Level,
    would_be: &'static str,
    rule: Option<String>,
    runbook: Option<String>,
    why: String,
    /// Of a webhook body's alert: what the inventory knows it as.
    service: Option<String>,
    host: Option<String>,
    labels: BTreeMap<String, String>,
}

/// What classifies: the rules, the main file's standing, and the inventory where there is one.
struct Desk {
    rules: Rules,
    standing: config::Standing,
    inventory: Option<(Inventory, Targets)>,
}

pub fn run(args: &ClassifyArgs) -> anyhow::Result<ExitCode> {
    let desk = match Desk::open(args.config.as_deref()) {
        Ok(desk) => desk,
        Err(Trouble::Complaints(complaints)) => {
            complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
            return Ok(ExitCode::from(super::EX_USAGE));
        }
        Err(Trouble::Other(e)) => return Err(e),
    };
    let (mut verdicts, mut wrong) = (Vec::new(), Vec::new());
    for path in &args.bodies {
        desk.read_bodies(path, &mut verdicts, &mut wrong)?;
    }
    for path in &args.rules {
        desk.read_rules(path, &mut verdicts, &mut wrong);
    }
    print(&verdicts, args.json)?;
    wrong.iter().for_each(|line| eprintln!("paramedic: {line}"));
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::EX_DATAERR) })
}

enum Trouble {
    Complaints(Vec<config::Complaint>),
    Other(anyhow::Error),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl Desk {
    /// The named folder, else `config/` here, else the built-in rules.
    fn open(path: Option<&Path>) -> Result<Self, Trouble> {
        let usual = Path::new("config/paramedic.yaml");
        let found = path.or_else(|| usual.exists().then_some(usual));
        let Some(found) = found else {
            let folder = tempfile::tempdir()?;
            config::unpack(folder.path())?;
            let (rules, _) = config::load_rules(folder.path()).map_err(Trouble::Complaints)?;
            return Ok(Self { rules, standing: config::Standing::default(), inventory: None });
        };
        let folder = if found.is_dir() { found } else { found.parent().unwrap_or(Path::new(".")) };
        let (rules, _) = config::load_rules(folder).map_err(Trouble::Complaints)?;
        let standing = config::standing(folder).map_err(Trouble::Complaints)?;
        let inventory = config::load_inventory(folder, &|name| std::env::var(name).ok()).map_err(Trouble::Complaints)?;
        Ok(Self { rules, standing, inventory })
    }

    fn read_bodies(&self, path: &Path, verdicts: &mut Vec<Verdict>, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        let (name, text) = read(path)?;
        // A pretty-printed file is one body; else each line is.
        if serde_json::from_str::<Value>(&text).is_ok() {
            self.read_body(&name, &text, verdicts, wrong);
            return Ok(());
        }
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            self.read_body(&format!("{name}:{}", index + 1), line, verdicts, wrong);
        }
        Ok(())
    }

    fn read_body(&self, place: &str, body: &str, verdicts: &mut Vec<Verdict>, wrong: &mut Vec<String>) {
        match alertmanager::parse(body.as_bytes(), SystemClock.now()) {
            Err(why) => wrong.push(format!("{place}: {why}")),
            Ok(delivery) => {
                wrong.extend(delivery.broken.iter().map(|why| format!("{place}: {why}")));
                verdicts.extend(delivery.alerts.iter().map(|alert| self.judge(alert)));
            }
        }
    }

    fn judge(&self, alert: &Alert) -> Verdict {
        let found = self.rules.classify(alert);
        let Some((inventory, targets)) = &self.inventory else { return self.verdict(&alert.labels, found, None) };
        let target = targets.target(alert);
        let service = target.service.as_ref().and_then(|name| inventory.service(name));
        let mut verdict = self.verdict(&alert.labels, found, service.and_then(|service| service.mode));
        if target.service.is_none() && target.host.is_none() {
            // Nothing outside the inventory is ever acted upon.
            verdict.would_be = "escalated";
        }
        verdict.service = target.service.map(|name| name.to_string());
        verdict.host = target.host.map(|name| name.to_string());
        verdict
    }

    /// `by_service` is the mode of the alert's service, where that is known.
    fn verdict(&self, labels: &BTreeMap<String, String>, found: Classification, by_service: Option<Mode>) -> Verdict {
        let mode = [found.mode, by_service].into_iter().flatten().fold(self.standing.mode, Mode::max);
        let would_be = match (found.level, mode) {
            (Level::Three, _) | (_, Mode::Disabled) => "escalated",
            // Nobody looks into it: straight to a human.
            _ if found.runbook.is_none() && !self.standing.model => "escalated",
            (Level::One, Mode::Auto) => "fixed",
            (Level::One | Level::Two, _) => "confirmed",
        };
        let alert = labels.get("alertname").cloned().unwrap_or_default();
        let Classification { level, rule, why, runbook, .. } = found;
        Verdict { alert, level, would_be, rule, runbook, why, service: None, host: None, labels: labels.clone() }
    }

    fn read_rules(&self, path: &Path, verdicts: &mut Vec<Verdict>, wrong: &mut Vec<String>) {
        let groups = match read(path).and_then(|(_, text)| groups(&text)) {
            Ok(groups) => groups,
            Err(e) => return wrong.push(format!("{}: {e:#}", path.display())),
        };
        for rule in groups.into_iter().flat_map(|group| group.rules) {
            let Some(name) = rule.alert else { continue };
            let mut labels: BTreeMap<String, String> = rule.labels.into_iter().map(|(key, value)| (key, text_of(&value))).collect();
            labels.insert("alertname".into(), name);
            let found = self.rules.classify_labels(&labels);
            verdicts.push(self.verdict(&labels, found, None));
        }
    }
}

fn read(path: &Path) -> anyhow::Result<(String, String)> {
    if path == Path::new("-") {
        return Ok(("stdin".into(), std::io::read_to_string(std::io::stdin()).context("read stdin")?));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok((path.display().to_string(), text))
}

/// A rule file, or a PrometheusRule resource with the same under `spec`. What is not about alerts is nobody's business here.
#[derive(Deserialize)]
struct RuleFile {
    #[serde(default)]
    groups: Option<Vec<RuleGroup>>,
    #[serde(default)]
    spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
struct RuleGroup {
    #[serde(default)]
    rules: Vec<PrometheusRule>,
}

#[derive(Deserialize)]
struct PrometheusRule {
    #[serde(default)]
    alert: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
}

fn groups(text: &str) -> anyhow::Result<Vec<RuleGroup>> {
    let file: RuleFile = serde_saphyr::from_str(text).map_err(|e| anyhow!("{}", e.to_string().lines().next().unwrap_or("not YAML")))?;
    file.groups.or(file.spec.map(|spec| spec.groups)).ok_or_else(|| anyhow!("expected `groups:` as in a Prometheus rule file"))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn print(verdicts: &[Verdict], json: bool) -> anyhow::Result<()> {
    if json {
        for verdict in verdicts {
            super::say(&serde_json::to_string(verdict)?)?;
        }
        return Ok(());
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let rows: Vec<Vec<String>> = verdicts
        .iter()
        .map(|v| vec![v.alert.clone(), v.level.to_string(), v.would_be.into(), or_dash(&v.rule), or_dash(&v.runbook), or_dash(&v.service)])
        .collect();
    super::say(&table::render(&["ALERT", "LEVEL", "WOULD BE", "RULE", "RUNBOOK", "SERVICE"], &rows))?;
    let count = |word| verdicts.iter().filter(|verdict| verdict.would_be == word).count();
    let (fixed, confirmed, escalated) = (count("fixed"), count("confirmed"), count("escalated"));
    Ok(super::say(&format!("{} alerts: {fixed} fixed, {confirmed} confirmed, {escalated} escalated", verdicts.len()))?)
}
