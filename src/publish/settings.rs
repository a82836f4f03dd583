//! The keys of `ledger:` in the configuration, and what they come to.

use super::anchor::Target;
use super::cosign::Watcher;
use crate::clients::syslog::Syslog;
use crate::clients::witness::WitnessClient;
use crate::domain::Problem;
use crate::ledger::{PublicWitnessKey, is_origin};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerKeys {
    /// The log's name; `paramedic/` and the store's own random name without it.
    #[serde(default)]
    pub origin: Option<String>,
    /// Signs checkpoints. `ledger.key` beside the store without it, made at the first start.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Where tiles and the checkpoint are written, for copies and web servers. Nowhere without it.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    #[serde(default)]
    pub anchors: AnchorKeys,
    #[serde(default = "every")]
    pub anchor_every_seconds: i64,
    #[serde(default)]
    pub witnesses: Vec<WitnessKeys>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorKeys {
    /// Into the thread of the incident whose entry is the newest.
    #[serde(default)]
    pub slack: bool,
    /// A file that is appended to, better on another machine's disk.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// unix:/dev/log or udp://HOST:514
    #[serde(default)]
    pub syslog: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessKeys {
    /// What `/add-checkpoint` stands below.
    pub url: String,
    /// Its public key, `NAME+HASH+BASE64`.
    pub key: String,
}

fn every() -> i64 {
    3_600
}

impl Default for LedgerKeys {
    fn default() -> Self {
        Self {
            origin: None,
            key_file: None,
            dir: None,
            anchors: AnchorKeys::default(),
            anchor_every_seconds: every(),
            witnesses: Vec::new(),
        }
    }
}

impl LedgerKeys {
    /// Everything that is wrong with them.
    pub fn check(&self, slack: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.origin.as_ref().is_some_and(|origin| !is_origin(origin)) {
            let said = "expected one word without `+`, at most 200 bytes, such as paramedic.example.com/ledger";
            problems.push(Problem::new("ledger.origin", said));
        }
        if !(10..=604_800).contains(&self.anchor_every_seconds) {
            problems.push(Problem::new("ledger.anchor_every_seconds", "expected 10 to 604800"));
        }
        if self.anchors.slack && !slack {
            problems.push(Problem::new("ledger.anchors.slack", "expected a `slack` section: there is nobody to post the checkpoint"));
        }
        if let Some(Err(e)) = self.anchors.syslog.as_ref().map(|text| text.parse::<Syslog>()) {
            problems.push(Problem::new("ledger.anchors.syslog", e.to_string()));
        }
        for (n, witness) in self.witnesses.iter().enumerate() {
            if let Err(e) = WitnessClient::new(&witness.url) {
                problems.push(Problem::new(format!("ledger.witnesses[{n}].url"), e.to_string()));
            }
            if let Err(e) = PublicWitnessKey::parse(&witness.key) {
                problems.push(Problem::new(format!("ledger.witnesses[{n}].key"), e.to_string()));
            }
        }
        problems
    }

    pub fn origin(&self, instance: &str) -> String {
        self.origin.clone().unwrap_or_else(|| format!("paramedic/{instance}"))
    }

    pub fn key_file(&self, store: &Path) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| store.with_file_name("ledger.key"))
    }

    /// Paths of the ledger's that no tool may touch.
    pub fn own_paths(&self, store: &Path) -> Vec<PathBuf> {
        [Some(self.key_file(store)), self.dir.clone(), self.anchors.file.clone()].into_iter().flatten().collect()
    }
}

/// Where checkpoints are anchored.
pub fn targets(keys: &LedgerKeys) -> Vec<Target> {
    let syslog = keys.anchors.syslog.as_ref().and_then(|text| text.parse().ok()).map(Target::Syslog);
    let file = keys.anchors.file.clone().map(Target::File);
    [keys.anchors.slack.then_some(Target::Slack), file, syslog].into_iter().flatten().collect()
}

/// Who is asked to co-sign. What cannot be read here was refused by `check`.
pub(super) fn watchers(keys: &LedgerKeys) -> Vec<Watcher> {
    let known = |keys: &WitnessKeys| {
        let (client, key) = (WitnessClient::new(&keys.url).ok()?, PublicWitnessKey::parse(&keys.key).ok()?);
        Some(Watcher::new(keys.url.clone(), client, key))
    };
    keys.witnesses.iter().filter_map(known).collect()
}
