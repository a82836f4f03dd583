//! Secrets that are known by their looks, whatever stands in front of them: tokens of well-known services, private keys, logins in URLs.

use super::Found;
use memchr::memmem;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// What the mark says, and the token's own pattern; none may hold a group.
const TOKENS: [(&str, &str); 18] = [
    ("AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"),
    ("GitLab token", r"\bgl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|soat|agent)-[A-Za-z0-9_-]{16,}"),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"),
    ("Slack webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{8,}"),
    ("JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,3}"),
    ("Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("Google token", r"\bya29\.[A-Za-z0-9_-]{20,}"),
    ("Stripe key", r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9+/=]{16,}"),
    ("model API key", r"\bsk-(?:ant-|proj-|or-|svcacct-)?[A-Za-z0-9_-]{20,}"),
    ("npm token", r"\bnpm_[A-Za-z0-9]{30,}"),
    ("PyPI token", r"\bpypi-[A-Za-z0-9_-]{30,}"),
    ("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("Vault token", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    ("DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{32,}"),
    ("Hugging Face token", r"\bhf_[A-Za-z0-9]{20,}"),
    ("note signing key", r"\bPRIVATE\+KEY\+[^+\s]{1,255}\+[0-9a-fA-F]{8}\+[A-Za-z0-9+/=]{20,}"),
    ("age key", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
];

static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let each: Vec<String> = TOKENS.iter().map(|(_, pattern)| format!("({pattern})")).collect();
    Regex::new(&format!("(?-u){}", each.join("|"))).ok()
});

/// Without a header's name: a word like `authentication` behind it is no token.
static BEARER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i-u)\bbearer[ +]+([a-z0-9._~+/=-]{8,})").ok());
static CURL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)\bcurl\b[^\n]{0,400}?\s(?:-u|--user)[ =]?["']?[^\s:"']+:([^\s"']+)"#).ok());

pub(super) fn search(bytes: &[u8], found: &mut Vec<Found<'_>>) {
    tokens(bytes, found);
    private_keys(bytes, found);
    logins(bytes, found);
    let group = |regex: &'static LazyLock<Option<Regex>>| {
        regex.iter().filter(|regex| regex.is_match(bytes)).flat_map(|regex| regex.captures_iter(bytes)).filter_map(|groups| groups.get(1))
    };
    let odd = |text: &[u8]| text.len() >= 24 || text.iter().any(u8::is_ascii_digit);
    found.extend(group(&BEARER).filter(|hit| odd(hit.as_bytes())).map(|hit| Found::new(hit.start(), hit.end(), "bearer token")));
    found.extend(group(&CURL).map(|hit| Found::new(hit.start(), hit.end(), "password")));
}

fn tokens(bytes: &[u8], found: &mut Vec<Found<'_>>) {
    let Some(regex) = TOKEN.as_ref() else { return };
    // Most texts hold none, and looking for groups costs more than looking.
    for hit in regex.find_iter(bytes) {
        let groups = regex.captures_at(bytes, hit.start());
        let which = groups.and_then(|groups| (1..=TOKENS.len()).find(|n| groups.get(*n).is_some()));
        let label = which.and_then(|n| TOKENS.get(n - 1)).map_or("token", |(label, _)| *label);
        found.push(Found::new(hit.start(), hit.end(), label));
    }
}

/// From the first line to the last, and to the end of the text where that was cut off.
fn private_keys(bytes: &[u8], found: &mut Vec<Found<'_>>) {
    const END: &[u8] = b"-----END ";
    let mut at = 0;
    while let Some(start) = memmem::find(&bytes[at..], b"-----BEGIN ").map(|n| at + n) {
        at = start + 11;
        let line = &bytes[at..bytes.len().min(at + 60)];
        let Some(name) = memmem::find(line, b"-----").map(|n| &line[..n]) else { continue };
        if memmem::find(name, b"PRIVATE KEY").is_none() {
            continue;
        }
        let body = at + name.len() + 5;
        let end = memmem::find(&bytes[body..], END).map_or(bytes.len(), |n| {
            let behind = body + n + END.len();
            memmem::find(&bytes[behind..], b"-----").map_or(bytes.len(), |n| behind + n + 5)
        });
        found.push(Found::new(start, end, "private key"));
        at = end;
    }
}

/// The password of `scheme://user:password@host`.
fn logins(bytes: &[u8], found: &mut Vec<Found<'_>>) {
    for hit in memmem::find_iter(bytes, b"://") {
        let start = hit + 3;
        let ends = |b: u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`' | b',' | b'\\');
        let all = &bytes[start..bytes.len().min(start + 256)];
        let all = &all[..all.iter().position(|b| ends(*b)).unwrap_or(all.len())];
        let authority = &all[..all.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(all.len())];
        let Some(colon) = authority.iter().position(|b| *b == b':') else { continue };
        // A password that should have been escaped may hold what ends an authority; a port may not.
        let port = authority[colon + 1..].iter().all(u8::is_ascii_digit);
        let at = authority.iter().rposition(|b| *b == b'@').or_else(|| all.iter().position(|b| *b == b'@').filter(|_| !port));
        let Some(at) = at.filter(|at| *at > colon + 1) else { continue };
        if !all[colon + 1..at].starts_with(super::MARK.as_bytes()) {
            found.push(Found::new(start + colon + 1, start + at, "password"));
        }
    }
}
