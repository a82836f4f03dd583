//! Files that hold secrets, by where they lie and what they are called, and files that are never changed. Judged by the name alone:
//! links are the sandbox's business, which hides the places below whatever name leads there.

use super::places::{CERTIFICATES, FOLDERS, HARMLESS_DEVICES, HOMES, IN_FOLDERS, JUDGED, NAMES, PLACES};
use super::syntax::{Kind, Word};
use crate::domain::protected_path;
use std::path::Path;

/// Would showing this file (or, with `tree`, all below this folder) show a secret? Says what.
pub fn shown(word: &Word, tree: bool) -> Option<&'static str> {
    let path = plain(&word.text);
    let parts = parts_of(&path);
    let device = overlaps("dev", parts.first().copied().unwrap_or_default()) && parts.len() > 1;
    if device && !(word.kind == Kind::Literal && HARMLESS_DEVICES.contains(&path.as_str())) {
        return Some("a device is memory or a disk, whatever is on it");
    }
    // What stands before a `..` may be a link: as it is written, and what stands behind it, count too.
    let written = parts_of(&word.text);
    let behind = written.rsplit(|part| *part == "..").next().unwrap_or_default();
    if PLACES.iter().chain(&JUDGED).any(|place| [&parts, &written, behind].iter().any(|parts| lies_in(place, parts, tree))) {
        return Some("it holds secrets");
    }
    if (tree || parts.contains(&"**")) && HOMES.iter().any(|home| lies_in(home, &parts, tree)) {
        return Some("people keep their keys and what they typed in there");
    }
    let name = parts.last().copied().unwrap_or_default();
    let folder = parts.iter().any(|part| FOLDERS.iter().any(|folder| is_folder(folder, part)));
    let in_folder = IN_FOLDERS.iter().any(|(folder, known)| parts.iter().rev().skip(1).any(|part| part == folder) && overlaps(known, name));
    // `*.pem` could be a log as well, and is none.
    let log = (name.contains(".log") || path.starts_with("/var/log/"))
        && [".log", ".log.*"].iter().any(|end| overlaps(&format!("*{end}"), name))
        && !name.starts_with('.');
    let name = name.to_lowercase();
    let certificate = word.is_literal() && !name.contains("key") && CERTIFICATES.iter().any(|folder| path.starts_with(folder));
    let mut names = NAMES.iter().filter(|known| !(certificate && **known == "*.pem"));
    let named = !log && !matches!(name.as_str(), "*" | "**") && names.any(|known| is_named(known, &name, word));
    (folder || in_folder || named).then_some("its name says that it holds secrets")
}

/// A pattern counts that shares more with the name than a first letter.
fn is_folder(folder: &str, part: &str) -> bool {
    let enough = if part.contains(['*', '?', '[']) && !part.starts_with('.') { SHARED } else { 0 };
    !matches!(part, "*" | "**") && !part.contains(".log") && shared(folder, part).is_some_and(|n| n >= enough)
}

/// `/var/run` is `/run` everywhere.
fn parts_of(path: &str) -> Vec<&str> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    match parts.as_slice() {
        ["var", "run", ..] => parts[1..].to_vec(),
        _ => parts,
    }
}

/// Is this what a file with a secret is called, or a folder of them, wherever it lies?
pub fn is_secret_name(name: &str) -> bool {
    FOLDERS.contains(&name) || NAMES.iter().any(|known| overlaps(known, &name.to_lowercase()))
}

/// Letters that two patterns have to share before they count as meaning the same file; any two with a `*` at both ends overlap.
const SHARED: usize = 2;

fn is_named(known: &str, name: &str, word: &Word) -> bool {
    match word.kind {
        // Hidden files are hidden for a reason, and nobody can say which of them these are.
        Kind::Pattern if name.starts_with('.') => true,
        Kind::Pattern => {
            ["", "x"].iter().any(|filler| overlaps(&known.replace('*', filler), name)) || shared(known, name).is_some_and(|n| n >= SHARED)
        }
        _ => overlaps(known, name),
    }
}

