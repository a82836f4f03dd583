//! Floor 7, wiring: the configuration. Reads `paramedic.yaml` and what lies beside it (`services.yaml`, `classifier.yaml`,
//! `runbooks/`, `policies/`), applies flags and environment, and reports everything that is wrong at once. A configuration that is wrong
//! anywhere starts nothing.

mod approvers;
mod document;
mod embedded;
mod file;
mod parts;
mod policies;
mod secrets;
mod text;
mod tree;

pub use document::Complaint;
pub use embedded::{Embedded, unpack};
pub use file::Overrides;
pub use parts::{Standing, approvers, consent_rules, cost_limits, halt_file, ledger, redactor, standing, store_url};
pub use policies::{GROUPS, shipped as shipped_policies};
pub use secrets::expand;
pub use text::{rules_of, runbook_of, services_of};

use crate::classifier::{Rules, RulesFile, Targets};
use crate::clients::fleet::grant::Authority;
use crate::clients::llm::LlmSettings;
use crate::domain::{Inventory, InventoryFile};
use crate::engine::{Settings, Watchdog};
use crate::notify::{EmailSettings, PagerDutySettings, SlackSettings};
use crate::planner::{Runbook, RunbookFile};
use crate::publish::LedgerKeys;
use crate::redaction::{Redactor, Secret};
use crate::safety::{Approvers, ConsentRules, FreezeWindow, Hours, Limits, Policies, SafetyChecker, Thresholds, TrustBounds};
use crate::store;
use crate::tools;
use document::Document;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything `serve` needs, checked.
#[derive(Debug)]
pub struct Config {
    pub folder: PathBuf,
    pub listen: SocketAddr,
    pub webhook_token: Option<SecretString>,
    pub store_url: String,
    /// Where the store's file is, or the server's own folder where the store is shared.
    pub store_dir: PathBuf,
    pub settings: Settings,
    pub limits: Limits,
    pub consent: ConsentRules,
    pub approvers: Approvers,
    /// Approvers' own tokens for the API, by their names.
    pub approver_tokens: Vec<(String, SecretString)>,
    pub hours: Option<Hours>,
    pub risk: Thresholds,
    pub policies: Arc<Policies>,
    pub trust: TrustBounds,
    pub freezes: Vec<FreezeWindow>,
    /// While this file is there everything is halted.
    pub halt_file: PathBuf,
    pub llm: Option<LlmSettings>,
    pub slack: Option<SlackSettings>,
    pub pagerduty: Option<PagerDutySettings>,
    pub email: Option<EmailSettings>,
    pub prometheus_url: Option<String>,
    pub alertmanager_url: Option<String>,
    pub watchdog: Watchdog,
    pub ledger: LedgerKeys,
    /// Pid files and logs of process services; control sockets of SSH.
    pub run_dir: PathBuf,
    /// What `token_file` and its like name.
    pub secret_files: Vec<PathBuf>,
    /// The binary that confines a diagnosis command, where the running one is not Paramedic's (a test). No file sets it.
    pub own_program: Option<PathBuf>,
    pub inventory: Inventory,
    pub targets: Targets,
    pub rules: Rules,
    pub runbooks: BTreeMap<String, Runbook>,
    /// Knows every secret of this configuration, so that none is ever said.
    pub redactor: Redactor,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the file and its neighbours. `environment` answers `${VAR}`.
    pub fn load(path: &Path, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Complaint>> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let mut complaints = Vec::new();
        let main = file::read(path, overrides, environment, &mut complaints);
        let (runbooks, known) = read_runbooks(&folder.join("runbooks"), &mut complaints);
        let rules = read_rules(&folder.join("classifier.yaml"), &known, &mut complaints);
        let services = read_services(&folder.join("services.yaml"), environment, &mut complaints);
        let theirs = services_secrets(&folder.join("services.yaml"), environment);
        if let (Some(main), Some((inventory, _))) = (&main, &services) {
            complaints.extend(strangers(&main.freezes, inventory).map(|message| Complaint::of_file(path, message)));
        }
        let written = folder.join("policies");
        let policies = policies::read(&written, services.as_ref().map(|(inventory, _)| inventory), &mut complaints);
        let approvers = main.as_ref().and_then(file::MainFile::approvers);
        if let (Some(policies), Some(approvers)) = (&policies, &approvers) {
            complaints.extend(policies::nobodies(&written, policies, approvers));
        }
        let parts = (main, rules, services, policies, complaints.is_empty());
        let (Some(mut main), Some(rules), Some((inventory, targets)), Some(policies), true) = parts else {
            return Err(complaints);
        };
        let mut warnings: Vec<String> = policies::schema_warning(&written).into_iter().collect();
        let listen = loopback_without_token(main.server.listen, main.server.webhook_token.is_some(), &mut warnings);
        if inventory.services().next().is_none() {
            warnings.push("the inventory lists no service: nothing will be acted upon".into());
        }
        let Some(approvers) = approvers else { return Err(complaints) };
        let approver_tokens = main.approvers.iter().filter_map(|person| Some((person.name.clone(), person.token.clone()?))).collect();
        // Slack's door asks whether somebody may decide at all; who they are is the engine's to know.
        if let Some(slack) = main.slack.as_mut() {
            slack.approvers.extend(approvers.people.iter().filter_map(|person| person.slack.clone()));
        }
        if main.slack.as_ref().is_some_and(|slack| slack.approvers.is_empty()) {
            warnings.push("slack.approvers is empty: nobody can decide in Slack".into());
        }
        if main.slack.is_none() && main.pagerduty.is_none() && main.email.is_none() {
            warnings.push(
                "neither slack, pagerduty nor email is configured: escalations only show in the log and in `paramedic incidents`".into(),
            );
        }
        main.redact.secrets.extend(theirs);
        warnings.extend(main.redact.warnings());
        let redactor = main.redact.build().unwrap_or_else(|_| main.redactor.clone());
        let settings = main.settings();
        let store_dir = store::folder(&main.store.url, main.store.dir.as_deref());
        let run_dir = beside_store(main.run_dir.as_deref(), &store_dir, "run");
        let halt_file = beside_store(main.halt_file.as_deref(), &store_dir, "HALT");
        Ok(Self {
            listen,
            webhook_token: main.server.webhook_token,
            store_url: main.store.url,
            store_dir,
            settings,
            consent: main.approvals.rules(),
            approvers,
            approver_tokens,
            limits: main.limits,
            hours: main.hours,
            risk: main.risk,
            policies: Arc::new(policies),
            trust: main.trust,
            freezes: main.freezes,
            halt_file,
            llm: main.llm,
            slack: main.slack,
            pagerduty: main.pagerduty,
            email: main.email,
            prometheus_url: main.prometheus.map(|peer| peer.url),
            alertmanager_url: main.alertmanager.map(|peer| peer.url),
            watchdog: main.watchdog,
            ledger: main.ledger,
            run_dir,
            own_program: None,
            secret_files: main.secret_files,
            inventory,
            targets,
            rules,
            runbooks,
            redactor,
            warnings,
            folder,
        })
    }
}

