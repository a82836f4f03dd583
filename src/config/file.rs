//! `paramedic.yaml`: its keys, their defaults, and the flags and variables over them.

use super::Complaint;
use super::approvers::{self, ApprovalKeys, ApproverKeys};
use super::document::Document;
use super::secrets::RedactKeys;
use crate::classifier::{CauseBounds, FlapBounds};
use crate::clients::http;
use crate::clients::llm::LlmSettings;
use crate::domain::{Mode, PlannerKind};
use crate::engine::{Settings, Watchdog, WatchdogKeys};
use crate::notify::{EmailSettings, Notifier, PagerDutySettings, SlackSettings};
use crate::publish::LedgerKeys;
use crate::redaction::Redactor;
use crate::safety::{Approvers, FreezeWindow, Hours, Limits, Thresholds, TrustBounds};
use crate::store;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What stands on the command line or in the environment and wins over the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// Address and port to listen on.
    #[arg(long, env = "PARAMEDIC_LISTEN")]
    pub listen: Option<String>,
    /// sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "PARAMEDIC_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// auto, review or disabled.
    #[arg(long, env = "PARAMEDIC_MODE")]
    pub mode: Option<String>,
    /// An OpenAI-compatible endpoint, such as http://localhost:11434/v1
    #[arg(long, env = "PARAMEDIC_LLM_URL")]
    pub llm_url: Option<String>,
    #[arg(long, env = "PARAMEDIC_LLM_MODEL")]
    pub llm_model: Option<String>,
    #[arg(long, env = "PARAMEDIC_LLM_API_KEY", hide_env_values = true)]
    pub llm_api_key: Option<String>,
}

impl Overrides {
    fn apply(&self, document: &mut Document) {
        let over: [(&[&str], &Option<String>); 6] = [
            (&["server", "listen"], &self.listen),
            (&["store", "url"], &self.database_url),
            (&["mode"], &self.mode),
            (&["llm", "base_url"], &self.llm_url),
            (&["llm", "model"], &self.llm_model),
            (&["llm", "api_key"], &self.llm_api_key),
        ];
        for (path, value) in over {
            if let Some(value) = value {
                document.set(path, value);
                if path == ["llm", "api_key"] {
                    document.hide(value);
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MainFile {
    /// Where its secrets were read from.
    #[serde(skip)]
    pub secret_files: Vec<PathBuf>,
    #[serde(default)]
    pub server: Server,
    #[serde(default)]
    pub store: StoreKeys,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default)]
    pub planner: PlannerKeys,
    #[serde(default)]
    pub approvals: ApprovalKeys,
    /// Who may decide, person by person.
    #[serde(default)]
    pub approvers: Vec<ApproverKeys>,
    #[serde(default)]
    pub limits: Limits,
    /// Which incidents wait for which.
    #[serde(default)]
    pub correlation: CauseBounds,
    #[serde(default)]
    pub flapping: FlapBounds,
    /// Working hours; without them every hour is off-hours.
    #[serde(default)]
    pub hours: Option<Hours>,
    #[serde(default)]
    pub risk: Thresholds,
    #[serde(default)]
    pub trust: TrustBounds,
    /// Times in which changes wait, or are not made.
    #[serde(default)]
    pub freezes: Vec<FreezeWindow>,
    /// While this file is there everything is halted. `HALT` beside the store without it.
    #[serde(default)]
    pub halt_file: Option<PathBuf>,
    #[serde(default)]
    pub llm: Option<LlmSettings>,
    #[serde(default)]
    pub slack: Option<SlackSettings>,
    #[serde(default)]
    pub pagerduty: Option<PagerDutySettings>,
    #[serde(default)]
    pub email: Option<EmailSettings>,
    #[serde(default)]
    pub prometheus: Option<Peer>,
    #[serde(default)]
    pub alertmanager: Option<AlertmanagerKeys>,
    #[serde(default, rename = "watchdog")]
    pub watchdog_keys: WatchdogKeys,
    /// Built from them.
    #[serde(skip)]
    pub watchdog: Watchdog,
    #[serde(default)]
    pub ledger: LedgerKeys,
    /// Pid files and logs of process services, control sockets of SSH.
    /// `run` beside the store without it.
    #[serde(default)]
    pub run_dir: Option<PathBuf>,
    #[serde(default)]
    pub redact: RedactKeys,
    /// Built from `redact` and from every secret of this file.
    #[serde(skip)]
    pub redactor: Redactor,
}

#[derive(Debug, Default, Deserialize)]
struct RedactSection {
    #[serde(default)]
    redact: RedactKeys,
}

/// The one section that the ledger's commands read.
#[derive(Debug, Deserialize)]
pub struct LedgerSection {
    #[serde(default)]
    pub ledger: LedgerKeys,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    #[serde(default = "listen", deserialize_with = "address")]
    pub listen: SocketAddr,
    #[serde(default)]
    pub webhook_token: Option<secrecy::SecretString>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreKeys {
    #[serde(default = "store_url")]
    pub url: String,
    /// The server's own folder where the store is shared; `data` without it.
    #[serde(default)]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannerKeys {
    #[serde(default = "runbook")]
    pub first: PlannerKind,
    /// Proposals and model answers an incident may use up: 25 at most.
    #[serde(default = "steps")]
    pub steps: usize,
    /// Incidents worked on at once.
    #[serde(default = "workers")]
    pub workers: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    pub url: String,
}

/// The Alertmanager that is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerKeys {
    pub url: String,
    #[serde(default = "reconcile_seconds")]
    pub reconcile_seconds: i64,
    #[serde(default)]
    pub receiver: Option<String>,
}

fn reconcile_seconds() -> i64 {
    Settings::default().reconcile_every.num_seconds()
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is not an address: expected IP:PORT, such as 127.0.0.1:9911")))
}

fn listen() -> SocketAddr {
    SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), 9911)
}

pub fn store_url() -> String {
    "sqlite://data/paramedic.db".to_owned()
}

fn runbook() -> PlannerKind {
    Settings::default().first
}

fn steps() -> usize {
    Settings::default().steps
}

fn workers() -> usize {
    Settings::default().workers
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: listen(), webhook_token: None }
    }
}

