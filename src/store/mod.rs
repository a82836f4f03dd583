//! Floor 3: what is remembered. The only place that names sqlx. SQL is a portable subset ($n, BIGINT milliseconds, JSON as
//! text) that SQLite and PostgreSQL understand alike; what differs is in `sqlite`, `postgres` and `transaction`. What was
//! acknowledged is on the disk.

mod address;
mod alerts;
mod approvals;
mod asking;
mod costs;
mod duties;
mod failpoint;
mod heartbeats;
mod inbox;
mod incidents;
mod judged;
mod ledger;
mod log;
mod moving;
mod nearby;
mod ordered;
mod orders;
mod outbox;
mod postgres;
mod projection;
mod redacted;
mod soundness;
mod sqlite;
mod sums;
mod transaction;
mod trust;
mod usage;
mod wal;

pub use address::{folder, is_shared, problem as url_problem, shown};
pub use alerts::{Assigned, Waiting};
pub use approvals::DecideError;
pub use asking::{Outage, Watched};
pub use costs::{Asking, CostRow, Question};
pub use duties::Duty;
pub use failpoint::{Freeze, FreezePoint, Point, pass};
pub use heartbeats::Heartbeat;
pub use inbox::{Inbox, InboxError, Unreadable};
pub use incidents::{Claim, Lane, Listed};
pub use ledger::{BudgetUse, Commit, Wake};
pub use log::{KeptCheckpoint, Logged};
pub use moving::{MoveError, Moved, move_store};
pub use orders::{Latest, OrderError};
pub use outbox::{Letter, NoticeRow};
pub use projection::urgency;
pub use soundness::Soundness;
pub use trust::{Marked, RELAPSE};

