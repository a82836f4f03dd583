//! Anchors: the checkpoint where this machine cannot take it back. Sends the note and nothing of the entries.

use super::PublishError;
use crate::clients::syslog::Syslog;
use crate::domain::{Channel, Notice, Severity, Time};
use crate::ledger::{Signed, one_line};
use crate::store::Store;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What is read back of a file of anchors: its newest megabyte.
const READ_BACK: u64 = 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Slack,
    File(PathBuf),
    Syslog(Syslog),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slack => f.write_str("Slack"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Syslog(address) => write!(f, "{address}"),
        }
    }
}

impl Target {
    /// Takes a checkpoint there. Slack's message waits in the outbox until it is sent.
    pub async fn anchor(&self, store: &Store, signed: &Signed, now: Time) -> Result<(), PublishError> {
        let note = signed.note.clone();
        match self {
            Self::Slack => post(store, signed, now).await,
            Self::File(path) => {
                let path = path.clone();
                blocking(move || append(&path, &note)).await?.map_err(|source| self.failed(source))
            }
            Self::Syslog(address) => {
                let address = address.clone();
                blocking(move || address.send(&one_line(&note), now)).await?.map_err(|source| self.failed(source))
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> PublishError {
        PublishError::Anchor { target: self.to_string(), source }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PublishError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| PublishError::Panicked(e.to_string()))
}

/// One write a note, at the end of the file and on the disk: it may be a file that can only be appended to.
fn append(path: &Path, note: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().append(true).create(true).open(path)?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_all()
}

/// The text of a file of anchors, or the end of a long one; none if there is no file.
pub fn read_back(path: &Path) -> std::io::Result<Option<String>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ_BACK)))?;
    let mut bytes = Vec::new();
    file.take(READ_BACK).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Into the thread of the incident whose entry is the newest that the checkpoint covers.
async fn post(store: &Store, signed: &Signed, now: Time) -> Result<(), PublishError> {
    let Some(newest) = store.newest_of_an_incident(signed.checkpoint.size).await? else { return Ok(()) };
    let how = "paramedic ledger verify --checkpoint FILE, with this line in the file, tells whether anything was changed since";
    let text = format!("ledger checkpoint: {} ({how})", one_line(&signed.note));
    let notice = Notice::Message { severity: Severity::Info, text };
    Ok(store.tell(newest.incident, &[(Channel::Slack, notice)], now).await?)
}
