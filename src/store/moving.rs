//! Moves a whole store from a file into a database, or back: in one transaction of the target, so that what is there afterwards is
//! everything or nothing. Nobody else writes either of them meanwhile. The source is only read.

mod shape;
mod side;

use super::address::Address;
use super::{StoreError, log, shown};
use crate::ledger::{Audit, Checkpoint, Fault, Hash};
use futures::TryStreamExt as _;
use shape::{Cell, Digest, Table};
use side::Side;
use sqlx::{AssertSqlSafe, Row as _};

/// Rows of one INSERT, and bytes of them.
const ROWS: usize = 100;
const BYTES: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("expected one sqlite:// and one postgres:// URL, to move from one to the other; both are {0}")]
    SameKind(&'static str),
    #[error("store {path} is of {age} version of paramedic than this one: {advice}")]
    Version { path: String, age: &'static str, advice: &'static str },
    #[error("{0} is not a store of paramedic: it has no tables")]
    NoStore(String),
    #[error("store {path}: {why}")]
    Unfit { path: String, why: String },
    #[error("store {0}: another paramedic is connected to it: stop every server and command that uses it")]
    Connected(String),
    #[error("store {path} is not empty (table {table} has {rows} rows), and holds something else: expected an empty database")]
    NotEmpty { path: String, table: String, rows: i64 },
    #[error("the ledger in {path} is not what was logged: {fault}")]
    Ledger { path: String, fault: Fault },
    #[error("table {table} is not the same in {path} after it was copied; nothing was kept")]
    Differs { path: String, table: String },
    #[error("store {path}: row {row} of table {table} could not be copied; nothing was kept")]
    Row { path: String, table: String, row: u64, source: sqlx::Error },
    #[error("the end of the copy was sent to {path} and not answered: run the same command again, it says whether everything is there")]
    Unsure { path: String, source: sqlx::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("store {path}")]
    Sql { path: String, source: sqlx::Error },
}

type Result<T> = std::result::Result<T, MoveError>;

/// What is there now, the same on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Rows of each table.
    pub tables: Vec<(String, u64)>,
    pub entries: u64,
    pub root: Hash,
    /// Checkpoints in the store that the entries continue.
    pub checkpoints: usize,
    /// Nothing was copied: an earlier run had copied all of it.
    pub was_there: bool,
}

#[derive(Debug, PartialEq)]
struct Audited {
    entries: u64,
    root: Hash,
    checkpoints: usize,
}

/// Copies everything and compares it; the target is empty, or holds exactly this already.
pub async fn move_store(from: &str, to: &str) -> Result<Moved> {
    let (from, to) = (Address::parse(from)?, Address::parse(to)?);
    match (&from, &to) {
        (Address::Sqlite(_), Address::Sqlite(_)) => return Err(MoveError::SameKind("sqlite://")),
        (Address::Postgres(_), Address::Postgres(_)) => return Err(MoveError::SameKind("postgres://")),
        _ => {}
    }
    let mut source = Side::source(&from).await?;
    let ledger = audit(&mut source).await?;
    let mut target = Side::target(&to).await?;
    let tables = match from {
        Address::Sqlite(_) => source.tables().await?,
        Address::Postgres(_) => target.tables().await?,
    };
    let filled = filled(&mut target, &tables).await?;
    if filled.is_none() {
        copy_all(&mut source, &mut target, &tables).await?;
    }
    let rows = compare(&mut source, &mut target, &tables, filled.as_ref()).await?;
    if audit(&mut target).await? != ledger {
        return Err(MoveError::Differs { path: target.shown, table: "entries".into() });
    }
    if filled.is_none() {
        target.commit().await?;
    }
    let Audited { entries, root, checkpoints } = ledger;
    Ok(Moved { tables: rows, entries, root, checkpoints, was_there: filled.is_some() })
}

/// The first table with something in it that a new store does not have.
async fn filled(target: &mut Side, tables: &[Table]) -> Result<Option<(String, i64)>> {
    for table in tables {
        let unlike_new = match table.name.as_str() {
            "identity" => "name NOT IN ('instance', 'orders_logged')",
            "log_head" => "size <> 0",
            _ => "1 = 1",
        };
        let sql = format!("SELECT COUNT(*) AS n FROM {} WHERE {unlike_new}", table.name);
        let rows = target.number(&sql).await?;
        if rows > 0 {
            return Ok(Some((table.name.clone(), rows)));
        }
    }
    Ok(None)
}

async fn copy_all(source: &mut Side, target: &mut Side, tables: &[Table]) -> Result<()> {
    for table in tables {
        // What a new store begins with.
        target.run(&format!("DELETE FROM {}", table.name)).await?;
        copy(source, target, table).await?;
    }
    target.after_copy().await
}

