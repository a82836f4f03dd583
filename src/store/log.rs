//! The ledger's entries as one log: each has its place and its leaf from the commit that wrote it. Tiles and signed checkpoints are
//! kept beside; what signs and publishes them is elsewhere.

mod rows;

use super::transaction::Transaction;
use super::{Duty, Point, Result, Store, json, millis, pass, strange};
use crate::domain::{IncidentId, ORDERS, Recorded, Seq, Time};
use crate::ledger::{Checkpoint, FULL, FullTile, HASH, Hash, Leaf, Row, hash_of};
use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _};
use std::fmt::Write as _;

/// Rows of one INSERT.
const AT_ONCE: usize = 50;

/// An entry as it lies in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    pub index: u64,
    pub incident: IncidentId,
    pub seq: Seq,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The entry's text, as it was written.
    pub body: String,
    /// Its leaf's hash from the commit that wrote it.
    pub leaf: Option<Hash>,
}

impl Logged {
    pub fn leaf(&self) -> Leaf<'_> {
        Leaf { index: self.index, incident: self.incident, seq: self.seq, at: self.at, entry: &self.body }
    }

    /// What it hashes to today, beside what it hashed to then.
    pub fn row(&self) -> Row {
        Row { index: self.index, incident: self.incident, seq: self.seq, hash: self.leaf().hash(), logged: self.leaf }
    }
}

/// A signed checkpoint as it is kept. Its note is what counts; the columns beside it are an index.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptCheckpoint {
    pub size: u64,
    pub root: Hash,
    pub note: String,
    pub anchored_at: Option<i64>,
}

impl Store {
    /// Entries that have their place in the log.
    pub async fn log_size(&self) -> Result<u64> {
        let row = sqlx::query("SELECT size FROM log_head WHERE id = 1").fetch_one(&self.read).await?;
        unsigned(row.try_get("size")?, "log_head")
    }

    /// Entries from this place on, at most so many, in order.
    pub async fn logged(&self, from: u64, limit: u64) -> Result<Vec<Logged>> {
        let sql = "SELECT log_index, incident_id, seq, at, body, leaf FROM entries \
             WHERE log_index >= $1 AND log_index < $2 ORDER BY log_index";
        let (from, end) = (signed(from)?, signed(from.saturating_add(limit))?);
        sqlx::query(sql).bind(from).bind(end).fetch_all(&self.read).await?.iter().map(logged).collect()
    }

    /// The first entry at this place or behind it: what stands there when something is missing.
    pub async fn next_logged(&self, from: u64) -> Result<Option<Logged>> {
        let sql = "SELECT log_index, incident_id, seq, at, body, leaf FROM entries WHERE log_index >= $1 ORDER BY log_index LIMIT 1";
        sqlx::query(sql).bind(signed(from)?).fetch_optional(&self.read).await?.as_ref().map(logged).transpose()
    }

    /// The newest entry of an incident among the first so many.
    pub async fn newest_of_an_incident(&self, size: u64) -> Result<Option<Logged>> {
        let sql = "SELECT log_index, incident_id, seq, at, body, leaf FROM entries \
             WHERE log_index < $1 AND incident_id <> $2 ORDER BY log_index DESC LIMIT 1";
        sqlx::query(sql).bind(signed(size)?).bind(ORDERS.0).fetch_optional(&self.read).await?.as_ref().map(logged).transpose()
    }

    pub async fn entry_named(&self, incident: IncidentId, seq: Seq) -> Result<Option<Logged>> {
        let sql = "SELECT log_index, incident_id, seq, at, body, leaf FROM entries WHERE incident_id = $1 AND seq = $2";
        sqlx::query(sql).bind(incident.0).bind(seq).fetch_optional(&self.read).await?.as_ref().map(logged).transpose()
    }