impl Default for StoreKeys {
    fn default() -> Self {
        Self { url: store_url(), dir: None }
    }
}

impl Default for PlannerKeys {
    fn default() -> Self {
        Self { first: runbook(), steps: steps(), workers: workers() }
    }
}

impl MainFile {
    /// Who may decide; `None` where that part is wrong, which is told elsewhere.
    pub fn approvers(&self) -> Option<Approvers> {
        let slack_ids = self.slack.as_ref().map_or(&[][..], |slack| &slack.approvers);
        approvers::build(&self.approvers, slack_ids, self.server.webhook_token.as_ref()).ok()
    }

    pub fn settings(&self) -> Settings {
        Settings {
            workers: self.planner.workers,
            steps: self.planner.steps,
            first: self.planner.first,
            mode: self.mode,
            approval_expires: chrono::Duration::seconds(self.approvals.expire_seconds),
            execute_within: chrono::Duration::seconds(self.approvals.execute_within),
            storm_services: self.limits.brake_services,
            cause: self.correlation,
            flapping: self.flapping,
            reconcile_every: chrono::Duration::seconds(
                self.alertmanager.as_ref().map_or_else(reconcile_seconds, |am| am.reconcile_seconds),
            ),
            receiver: self.alertmanager.as_ref().and_then(|am| am.receiver.clone()),
            ..Settings::default()
        }
    }
}