impl Config {
    /// The SafetyChecker that these files make.
    pub fn checker(&self) -> SafetyChecker {
        let checker = SafetyChecker::new(self.limits.clone(), self.policies.clone());
        let checker = checker.with_hours(self.hours.clone()).with_thresholds(self.risk);
        checker.with_trust(self.trust.clone()).with_freezes(self.freezes.clone())
    }
}

/// The rules and runbooks alone: all that `classify` needs.
pub fn load_rules(folder: &Path) -> Result<(Rules, BTreeMap<String, Runbook>), Vec<Complaint>> {
    let mut complaints = Vec::new();
    let (runbooks, known) = read_runbooks(&folder.join("runbooks"), &mut complaints);
    match (read_rules(&folder.join("classifier.yaml"), &known, &mut complaints), complaints.is_empty()) {
        (Some(rules), true) => Ok((rules, runbooks)),
        _ => Err(complaints),
    }
}

/// The policies alone, and the inventory where there is one: a mistake elsewhere keeps nobody from trying an edit.
pub fn load_policies(folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Policies, Vec<Complaint>> {
    let (mut complaints, services) = (Vec::new(), folder.join("services.yaml"));
    let inventory = if services.exists() { read_services(&services, environment, &mut complaints) } else { None };
    let inventory = inventory.as_ref().map(|(inventory, _)| inventory);
    policies::read(&folder.join("policies"), inventory, &mut complaints).filter(|_| complaints.is_empty()).ok_or(complaints)
}

/// Any other YAML file with the same care: every error at once, with its line.
pub fn read_file<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let read = Document::open(path, &mut complaints).and_then(|mut document| document.read(&mut complaints));
    read.filter(|_| complaints.is_empty()).ok_or(complaints)
}

