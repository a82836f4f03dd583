//! Private keys on the disk: one line, readable by their owner alone. Made once, never overwritten.

use crate::ledger::{KeyError, new_private_key};
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("key file {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("key file {path}: {source}")]
    Key { path: PathBuf, source: KeyError },
    #[error("key file {path} can be read by others (mode {mode:o}): chmod 600 it, and make a new key if others may have read it")]
    Open { path: PathBuf, mode: u32 },
}

/// The line of an existing key; none if there is no file.
pub fn read(path: &Path) -> Result<Option<String>, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { path: path.to_owned(), mode });
    }
    let mut line = String::new();
    file.take(4_096).read_to_string(&mut line).map_err(failed)?;
    Ok(Some(line))
}

/// A new key under this name; fails where there is a file already.
pub fn create(path: &Path, name: &str) -> Result<String, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut seed = [0; 32];
    let filled = getrandom(&mut seed, GetRandomFlags::empty()).map_err(|e| failed(e.into()))?;
    if filled != seed.len() {
        return Err(failed(std::io::Error::other("the operating system gave too few random bytes")));
    }
    let line = new_private_key(name, &seed);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(line)
}
