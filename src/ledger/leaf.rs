//! What the log holds of an entry: where it stands and the SHA-256 of its text, never the text itself. So a leaf is small whatever
//! an entry holds, tiles may lie in the open, and whoever has the text can show that it is the one that was logged.

use crate::domain::{IncidentId, Seq};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use tlog_tiles::Hash;

/// An entry's place in the log, with its text as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// From 0, without gaps, in the order of the commits.
    pub index: u64,
    pub incident: IncidentId,
    pub seq: Seq,
    /// Milliseconds since 1970.
    pub at: i64,
    /// JSON on one line; its bytes count, not its meaning.
    pub entry: &'a str,
}

impl Leaf<'_> {
    /// The leaf's bytes: canonical JSON (RFC 8785), about 150 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(176);
        text.push_str(r#"{"at":"#);
        push_number(&mut text, self.at);
        text.push_str(r#","entry":""#);
        push_hex(&mut text, &Sha256::digest(self.entry.as_bytes()));
        text.push_str(r#"","incident":"INC-"#);
        push_number(&mut text, self.incident.0);
        text.push_str(r#"","index":"#);
        push_index(&mut text, self.index);
        text.push_str(r#","seq":"#);
        push_number(&mut text, self.seq);
        text.push('}');
        text.into_bytes()
    }

    /// RFC 6962: SHA-256 of a zero byte and the leaf's bytes.
    pub fn hash(&self) -> Hash {
        tlog_tiles::record_hash(&self.bytes())
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn push_index(text: &mut String, number: u64) {
    // Writing into a String cannot fail.
    let _ = write!(text, "{number}");
}

fn push_number(text: &mut String, number: i64) {
    let _ = write!(text, "{number}");
}

/// A line of `paramedic ledger export --jsonl`. The entry's text stands last and as it is, so that whoever checks it needs no JSON
/// writer that agrees with ours: it is what lies between `"entry":` and the closing brace.
pub fn export_line(leaf: &Leaf<'_>) -> String {
    let Leaf { index, incident, seq, at, entry } = leaf;
    format!(r#"{{"index":{index},"incident":"{incident}","seq":{seq},"at":{at},"entry":{entry}}}"#)
}

/// Reads a line back, strictly: the text that `export_line` would write and no other.
pub fn read_export_line(line: &str) -> Option<Leaf<'_>> {
    let rest = line.strip_prefix(r#"{"index":"#)?;
    let (index, rest) = number(rest)?;
    let (incident, rest) = number(rest.strip_prefix(r#","incident":"INC-"#)?)?;
    let (seq, rest) = number(rest.strip_prefix(r#"","seq":"#)?)?;
    let (at, rest) = number(rest.strip_prefix(r#","at":"#)?)?;
    let entry = rest.strip_prefix(r#","entry":"#)?.strip_suffix('}')?;
    let leaf = Leaf { index: u64::try_from(index).ok()?, incident: IncidentId(incident), seq, at, entry };
    (entry.starts_with('{') && !entry.contains('\n')).then_some(leaf)
}

/// Digits without a leading zero, and what follows them. None of the numbers here is negative or beyond 63 bits.
fn number(text: &str) -> Option<(i64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(entry: &str) -> Leaf<'_> {
        Leaf { index: 17, incident: IncidentId(3), seq: 4, at: 1_780_000_000_000, entry }
    }

    #[test]
    fn a_leaf_is_canonical_json_and_holds_no_text_of_the_entry() {
        let leaf = leaf(r#"{"kind":"escalated","why":"secret"}"#);
        let text = String::from_utf8(leaf.bytes()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), text);
        assert_eq!(value["entry"], hex::encode(Sha256::digest(leaf.entry)));
        assert!(!text.contains("secret"));
    }

    #[test]
    fn an_exported_line_reads_back_and_no_other_spelling_does() {
        let entry = r#"{"kind":"escalated","why":"a } and \"b\""}"#;
        let line = export_line(&leaf(entry));
        assert_eq!(read_export_line(&line), Some(leaf(entry)));
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        for wrong in [
            line.replace("17", "017"),
            line.replace("17", "+17"),
            line.replace("INC-3", "INC-"),
            line.replace("\"seq\":4", "\"seq\": 4"),
            line.replace("17", "99999999999999999999"),
            format!("{line} "),
            line.replace("\"kind\"", "\n\"kind\""),
            String::new(),
        ] {
            assert_eq!(read_export_line(&wrong), None, "{wrong}");
        }
    }
}
