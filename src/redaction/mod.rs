//! Floor 1: what must not be said. Finds secrets in texts and JSON and puts a mark in their place that still says what stood there:
//! `password=[redacted: password]`. Knows the configuration's own secrets, however they are encoded, the shapes of well-known ones, and
//! an operator's patterns. Pure; time grows with the length of the text and nothing else. Redacting twice is redacting once.

mod exact;
mod named;
mod shapes;
mod tree;
mod views;

#[cfg(test)]
mod tests;

use crate::domain::{Alert, Fingerprint, Outcome, Proposal};
use exact::Exact;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A value that the configuration calls secret; `name` is what the mark says.
#[derive(Clone)]
pub struct Secret {
    pub name: String,
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    #[error("`{pattern}` is no regular expression: {why}")]
    Pattern { pattern: String, why: String },
    #[error("the configured secrets cannot be searched for: {0}")]
    Secrets(String),
    /// Only a configured secret that is a word of the ledger's own can do this.
    #[error("a record is unreadable without its secrets: {0}")]
    Record(#[from] serde_json::Error),
}

/// A secret's place in a text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    start: usize,
    end: usize,
    label: Cow<'a, str>,
}

impl<'a> Found<'a> {
    fn new(start: usize, end: usize, label: impl Into<Cow<'a, str>>) -> Self {
        Self { start, end, label: label.into() }
    }
}

/// Cheap to clone. Never shows what it knows.
#[derive(Clone)]
pub struct Redactor(Arc<Known>);

struct Known {
    exact: Exact,
    own: Vec<regex::bytes::Regex>,
}

/// Shapes alone, for where no configuration is at hand.
impl Default for Redactor {
    fn default() -> Self {
        Self(Arc::new(Known { exact: Exact::nothing(), own: Vec::new() }))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} values, {} patterns)", self.0.exact.count(), self.0.own.len())
    }
}

/// How deep encodings in encodings are followed: base64 inside a URL inside a JSON text.
const DEPTH: u8 = 3;
/// A mark may end the value of a name that had none before: what was redacted is looked through until nothing is found.
const ROUNDS: u8 = 8;

impl Redactor {
    /// Of a pattern with a group, the first group is the secret; else all of it.
    pub fn new(secrets: &[Secret], patterns: &[String]) -> Result<Self, RedactError> {
        let own = patterns.iter().map(|pattern| {
            let regex = regex::bytes::Regex::new(pattern);
            regex.map_err(|e| RedactError::Pattern { pattern: pattern.clone(), why: e.to_string() })
        });
        Ok(Self(Arc::new(Known { exact: Exact::build(secrets)?, own: own.collect::<Result<_, _>>()? })))
    }

    /// Is the value long and odd enough to be searched for? A short plain word would be found everywhere.
    pub fn searches_for(value: &str) -> bool {
        exact::is_searchable(value)
    }

