//! Which file a program's name stands for: one that root owns, in a folder that root owns, and that nobody else may write. Never what
//! `$PATH` says.

use super::SandboxError;
use crate::safety::command::FOLDERS;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Programs that the sandbox keeps from working, and that do not say so themselves.
const UNCONFINED: [(&str, &str); 1] =
    [("lsof", "it does not start where nothing may be opened for writing: `fuser` and `ss -p` show who has a file or a socket open")];

/// The file to run; links followed. `name` may be a full path in one of the folders.
pub fn find(name: &str) -> Result<PathBuf, SandboxError> {
    let known = |unconfined: &&(&str, &str)| name.rsplit('/').next() == Some(unconfined.0);
    if let Some((_, why)) = UNCONFINED.iter().find(known) {
        return Err(SandboxError::NotTrusted(name.to_owned(), (*why).to_owned()));
    }
    let plain = name.rsplit_once('/').map_or((None, name), |(folder, name)| (Some(folder), name));
    let named = |folder: &&str| plain.0.is_none_or(|given| given == *folder);
    for folder in FOLDERS.iter().filter(|folder| named(folder)) {
        let path = Path::new(folder).join(plain.1);
        let Ok(real) = path.canonicalize() else { continue };
        return trusted(&real).map(|()| real).map_err(|why| SandboxError::NotTrusted(path.display().to_string(), why));
    }
    Err(SandboxError::NotInstalled(name.to_owned()))
}

pub fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"#!"
}

fn trusted(path: &Path) -> Result<(), String> {
    let seen = path.metadata().map_err(|e| format!("{}: {e}", path.display()))?;
    if !seen.is_file() || seen.permissions().mode() & 0o111 == 0 {
        return Err(format!("{} is no program", path.display()));
    }
    let folders = path.ancestors().skip(1).map(|folder| (folder, folder.metadata()));
    for (place, seen) in std::iter::once((path, Ok(seen))).chain(folders) {
        let seen = seen.map_err(|e| format!("{}: {e}", place.display()))?;
        if !only_roots(&seen) {
            return Err(format!("{} could be changed by others than root", place.display()));
        }
    }
    Ok(())
}

/// A sticky folder counts as writable: what is in it may be anybody's.
fn only_roots(seen: &Metadata) -> bool {
    seen.uid() == 0 && seen.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_systems_folders_only() {
        assert!(find("df").unwrap().is_absolute());
        assert!(find("/bin/ls").is_ok() || find("/usr/bin/ls").is_ok());
        for absent in ["no-such-program", "/tmp/df", "../bin/df", "", "."] {
            assert!(matches!(find(absent), Err(SandboxError::NotInstalled(_) | SandboxError::NotTrusted(..))), "{absent}");
        }
    }

    #[test]
    fn what_others_could_have_written_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("tool");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(trusted(&path).unwrap_err().contains("could be changed by others"), "anybody may write in its folder");
        assert!(trusted(Path::new("/etc/passwd")).unwrap_err().contains("no program"));
    }
}
