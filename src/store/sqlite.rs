//! A store in a file of its own: one server a file, one connection writes, others read. What was acknowledged is on the disk
//! (`synchronous=FULL`).

use super::{Result, StoreError, wal};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Connection as _};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

pub fn open_error(path: &Path, why: &std::io::Error) -> StoreError {
    StoreError::Open { path: path.display().to_string(), why: why.to_string() }
}

/// Takes the lock beside a file, for as long as the result lives; the operating system lets go of it when the process dies.
pub fn lock(path: &Path) -> Result<File> {
    let beside = path.with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(|e| open_error(&beside, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(open_error(&beside, &e)),
    }
}

/// A new store is its owner's alone: it holds transcripts and votes. What SQLite puts beside it has the same mode; an older one keeps its own.
pub fn create(path: &Path) -> Result<()> {
    match File::options().create_new(true).write(true).mode(0o600).open(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(open_error(path, &e)),
        _ => Ok(()),
    }
}

/// Refuses a write-ahead log of which SQLite would drop what was acknowledged.
pub fn check_log(path: &Path) -> Result<()> {
    let log = wal::beside(path);
    let Some(damage) = wal::damage(&log).map_err(|e| open_error(&log, &e))? else { return Ok(()) };
    let why = format!("{damage}: put a backup in its place, or move it away to go on without what it holds (docs/crash-safety.md)");
    Err(StoreError::Open { path: log.display().to_string(), why })
}

pub fn options(path: &Path, mode: &str) -> Result<AnyConnectOptions> {
    let url = format!("sqlite://{}?mode={mode}", path.display());
    AnyConnectOptions::from_str(&url).map_err(|e| StoreError::Open { path: path.display().to_string(), why: e.to_string() })
}

/// Reads once what every connection needs: a pool would try again and again, and say only that it timed out.
pub async fn probe(path: &Path) -> Result<()> {
    let why = |e: sqlx::Error| StoreError::Open { path: path.display().to_string(), why: e.to_string() };
    let mut connection = sqlx::AnyConnection::connect_with(&options(path, "rwc")?).await.map_err(why)?;
    sqlx::query("SELECT COUNT(*) FROM sqlite_master").execute(&mut connection).await.map_err(why)?;
    connection.close().await.map_err(why)
}

pub async fn pool(path: &Path, connections: u32, mode: &str) -> Result<AnyPool> {
    let options = options(path, mode)?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|connection, _| {
            Box::pin(async move {
                for pragma in ["PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA busy_timeout=5000", "PRAGMA foreign_keys=ON"] {
                    sqlx::query(pragma).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(|e| StoreError::Open { path: path.display().to_string(), why: e.to_string() })
}
