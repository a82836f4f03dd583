//! Which files are there for a program in the sandbox. Landlock can only allow, and allows whole folders: so what is hidden is left out
//! by allowing everything beside it, one entry at a time.

use crate::safety::command::HIDDEN;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files of a home that hold secrets.
const IN_A_HOME: [&str; 20] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".config",
    ".password-store",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    ".bash_history",
    ".mysql_history",
    ".psql_history",
    ".python_history",
    ".env",
];
/// Device files that a program may read.
pub const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Everything that is hidden and exists, links followed, in order.
pub fn hidden(own: &[PathBuf]) -> Vec<PathBuf> {
    let homes = fs::read_dir("/home").into_iter().flatten().flatten().map(|entry| entry.path()).chain([PathBuf::from("/root")]);
    let in_homes = homes.flat_map(|home| IN_A_HOME.iter().map(move |name| home.join(name)));
    let keys = fs::read_dir("/etc/ssh").into_iter().flatten().flatten().map(|entry| entry.path());
    let keys = keys.filter(|path| path.to_string_lossy().ends_with("_key"));
    let all = HIDDEN.iter().map(PathBuf::from).chain(in_homes).chain(keys).chain(own.iter().cloned()).chain([PathBuf::from("/dev")]);
    let mut found: Vec<PathBuf> = all.filter_map(|path| path.canonicalize().ok()).filter(|path| path != Path::new("/")).collect();
    found.sort();
    found.dedup();
    found
}

/// The largest entries that hold nothing hidden: together everything but that. Links are left out; where they lead to is judged there.
pub fn visible(hidden: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from("/")];
    while let Some(folder) = todo.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink())) {
            let path = entry.path();
            if hidden.contains(&path) {
                continue;
            }
            match hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                true => todo.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_left_out_and_everything_beside_it_is_there() {
        let own = tempfile::tempdir().unwrap();
        fs::write(own.path().join("x"), "").unwrap();
        let hidden = hidden(&[own.path().join("x"), PathBuf::from("/no/such/thing")]);
        let visible = visible(&hidden);
        let reaches = |path: &Path| visible.iter().any(|entry| path.starts_with(entry));
        assert!(!reaches(Path::new("/etc/shadow")) && !reaches(&own.path().join("x")) && !reaches(Path::new("/dev/mem")));
        assert!(reaches(Path::new("/etc/hosts")) && reaches(Path::new("/proc/meminfo")) && reaches(Path::new("/usr/bin/df")));
        assert!(!visible.contains(&PathBuf::from("/etc")) && !visible.contains(&PathBuf::from("/")));
    }
}
