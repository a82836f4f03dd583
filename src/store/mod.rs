//! Floor 3: what is remembered. The only place that names sqlx. SQL is a portable subset ($n, BIGINT milliseconds, JSON as
//! text); one connection writes, others read. What was acknowledged is on the disk (`synchronous=FULL`).

mod alerts;
mod approvals;
mod asking;
mod failpoint;
mod heartbeats;
mod inbox;
mod incidents;
mod judged;
mod ledger;
mod log;
mod orders;
mod outbox;
mod redacted;
mod transaction;
mod trust;
mod usage;

pub use alerts::{Assigned, Waiting};
pub use approvals::DecideError;
pub use asking::{Outage, Watched};
pub use failpoint::{Freeze, FreezePoint};
pub use heartbeats::Heartbeat;
pub use inbox::{Inbox, InboxError, Unreadable};
pub use incidents::{Claim, Lane, Listed};
pub use ledger::{BudgetUse, Commit, Wake};
pub use log::{KeptCheckpoint, Logged};
pub use orders::{Latest, OrderError};
pub use outbox::{Letter, NoticeRow};
pub use trust::{Marked, RELAPSE};

use crate::domain::Time;
use crate::redaction::Redactor;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyPool, Connection as _, Row};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("store url `{0}`: expected sqlite:///absolute/file.db or sqlite://relative/file.db")]
    Url(String),
    #[error("store {path}: {why}")]
    Open { path: PathBuf, why: String },
    #[error("store {0} is used by another paramedic server: one server a SQLite file")]
    InUse(PathBuf),
    #[error("bring the tables of store {path} up to date")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("store: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("store: row {row} is not readable: {why}")]
    StrangeRow { row: String, why: String },
    #[error("the lease on {0} was lost: somebody else goes on with it")]
    Fenced(crate::domain::IncidentId),
    #[error("used up meanwhile: {0}")]
    Spent(String),
    #[error("{thing} is being remediated by {holder}")]
    Busy { thing: String, holder: crate::domain::IncidentId },
    #[error(transparent)]
    Fold(#[from] crate::domain::FoldError),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    write: AnyPool,
    read: AnyPool,
    instance: String,
    path: PathBuf,
    redactor: Redactor,
    freeze: Freeze,
    /// Held while this process is the server; the operating system lets go of it when the process dies.
    _server: Option<Arc<File>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// For the server: takes the file for itself and forgets leases of a server that died.
    pub async fn open_server(url: &str, freeze: Freeze) -> Result<Self> {
        let path = sqlite_path(url)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| open_error(&path, &e))?;
        }
        let server = Some(Arc::new(lock(&path)?));
        let store = Self::connect(path, freeze, server).await?;
        sqlx::query("UPDATE incidents SET lease_until = NULL WHERE lease_until IS NOT NULL").execute(&store.write).await?;
        store.log_the_unlogged().await?;
        Ok(store)
    }

    /// For the command line beside a running server: the file must be there.
    pub async fn open_beside(url: &str) -> Result<Self> {
        let path = sqlite_path(url)?;
        if !path.is_file() {
            return Err(StoreError::Open { path, why: "there is no such file: has `paramedic serve` run with this store?".into() });
        }
        Self::connect(path, Freeze::default(), None).await
    }

    async fn connect(path: PathBuf, freeze: Freeze, server: Option<Arc<File>>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        probe(&path).await?;
        let write = pool(&path, 1, "rwc").await?;
        MIGRATIONS.run(&write).await.map_err(|source| StoreError::Migrate { path: path.clone(), source })?;
        let read = pool(&path, 4, "rw").await?;
        let instance = instance(&write).await?;
        Ok(Self { write, read, instance, path, redactor: Redactor::default(), freeze, _server: server })
    }

    /// A random name of this store, so that two stores' incidents differ at PagerDuty.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Can it be read and written? Writes nothing that stays.
    pub async fn ready(&self) -> Result<()> {
        sqlx::query("UPDATE identity SET value = value WHERE name = 'instance'").execute(&self.write).await?;
        Ok(())
    }

    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

fn sqlite_path(url: &str) -> Result<PathBuf> {
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && !path.contains('?') && !path.contains(":memory:") => Ok(PathBuf::from(path)),
        _ => Err(StoreError::Url(url.split('@').next_back().unwrap_or_default().chars().take(80).collect())),
    }
}

fn open_error(path: &Path, why: &std::io::Error) -> StoreError {
    StoreError::Open { path: path.to_owned(), why: why.to_string() }
}

fn lock(path: &Path) -> Result<File> {
    let beside = path.with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(|e| open_error(&beside, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(open_error(&beside, &e)),
    }
}

fn options(path: &Path, mode: &str) -> Result<AnyConnectOptions> {
    let url = format!("sqlite://{}?mode={mode}", path.display());
    AnyConnectOptions::from_str(&url).map_err(|_| StoreError::Url(url))
}

/// Reads once what every connection needs: a pool would try again and again, and say only that it timed out.
async fn probe(path: &Path) -> Result<()> {
    let why = |e: sqlx::Error| StoreError::Open { path: path.to_owned(), why: e.to_string() };
    let mut connection = sqlx::AnyConnection::connect_with(&options(path, "rwc")?).await.map_err(why)?;
    sqlx::query("SELECT COUNT(*) FROM sqlite_master").execute(&mut connection).await.map_err(why)?;
    connection.close().await.map_err(why)
}

async fn pool(path: &Path, connections: u32, mode: &str) -> Result<AnyPool> {
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
        .map_err(|e| StoreError::Open { path: path.to_owned(), why: e.to_string() })
}

async fn instance(write: &AnyPool) -> Result<String> {
    let fresh =
        sqlx::query("INSERT INTO identity (name, value) VALUES ('instance', lower(hex(randomblob(6)))) ON CONFLICT (name) DO NOTHING");
    fresh.execute(write).await?;
    let row = sqlx::query("SELECT value FROM identity WHERE name = 'instance'").fetch_one(write).await?;
    Ok(row.try_get("value")?)
}

fn millis(time: Time) -> i64 {
    time.timestamp_millis()
}

fn time(millis: i64, row: &str) -> Result<Time> {
    Time::from_timestamp_millis(millis).ok_or_else(|| strange(row, format!("{millis} is not a time in milliseconds")))
}

fn strange(row: impl Into<String>, why: impl ToString) -> StoreError {
    StoreError::StrangeRow { row: row.into(), why: why.to_string() }
}

fn json<T: serde::Serialize>(value: &T, row: &str) -> Result<String> {
    serde_json::to_string(value).map_err(|e| strange(row, e))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, row: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| strange(row, e))
}
