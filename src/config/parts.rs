//! Single parts of the main file, for commands that need no more of it: a mistake elsewhere, or a secret that only the server may read, keeps
//! nobody from them.

use super::document::{Document, read_text};
use super::{Complaint, Overrides, approvers as people, beside_store, file, secrets};
use crate::domain::{CostLimits, Mode};
use crate::publish::LedgerKeys;
use crate::redaction::Redactor;
use crate::safety::{Approvers, ConsentRules};
use crate::store::folder;
use std::path::{Path, PathBuf};

/// What the main file says of how much is done by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub mode: Mode,
    /// Is a model configured?
    pub model: bool,
}

/// The standing alone, for whoever only wants to know what would become of an alert. Without a main file: mode auto, no model.
pub fn standing(folder: &Path) -> Result<Standing, Vec<Complaint>> {
    let path = folder.join("paramedic.yaml");
    if !path.exists() {
        return Ok(Standing::default());
    }
    let mut complaints = Vec::new();
    let standing = Document::open(&path, &mut complaints).and_then(|document| {
        let mode = match document.value_at("mode") {
            None => Mode::default(),
            Some(value) => match serde_json::from_value(value) {
                Ok(mode) => mode,
                Err(_) => {
                    complaints.push(document.complaint("mode", "expected auto, review or disabled"));
                    return None;
                }
            },
        };
        Some(Standing { mode, model: document.value_at("llm").is_some() })
    });
    standing.ok_or(complaints)
}

/// The model's limits alone; none without a model.
pub fn cost_limits(path: &Path) -> Result<Option<CostLimits>, Vec<Complaint>> {
    if !path.exists() {
        return Ok(None);
    }
    let mut complaints = Vec::new();
    let limits =
        Document::open(path, &mut complaints).and_then(|document| match (document.value_at("llm"), document.value_at("llm.limits")) {
            (None, _) => Some(None),
            (Some(_), None) => Some(Some(CostLimits::default())),
            (Some(_), Some(limits)) => match serde_json::from_value(limits) {
                Ok(limits) => Some(Some(limits)),
                Err(e) => {
                    complaints.push(document.complaint("llm.limits", &e.to_string()));
                    None
                }
            },
        });
    limits.filter(|_| complaints.is_empty()).ok_or(complaints)
}

/// `approvals` alone: how many must agree by plain configuration.
pub fn consent_rules(path: &Path) -> Result<ConsentRules, Vec<Complaint>> {
    if !path.exists() {
        return Ok(ConsentRules::default());
    }
    let mut complaints = Vec::new();
    let rules = Document::open(path, &mut complaints).and_then(|document| match document.value_at("approvals") {
        None => Some(ConsentRules::default()),
        Some(keys) => match serde_json::from_value::<people::ApprovalKeys>(keys) {
            Ok(keys) => Some(keys.rules()),
            Err(e) => {
                complaints.push(document.complaint("approvals", &e.to_string()));
                None
            }
        },
    });
    rules.ok_or(complaints)
}

/// The store's address alone: all that reading it, or deciding, needs. A mistake elsewhere in the configuration, or a secret that
/// only the server may read, keeps nobody from its incidents.
pub fn store_url(path: &Path, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, Vec<Complaint>> {
    if let Some(url) = &overrides.database_url {
        return Ok(url.clone());
    }
    let mut complaints = Vec::new();
    let url = Document::open(path, &mut complaints).and_then(|document| named_url(&document, path, environment, &mut complaints));
    let url = url.map(|named| named.unwrap_or_else(file::store_url));
    url.filter(|_| complaints.is_empty()).ok_or(complaints)
}

/// As it stands there, or in the file that `store.url_file` names.
fn named_url(
    document: &Document,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    complaints: &mut Vec<Complaint>,
) -> Option<Option<String>> {
    let Some(file) = document.text_at("store.url_file", environment, complaints)? else {
        return document.text_at("store.url", environment, complaints);
    };
    match read_text(&path.parent().unwrap_or(Path::new("")).join(&file)) {
        Ok(url) => Some(Some(url.trim().to_owned())),
        Err(why) => {
            complaints.push(document.complaint("store.url_file", &format!("{file} {why}")));
            None
        }
    }
}

/// What knows every secret of the main file that can be read here, for commands that need nothing else of it: where a file of secrets is
/// only the server's, the server finds that one when it reads what was written.
pub fn redactor(path: &Path, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Redactor {
    file::redactor(path, overrides, environment).unwrap_or_default()
}

/// The people alone, without their tokens: all that a decision on the command line needs besides the store. A file that only the server
/// may read keeps nobody from deciding.
pub fn approvers(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Approvers, Vec<Complaint>> {
    if !path.exists() {
        return Ok(Approvers::default());
    }
    let mut complaints = Vec::new();
    let read = Document::open(path, &mut complaints).and_then(|mut document| {
        document.keep("approvers", &["token", "token_file"]);
        document.each_text(&mut |_, text| secrets::expand(text, &mut |name| environment(name)), &mut complaints);
        let found: People = document.read(&mut complaints)?;
        document.check(people::build(&found.approvers, &[], None), &mut complaints)
    });
    read.filter(|_| complaints.is_empty()).ok_or(complaints)
}

#[derive(serde::Deserialize)]
struct People {
    #[serde(default)]
    approvers: Vec<people::ApproverKeys>,
}

/// The store's address and the ledger's keys: all that reading the log needs, whatever is wrong elsewhere.
pub fn ledger(
    path: &Path,
    overrides: &Overrides,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, LedgerKeys), Vec<Complaint>> {
    let url = store_url(path, overrides, environment)?;
    let mut complaints = Vec::new();
    let keys = Document::open(path, &mut complaints).and_then(|mut document| {
        let dir = document.text_at("store.dir", environment, &mut complaints)?;
        let dir = folder(&url, dir.as_deref().map(Path::new));
        let slack = document.keep_only("ledger", "slack");
        document.expand(environment, &mut complaints);
        let section: file::LedgerSection = document.read(&mut complaints)?;
        let problems = section.ledger.check(slack);
        complaints.extend(problems.iter().map(|problem| document.complaint(&problem.path, &problem.message)));
        let mut keys = section.ledger;
        keys.key_file.get_or_insert_with(|| dir.join("ledger.key"));
        Some(keys)
    });
    keys.filter(|_| complaints.is_empty()).map(|keys| (url, keys)).ok_or(complaints)
}

/// The halt file's path alone, with the same care.
pub fn halt_file(path: &Path, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Vec<Complaint>> {
    let url = store_url(path, overrides, environment)?;
    let mut complaints = Vec::new();
    // A store that is named on the command line needs no configuration.
    let named = match Document::open(path, &mut complaints) {
        None if overrides.database_url.is_some() => return Ok(beside_store(None, &folder(&url, None), "HALT")),
        None => None,
        Some(document) => {
            let dir = document.text_at("store.dir", environment, &mut complaints).flatten();
            let dir = folder(&url, dir.as_deref().map(Path::new));
            document.text_at("halt_file", environment, &mut complaints).map(|named| (named, dir))
        }
    };
    let found = named.map(|(named, dir)| beside_store(named.as_deref().map(Path::new), &dir, "HALT"));
    found.filter(|_| complaints.is_empty()).ok_or(complaints)
}