async fn copy(source: &mut Side, target: &mut Side, table: &Table) -> Result<()> {
    let (path, select) = (source.shown.clone(), table.select(source.kind));
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut source.connection);
    let (mut waiting, mut bytes, mut done) = (Vec::new(), 0, 0);
    while let Some(row) = rows.try_next().await.map_err(|e| table.stopped(&path, done, e))? {
        let cells = table.cells(&row).map_err(|e| table.stopped(&path, done, e))?;
        bytes += cells.iter().map(Cell::size).sum::<usize>();
        waiting.push(cells);
        done += 1;
        if waiting.len() == ROWS || bytes >= BYTES {
            insert(target, table, &mut waiting, done).await?;
            bytes = 0;
        }
    }
    insert(target, table, &mut waiting, done).await
}

async fn insert(target: &mut Side, table: &Table, waiting: &mut Vec<Vec<Cell>>, done: u64) -> Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let sql = table.insert(waiting.len());
    let query = waiting
        .drain(..)
        .flatten()
        .zip(table.kinds().cycle())
        .fold(sqlx::query(AssertSqlSafe(sql)), |query, (cell, kind)| cell.bind(query, kind));
    let inserted = query.execute(&mut target.connection).await;
    inserted.map(|_| ()).map_err(|e| table.stopped(&target.shown, done, e))
}

/// The rows of each table, once both sides are the same to the byte.
async fn compare(source: &mut Side, target: &mut Side, tables: &[Table], filled: Option<&(String, i64)>) -> Result<Vec<(String, u64)>> {
    let mut rows = Vec::new();
    for table in tables {
        let (theirs, ours) = (digest(source, table).await?, digest(target, table).await?);
        if theirs != ours {
            let path = target.shown.clone();
            return Err(match filled {
                Some((table, rows)) => MoveError::NotEmpty { path, table: table.clone(), rows: *rows },
                None => MoveError::Differs { path, table: table.name.clone() },
            });
        }
        rows.push((table.name.clone(), ours.0));
    }
    Ok(rows)
}

/// How many rows, and one hash over all of them in the order of their keys.
async fn digest(side: &mut Side, table: &Table) -> Result<(u64, String)> {
    let (path, select) = (side.shown.clone(), table.select(side.kind));
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut side.connection);
    let mut digest = Digest::default();
    while let Some(row) = rows.try_next().await.map_err(|e| table.stopped(&path, digest.rows, e))? {
        digest.take(&table.cells(&row).map_err(|e| table.stopped(&path, digest.rows, e))?);
    }
    Ok(digest.finish())
}

/// Every entry is what was logged, none is missing, and every checkpoint that is kept agrees.
async fn audit(side: &mut Side) -> Result<Audited> {
    let path = side.shown.clone();
    let broken = |fault| MoveError::Ledger { path: path.clone(), fault };
    let failed = |source| MoveError::Sql { path: path.clone(), source };
    let kept = sqlx::query("SELECT size, root, note, anchored_at FROM log_checkpoints ORDER BY size");
    let kept = kept.fetch_all(&mut side.connection).await.map_err(failed)?;
    let known = kept.iter().map(|row| {
        let kept = log::kept(row)?;
        let from = format!("the checkpoint of {} in the store", kept.size);
        Ok((Checkpoint { origin: String::new(), size: kept.size, root: kept.root }, from))
    });
    let mut audit = Audit::against(known.collect::<super::Result<Vec<_>>>()?);
    let head = side.number("SELECT size FROM log_head").await?;
    let mut rows =
        sqlx::query("SELECT log_index, incident_id, seq, at, body, leaf FROM entries ORDER BY log_index").fetch(&mut side.connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let entry = log::logged(&row)?;
        if entry.leaf.is_none() {
            let why = "its entries have no place in the ledger's log yet: start and stop this version's server on it once".into();
            return Err(MoveError::Unfit { path: path.clone(), why });
        }
        audit.take(&entry.row(), &mut |_| {}).map_err(broken)?;
    }
    audit.pause().map_err(broken)?;
    let (head, checkpoints) = (u64::try_from(head).unwrap_or(u64::MAX), audit.checkpoints());
    let tree = audit.finish(Some(head)).map_err(broken)?;
    if tree.size() != head {
        let why = format!("its ledger has {} entries, and counts {head}", tree.size());
        return Err(MoveError::Unfit { path: path.clone(), why });
    }
    Ok(Audited { entries: head, root: tree.root(), checkpoints })
}

/// The one number that a query gives.
async fn number(connection: &mut sqlx::AnyConnection, sql: &str, path: &str) -> Result<i64> {
    let failed = |source| MoveError::Sql { path: path.to_owned(), source };
    let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

/// The URL without who logs in.
fn path_of(address: &Address) -> String {
    match address {
        Address::Sqlite(path) => path.display().to_string(),
        Address::Postgres(url) => shown(url),
    }
}