    /// Does this name (`db_password`, `authToken`) call its value secret?
    pub fn names_a_secret(name: &str) -> bool {
        named::calls_secret(name).is_some()
    }

    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for _ in 0..ROUNDS {
            let found = self.found(&clean);
            if found.is_empty() {
                break;
            }
            clean = Cow::Owned(marked(&clean, &found));
        }
        clean
    }

    /// Every text in it, names included; what a name calls a secret (`"password": …`) as a whole.
    pub fn value(&self, value: &mut Value) {
        for _ in 0..ROUNDS {
            let before = value.clone();
            tree::redact(self, value);
            if *value == before {
                break;
            }
        }
    }

    /// A record of ours, through its JSON. Unchanged where there was nothing in it.
    pub fn record<T: Serialize + DeserializeOwned>(&self, record: T) -> Result<T, RedactError> {
        let before = serde_json::to_value(&record)?;
        let mut after = before.clone();
        self.value(&mut after);
        if after == before { Ok(record) } else { Ok(serde_json::from_value(after)?) }
    }

    /// What tells alerts apart stays: the fingerprint is of the labels as they came, and so is one that had to be replaced.
    pub fn alert(&self, mut alert: Alert) -> Alert {
        if let Cow::Owned(_) = self.text(&alert.fingerprint.0) {
            alert.fingerprint = Fingerprint::of(&alert.labels);
        }
        for pairs in [&mut alert.labels, &mut alert.annotations] {
            *pairs = std::mem::take(pairs).into_iter().map(|(name, value)| tree::pair(self, name, value)).collect();
        }
        for text in [&mut alert.generator_url, &mut alert.group_key, &mut alert.origin.receiver, &mut alert.origin.sender] {
            *text = self.text(text).into_owned();
        }
        alert
    }

    pub fn outcome(&self, mut outcome: Outcome) -> Outcome {
        outcome.said = self.text(&outcome.said).into_owned();
        self.value(&mut outcome.output);
        outcome
    }

    pub fn proposal(&self, proposal: &mut Proposal) {
        self.value(&mut proposal.arguments);
        for text in [&mut proposal.tool, &mut proposal.reason] {
            *text = self.text(text).into_owned();
        }
    }

    /// In order, none overlapping another.
    fn found<'a>(&'a self, text: &str) -> Vec<Found<'a>> {
        let mut found = self.search(text.as_bytes(), DEPTH);
        if let Some(tail) = self.0.exact.cut_off(text.as_bytes()) {
            found.push(tail);
        }
        found.retain(|one| mark_around(text.as_bytes(), one.start).is_none_or(|(_, end)| one.end > end));
        for one in &mut found {
            one.start = (0..=one.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            one.end = (one.end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        }
        merged(found)
    }

    /// In the bytes as they stand, and in what they come to when read as URL, JSON, base64 or hexadecimal.
    fn search<'a>(&'a self, bytes: &[u8], depth: u8) -> Vec<Found<'a>> {
        let mut found = self.0.exact.search(bytes);
        shapes::search(bytes, &mut found);
        named::search(bytes, &mut found);
        for pattern in &self.0.own {
            let spans = pattern.captures_iter(bytes).filter_map(|groups| groups.get(1).or_else(|| groups.get(0)));
            found.extend(spans.filter(|span| !span.is_empty()).map(|span| Found::new(span.start(), span.end(), "by pattern")));
        }
        let Some(deeper) = depth.checked_sub(1) else { return found };
        for view in views::of(bytes) {
            found.extend(self.search(&view.bytes, deeper).into_iter().map(|inner| view.in_source(inner)));
        }
        found
    }
}

/// The beginning of a text that nobody has looked through yet, cut between two words: half a secret would be found by nobody, and one
/// without a blank in it is left out whole.
pub fn beginning(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let whole = text[..end].rfind(char::is_whitespace).unwrap_or(0);
    format!("{}…", text[..whole].trim_end())
}

/// How a mark begins. What stands in one is ours, and stays when a text is redacted again.
pub(crate) const MARK: &str = "[redacted: ";
/// No mark is longer.
const LONGEST_MARK: usize = 80;

/// The mark around this place, if there is one: where it begins and where it ends.
pub(crate) fn mark_around(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let from = at.saturating_sub(LONGEST_MARK);
    let begin = from + memchr::memmem::rfind(bytes.get(from..bytes.len().min(at + MARK.len()))?, MARK.as_bytes())?;
    let len = bytes[begin..].iter().take(LONGEST_MARK).position(|b| *b == b']')? + 1;
    (begin <= at && at < begin + len).then_some((begin, begin + len))
}

fn marked(text: &str, found: &[Found<'_>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for one in found {
        out.push_str(&text[at..one.start]);
        out.push_str(&mark(&one.label));
        at = one.end;
    }
    out.push_str(&text[at..]);
    out
}

fn mark(label: &str) -> String {
    let label: String = label.chars().filter(|c| !matches!(c, '[' | ']') && !c.is_control()).take(60).collect();
    format!("{MARK}{label}]")
}

/// Sorted; those that touch the same bytes are one, named after the longest.
fn merged(mut found: Vec<Found<'_>>) -> Vec<Found<'_>> {
    found.retain(|one| one.start < one.end);
    found.sort_by_key(|one| (one.start, std::cmp::Reverse(one.end)));
    let mut apart: Vec<Found<'_>> = Vec::with_capacity(found.len());
    for one in found {
        match apart.last_mut() {
            Some(last) if one.start < last.end => last.end = last.end.max(one.end),
            _ => apart.push(one),
        }
    }
    apart
}
