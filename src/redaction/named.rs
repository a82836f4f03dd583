//! Values that a name calls secret: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`, `Authorization: Bearer …`, in plain text, in JSON,
//! in JSON inside JSON, in YAML. The name stays, the value goes.

use super::{Found, MARK, mark_around};
use aho_corasick::{AhoCorasick, MatchKind};
use std::sync::LazyLock;

/// Endings of names. What goes on behind one (`token_type`, `passwordFile`, `secrets`) is another name.
const WORDS: [&str; 28] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "pwd",
    "pass",
    "secret",
    "token",
    "credential",
    "credentials",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "account_key",
    "accountkey",
    "secret_key",
    "secret-key",
    "secretkey",
    "private_key",
    "private-key",
    "privatekey",
    "signing_key",
    "encryption_key",
    "authorization",
    "cookie",
];

static FINDER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest).build(WORDS).ok());

/// How far back the beginning of a name is looked for.
const LONGEST_NAME: usize = 64;

/// Values that give nothing away, and marks of ours.
const INNOCENT: [&str; 10] = ["null", "none", "nil", "true", "false", "yes", "no", "undefined", "expired", "invalid"];

/// Does the whole name end in a word that calls its value secret? As what.
pub(super) fn calls_secret(name: &str) -> Option<&'static str> {
    let hit = FINDER.as_ref()?.find_iter(name.as_bytes()).last()?;
    let rest = &name.as_bytes()[hit.end()..];
    let word = WORDS.get(hit.pattern().as_usize())?;
    let whole = rest.iter().all(|b| b.is_ascii_digit() || *b == b'_');
    (whole && !is_another(name.as_bytes(), hit.start(), hit.end())).then(|| label(word))
}

