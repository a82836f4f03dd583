//! What is fuzzed: each parser of outside text with its promises. `make fuzz` runs these functions for as long as it is told to, and the
//! tests run them on every seed and on every input that ever broke one (docs/fuzzing.md).

mod classifier;
mod command;
mod ledger;
mod matcher;
mod policy;
mod runbook;
mod services;
mod slack;
mod webhook;

use std::path::{Path, PathBuf};

pub struct Target {
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
    /// Inputs to begin with, besides those in files.
    seeds: fn() -> Vec<Vec<u8>>,
    /// What the format is made of.
    pub words: &'static [&'static str],
    /// Bytes; longer inputs are not tried.
    pub longest: usize,
}

pub const ALL: [Target; 9] = [
    webhook::TARGET,
    command::TARGET,
    matcher::TARGET,
    slack::TARGET,
    runbook::TARGET,
    policy::TARGET,
    ledger::TARGET,
    classifier::TARGET,
    services::TARGET,
];

impl Target {
    /// Those made here, and those in files: written by hand, and inputs that broke a promise once.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let folders = ["tests/corpus/fuzz", "tests/corpus/crashes"];
        let written = folders.iter().flat_map(|folder| files(&format!("{folder}/{}", self.name))).map(|(_, bytes)| bytes);
        (self.seeds)().into_iter().chain(written).collect()
    }
}

/// Of the repository.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parent = package.parent().unwrap_or(package);
    if package.join("fuzz/targets").is_dir() { package } else { parent }
}

/// Every file of a folder, in order; none where there is no folder.
fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(found) = std::fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// A file of the repository.
fn file(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every complaint about a text names a line that is there, and says something.
fn complaints_have_places(text: &str, complaints: &[paramedic::config::Complaint]) {
    // YAML's own line breaks: a carriage return alone is one too.
    let lines = text.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64 + 1;
    assert!(!complaints.is_empty(), "refused without a complaint");
    for complaint in complaints {
        let line = complaint.line.unwrap_or_else(|| panic!("no line: {complaint}"));
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {complaint}");
        assert!(!complaint.message.trim().is_empty(), "{complaint:?}");
    }
}
