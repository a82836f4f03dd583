//! Nothing with a secret in it is written: entries, notices and errors pass through here on their way to the disk, and the fold in
//! memory takes the same entries. What is built from the store (prompts, transcripts, messages) is without secrets for that reason.

use super::{Commit, Result, Store, from_json, strange};
use crate::domain::{Channel, Entry, Notice, Order, Reason};
use crate::redaction::Redactor;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::borrow::Cow;

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
        if let Some((_, notices)) = &mut step.once {
            *notices = self.notices_without_secrets(notices)?;
        }
        for (.., notice) in &mut step.elsewhere {
            *notice = self.without_secrets(notice.clone(), "notice to store")?;
        }
        for approval in step.asked.iter_mut().chain(step.moved.as_mut().map(|(approval, _)| approval)) {
            approval.state = self.without_secrets(approval.state.clone(), "approval to store")?;
        }
        Ok(step)
    }

    pub(super) fn entries_without_secrets(&self, entries: Vec<Entry>) -> Result<Vec<Entry>> {
        entries.into_iter().map(|entry| self.entry_without_secrets(entry)).collect()
    }

    /// A sealed request is kept to the byte, or its digest would speak of another one: whoever sealed it took the secrets out.
    fn entry_without_secrets(&self, mut entry: Entry) -> Result<Entry> {
        let sealed = match &mut entry {
            Entry::Asked { request, .. } => request.take(),
            _ => None,
        };
        if let Some(text) = &sealed {
            let request: Value = from_json(text, "request to store")?;
            let mut clean = request.clone();
            self.redactor.value(&mut clean);
            if clean != request {
                return Err(strange("request to store", "it was sealed with a secret in it"));
            }
        }
        let mut entry = self.without_secrets(entry, "entry to store")?;
        if let Entry::Asked { request, .. } = &mut entry {
            *request = sealed;
        }
        Ok(entry)
    }

    /// What a human gave as the reason, in as many words as a reason may have.
    pub(super) fn reason_without_secrets(&self, reason: Reason) -> Reason {
        let said = reason.to_string();
        let Cow::Owned(_) = self.redactor.text(&said) else { return reason };
        let words: Vec<char> = said.chars().collect();
        // A mark is longer than many a secret.
        let shorter = (0..=words.len()).rev().step_by(20).map(|most| words[..most].iter().collect::<String>());
        let fitting = shorter.map(|said| self.redactor.text(said.trim_end()).into_owned()).find_map(|said| Reason::parse(&said).ok());
        fitting.unwrap_or_else(Reason::unsayable)
    }

    pub(super) fn order_without_secrets(&self, mut order: Order) -> Order {
        order.reason = self.reason_without_secrets(order.reason);
        order
    }

    pub(super) fn notices_without_secrets(&self, notices: &[(Channel, Notice)]) -> Result<Vec<(Channel, Notice)>> {
        notices.iter().map(|(channel, notice)| Ok((*channel, self.without_secrets(notice.clone(), "notice to store")?))).collect()
    }

    fn without_secrets<T: Serialize + DeserializeOwned>(&self, record: T, row: &str) -> Result<T> {
        self.redactor.record(record).map_err(|e| strange(row, e))
    }
}