pub fn read(
    path: &Path,
    overrides: &Overrides,
    environment: &dyn Fn(&str) -> Option<String>,
    complaints: &mut Vec<Complaint>,
) -> Option<MainFile> {
    let mut document = Document::open(path, complaints)?;
    document.expand(environment, complaints);
    overrides.apply(&mut document);
    let mut file: MainFile = document.read(complaints)?;
    file.secret_files = std::mem::take(&mut document.secret_files);
    file.redact.secrets = document.secrets();
    file.redactor = document.check(file.redact.build(), complaints).unwrap_or_default();
    file.watchdog = document.check(Watchdog::build(&file.watchdog_keys), complaints).unwrap_or_default();
    let told: BTreeSet<String> = complaints.iter().filter_map(|c| c.message.split(['.', ':']).next().map(str::to_owned)).collect();
    let mut complain = |path: &str, message: String| complaints.push(document.complaint(path, &message));
    for (name, most) in file.limits.loosened() {
        complain(&format!("limits.{name}"), format!("bounds may be tightened, never loosened: expected at most {most}"));
    }
    for problem in file.correlation.problems().into_iter().chain(file.flapping.problems()) {
        complain(&problem.path, problem.message);
    }
    for (name, message) in file.risk.problems() {
        complain(&format!("risk.{name}"), message);
    }
    if file.hours.as_ref().is_some_and(|hours| hours.from == hours.to || hours.days.is_empty()) {
        complain("hours", "expected a day at least, and `from` and `to` to differ".into());
    }
    if let Some(problem) = file.trust.problem() {
        complain("trust.confirm_below", problem);
    }
    for (index, problem) in file.freezes.iter().enumerate().filter_map(|(index, window)| Some((index, window.problem()?))) {
        complain(&format!("freezes[{index}]"), problem);
    }
    if file.llm.as_ref().is_some_and(|llm| !(1..=200).contains(&llm.timeout_seconds)) {
        complain("llm.timeout_seconds", "expected 1 to 200".into());
    }
    for problem in file.llm.iter().flat_map(LlmSettings::cost_problems) {
        complain(&problem.path, problem.message);
    }
    if file.alertmanager.as_ref().is_some_and(|am| !(30..=3_600).contains(&am.reconcile_seconds)) {
        complain("alertmanager.reconcile_seconds", "expected 30 to 3600".into());
    }
    if file.alertmanager.as_ref().is_some_and(|am| am.receiver.as_ref().is_some_and(String::is_empty)) {
        complain("alertmanager.receiver", "expected the name of a receiver of alertmanager.yml".into());
    }
    if !(1..=25).contains(&file.planner.steps) {
        complain("planner.steps", "expected 1 to 25".into());
    }
    if !(1..=64).contains(&file.planner.workers) {
        complain("planner.workers", "expected 1 to 64".into());
    }
    let unfit = approvers::build(&file.approvers, &[], file.server.webhook_token.as_ref()).err().unwrap_or_default();
    for problem in unfit.into_iter().chain(file.approvals.problems(&file.approvers)) {
        complain(&problem.path, problem.message);
    }
    if let Some(problem) = store::url_problem(&file.store.url) {
        complain("store.url", problem);
    }
    if file.store.dir.is_some() && !store::is_shared(&file.store.url) {
        complain("store.dir", "expected a postgres:// store: what is the server's own lies beside a SQLite file".into());
    }
    if file.slack.as_ref().is_some_and(|slack| slack.signing_secret.is_none() && slack.app_token.is_none()) {
        complain(
            "slack",
            "expected signing_secret (clicks over HTTP) or app_token (Socket Mode): without either nobody can decide in Slack".into(),
        );
    }
    for problem in file.ledger.check(file.slack.is_some() || told.contains("slack")) {
        complain(&problem.path, problem.message);
    }
    check_peers(&file, &told, &mut complain);
    Some(file)
}

/// The redactor alone, as far as it can be told; whatever else is wrong is told elsewhere.
pub fn redactor(path: &Path, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Option<Redactor> {
    let complaints = &mut Vec::new();
    let mut document = Document::open(path, complaints)?;
    document.expand(environment, complaints);
    overrides.apply(&mut document);
    let secrets = document.secrets();
    document.keep_only("redact", "");
    let mut keys = document.read::<RedactSection>(complaints).unwrap_or_default().redact;
    keys.secrets = secrets;
    keys.build().or_else(|_| Redactor::new(&keys.secrets, &[])).ok()
}

/// What could only fail later, at the start or in the middle of an incident, fails here, with its line. Sections that something was
/// said of already are left out: their values may be stand-ins.
fn check_peers(file: &MainFile, told: &BTreeSet<String>, complain: &mut dyn FnMut(&str, String)) {
    let peers = Notifier::build(file.slack.as_ref(), file.pagerduty.as_ref(), file.email.as_ref());
    for problem in peers.err().unwrap_or_default() {
        if !told.contains(problem.path.split('.').next().unwrap_or_default()) {
            complain(&problem.path, problem.message);
        }
    }
    let urls = [
        ("prometheus.url", file.prometheus.as_ref().map(|p| &p.url)),
        ("alertmanager.url", file.alertmanager.as_ref().map(|p| &p.url)),
        ("llm.base_url", file.llm.as_ref().map(|llm| &llm.base_url)),
    ];
    for (path, url) in urls {
        let section = path.split('.').next().unwrap_or_default();
        if url.is_some_and(|url| !http::is_url(url)) && !told.contains(section) {
            complain(path, "expected http:// or https:// and a host".into());
        }
    }
}
