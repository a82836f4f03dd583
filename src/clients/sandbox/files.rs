//! Which files are there for a program in the sandbox. Landlock can only allow, and allows whole folders: so what is hidden is left out
//! by allowing everything beside it, one entry at a time.

use super::SandboxError;
use crate::domain::system_path;
use crate::safety::command::{PLACES, is_secret_name};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Who has which home.
const ACCOUNTS: &str = "/etc/passwd";
/// Where homes are that an account of elsewhere may have.
const HOMES: &str = "/home";

/// Device files that a program may read.
pub const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Everything that is hidden and exists, links followed, in order.
pub fn hidden(own: &[PathBuf]) -> Result<Vec<PathBuf>, SandboxError> {
    let accounts = match fs::read(ACCOUNTS) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // A machine without accounts, such as a bare container.
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(SandboxError::NotConfined(format!("whose homes are where: {ACCOUNTS}: {e}"))),
    };
    let homes = homes(&accounts).into_iter().chain(entries(Path::new(HOMES)));
    let in_homes = homes.flat_map(|home| in_a_home(&home));
    let places = PLACES.iter().flat_map(|place| in_place(place));
    let all = places.chain(in_homes).chain(own.iter().cloned()).chain([PathBuf::from("/dev")]);
    let mut found: Vec<PathBuf> = all.filter_map(|path| path.canonicalize().ok()).filter(|path| path != Path::new("/")).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The homes that a list of accounts names. Those in the system's own places hold programs, not secrets.
fn homes(accounts: &str) -> BTreeSet<PathBuf> {
    let named = accounts.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
    named.filter(|home| home.is_absolute() && home != Path::new("/") && !system_path(home)).collect()
}

/// What in a home is called like a secret.
fn in_a_home(home: &Path) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| is_secret_name(&name.to_string_lossy()));
    entries(home).into_iter().filter(named).collect()
}

/// What there is of a place: `/**` stands for all of a folder, and a pattern for whatever matches it.
fn in_place(place: &str) -> Vec<PathBuf> {
    let place = place.strip_suffix("/**").unwrap_or(place);
    match place.contains('*') {
        true => glob::glob(place).into_iter().flatten().flatten().collect(),
        false => vec![PathBuf::from(place)],
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
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
        let hidden = hidden(&[own.path().join("x"), PathBuf::from("/no/such/thing")]).unwrap();
        let visible = visible(&hidden);
        let reaches = |path: &Path| visible.iter().any(|entry| path.starts_with(entry));
        assert!(!reaches(Path::new("/etc/shadow")) && !reaches(&own.path().join("x")) && !reaches(Path::new("/dev/mem")));
        assert!(reaches(Path::new("/etc/hosts")) && reaches(Path::new("/proc/meminfo")) && reaches(Path::new("/usr/bin/df")));
        assert!(!visible.contains(&PathBuf::from("/etc")) && !visible.contains(&PathBuf::from("/")));
    }

    #[test]
    fn homes_are_where_the_accounts_say() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:d:/usr/sbin:/bin/sh\nnobody:x:9:9:n:/:/bin/sh\napp:x:7:7:a:/srv/app:/bin/sh\nbroken\n";
        assert_eq!(homes(accounts).into_iter().collect::<Vec<_>>(), [PathBuf::from("/root"), PathBuf::from("/srv/app")]);
    }

    #[test]
    fn a_home_hides_what_a_command_would_not_be_shown() {
        let home = tempfile::tempdir().unwrap();
        let secret = [".aws", ".zsh_history", ".mylogin.cnf", "id_ed25519", "deploy.pem", ".netrc", "prod.env"];
        for name in secret.iter().chain(&["notes.txt", ".profile"]) {
            fs::write(home.path().join(name), "").unwrap();
        }
        let found: BTreeSet<PathBuf> = in_a_home(home.path()).into_iter().collect();
        assert_eq!(found, secret.iter().map(|name| home.path().join(name)).collect());
        // What the classifier calls secret by its name, it calls so there.
        for path in &found {
            let reading = crate::safety::command::classify(&format!("cat {}", path.display()));
            assert!(reading.level.changes_something() && reading.plan.is_err(), "{reading:?}");
        }
    }

    #[test]
    fn a_place_is_what_there_is_of_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a_key", "b_key", "a_key.pub"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let at = folder.path().display().to_string();
        let mut found = in_place(&format!("{at}/*_key"));
        found.sort();
        assert_eq!(found, [folder.path().join("a_key"), folder.path().join("b_key")]);
        assert_eq!(in_place(&format!("{at}/**")), [folder.path()]);
    }
}
