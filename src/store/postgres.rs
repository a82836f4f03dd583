//! A store that several replicas share. What SQLite gives by having one writer, PostgreSQL gives here by one lock: every transaction that
//! writes waits for it first and sees all that was committed before it (READ COMMITTED takes a fresh look with each statement).
//! Statements that write without it change one row each, under a condition on that row.

use super::sqlite::{lock, open_error};
use super::{Result, StoreError, random_name};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _, Row as _};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// Writers wait for each other by this number, which advisory locks of PostgreSQL have as names: `paramedi` in ASCII.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SELECT CAST(pg_advisory_xact_lock(8097879367761618025) AS TEXT) AS taken";

/// A database that has not answered by then is not there.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// For each connection. A replica that stands still in the middle of a transaction holds the others up for so long and no longer; what was
/// acknowledged is on the disk, whatever the server's default is.
pub const SESSION: [&str; 6] = [
    "SET default_transaction_isolation TO 'read committed'",
    "SET idle_in_transaction_session_timeout TO '5s'",
    "SET lock_timeout TO '20s'",
    "SET statement_timeout TO '30s'",
    "SET application_name TO 'paramedic'",
    "SELECT set_config('synchronous_commit', 'on', false) FROM pg_settings WHERE name = 'synchronous_commit' AND setting IN ('off', 'local')",
];

/// This server among those that share the store: the name that stands in its leases, and the lock that keeps the name its own.
pub struct Replica {
    pub name: String,
    pub lock: File,
}

impl Replica {
    /// Kept in a file of the replica's own folder, so that a server that starts again there knows what its predecessor held.
    pub fn of(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| open_error(folder, &e))?;
        let path = folder.join("replica");
        let lock = lock(&path)?;
        let name = match std::fs::read_to_string(&path) {
            Ok(name) => name.trim().to_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => fresh(&path)?,
            Err(e) => return Err(open_error(&path, &e)),
        };
        let usual = name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        match usual {
            true => Ok(Self { name, lock }),
            false => Err(StoreError::Open {
                path: path.display().to_string(),
                why: "expected this replica's name, 12 hexadecimal digits: remove the file, and another name is made".into(),
            }),
        }
    }
}

fn fresh(path: &Path) -> Result<String> {
    let name = random_name()?;
    let new = path.with_extension("new");
    std::fs::write(&new, &name).and_then(|()| std::fs::rename(&new, path)).map_err(|e| open_error(path, &e))?;
    Ok(name)
}

/// Looks once at what is needed: a pool would try again and again, and say only that it timed out.
pub async fn probe(url: &str) -> Result<()> {
    let why = |why: String| StoreError::Open { path: super::shown(url), why };
    let options = options(url)?;
    let connecting = tokio::time::timeout(PATIENCE, AnyConnection::connect_with(&options));
    let connected = connecting.await.map_err(|_| why("it did not answer in 10 seconds".into()))?;
    let mut connection = connected.map_err(|e| why(e.to_string()))?;
    let sql = "SELECT current_setting('server_encoding') AS encoding, current_setting('server_version_num') AS version";
    let row = sqlx::query(sql).fetch_one(&mut connection).await.map_err(|e| why(e.to_string()))?;
    let (encoding, version): (String, String) = (row.try_get("encoding")?, row.try_get("version")?);
    if encoding != "UTF8" {
        return Err(why(format!("expected a database in UTF8, it is in {encoding}")));
    }
    if version.parse::<u32>().is_ok_and(|version| version < 130_000) {
        return Err(why(format!("expected PostgreSQL 13 or newer, it is {version}")));
    }
    connection.close().await.map_err(|e| why(e.to_string()))
}

fn options(url: &str) -> Result<AnyConnectOptions> {
    url.parse().map_err(|_| StoreError::Open { path: super::shown(url), why: "its URL cannot be read".into() })
}

pub async fn pool(url: &str, connections: u32) -> Result<AnyPool> {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|connection, _| {
            Box::pin(async move {
                for setting in SESSION {
                    sqlx::query(setting).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options(url)?)
        .await
        .map_err(|e| StoreError::Open { path: super::shown(url), why: e.to_string() })
}
