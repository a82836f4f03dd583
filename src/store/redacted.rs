//! Nothing with a secret in it is written: entries, notices and errors pass through here on their way to the disk, and the fold in
//! memory takes the same entries. What is built from the store (prompts, transcripts, messages) is without secrets for that reason.

use super::{Commit, Result, Store, strange};
use crate::domain::{Channel, Entry, Notice};
use crate::redaction::Redactor;
use serde::{Serialize, de::DeserializeOwned};

impl Store {
    /// The same store, with the secrets of the configuration. Without them only well-known shapes are found.
    pub fn redacting(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(super) fn commit_without_secrets(&self, mut step: Commit) -> Result<Commit> {
        step.entries = self.entries_without_secrets(step.entries)?;
        step.notices = self.notices_without_secrets(&step.notices)?;
        Ok(step)
    }

    pub(super) fn entries_without_secrets(&self, entries: Vec<Entry>) -> Result<Vec<Entry>> {
        entries.into_iter().map(|entry| self.without_secrets(entry, "entry to store")).collect()
    }

    pub(super) fn notices_without_secrets(&self, notices: &[(Channel, Notice)]) -> Result<Vec<(Channel, Notice)>> {
        notices.iter().map(|(channel, notice)| Ok((*channel, self.without_secrets(notice.clone(), "notice to store")?))).collect()
    }

    fn without_secrets<T: Serialize + DeserializeOwned>(&self, record: T, row: &str) -> Result<T> {
        self.redactor.record(record).map_err(|e| strange(row, e))
    }
}
