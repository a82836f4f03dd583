//! Files that hold secrets, by where they lie and what they are called, and files that are never changed. Judged by the name alone:
//! links are the sandbox's business, which hides the places below whatever name leads there.

use super::syntax::{Kind, Word};
use crate::domain::protected_path;
use std::path::Path;

/// Whole places; `**` is everything below.
const PLACES: [&str; 37] = [
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/sudoers",
    "/etc/sudoers.d/**",
    "/etc/security/opasswd",
    "/etc/ssl/private/**",
    "/etc/letsencrypt/**",
    "/etc/ssh/*_key",
    "/etc/krb5.keytab",
    "/etc/kubernetes/**",
    "/etc/paramedic/**",
    "/var/lib/paramedic/**",
    "/var/lib/kubelet/**",
    "/var/lib/sss/**",
    "/run/secrets/**",
    "/var/run/secrets/**",
    "/run/credentials/**",
    "/proc/*/environ",
    "/proc/*/mem",
    "/proc/*/task/**",
    "/proc/*/root/**",
    "/proc/*/cwd/**",
    "/proc/*/fd/**",
    "/proc/kcore",
    "/proc/kmsg",
    "/sys/kernel/security/**",
    "/etc/mysql/debian.cnf",
    "/etc/redis/**",
    "/etc/rabbitmq/**",
    "/etc/grafana/**",
    "/etc/wireguard/**",
    "/etc/openvpn/**",
    "/etc/ipsec.secrets",
    "/etc/NetworkManager/system-connections/**",
    "/etc/rancher/**",
    "/etc/docker/key.json",
    "/var/backups/**",
];

/// Devices that hold nothing; every other one is raw memory or a disk.
const HARMLESS_DEVICES: [&str; 7] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/stdin", "/dev/tty"];

/// Folders, wherever they are.
const FOLDERS: [&str; 9] = [".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".config", "private_keys"];

/// File names, wherever they are.
const NAMES: [&str; 38] = [
    ".env",
    ".env.*",
    "*.env",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    "htpasswd",
    ".vault-token",
    ".*_history",
    ".viminfo",
    ".lesshst",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.kdbx",
    "*.keytab",
    "*.ppk",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*_rsa",
    "*_ed25519",
    "*.tfstate",
    "*.tfvars",
    "*secret*",
    "*credential*",
    "*password*",
    "token",
    "*.token",
    "*_token",
];

/// Where certificates lie, which everybody is shown who connects; their keys lie elsewhere.
const CERTIFICATES: [&str; 4] =
    ["/etc/ssl/certs/", "/etc/pki/tls/certs/", "/usr/share/ca-certificates/", "/usr/local/share/ca-certificates/"];

/// Where the sandbox hides files, as far as a place can be hidden.
pub const HIDDEN: [&str; 16] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/security/opasswd",
    "/etc/ssl/private",
    "/etc/letsencrypt",
    "/etc/krb5.keytab",
    "/etc/kubernetes",
    "/etc/paramedic",
    "/var/lib/paramedic",
    "/run/secrets",
    "/run/credentials",
    "/var/backups",
];

/// Would showing this file (or, with `tree`, all below this folder) show a secret? Says what.
pub fn shown(word: &Word, tree: bool) -> Option<&'static str> {
    let path = plain(&word.text);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let device = overlaps("dev", parts.first().copied().unwrap_or_default()) && parts.len() > 1;
    if device && !(word.kind == Kind::Literal && HARMLESS_DEVICES.contains(&path.as_str())) {
        return Some("a device is memory or a disk, whatever is on it");
    }
    if PLACES.iter().any(|place| lies_in(place, &parts, tree)) {
        return Some("it holds secrets");
    }
    let name = parts.last().copied().unwrap_or_default();
    let folder = parts.iter().any(|part| FOLDERS.iter().any(|folder| overlaps(folder, part) && !matches!(*part, "*" | "**")));
    // `*.pem` could be a log as well, and is none.
    let log = (name.contains(".log") || path.starts_with("/var/log/"))
        && [".log", ".log.*"].iter().any(|end| overlaps(&format!("*{end}"), name))
        && !name.starts_with('.');
    let name = name.to_lowercase();
    let certificate = word.is_literal() && !name.contains("key") && CERTIFICATES.iter().any(|folder| path.starts_with(folder));
    let mut names = NAMES.iter().filter(|known| !(certificate && **known == "*.pem"));
    let named = !log && !matches!(name.as_str(), "*" | "**") && names.any(|known| is_named(known, &name, word));
    (folder || named).then_some("its name says that it holds secrets")
}

/// Two patterns with a `*` at both ends always overlap, so a pattern is tried on names that are like the known one.
fn is_named(known: &str, name: &str, word: &Word) -> bool {
    match word.kind {
        Kind::Pattern => ["", "x"].iter().any(|filler| overlaps(&known.replace('*', filler), name)),
        _ => overlaps(known, name),
    }
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
    let (a, b) = (signs(a), signs(b));
    // `row[j]`: the signs so far of `a` and the first `j` of `b` can match the same.
    let mut row: Vec<bool> = vec![false; b.len() + 1];
    row[0] = true;
    for j in 0..b.len() {
        row[j + 1] = row[j] && b[j] == Sign::Run;
    }
    for sign in a {
        let mut next = vec![false; b.len() + 1];
        next[0] = row[0] && sign == Sign::Run;
        for j in 0..b.len() {
            next[j + 1] = match (sign, b[j]) {
                (Sign::Run, Sign::Run) => row[j] || row[j + 1] || next[j],
                (Sign::Run, _) => row[j + 1] || next[j],
                (_, Sign::Run) => next[j] || row[j + 1],
                (Sign::Any, _) | (_, Sign::Any) => row[j],
                (Sign::Is(x), Sign::Is(y)) => row[j] && x == y,
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
        ] {
            assert!(!shows(path), "{path}");
        }
    }

    #[test]
    fn a_folder_above_a_secret_counts_where_whole_folders_are_read() {
        assert!(shown(&Word::literal("/etc"), true).is_some() && shown(&Word::literal("/"), true).is_some());
        assert!(shown(&Word::literal("/etc"), false).is_none() && shown(&Word::literal("/var/log"), true).is_none());
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
