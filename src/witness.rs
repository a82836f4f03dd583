//! Floor 3: a witness of other people's logs. Remembers the newest checkpoint of each log that it watches, a file a log, and never
//! co-signs one that takes back what it has seen: what it signs is on the disk first. Sees no entries.

use crate::domain::Time;
use crate::ledger::{AddCheckpoint, Checkpoint, CosignerKey, NoteError, PublicLogKey, Refusal, Signed, judge};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("witness state {path}: {source}")]
    State { path: PathBuf, source: std::io::Error },
    #[error("witness state {path} is not readable: {source}. It says what was co-signed last, and is never started without")]
    Strange { path: PathBuf, source: NoteError },
    #[error("witness state {0} is used by another paramedic witness")]
    InUse(PathBuf),
    #[error("the log {0} is given twice: expected one key a log")]
    Twice(String),
    #[error("an earlier request failed in the middle: restart the witness")]
    Poisoned,
}

#[derive(Debug)]
struct Watched {
    key: PublicLogKey,
    path: PathBuf,
    latest: Option<Checkpoint>,
}

#[derive(Debug)]
pub struct Witness {
    key: CosignerKey,
    /// One request at a time: comparing and remembering is one step.
    logs: Mutex<BTreeMap<String, Watched>>,
    _alone: File,
}

impl Witness {
    /// Reads what was seen before. The folder is this witness's alone.
    pub fn open(folder: &Path, key: CosignerKey, logs: Vec<PublicLogKey>) -> Result<Self, WitnessError> {
        let failed = |path: &Path, source| WitnessError::State { path: path.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        let lock = folder.join("witness.lock");
        let alone = File::options().create(true).truncate(false).write(true).open(&lock).map_err(|e| failed(&lock, e))?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(WitnessError::InUse(folder.to_owned())),
            Err(std::fs::TryLockError::Error(e)) => return Err(failed(&lock, e)),
        }
        let mut watched = BTreeMap::new();
        for key in logs {
            let origin = key.name().to_owned();
            let path = folder.join(format!("{}.checkpoint", hex::encode(&Sha256::digest(&origin)[..8])));
            let latest = read(&path, &key)?;
            if watched.insert(origin.clone(), Watched { key, path, latest }).is_some() {
                return Err(WitnessError::Twice(origin));
            }
        }
        Ok(Self { key, logs: Mutex::new(watched), _alone: alone })
    }

    /// The answer to `add-checkpoint`: the cosignature's line.
    pub fn cosign(&self, body: &[u8], now: Time) -> Result<String, WitnessError> {
        let request = AddCheckpoint::parse(body).map_err(WitnessError::Refused)?;
        let mut logs = self.logs.lock().map_err(|_| WitnessError::Poisoned)?;
        let Some(watched) = logs.get_mut(request.origin()) else {
            let origin = request.origin().chars().take(200).collect();
            return Err(WitnessError::Refused(Refusal::UnknownLog(origin)));
        };
        let signed = judge(&request, &watched.key, watched.latest.as_ref()).map_err(|refusal| {
            if matches!(refusal, Refusal::Inconsistent | Refusal::Conflict(_)) {
                tracing::warn!(log = %watched.key.name(), old = request.old, "not co-signed: {refusal}; what was sent:\n{}", request.note);
            }
            WitnessError::Refused(refusal)
        })?;
        let known = watched.latest.as_ref() == Some(&signed.checkpoint);
        if !known {
            keep(&watched.path, &signed).map_err(|source| WitnessError::State { path: watched.path.clone(), source })?;
        }
        let (size, root) = (signed.checkpoint.size, signed.checkpoint.root);
        let time = u64::try_from(now.timestamp()).unwrap_or(0);
        let line = self.key.cosign(signed.text().as_bytes(), time);
        watched.latest = Some(signed.checkpoint);
        tracing::info!(log = %watched.key.name(), size, %root, "co-signed");
        Ok(line)
    }
}

fn read(path: &Path, key: &PublicLogKey) -> Result<Option<Checkpoint>, WitnessError> {
    let note = match std::fs::read(path) {
        Ok(note) => note,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(WitnessError::State { path: path.to_owned(), source }),
    };
    let signed = Signed::open(&note, key, &[]).map_err(|source| WitnessError::Strange { path: path.to_owned(), source })?;
    Ok(Some(signed.checkpoint))
}

/// Whole or not at all, and on the disk when this returns.
fn keep(path: &Path, signed: &Signed) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(signed.note.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