/// A `..` behind a name: if the name is a link, it leads somewhere else than it says.
pub fn climbs(text: &str) -> bool {
    text.split('/').filter(|part| !matches!(*part, "" | ".")).skip_while(|part| *part == "..").any(|part| part == "..")
}

/// Is this path, or what the pattern may match, protected from any change?
pub fn protected(word: &Word) -> bool {
    let path = plain(&word.text);
    let fixed = match (&word.kind, path.find(['*', '?', '['])) {
        (Kind::Pattern, Some(first)) => {
            let folder = path[..first].rfind('/').unwrap_or(0);
            if folder == 0 { "/" } else { &path[..folder] }
        }
        _ => path.as_str(),
    };
    protected_path(Path::new(fixed))
}

/// Absolute (a command runs in `/`), without `.`, `..` and doubled slashes.
pub fn plain(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// May the path lie in the place? `tree`: may the place lie below the path?
fn lies_in(place: &str, parts: &[&str], tree: bool) -> bool {
    let mut path = parts.iter();
    for known in place.split('/').skip(1) {
        match (known, path.next()) {
            ("**", _) => return true,
            (_, None) => return tree,
            // Any depth: what find hands on.
            (_, Some(&"**")) => return true,
            (known, Some(part)) if !overlaps(known, part) => return false,
            _ => {}
        }
    }
    path.next().is_none()
}

#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Any,
    Run,
    Is(char),
}

/// Can one name match both patterns?
pub fn overlaps(a: &str, b: &str) -> bool {
    shared(a, b).is_some()
}

/// The most characters that both patterns ask for in a name which matches both; `None` if there is no such name.
fn shared(a: &str, b: &str) -> Option<usize> {
    let (a, b) = (signs(a), signs(b));
    // `row[j]`: for the signs so far of `a` and the first `j` of `b`.
    let mut row: Vec<Option<usize>> = vec![None; b.len() + 1];
    row[0] = Some(0);
    for j in 0..b.len() {
        row[j + 1] = row[j].filter(|_| b[j] == Sign::Run);
    }
    for sign in a {
        let mut next = vec![None; b.len() + 1];
        next[0] = row[0].filter(|_| sign == Sign::Run);
        for j in 0..b.len() {
            next[j + 1] = match (sign, b[j]) {
                (Sign::Run, Sign::Run) => row[j].max(row[j + 1]).max(next[j]),
                (Sign::Run, _) | (_, Sign::Run) => row[j + 1].max(next[j]),
                (Sign::Any, _) | (_, Sign::Any) => row[j].map(|n| n + 1),
                (Sign::Is(x), Sign::Is(y)) => row[j].filter(|_| x == y).map(|n| n + 1),
            };
        }
        row = next;
    }
    row[b.len()]
}

