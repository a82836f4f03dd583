//! One of the two stores of a move, with one connection in one transaction, which nobody else writes beside.

use super::shape::{Column, Holds, Table, unknown};
use super::{MoveError, Result, number, path_of};
use crate::store::address::Address;
use crate::store::{POSTGRES, SQLITE, StoreError, postgres, sqlite};
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub struct Side {
    pub kind: Kind,
    pub shown: String,
    pub connection: AnyConnection,
    /// Of a file: no server runs while it is held.
    _lock: Option<File>,
}

/// A copy of much takes its time; what was left open by a copy that died ends by itself.
const PATIENT: [&str; 2] = ["SET statement_timeout TO 0", "SET idle_in_transaction_session_timeout TO '10min'"];

impl Side {
    /// Read and never written. It must be whole, and of this version.
    pub async fn source(address: &Address) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let shown = path_of(address);
        let mut side = match address {
            Address::Sqlite(path) if !path.is_file() => {
                return Err(StoreError::Open { path: shown, why: "there is no such file".into() }.into());
            }
            Address::Sqlite(path) => Self::file(path, "rw").await?,
            Address::Postgres(url) => Self::database(url).await?,
        };
        side.is_of_this_version().await?;
        side.alone().await?;
        side.is_sound().await?;
        Ok(side)
    }

    /// Made or brought up to date first, as at a server's start.
    pub async fn target(address: &Address) -> Result<Self> {
        let mut side = match address {
            Address::Sqlite(path) => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(|e| sqlite::open_error(path, &e))?;
                }
                let mut side = Self::file(path, "rwc").await?;
                for pragma in ["PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"] {
                    side.run(pragma).await?;
                }
                side
            }
            Address::Postgres(url) => {
                postgres::probe(url).await?;
                Self::database(url).await?
            }
        };
        let path = side.shown.clone();
        let made = side.migrations().run(&mut side.connection).await;
        made.map_err(|source| StoreError::Migrate { path, source })?;
        side.alone().await?;
        Ok(side)
    }

    async fn file(path: &Path, mode: &str) -> Result<Self> {
        let lock = sqlite::lock(path)?;
        let shown = path.display().to_string();
        let why = |e: sqlx::Error| StoreError::Open { path: shown.clone(), why: e.to_string() };
        let connection = AnyConnection::connect_with(&sqlite::options(path, mode)?).await.map_err(why)?;
        let mut side = Self { kind: Kind::Sqlite, shown, connection, _lock: Some(lock) };
        side.run("PRAGMA busy_timeout=5000").await?;
        Ok(side)
    }

    async fn database(url: &str) -> Result<Self> {
        let shown = crate::store::shown(url);
        let why = |e: String| StoreError::Open { path: shown.clone(), why: e };
        let options: AnyConnectOptions = url.parse().map_err(|_| why("its URL cannot be read".into()))?;
        let connecting = tokio::time::timeout(postgres::PATIENCE, AnyConnection::connect_with(&options));
        let connected = connecting.await.map_err(|_| why("it did not answer in 10 seconds".into()))?;
        let connection = connected.map_err(|e| why(e.to_string()))?;
        let mut side = Self { kind: Kind::Postgres, shown, connection, _lock: None };
        for setting in postgres::SESSION.into_iter().chain(PATIENT) {
            side.run(setting).await?;
        }
        Ok(side)
    }

    fn migrations(&self) -> &'static Migrator {
        match self.kind {
            Kind::Sqlite => &SQLITE,
            Kind::Postgres => &POSTGRES,
        }
    }

    /// From here on nobody else writes; in PostgreSQL nobody else is there.
    async fn alone(&mut self) -> Result<()> {
        if self.kind == Kind::Sqlite {
            return self.run("BEGIN IMMEDIATE").await;
        }
        let begun = sqlx::raw_sql(postgres::BEGIN).execute(&mut self.connection).await;
        begun.map_err(|source| MoveError::Sql { path: self.shown.clone(), source })?;
        let names = self.names().await?;
        self.run(&format!("LOCK TABLE {} IN EXCLUSIVE MODE", names.join(", "))).await?;
        let others = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'paramedic' AND pid <> pg_backend_pid()";
        match self.number(others).await? {
            0 => Ok(()),
            _ => Err(MoveError::Connected(self.shown.clone())),
        }
    }

    pub async fn run(&mut self, sql: &str) -> Result<()> {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await;
        done.map(|_| ()).map_err(|source| MoveError::Sql { path: self.shown.clone(), source })
    }

    pub async fn number(&mut self, sql: &str) -> Result<i64> {
        number(&mut self.connection, sql, &self.shown).await
    }

    async fn texts(&mut self, sql: &str) -> Result<Vec<String>> {
        let failed = |source| MoveError::Sql { path: self.shown.clone(), source };
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.connection).await.map_err(failed)?;
        rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
    }

    /// Every table there is, but the migrations' own.
    async fn names(&mut self) -> Result<Vec<String>> {
        let sql = match self.kind {
            Kind::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> '_sqlx_migrations' ORDER BY name"
            }
            Kind::Postgres => {
                "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema() \
                 AND table_type = 'BASE TABLE' AND table_name <> '_sqlx_migrations' ORDER BY table_name"
            }
        };
        self.texts(sql).await
    }

    /// Of a file, whose schema both sides have.
    pub async fn tables(&mut self) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for name in self.names().await? {
            let failed = |source| MoveError::Sql { path: self.shown.clone(), source };
            let rows = sqlx::query("SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid").bind(name.clone());
            let rows = rows.fetch_all(&mut self.connection).await.map_err(failed)?;
            let mut columns = Vec::new();
            for row in &rows {
                let (column, holds): (String, String) = (row.try_get("name").map_err(failed)?, row.try_get("type").map_err(failed)?);
                let holds: Holds = unknown(&self.shown, &name, &column, &holds)?;
                columns.push(Column { name: column, holds, key: row.try_get("pk").map_err(failed)? });
            }
            tables.push(Table { name, columns });
        }
        Ok(tables)
    }

    async fn is_of_this_version(&mut self) -> Result<()> {
        let there = match self.kind {
            Kind::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
            Kind::Postgres => "SELECT CASE WHEN to_regclass('_sqlx_migrations') IS NULL THEN CAST(0 AS BIGINT) ELSE 1 END",
        };
        if self.number(there).await? == 0 {
            return Err(MoveError::NoStore(self.shown.clone()));
        }
        let sql = "SELECT CAST(version AS BIGINT) AS version, checksum FROM _sqlx_migrations WHERE success = TRUE";
        let failed = |source| MoveError::Sql { path: self.shown.clone(), source };
        let rows = sqlx::query(sql).fetch_all(&mut self.connection).await.map_err(failed)?;
        let found = rows.iter().map(|row| Ok((row.try_get("version")?, row.try_get("checksum")?)));
        let found: BTreeMap<i64, Vec<u8>> = found.collect::<std::result::Result<_, sqlx::Error>>().map_err(failed)?;
        let known: BTreeMap<i64, Vec<u8>> = self.migrations().iter().map(|each| (each.version, each.checksum.to_vec())).collect();
        let (age, advice) = match () {
            () if found == known => return Ok(()),
            () if found.keys().all(|version| known.contains_key(version)) && found.len() < known.len() => {
                ("an older", "start and stop this version's server on it once")
            }
            () if found.keys().any(|version| !known.contains_key(version)) => ("a newer", "move it with that version"),
            () => ("another", "move it with the version that made it"),
        };
        Err(MoveError::Version { path: self.shown.clone(), age, advice })
    }

    /// A file says whether it is whole; a database has its own ways.
    async fn is_sound(&mut self) -> Result<()> {
        if self.kind == Kind::Postgres {
            return Ok(());
        }
        match self.texts("PRAGMA integrity_check(3)").await?.as_slice() {
            [fine] if fine == "ok" => Ok(()),
            wrong => Err(MoveError::Unfit { path: self.shown.clone(), why: format!("the file is damaged: {}", wrong.join("; ")) }),
        }
    }

    /// PostgreSQL counts on from where the file ended, and knows how much there is.
    pub async fn after_copy(&mut self) -> Result<()> {
        if self.kind == Kind::Sqlite {
            return Ok(());
        }
        let counted = "SELECT CAST(table_name || ' ' || column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND is_identity = 'YES'";
        for counted in self.texts(counted).await? {
            let Some((table, column)) = counted.split_once(' ') else { continue };
            let last = format!("(SELECT MAX({column}) FROM {table})");
            let sql = format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), COALESCE({last}, 1), {last} IS NOT NULL)");
            self.number(&sql).await?;
        }
        self.run("ANALYZE").await
    }

    pub async fn commit(mut self) -> Result<()> {
        let done = sqlx::query("COMMIT").execute(&mut self.connection).await;
        done.map_err(|source| MoveError::Unsure { path: self.shown, source })?;
        // What is left of a good-bye is no failure of the copy.
        let _ = self.connection.close().await;
        Ok(())
    }
}
