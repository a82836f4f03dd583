//! The files beside the main one, as texts from anywhere: read and checked with the same care, told by the same lines. Reads no file
//! and no environment.

use super::document::Document;
use super::{Complaint, rules_in, services_in};
use crate::classifier::{Rules, Targets};
use crate::domain::Inventory;
use crate::planner::{Runbook, ToolShapes};
use std::collections::BTreeSet;
use std::path::Path;

type Complaints = Vec<Complaint>;

/// `path` is only what complaints name.
pub fn runbook_of(path: &Path, text: &str, tools: &ToolShapes) -> Result<Runbook, Complaints> {
    read(path, text, |document, complaints| {
        let file = document.read(complaints)?;
        document.check(Runbook::build(file, tools), complaints)
    })
}

/// `runbooks` are the names that rules may name.
pub fn rules_of(path: &Path, text: &str, runbooks: &BTreeSet<String>) -> Result<Rules, Complaints> {
    read(path, text, |document, complaints| rules_in(document, runbooks, complaints))
}

/// `${VAR}` stays as it is.
pub fn services_of(path: &Path, text: &str) -> Result<(Inventory, Targets), Complaints> {
    read(path, text, services_in)
}

fn read<T>(path: &Path, text: &str, then: impl FnOnce(&mut Document, &mut Complaints) -> Option<T>) -> Result<T, Complaints> {
    let mut complaints = Vec::new();
    let read = Document::parse(path, text, &mut complaints).and_then(|mut document| then(&mut document, &mut complaints));
    read.filter(|_| complaints.is_empty()).ok_or(complaints)
}