use crate::domain::Time;
use crate::redaction::Redactor;
use address::Address;
use rustix::rand::{GetRandomFlags, getrandom};
use sqlx::migrate::Migrator;
use sqlx::{AnyPool, Row};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("store url `{shown}`: {expected}")]
    Url { shown: String, expected: &'static str },
    #[error("store {path}: {why}")]
    Open { path: String, why: String },
    #[error("store {0} is used by another paramedic server: one server a SQLite file, and one a replica's folder")]
    InUse(PathBuf),
    #[error("bring the tables of store {path} up to date")]
    Migrate { path: String, source: sqlx::migrate::MigrateError },
    #[error("store: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("store: row {row} is not readable: {why}")]
    StrangeRow { row: String, why: String },
    #[error("the lease on {0} was lost: somebody else goes on with it")]
    Fenced(crate::domain::IncidentId),
    #[error("another replica took over the duty `{0}`")]
    OffDuty(String),
    #[error("used up meanwhile: {0}")]
    Spent(String),
    #[error("{thing} is being remediated by {holder}")]
    Busy { thing: String, holder: crate::domain::IncidentId },
    #[error(transparent)]
    Fold(#[from] crate::domain::FoldError),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// What it is kept in.
#[derive(Debug, Clone)]
enum Base {
    Sqlite,
    /// Shared by replicas, of which this server is one by this name.
    Postgres {
        replica: String,
    },
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    write: AnyPool,
    read: AnyPool,
    base: Base,
    roster: duties::Roster,
    instance: String,
    path: PathBuf,
    redactor: Redactor,
    freeze: Freeze,
    look: soundness::Look,
    /// Held while this process is the server; the operating system lets go of it when the process dies.
    _server: Option<Arc<File>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// For the server: takes a file for itself, and forgets leases of a server that died. `folder` is the server's own, which only a
    /// shared store needs; one server a folder.
    pub async fn serve(url: &str, folder: &Path, freeze: Freeze) -> Result<Self> {
        match Address::parse(url)? {
            Address::Sqlite(path) => Self::open_file(path, freeze).await,
            Address::Postgres(url) => Self::open_replica(&url, folder, freeze).await,
        }
    }

    /// As `serve`, for a file.
    pub async fn open_server(url: &str, freeze: Freeze) -> Result<Self> {
        Self::serve(url, &address::folder(url, None), freeze).await
    }

    async fn open_file(path: PathBuf, freeze: Freeze) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| sqlite::open_error(&path, &e))?;
        }
        let server = Some(Arc::new(sqlite::lock(&path)?));
        sqlite::check_log(&path)?;
        sqlite::create(&path)?;
        let unreadable = |e: StoreError| match e {
            StoreError::Sql(e) => StoreError::Open { path: path.display().to_string(), why: e.to_string() },
            other => other,
        };
        let store = Self::connect(path.clone(), freeze, server).await.map_err(unreadable)?;
        store.forget_all_leases().await.map_err(unreadable)?;
        store.log_the_unlogged().await.map_err(unreadable)?;
        store.log_the_orders_from_before().await.map_err(unreadable)?;
        Ok(store)
    }

    /// Only this replica's own leases are forgotten: the others are at work.
    async fn open_replica(url: &str, folder: &Path, freeze: Freeze) -> Result<Self> {
        let postgres::Replica { name, lock } = postgres::Replica::of(folder)?;
        let store = Self::connect_shared(url, folder, name.clone(), freeze, Some(Arc::new(lock))).await?;
        store.forget_leases(&name).await?;
        store.log_the_orders_from_before().await?;
        Ok(store)
    }

    /// For the command line beside a running server: a file must be there.
    pub async fn open_beside(url: &str) -> Result<Self> {
        match Address::parse(url)? {
            Address::Sqlite(path) if !path.is_file() => {
                let why = "there is no such file: has `paramedic serve` run with this store?".into();
                Err(StoreError::Open { path: path.display().to_string(), why })
            }
            Address::Sqlite(path) => Self::connect(path, Freeze::default(), None).await,
            // A command line is no replica: no duty and no lease is ever its own.
            Address::Postgres(url) => {
                Self::connect_shared(&url, &address::folder(&url, None), random_name()?, Freeze::default(), None).await
            }
        }
    }

    async fn connect(path: PathBuf, freeze: Freeze, server: Option<Arc<File>>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        sqlite::probe(&path).await?;
        let write = sqlite::pool(&path, 1, "rwc").await?;
        migrate(&SQLITE, &write, &path.display().to_string()).await?;
        let read = sqlite::pool(&path, 4, "rw").await?;
        Self::over((write, read), Base::Sqlite, path, freeze, server).await
    }

    async fn connect_shared(url: &str, folder: &Path, replica: String, freeze: Freeze, server: Option<Arc<File>>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        postgres::probe(url).await?;
        let write = postgres::pool(url, 2).await?;
        migrate(&POSTGRES, &write, &shown(url)).await?;
        let read = postgres::pool(url, 4).await?;
        Self::over((write, read), Base::Postgres { replica }, folder.join("replica"), freeze, server).await
    }

    async fn over((write, read): (AnyPool, AnyPool), base: Base, path: PathBuf, freeze: Freeze, server: Option<Arc<File>>) -> Result<Self> {
        let instance = instance(&write).await?;
        let (redactor, roster, look) = (Redactor::default(), duties::Roster::default(), soundness::Look::default());
        Ok(Self { write, read, base, roster, instance, path, redactor, freeze, look, _server: server })
    }

    /// A random name of this store, so that two stores' incidents differ at PagerDuty.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// May other servers write it too?
    pub fn is_shared(&self) -> bool {
        matches!(self.base, Base::Postgres { .. })
    }

    /// The file, or one of the server's own beside which the rest lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Can it be written? Moves the server's pulse by a millisecond and the next time back: SQLite writes nothing where nothing changes, and
    /// would be ready on a disk that is full.
    pub async fn ready(&self) -> Result<()> {
        let sql = "UPDATE pulse SET at = CASE at % 2 WHEN 0 THEN at + 1 ELSE at - 1 END WHERE id = 1";
        sqlx::query(sql).execute(&self.write).await?;
        Ok(())
    }

    pub async fn close(&self) {
        if let Err(e) = self.leave_duties().await {
            tracing::warn!(error = %e, "other replicas take over this one's duties when their time is up");
        }
        self.write.close().await;
        self.read.close().await;
    }
}

async fn migrate(migrations: &Migrator, write: &AnyPool, shown: &str) -> Result<()> {
    migrations.run(write).await.map_err(|source| StoreError::Migrate { path: shown.to_owned(), source })
}

async fn instance(write: &AnyPool) -> Result<String> {
    let fresh = sqlx::query("INSERT INTO identity (name, value) VALUES ('instance', $1) ON CONFLICT (name) DO NOTHING");
    fresh.bind(random_name()?).execute(write).await?;
    let row = sqlx::query("SELECT value FROM identity WHERE name = 'instance'").fetch_one(write).await?;
    Ok(row.try_get("value")?)
}

/// 12 hexadecimal digits.
fn random_name() -> Result<String> {
    let mut bytes = [0; 6];
    let failed = |why: String| StoreError::Open { path: "a random name".into(), why };
    let filled = getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|e| failed(e.to_string()))?;
    match filled == bytes.len() {
        true => Ok(hex::encode(bytes)),
        false => Err(failed(format!("expected {} random bytes, got {filled}", bytes.len()))),
    }
}

/// A text for a column of its own: PostgreSQL's texts hold no NUL.
fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
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