    /// Numbers that an incident's entries skip, a few of them: which entries were taken away.
    pub async fn skipped(&self) -> Result<Vec<(IncidentId, Seq)>> {
        let sql = "SELECT id, MIN(seq) AS seq FROM (\
             SELECT i.id, e.seq + 1 AS seq FROM incidents i JOIN entries e ON e.incident_id = i.id AND e.seq < i.seq \
             WHERE NOT EXISTS (SELECT 1 FROM entries n WHERE n.incident_id = i.id AND n.seq = e.seq + 1) \
             UNION ALL SELECT i.id, 1 AS seq FROM incidents i \
             WHERE NOT EXISTS (SELECT 1 FROM entries n WHERE n.incident_id = i.id AND n.seq = 1)) AS gaps \
             GROUP BY id ORDER BY id LIMIT 5";
        let rows = sqlx::query(sql).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((IncidentId(row.try_get("id")?), row.try_get("seq")?))).collect()
    }

    /// A tile's hashes, as many as there are; level 0 from the leaves.
    pub async fn tile(&self, level: u8, n: u64) -> Result<Vec<u8>> {
        if level > 0 {
            let sql = "SELECT hashes FROM log_tiles WHERE level = $1 AND n = $2";
            let row = sqlx::query(sql).bind(i64::from(level)).bind(signed(n)?).fetch_optional(&self.read).await?;
            return row.map_or(Ok(Vec::new()), |row| Ok(row.try_get("hashes")?));
        }
        let from = n.saturating_mul(u64::from(FULL));
        let sql = "SELECT leaf FROM entries WHERE log_index >= $1 AND log_index < $2 AND leaf IS NOT NULL ORDER BY log_index";
        let query = sqlx::query(sql).bind(signed(from)?).bind(signed(from.saturating_add(u64::from(FULL)))?);
        let mut hashes = Vec::with_capacity(usize::from(FULL) * HASH);
        for row in query.fetch_all(&self.read).await? {
            hashes.extend_from_slice(row.try_get("leaf")?);
        }
        Ok(hashes)
    }

    /// Every checkpoint that is kept, smallest first.
    pub async fn checkpoints(&self) -> Result<Vec<KeptCheckpoint>> {
        let rows = sqlx::query("SELECT size, root, note, anchored_at FROM log_checkpoints ORDER BY size").fetch_all(&self.read).await?;
        rows.iter().map(kept).collect()
    }

    pub async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>> {
        let sql = "SELECT size, root, note, anchored_at FROM log_checkpoints ORDER BY size DESC LIMIT 1";
        sqlx::query(sql).fetch_optional(&self.read).await?.as_ref().map(kept).transpose()
    }

    /// Keeps a checkpoint with the tiles that it needs, before anybody sees it. Older ones that nobody took outside go.
    pub async fn keep_checkpoint(&self, checkpoint: &Checkpoint, note: &str, tiles: &[FullTile], now: Time) -> Result<()> {
        pass(Point::BeforeSign, String::new);
        let mut transaction = self.begin().await?;
        self.still_on_duty(&mut transaction, Duty::Publish).await?;
        for tile in tiles.iter().filter(|tile| tile.id.level > 0) {
            let sql = "INSERT INTO log_tiles (level, n, hashes) VALUES ($1, $2, $3) \
                 ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes";
            let query = sqlx::query(sql).bind(i64::from(tile.id.level)).bind(signed(tile.id.index)?);
            query.bind(tile.bytes.clone()).execute(&mut *transaction).await?;
        }
        let size = signed(checkpoint.size)?;
        let sql = "INSERT INTO log_checkpoints (size, root, note, signed_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (size) DO UPDATE SET note = excluded.note";
        let query = sqlx::query(sql).bind(size).bind(checkpoint.root.0.to_vec()).bind(note.to_owned()).bind(millis(now));
        query.execute(&mut *transaction).await?;
        let sql = "DELETE FROM log_checkpoints WHERE size < $1 AND anchored_at IS NULL";
        sqlx::query(sql).bind(size).execute(&mut *transaction).await?;
        transaction.commit().await?;
        pass(Point::AfterSign, String::new);
        Ok(())
    }

    /// The same checkpoint with cosignatures below it.
    pub async fn cosigned(&self, size: u64, note: &str) -> Result<()> {
        let sql = "UPDATE log_checkpoints SET note = $1 WHERE size = $2";
        sqlx::query(sql).bind(note.to_owned()).bind(signed(size)?).execute(&self.write).await?;
        Ok(())
    }

    /// It was taken outside, and is kept for good.
    pub async fn anchored(&self, size: u64, now: Time) -> Result<()> {
        let sql = "UPDATE log_checkpoints SET anchored_at = $1 WHERE size = $2";
        sqlx::query(sql).bind(millis(now)).bind(signed(size)?).execute(&self.write).await?;
        Ok(())
    }

    /// Gives entries from before there was a log their leaves, in the order of their commits.
    pub(super) async fn log_the_unlogged(&self) -> Result<()> {
        let before = self.log_size().await?;
        let last = sqlx::query("SELECT MAX(log_index) AS last FROM entries").fetch_one(&self.write).await?;
        let last: Option<i64> = last.try_get("last")?;
        // A log that has begun grows by commits alone: what stands behind its head was put there by somebody else.
        let Some(last) = last.filter(|_| before == 0) else { return Ok(()) };
        let end = unsigned(last, "entries")? + 1;
        let mut transaction = self.begin().await?;
        for from in (0..end).step_by(1_000) {
            self.leaves_for(&mut transaction, from).await?;
        }
        sqlx::query("UPDATE log_head SET size = $1 WHERE id = 1").bind(signed(end)?).execute(&mut *transaction).await?;
        transaction.commit().await?;
        tracing::info!(entries = end, "entries from before have their place in the ledger's log");
        Ok(())
    }

    async fn leaves_for(&self, transaction: &mut Transaction, from: u64) -> Result<()> {
        for entry in self.logged(from, 1_000).await? {
            let query = sqlx::query("UPDATE entries SET leaf = $1 WHERE log_index = $2").bind(entry.leaf().hash().0.to_vec());
            query.bind(signed(entry.index)?).execute(&mut **transaction).await?;
        }
        Ok(())
    }
}