fn signs(text: &str) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        signs.push(match c {
            '*' => Sign::Run,
            '?' => Sign::Any,
            '[' => {
                // A class is taken for any character.
                let class = rest.as_str();
                match class.char_indices().skip(1).find(|(_, c)| *c == ']') {
                    Some((end, _)) => {
                        rest = class[end + 1..].chars();
                        Sign::Any
                    }
                    None => Sign::Is('['),
                }
            }
            c => Sign::Is(c),
        });
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(text: &str) -> bool {
        let word = if text.contains(['*', '?', '[']) { Word::pattern(text) } else { Word::literal(text) };
        shown(&word, false).is_some()
    }

    #[test]
    fn secrets_are_known_by_place_and_by_name_however_they_are_spelled() {
        for path in [
            "/etc/shadow",
            "etc/shadow",
            "/etc//./shadow",
            "/var/../etc/shadow-",
            "/etc/sh*",
            "/etc/shado?",
            "/etc/[r-t]hadow",
            "/e*/shadow",
            "/*/*",
            "/proc/1/environ",
            "/proc/self/environ",
            "/proc/*/environ",
            "/home/ana/.ssh/config",
            "/root/.ssh/*",
            "/srv/app/.env",
            "/srv/app/.env.production",
            "/srv/tls/server.key",
            "/srv/tls/CERT.PEM",
            "/srv/tls/*.pem",
            "/srv/tls/id_rsa*",
            "/etc/ssl/certs/../private/site.pem",
            "/etc/ssl/certs/site-key.pem",
            "/etc/ssl/certs/*.pem",
            "/dev/sda",
            "/dev/mem",
            "/etc/paramedic/paramedic.yaml",
            "/opt/db_password.txt",
            "/proc/7/fd/3",
            "/var/run/secrets/x",
            "/proc/self/root/../etc/hosts",
            "/home/ana/.zsh_history",
            "/home/ana/.bash_h*",
            "/home/*/.b*",
            "/srv/app/prod.e*",
            "/srv/app/???.env",
            "/srv/app/cred*",
            "/srv/app/.git/config",
            "/srv/app/secrets/db.txt",
            "/etc/pki/tls/private/site.crt",
            "/etc/ceph/ceph.client.admin.keyring",
            "/var/lib/docker/containers/12ab/config.v2.json",
            "/var/lib/pgsql/data/base/1/2",
        ] {
            assert!(shows(path), "{path}");
        }
        for path in [
            "/etc/passwd",
            "/etc/hosts",
            "/etc/ssl/certs/site.pem",
            "/var/log/*.log",
            "/var/log/s*",
            "/proc/meminfo",
            "/proc/1/status",
            "/var/log/secret-service.log",
            "/dev/null",
            "/var/log/nginx/*",
            "/etc/*release",
            "/etc/nginx/conf.d/*.conf",
            "/srv/app/*.json",
            "/srv/app/*error*",
            "/var/lib/docker/containers/12ab/12ab-json.log",
            "/var/lib/pgsql/data/log/postgresql-Mon.log",
            "/home/ana/app/app.log",
        ] {
            assert!(!shows(path), "{path}");
        }
    }

    #[test]
    fn a_folder_above_a_secret_counts_where_whole_folders_are_read() {
        assert!(shown(&Word::literal("/etc"), true).is_some() && shown(&Word::literal("/"), true).is_some());
        assert!(shown(&Word::literal("/etc"), false).is_none() && shown(&Word::literal("/var/log"), true).is_none());
        for home in ["/home", "/home/ana/app", "/root", "/"] {
            assert!(shown(&Word::literal(home), true).is_some(), "{home}");
        }
        assert!(shown(&Word::pattern("/home/**"), false).is_some() && shown(&Word::pattern("/srv/**"), false).is_none());
    }

    #[test]
    fn what_is_protected_stays_so_behind_a_pattern() {
        for path in ["/etc/hosts", "/", "/usr/bin/x", "/*", "/var/*", "/et?/x", "../etc/x", "boot/x", "/dev/sda"] {
            let word = if path.contains(['*', '?']) { Word::pattern(path) } else { Word::literal(path) };
            assert!(protected(&word), "{path}");
        }
        assert!(!protected(&Word::literal("/tmp/x")) && !protected(&Word::pattern("/var/log/*")));
    }

    #[test]
    fn a_name_that_climbs_back_behind_another_may_lead_anywhere() {
        for path in ["/var/run/../etc/x", "a/..", "../a/../b", "/a/./../b"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["../../etc/x", "/../etc", "a..b/c", "..", "/etc/hosts"] {
            assert!(!climbs(path), "{path}");
        }
    }

    #[test]
    fn two_patterns_overlap_if_one_name_matches_both() {
        for (a, b, both) in [
            ("a*", "*b", true),
            ("a?", "ab", true),
            ("a*c", "ab", false),
            ("*", "", true),
            ("", "", true),
            ("a", "", false),
            ("x[yz]", "x?", true),
        ] {
            assert_eq!((overlaps(a, b), overlaps(b, a)), (both, both), "{a} {b}");
        }
    }
}
