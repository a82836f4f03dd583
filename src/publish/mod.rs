//! Floor 4: signs the ledger's log and hands it out. Goes through every entry once before it signs anything, then follows the head:
//! checkpoint, tiles, cosignatures, anchors. Never signs what does not continue what was signed before, and changes no entry.

mod anchor;
mod cosign;
mod folder;
mod keyfile;
mod settings;

pub use anchor::Target;
pub use cosign::prove;
pub use keyfile::{KeyFileError, create as create_key, read as read_key};
pub use settings::{AnchorKeys, LedgerKeys, WitnessKeys, targets};

use crate::domain::{Clock, Time};
use crate::ledger::{
    Audit, Checkpoint, Fault, FullTile, HASH, KeyError, LogKey, NoteError, ProofError, PublicLogKey, Signed, TileId, find, write_bundle,
};
use crate::store::{Duty, KeptCheckpoint, Store, StoreError};
use cosign::{Asked, Watcher};
use folder::{FolderError, Piece};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at the head: a checkpoint is at most about this old.
const TICK: Duration = Duration::from_secs(1);
/// Entries read at once.
const AT_ONCE: u64 = 1_000;
/// Tiles written at once.
const TILES_AT_ONCE: usize = 32;
/// An anchor that failed is tried again after this many seconds, or earlier where that is usual.
const AGAIN: i64 = 60;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error("key file {path}: {source}")]
    Key { path: PathBuf, source: KeyError },
    #[error("key file {path} is the key of the log {found}; this log is {expected} (ledger.origin)")]
    OtherLog { path: PathBuf, found: String, expected: String },
    #[error(
        "key file {0} is not there, and this ledger was signed before: put the key back, or make a new one with `paramedic ledger keygen`"
    )]
    KeyGone(PathBuf),
    #[error("key file {0} is not the key that another replica signs this ledger with: give every replica the same file")]
    OtherKey(PathBuf),
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("anchor the checkpoint in {target}: {source}")]
    Anchor { target: String, source: std::io::Error },
    /// Not a failure of this moment: the ledger is not what it was.
    #[error("{0}")]
    Broken(Fault),
    #[error("a panic: {0}")]
    Panicked(String),
}

/// An anchor's target and when it is next.
struct Due {
    target: Target,
    at: Time,
    size: u64,
}

pub struct Publisher {
    store: Store,
    clock: Arc<dyn Clock>,
    key: LogKey,
    public: PublicLogKey,
    keys: LedgerKeys,
    audit: Audit,
    /// Full tiles that the store does not keep yet.
    fresh: Vec<FullTile>,
    signed: Option<Signed>,
    /// The size whose tiles and checkpoint lie in the folder.
    written: u64,
    watchers: Vec<Watcher>,
    anchors: Vec<Due>,
}

impl Publisher {
    /// Reads or makes the key, and everything that was ever signed and can be found.
    pub async fn open(store: Store, clock: Arc<dyn Clock>, keys: LedgerKeys) -> Result<Self, PublishError> {
        let kept = store.checkpoints().await?;
        let key = log_key(&keys, &store, !kept.is_empty())?;
        let public = PublicLogKey::parse(key.public()).map_err(|source| PublishError::Key { path: keys.key_file(store.path()), source })?;
        let newest = kept.last().and_then(|kept| Signed::open(kept.note.as_bytes(), &public, &[]).ok());
        let now = clock.now();
        let anchored = kept.iter().filter_map(|kept| Some((kept.anchored_at?, kept.size))).next_back();
        let every = chrono::Duration::seconds(keys.anchor_every_seconds);
        let at = anchored.and_then(|(at, _)| Time::from_timestamp_millis(at)).map_or(now, |at| at + every);
        let size = anchored.map_or(0, |(_, size)| size);
        let known = known(kept, &keys, &public)?;
        Ok(Self {
            audit: Audit::against(known),
            fresh: Vec::new(),
            signed: newest,
            written: 0,
            watchers: settings::watchers(&keys),
            anchors: targets(&keys).into_iter().map(|target| Due { target, at, size }).collect(),
            store,
            clock,
            key,
            public,
            keys,
        })
    }