/// The inventory beside the rules, and what it makes of an alert; none where there is none.
pub fn load_inventory(folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<(Inventory, Targets)>, Vec<Complaint>> {
    let path = folder.join("services.yaml");
    if !path.exists() {
        return Ok(None);
    }
    let mut complaints = Vec::new();
    match read_services(&path, environment, &mut complaints) {
        Some(read) if complaints.is_empty() => Ok(Some(read)),
        _ => Err(complaints),
    }
}

/// Absolute: children are told apart by their run folder. Two stores have two.
fn beside_store(named: Option<&Path>, folder: &Path, usual: &str) -> PathBuf {
    let wanted = named.map_or_else(|| folder.join(usual), Path::to_owned);
    std::path::absolute(&wanted).unwrap_or(wanted)
}

/// A freeze of a service that is not there freezes nothing.
fn strangers<'a>(freezes: &'a [FreezeWindow], inventory: &'a Inventory) -> impl Iterator<Item = String> + 'a {
    let named = freezes.iter().flat_map(|window| &window.services).filter(|name| inventory.service(name).is_none());
    named.map(|name| format!("freezes: services: {name} is not in the inventory"))
}

fn loopback_without_token(listen: SocketAddr, token: bool, warnings: &mut Vec<String>) -> SocketAddr {
    if token || listen.ip().is_loopback() {
        return listen;
    }
    let loopback = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), listen.port());
    warnings.push(format!("server.webhook_token is not set: listening on {loopback} only, not on {listen}"));
    loopback
}

fn read_rules(path: &Path, known: &BTreeSet<String>, complaints: &mut Vec<Complaint>) -> Option<Rules> {
    rules_in(&mut Document::open(path, complaints)?, known, complaints)
}

fn rules_in(document: &mut Document, known: &BTreeSet<String>, complaints: &mut Vec<Complaint>) -> Option<Rules> {
    let file: RulesFile = document.read(complaints)?;
    document.check(Rules::build(file, known), complaints)
}

fn read_services(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    complaints: &mut Vec<Complaint>,
) -> Option<(Inventory, Targets)> {
    let mut document = Document::open(path, complaints)?;
    document.expand(environment, complaints);
    services_in(&mut document, complaints)
}

fn services_in(document: &mut Document, complaints: &mut Vec<Complaint>) -> Option<(Inventory, Targets)> {
    let file: InventoryFile = document.read(complaints)?;
    let targets = document.check(Targets::build(&file), complaints);
    let inventory = document.check(Inventory::build(file), complaints);
    // A key that is not there, or that others may read, fails here and not in the middle of an incident.
    let authority = inventory.as_ref().and_then(Inventory::ssh_ca).map(Authority::open);
    if let Some(Err(e)) = authority {
        complaints.push(document.complaint("ssh_ca", &e.to_string()));
    }
    Some((inventory?, targets?))
}

/// What a process is given in its environment, such as a database's password.
fn services_secrets(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Vec<Secret> {
    let complaints = &mut Vec::new();
    let Some(mut document) = Document::open(path, complaints) else { return Vec::new() };
    document.expand(environment, complaints);
    document.secrets()
}

/// The runbooks, and the names of all there are: a broken one is no reason to call the rule that names it wrong.
fn read_runbooks(folder: &Path, complaints: &mut Vec<Complaint>) -> (BTreeMap<String, Runbook>, BTreeSet<String>) {
    let shapes = tools::shapes();
    let (mut runbooks, mut known) = (BTreeMap::new(), BTreeSet::new());
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(e) => {
            complaints.push(Complaint::of_file(folder, format!("cannot be read ({e}): expected a folder of runbooks")));
            return (runbooks, known);
        }
    };
    let mut paths: Vec<PathBuf> = files.filter_map(|file| file.ok().map(|file| file.path())).filter(|path| is_yaml(path)).collect();
    paths.sort();
    for path in paths {
        let before = complaints.len();
        known.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        let Some(mut document) = Document::open(&path, complaints) else { continue };
        let Some(file) = document.read::<RunbookFile>(complaints) else { continue };
        known.insert(file.name.clone());
        let Some(runbook) = document.check(Runbook::build(file, &shapes), complaints) else { continue };
        let name = runbook.name().to_owned();
        if complaints.len() == before && runbooks.insert(name.clone(), runbook).is_some() {
            complaints.push(document.complaint("name", &format!("runbook `{name}` is in another file already")));
        }
    }
    (runbooks, known)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
