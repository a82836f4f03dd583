//! The configuration's own secrets: as they are, and as base64 (at any place in a longer text), hexadecimal, HTML and form texts
//! write them. Percent and JSON escapes are undone before the search (`views`).

use super::{Found, RedactError, Secret};
use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Shorter ones would be found in innocent words.
const SHORTEST: usize = 6;
/// A plain lower-case word may be this long and still be a word of the language.
const LONGEST_WORD: usize = 11;
/// So much of a secret's beginning, where a text was cut off in it, is redacted too.
const TELLING: usize = 6;

pub(super) struct Exact {
    finder: Option<AhoCorasick>,
    /// Of each pattern: the secret's name, and what to take with it.
    patterns: Vec<(String, Around)>,
    secrets: Vec<Secret>,
    /// Finds the first bytes of each of them.
    beginnings: Option<AhoCorasick>,
    longest: usize,
}

/// An encoded secret is part of an encoded text: all of that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    Base64,
    Hex,
}

impl Around {
    fn takes(self, byte: u8) -> bool {
        match self {
            Self::Nothing => false,
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

pub(super) fn is_searchable(value: &str) -> bool {
    let word = value.len() <= LONGEST_WORD && value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    value.len() >= SHORTEST && !word
}

impl Exact {
    pub fn nothing() -> Self {
        Self { finder: None, patterns: Vec::new(), secrets: Vec::new(), beginnings: None, longest: 0 }
    }

    pub fn build(secrets: &[Secret]) -> Result<Self, RedactError> {
        let secrets: Vec<Secret> = secrets.iter().filter(|secret| is_searchable(&secret.value)).cloned().collect();
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for secret in &secrets {
            for (text, around) in forms(&secret.value) {
                texts.push(text);
                patterns.push((secret.name.clone(), around));
            }
        }
        let beginnings: Vec<&[u8]> = secrets.iter().map(|secret| &secret.value.as_bytes()[..TELLING]).collect();
        let (finder, beginnings) = (finder(&texts)?, finder(&beginnings)?);
        let longest = secrets.iter().map(|secret| secret.value.len()).max().unwrap_or(0);
        Ok(Self { finder, patterns, secrets, beginnings, longest })
    }

    pub fn count(&self) -> usize {
        self.secrets.len()
    }

    pub fn search(&self, bytes: &[u8]) -> Vec<Found<'_>> {
        let Some(finder) = &self.finder else { return Vec::new() };
        let mut found: Vec<Found<'_>> = Vec::new();
        for hit in finder.find_overlapping_iter(bytes) {
            let Some((name, around)) = self.patterns.get(hit.pattern().as_usize()) else { continue };
            // Inside what is taken already: a long encoded text is looked through once.
            if *around != Around::Nothing && found.iter().rev().take(4).any(|last| last.start <= hit.start() && hit.end() <= last.end) {
                continue;
            }
            let before = bytes[..hit.start()].iter().rev().take_while(|b| around.takes(**b)).count();
            let after = bytes[hit.end()..].iter().take_while(|b| around.takes(**b)).count();
            found.push(Found::new(hit.start() - before, hit.end() + after, name.as_str()));
        }
        found
    }

    /// A text that was cut in the middle of a secret ends with the secret's beginning.
    pub fn cut_off(&self, text: &[u8]) -> Option<Found<'_>> {
        let end = text.len() - text.iter().rev().take_while(|b| !b.is_ascii_graphic()).count();
        let from = end.saturating_sub(self.longest);
        let begun = self.beginnings.iter().flat_map(|finder| finder.find_overlapping_iter(&text[from..end]));
        let cut_off = begun.filter_map(|hit| Some((from + hit.start(), self.secrets.get(hit.pattern().as_usize())?)));
        let mut cut_off = cut_off.filter(|(start, secret)| secret.value.as_bytes().starts_with(&text[*start..end]));
        cut_off.next().map(|(start, secret)| Found::new(start, end, secret.name.as_str()))
    }
}

fn finder(texts: &[impl AsRef<[u8]>]) -> Result<Option<AhoCorasick>, RedactError> {
    let finder = (!texts.is_empty()).then(|| AhoCorasick::new(texts)).transpose();
    finder.map_err(|e| RedactError::Secrets(e.to_string()))
}

fn forms(value: &str) -> Vec<(Vec<u8>, Around)> {
    let mut forms = vec![(value.as_bytes().to_vec(), Around::Nothing)];
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    forms.push((form.into_bytes(), Around::Nothing));
    forms.push((value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").into_bytes(), Around::Nothing));
    for before in 0..3 {
        let middle = base64_behind(value.as_bytes(), before);
        let url = middle.replace('+', "-").replace('/', "_");
        forms.push((middle.into_bytes(), Around::Base64));
        forms.push((url.into_bytes(), Around::Base64));
    }
    forms.push((hex::encode(value).into_bytes(), Around::Hex));
    forms.push((hex::encode_upper(value).into_bytes(), Around::Hex));
    forms.sort_by(|a, b| a.0.cmp(&b.0));
    forms.dedup_by(|a, b| a.0 == b.0);
    forms
}

/// The characters that base64 makes of a value behind `before` (0 to 2) other bytes, without those that its neighbours share.
fn base64_behind(value: &[u8], before: usize) -> String {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(value.iter().copied()).collect();
    let encoded = STANDARD_NO_PAD.encode(&padded);
    let first = (before * 8).div_ceil(6);
    let whole = padded.len() * 8 / 6;
    encoded.get(first..whole).unwrap_or_default().to_owned()
}
