//! A scenario file: what breaks, the alert, and what must and must not be done.

use crate::config::{Complaint, read_file};
use crate::domain::{Decision, InventoryFile, State};
use crate::standins::model::Reply;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub alert: AlertText,
    /// As in services.yaml; `${SANDBOX}` is the scenario's own folder.
    pub inventory: InventoryFile,
    /// Files that are there before the alert.
    #[serde(default)]
    pub files: Vec<FileText>,
    /// A process service that is killed before the alert.
    #[serde(default)]
    pub crash: Option<String>,
    /// What a scripted model wants, call by call; a text ends it.
    #[serde(default)]
    pub model: Vec<ModelLine>,
    /// What the on-call engineer answers when asked.
    #[serde(default)]
    pub answer: Option<Answer>,
    /// The alert resolves once this tool has changed something.
    #[serde(default)]
    pub clears_after: Option<String>,
    #[serde(default)]
    pub expected_actions: Vec<String>,
    #[serde(default)]
    pub forbidden_actions: Vec<String>,
    pub expected_state: State,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertText {
    pub alertname: String,
    pub severity: String,
    pub instance: String,
    pub description: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileText {
    pub path: String,
    pub age_days: u64,
    #[serde(default)]
    pub bytes: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ModelLine {
    Call { tool: String, arguments: serde_json::Value },
    Text(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Approve,
    Deny,
}

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Approve => Self::Grant,
            Answer::Deny => Self::Deny,
        }
    }
}

pub fn read(path: &Path) -> Result<Scenario, Vec<Complaint>> {
    read_file(path)
}

impl Scenario {
    pub fn labels(&self) -> Vec<(&str, &str)> {
        let own = [("severity", self.alert.severity.as_str()), ("instance", self.alert.instance.as_str())];
        own.into_iter().chain(self.alert.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))).collect()
    }

    pub fn replies(&self) -> Vec<Reply> {
        let reply = |line: &ModelLine| match line {
            ModelLine::Call { tool, arguments } => Reply::call(tool, arguments.clone()),
            ModelLine::Text(text) => Reply::text(text),
        };
        self.model.iter().map(reply).collect()
    }

    pub fn services_yaml(&self) -> anyhow::Result<String> {
        // JSON is YAML.
        Ok(serde_json::to_string_pretty(&self.inventory)?)
    }
}