/// Writes entries and their leaves, part of a commit. The head's row is held until the transaction ends, so places are given in the
/// order of the commits, on any database.
pub(super) async fn append(connection: &mut AnyConnection, id: IncidentId, recorded: &[Recorded]) -> Result<()> {
    let count = i64::try_from(recorded.len()).map_err(|e| strange("entries", e))?;
    if count == 0 {
        return Ok(());
    }
    let head = sqlx::query("UPDATE log_head SET size = size + $1 WHERE id = 1 RETURNING size").bind(count);
    let size: i64 = head.fetch_one(&mut *connection).await?.try_get("size")?;
    for (first, recorded) in (size - count..).step_by(AT_ONCE).zip(recorded.chunks(AT_ONCE)) {
        insert(connection, id, first, recorded).await?;
    }
    Ok(())
}

async fn insert(connection: &mut AnyConnection, id: IncidentId, first: i64, recorded: &[Recorded]) -> Result<()> {
    let mut sql = String::from("INSERT INTO entries (log_index, incident_id, seq, at, body, leaf) VALUES ");
    for n in 0..recorded.len() {
        let p = n * 6;
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}(${}, ${}, ${}, ${}, ${}, ${})", p + 1, p + 2, p + 3, p + 4, p + 5, p + 6);
    }
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (index, Recorded { seq, at, entry }) in (first..).zip(recorded) {
        let body = json(entry, &format!("entries {id} {seq}"))?;
        query = bind(query, Leaf { index: unsigned(index, "log_head")?, incident: id, seq: *seq, at: millis(*at), entry: &body });
    }
    query.execute(connection).await?;
    Ok(())
}

type Bound<'q> = Query<'q, Any, <Any as sqlx::Database>::Arguments>;

fn bind<'q>(query: Bound<'q>, leaf: Leaf<'_>) -> Bound<'q> {
    let index = i64::try_from(leaf.index).unwrap_or(i64::MAX);
    let hash = leaf.hash().0.to_vec();
    query.bind(index).bind(leaf.incident.0).bind(leaf.seq).bind(leaf.at).bind(leaf.entry.to_owned()).bind(hash)
}

pub(super) fn logged(row: &AnyRow) -> Result<Logged> {
    let index = unsigned(row.try_get("log_index")?, "entries")?;
    let leaf: Option<Vec<u8>> = row.try_get("leaf")?;
    let leaf = leaf.map(|bytes| hash_of(&bytes).ok_or_else(|| strange(format!("entries {index}"), "its leaf is not 32 bytes")));
    Ok(Logged {
        index,
        incident: IncidentId(row.try_get("incident_id")?),
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        body: row.try_get("body")?,
        leaf: leaf.transpose()?,
    })
}

pub(super) fn kept(row: &AnyRow) -> Result<KeptCheckpoint> {
    let size = unsigned(row.try_get("size")?, "log_checkpoints")?;
    let root: Vec<u8> = row.try_get("root")?;
    let root = hash_of(&root).ok_or_else(|| strange(format!("log_checkpoints {size}"), "its root is not 32 bytes"))?;
    Ok(KeptCheckpoint { size, root, note: row.try_get("note")?, anchored_at: row.try_get("anchored_at")? })
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|e| strange(format!("log index {number}"), e))
}

fn unsigned(number: i64, row: &str) -> Result<u64> {
    u64::try_from(number).map_err(|e| strange(row, e))
}