/// A value beside such a name: is there anything to hide?
pub(super) fn tells(value: &str) -> bool {
    let value = value.trim();
    !value.is_empty()
        && !value.starts_with(MARK)
        && !value.bytes().all(|b| b == b'*')
        && !INNOCENT.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn label(word: &'static str) -> &'static str {
    match word {
        "password" | "passwd" | "passwort" | "pwd" | "pass" => "password",
        "credential" | "credentials" => "credentials",
        "authorization" => "authorization",
        "passphrase" | "secret" | "token" | "cookie" => word,
        _ => "key",
    }
}

pub(super) fn search(bytes: &[u8], found: &mut Vec<Found<'_>>) {
    let Some(finder) = FINDER.as_ref() else { return };
    let mut read_to = 0;
    for hit in finder.find_iter(bytes) {
        // A name inside a value that is gone already names nothing.
        if hit.start() < read_to || is_another(bytes, hit.start(), hit.end()) || mark_around(bytes, hit.start()).is_some() {
            continue;
        }
        let Some(word) = WORDS.get(hit.pattern().as_usize()) else { continue };
        let Some((start, end)) = value_behind(bytes, hit.start(), hit.end(), word) else { continue };
        if tells(&String::from_utf8_lossy(&bytes[start..end])) {
            found.push(Found::new(start, end, label(word)));
            read_to = end;
        }
    }
}

/// The shell's `PWD` and `OLDPWD` are folders; `compass` and `pass` alone are words.
fn is_another(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = bytes[..start].iter().rev().take(LONGEST_NAME).take_while(|b| is_name(**b)).count();
    let ended = matches!(bytes[..start].last(), Some(b'_' | b'-' | b'.'));
    matches!(&bytes[start - before..end], b"PWD" | b"OLDPWD") || (end - start == "pass".len() && !ended)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Where the value of the name that ends in `word` stands, if one follows.
fn value_behind(bytes: &[u8], start: usize, end: usize, word: &str) -> Option<(usize, usize)> {
    let mut at = end + count(bytes, end, |b| b.is_ascii_digit() || b == b'_');
    let name_end = at;
    let quotes = count(bytes, at, |b| matches!(b, b'"' | b'\'' | b'\\' | b'`' | b']'));
    at += quotes;
    let blanks = count(bytes, at, |b| matches!(b, b' ' | b'\t'));
    let separator = match bytes.get(at + blanks..) {
        Some([b'=' | b':', b'>' | b'=', ..]) => 2,
        Some([b'=' | b':', ..]) => 1,
        _ => 0,
    };
    if separator == 0 && bytes.get(name_end) == Some(&b'>') {
        let len = count(bytes, name_end + 1, |b| !matches!(b, b'<' | b'\n'));
        return Some((name_end + 1, name_end + 1 + len));
    }
    if separator == 0 {
        return flag_value(bytes, start, name_end, blanks).filter(|_| quotes == 0);
    }
    let colon = bytes.get(at + blanks) == Some(&b':');
    at += blanks + separator;
    at += count(bytes, at, |b| matches!(b, b' ' | b'\t'));
    match word {
        "authorization" => Some(header(bytes, at, true)),
        "cookie" if colon => Some(header(bytes, at, false)),
        "cookie" => None,
        _ => {
            let upper = !colon && bytes[start..end].iter().all(|b| !b.is_ascii_lowercase());
            Some(plain(bytes, at, upper))
        }
    }
}

/// `--password hunter2`, and SQL's `PASSWORD 'hunter2'`.
fn flag_value(bytes: &[u8], start: usize, name_end: usize, blanks: usize) -> Option<(usize, usize)> {
    let before = bytes[..start].iter().rev().take(LONGEST_NAME).take_while(|b| is_name(**b)).count();
    let is_flag = bytes[start - before..].starts_with(b"--");
    let at = name_end + blanks;
    let quoted = bytes.get(at) == Some(&b'\'');
    let another = bytes.get(at) == Some(&b'-');
    (blanks > 0 && ((is_flag && !another) || quoted)).then(|| plain(bytes, at, false))
}

/// A header's value ends with its line or with the quote around it; the scheme in front of credentials may stay.
fn header(bytes: &[u8], at: usize, credentials: bool) -> (usize, usize) {
    let at = at + count(bytes, at, |b| matches!(b, b'"' | b'\'' | b'\\' | b'['));
    let len = count(bytes, at, |b| !matches!(b, b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b']'));
    let value = &bytes[at..at + len];
    if !credentials {
        return (at, at + len);
    }
    let scheme = value.iter().position(|b| *b == b' ').filter(|n| value[..*n].iter().all(|b| b.is_ascii_alphabetic() || *b == b'-'));
    match scheme {
        Some(n) if value[..n].eq_ignore_ascii_case(b"bearer") || value[..n].eq_ignore_ascii_case(b"basic") => {
            let start = at + n + 1;
            (start, start + count(bytes, start, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'\\' | b',')))
        }
        Some(n) => (at + n + 1, at + len),
        None => (at, at + count(bytes, at, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'\\' | b','))),
    }
}

/// A quoted value up to its own quote, another up to what cannot be part of it. `PASSWORD=` in capitals is a variable of the
/// environment: its value ends with a blank.
fn plain(bytes: &[u8], at: usize, variable: bool) -> (usize, usize) {
    let slashes = count(bytes, at, |b| b == b'\\');
    match bytes.get(at + slashes) {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            let start = at + slashes + 1;
            (start, start + quoted(&bytes[start..], *quote, slashes))
        }
        _ => (at, at + bare(&bytes[at..], variable)),
    }
}

/// Up to the quote that is escaped as often as the one in front, on the same line.
fn quoted(bytes: &[u8], quote: u8, slashes: usize) -> usize {
    let mut run = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match *byte {
            b'\n' => return at,
            b'\\' => run += 1,
            b if b == quote && (run < slashes || run % (2 * (slashes + 1)) == slashes) => return at - run.min(slashes),
            _ => run = 0,
        }
    }
    bytes.len()
}

fn bare(bytes: &[u8], variable: bool) -> usize {
    // Our own mark has blanks in it.
    if bytes.starts_with(MARK.as_bytes()) {
        return bytes.iter().position(|b| *b == b']').map_or(bytes.len(), |n| n + 1);
    }
    let ends = |at: usize, byte: u8| match byte {
        b if b.is_ascii_whitespace() || b == 0 => true,
        b'"' | b'\'' | b'`' => true,
        b'\\' => matches!(bytes.get(at + 1), Some(b'n' | b'r' | b'"' | b'\'' | b'\\')),
        b',' | b';' | b'&' | b')' | b'}' | b']' | b'<' | b'>' | b'|' => !variable,
        _ => false,
    };
    bytes.iter().enumerate().position(|(at, byte)| ends(at, *byte)).unwrap_or(bytes.len())
}

fn count(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| is(**b)).count())
}
