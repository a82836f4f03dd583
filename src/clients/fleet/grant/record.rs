//! What was granted, a JSON line each in `grants.log`, before it is used. A grant that cannot be written down is not given.

use super::{Grant, GrantError, Wanted};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A log larger than this moves aside, and the one that lay there goes.
const LARGEST: u64 = 16 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub at: String,
    pub host: String,
    pub key_id: String,
    pub serial: u64,
    /// SHA-256 of the request, in hexadecimal.
    pub request: String,
    /// In seconds since 1970.
    pub valid_before: u64,
    /// Public: it opens nothing without its key, which is not kept.
    pub certificate: String,
}

impl Record {
    pub(super) fn write(grant: &Grant, wanted: &Wanted, log: &Path) -> Result<(), GrantError> {
        let io = |e: std::io::Error| GrantError::Write(log.to_owned(), e);
        let record = Self {
            at: wanted.now.to_rfc3339(),
            host: wanted.host.clone(),
            key_id: grant.certificate.key_id().to_owned(),
            serial: grant.certificate.serial(),
            request: grant.terms.digest.clone(),
            valid_before: grant.certificate.valid_before(),
            certificate: grant.certificate.to_openssh()?,
        };
        let mut line = serde_json::to_vec(&record).map_err(|e| io(e.into()))?;
        line.push(b'\n');
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        if std::fs::metadata(log).is_ok_and(|found| found.len() > LARGEST) {
            std::fs::rename(log, log.with_extension("log.1")).map_err(io)?;
        }
        // One write: lines of two requests at once do not mix.
        OpenOptions::new().append(true).create(true).mode(0o600).open(log).and_then(|mut file| file.write_all(&line)).map_err(io)
    }
}