    /// What others verify the log with.
    pub fn public_key(&self) -> &str {
        self.key.public()
    }

    /// Publishes until it is told to stop, and once more then. Ends earlier only if the ledger is not what it was.
    pub async fn run(mut self, stop: CancellationToken) {
        metrics::gauge!("paramedic_ledger_broken").set(0.0);
        let mut signing = false;
        loop {
            let last = stop.is_cancelled();
            match self.turn(&mut signing).await {
                Ok(()) => {}
                Err(PublishError::Broken(fault)) => {
                    self.store.is_damaged(fault.to_string());
                    return broken(&fault);
                }
                Err(e) => tracing::error!(error = %e, "the ledger's checkpoint could not be published; it is tried again"),
            }
            if last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// One replica signs; the others wait for its place. Whoever comes into it goes by what was signed until then, and by every entry.
    async fn turn(&mut self, signing: &mut bool) -> Result<(), PublishError> {
        let before = std::mem::replace(signing, false);
        if !self.store.on_duty(Duty::Publish).await? {
            return Ok(());
        }
        if !before && self.store.is_shared() {
            self.take_over().await?;
        }
        *signing = true;
        self.round().await
    }

    async fn take_over(&mut self) -> Result<(), PublishError> {
        let fresh = Self::open(self.store.clone(), self.clock.clone(), self.keys.clone()).await?;
        let newest = self.store.newest_checkpoint().await?;
        if let Some(kept) = newest
            && Signed::open(kept.note.as_bytes(), &fresh.public, &[]).is_err()
        {
            return Err(PublishError::OtherKey(self.keys.key_file(self.store.path())));
        }
        *self = fresh;
        Ok(())
    }

    async fn round(&mut self) -> Result<(), PublishError> {
        self.catch_up().await?;
        self.store.log_is_sound();
        self.sign().await?;
        self.write().await?;
        self.cosign().await?;
        self.anchor().await
    }

    /// Takes every entry up to the head into the tree; each must be what it was when it was committed.
    async fn catch_up(&mut self) -> Result<(), PublishError> {
        let head = self.store.log_size().await?;
        while self.audit.tree().size() < head {
            let from = self.audit.tree().size();
            let rows = self.store.audited(from, AT_ONCE.min(head - from)).await?;
            if rows.is_empty() {
                return Err(PublishError::Broken(self.gap(head).await?));
            }
            let fresh = &mut self.fresh;
            for row in rows {
                self.audit.take(&row, &mut |tile| fresh.push(tile)).map_err(PublishError::Broken)?;
            }
        }
        self.audit.pause().map_err(PublishError::Broken)?;
        metrics::gauge!("paramedic_ledger_entries").set(head as f64);
        match self.audit.cut_off() {
            Some(fault) => Err(PublishError::Broken(fault)),
            None => Ok(()),
        }
    }

    async fn gap(&self, head: u64) -> Result<Fault, PublishError> {
        let size = self.audit.tree().size();
        let next = self.store.next_logged(size).await?;
        Ok(match next {
            Some(next) => Fault::Missing { index: size, last: None, found: crate::ledger::Name(next.incident, next.seq) },
            None => Fault::CutOff { size, expected: head, last: None, checkpoint: "the store's own count".into() },
        })
    }

    /// Signs the tree as it stands, and keeps that before anybody sees it.
    async fn sign(&mut self) -> Result<(), PublishError> {
        let tree = self.audit.tree();
        if tree.size() == 0 || self.signed.as_ref().is_some_and(|signed| signed.checkpoint.size == tree.size()) {
            return Ok(());
        }
        let checkpoint = Checkpoint { origin: self.key.name().to_owned(), size: tree.size(), root: tree.root() };
        let signed = checkpoint.sign(&self.key)?;
        let mut tiles = self.fresh.clone();
        tiles.extend(tree.partial());
        self.store.keep_checkpoint(&signed.checkpoint, &signed.note, &tiles, self.clock.now()).await?;
        self.fresh.clear();
        metrics::gauge!("paramedic_ledger_signed_entries").set(signed.checkpoint.size as f64);
        tracing::debug!(size = signed.checkpoint.size, root = %signed.checkpoint.root, "checkpoint of the ledger");
        self.signed = Some(signed);
        Ok(())
    }

    /// Brings the folder up to the checkpoint.
    async fn write(&mut self) -> Result<(), PublishError> {
        let (Some(folder), Some(signed)) = (self.keys.dir.clone(), &self.signed) else { return Ok(()) };
        if self.written == signed.checkpoint.size {
            return Ok(());
        }
        let before = if self.written == 0 { lying(&folder, &self.public)? } else { self.written };
        let (size, note) = (signed.checkpoint.size, signed.note.clone());
        for tiles in folder::tiles_between(before, size).chunks(TILES_AT_ONCE) {
            let pieces = pieces(&self.store, tiles).await?;
            put(folder.clone(), move |folder| folder::write(folder, &pieces)).await?;
        }
        put(folder, move |folder| folder::publish(folder, &note)).await?;
        self.written = size;
        Ok(())
    }

    /// Asks the witnesses that have not co-signed this checkpoint yet.
    async fn cosign(&mut self) -> Result<(), PublishError> {
        let (Some(mut signed), now) = (self.signed.clone(), self.clock.now()) else { return Ok(()) };
        let size = signed.checkpoint.size;
        let mut came = false;
        for watcher in self.watchers.iter_mut().filter(|watcher| watcher.is_due(size, now)) {
            match watcher.ask(&self.store, &signed, &self.public, now).await? {
                Asked::Cosigned(with) => (signed, came) = (*with, true),
                Asked::Forked(why) => {
                    metrics::counter!("paramedic_ledger_witness_refusals_total").increment(1);
                    tracing::error!(witness = %watcher.url, "a witness refuses this ledger: {why}");
                }
                Asked::Failed(why) => tracing::warn!(witness = %watcher.url, "a witness did not co-sign; it is asked again: {why}"),
            }
        }
        if came {
            self.store.cosigned(size, &signed.note).await?;
            if let Some(folder) = self.keys.dir.clone() {
                let note = signed.note.clone();
                put(folder, move |folder| folder::publish(folder, &note)).await?;
            }
            self.signed = Some(signed);
        }
        Ok(())
    }

    async fn anchor(&mut self) -> Result<(), PublishError> {
        let (Some(signed), now) = (&self.signed, self.clock.now()) else { return Ok(()) };
        let (size, every) = (signed.checkpoint.size, self.keys.anchor_every_seconds);
        for due in self.anchors.iter_mut().filter(|due| due.at <= now && due.size < size) {
            match due.target.anchor(&self.store, signed, now).await {
                Ok(()) => {
                    self.store.anchored(size, now).await?;
                    (due.size, due.at) = (size, now + chrono::Duration::seconds(every));
                }
                Err(e) => {
                    tracing::error!(error = %e, "a checkpoint of the ledger is not anchored; it is tried again");
                    due.at = now + chrono::Duration::seconds(AGAIN.min(every));
                }
            }
        }
        Ok(())
    }
}

/// Loud, and final until somebody has looked and started the server again. Alerts are still taken and humans still told.
fn broken(fault: &Fault) {
    metrics::gauge!("paramedic_ledger_broken").set(1.0);
    tracing::error!(
        "THE LEDGER IS NOT WHAT IT WAS: {fault}. Nothing more is signed; `paramedic ledger verify` says it again, docs/ledger.md what to do"
    );
}

fn log_key(keys: &LedgerKeys, store: &Store, signed_before: bool) -> Result<LogKey, PublishError> {
    let (path, origin) = (keys.key_file(store.path()), keys.origin(store.instance()));
    let line = match read_key(&path)? {
        Some(line) => line,
        None if signed_before => return Err(PublishError::KeyGone(path)),
        None => {
            tracing::info!(path = %path.display(), %origin, "a key for the ledger was made; keep a copy of it");
            create_key(&path, &origin)?
        }
    };
    let key = LogKey::parse(&line).map_err(|source| PublishError::Key { path: path.clone(), source })?;
    if key.name() != origin {
        return Err(PublishError::OtherLog { path, found: key.name().to_owned(), expected: origin });
    }
    Ok(key)
}

/// What this log is known to have signed: kept in the store, published in the folder, appended to the file of anchors.
fn known(kept: Vec<KeptCheckpoint>, keys: &LedgerKeys, public: &PublicLogKey) -> Result<Vec<(Checkpoint, String)>, PublishError> {
    let origin = public.name().to_owned();
    let of_store = |kept: KeptCheckpoint| Checkpoint { origin: origin.clone(), size: kept.size, root: kept.root };
    let mut known: Vec<_> = kept.into_iter().map(|kept| (of_store(kept), "the checkpoint in the store".to_owned())).collect();
    if let Some(note) = keys.dir.as_ref().map(|dir| folder::checkpoint(dir)).transpose()?.flatten()
        && let Ok(signed) = Signed::open(&note, public, &[])
    {
        known.push((signed.checkpoint, "the published checkpoint".to_owned()));
    }
    if let Some(path) = &keys.anchors.file {
        let failed = |source| PublishError::Anchor { target: path.display().to_string(), source };
        let text = anchor::read_back(path).map_err(failed)?.unwrap_or_else(String::new);
        let opened = find(&text, public.name()).into_iter().filter_map(|note| Signed::open(note.as_bytes(), public, &[]).ok());
        known.extend(opened.map(|signed| (signed.checkpoint, format!("a checkpoint in {}", path.display()))));
    }
    Ok(known)
}

/// The size of the log whose tiles lie in the folder already; nothing if they are another log's.
fn lying(folder: &Path, public: &PublicLogKey) -> Result<u64, PublishError> {
    let note = folder::checkpoint(folder)?;
    let signed = note.and_then(|note| Signed::open(&note, public, &[]).ok());
    Ok(signed.map_or(0, |signed| signed.checkpoint.size))
}

async fn put(folder: PathBuf, work: impl FnOnce(&Path) -> Result<(), FolderError> + Send + 'static) -> Result<(), PublishError> {
    let done = tokio::task::spawn_blocking(move || work(&folder)).await;
    Ok(done.map_err(|e| PublishError::Panicked(e.to_string()))??)
}

/// The files behind these tiles.
async fn pieces(store: &Store, tiles: &[TileId]) -> Result<Vec<Piece>, PublishError> {
    let mut pieces = Vec::new();
    for tile in tiles {
        pieces.push((tile.to_string(), tile_bytes(store, *tile).await?));
        if tile.level == 0 {
            pieces.push((tile.entries_path(), bundle_bytes(store, *tile).await?));
        }
    }
    Ok(pieces)
}

/// A tile of the store, as wide as it is asked for.
pub async fn tile_bytes(store: &Store, tile: TileId) -> Result<Vec<u8>, PublishError> {
    let mut bytes = store.tile(tile.level, tile.index).await?;
    let wanted = usize::from(tile.width) * HASH;
    if bytes.len() < wanted {
        return Err(ProofError::Tile(tile.to_string()).into());
    }
    bytes.truncate(wanted);
    Ok(bytes)
}

/// The leaves' own bytes behind a tile of level 0.
pub async fn bundle_bytes(store: &Store, tile: TileId) -> Result<Vec<u8>, PublishError> {
    let missing = || PublishError::Proof(ProofError::Tile(tile.entries_path()));
    let from = tile.index.checked_mul(u64::from(crate::ledger::FULL)).ok_or_else(missing)?;
    let entries = store.logged(from, u64::from(tile.width)).await?;
    if entries.len() != usize::from(tile.width) {
        return Err(missing());
    }
    let leaves: Vec<Vec<u8>> = entries.iter().map(|entry| entry.leaf().bytes()).collect();
    write_bundle(leaves.iter().map(Vec::as_slice)).ok_or_else(missing)
}
