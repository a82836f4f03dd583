//! Many entries for an audit, fast: the database packs a range into one row, which costs a third of what a row each does. Whatever is
//! strange about a range is left to the slow way, which says what it is.

use super::{Logged, signed, unsigned};
use crate::domain::IncidentId;
use crate::ledger::{Leaf, Row, hash_of};
use crate::store::{Base, Result, Store};
use sqlx::{AssertSqlSafe, Row as _};

/// A range of entries: their numbers in fours (incident, seq, at, length of the body in bytes), leaves as hex, bodies one after
/// the other.
struct Pack {
    first: u64,
    numbers: String,
    leaves: String,
    bodies: String,
}

impl Store {
    /// What the entries of a range hash to, beside what they were logged as. Fewer where some are missing.
    pub async fn audited(&self, from: u64, limit: u64) -> Result<Vec<Row>> {
        if let Some(rows) = self.packed(from, limit).await?.and_then(|pack| pack.rows(limit)) {
            return Ok(rows);
        }
        Ok(self.logged(from, limit).await?.iter().map(Logged::row).collect())
    }

    /// None where the range has a gap or a leaf is missing.
    async fn packed(&self, from: u64, limit: u64) -> Result<Option<Pack>> {
        let hex = match self.base {
            Base::Sqlite => "hex(leaf)",
            Base::Postgres { .. } => "encode(leaf, 'hex')",
        };
        let sql = format!(
            "SELECT COUNT(*) AS entries, COUNT(leaf) AS logged, MIN(log_index) AS first, \
             string_agg(incident_id || ' ' || seq || ' ' || at || ' ' || octet_length(body), ' ') AS numbers, \
             string_agg({hex}, '') AS leaves, string_agg(body, '') AS bodies FROM \
             (SELECT log_index, incident_id, seq, at, body, leaf FROM entries WHERE log_index >= $1 AND log_index < $2 ORDER BY log_index) AS range"
        );
        let (from, limit) = (signed(from)?, signed(limit)?);
        let row = sqlx::query(AssertSqlSafe(sql)).bind(from).bind(from.saturating_add(limit)).fetch_one(&self.read).await?;
        let (entries, logged, first): (i64, i64, Option<i64>) = (row.try_get("entries")?, row.try_get("logged")?, row.try_get("first")?);
        if entries != limit || logged != limit || first != Some(from) {
            return Ok(None);
        }
        let (numbers, leaves, bodies) = (row.try_get("numbers")?, row.try_get("leaves")?, row.try_get("bodies")?);
        Ok(Some(Pack { first: unsigned(from, "entries")?, numbers, leaves, bodies }))
    }
}

impl Pack {
    /// None unless everything fits to the last byte.
    fn rows(&self, count: u64) -> Option<Vec<Row>> {
        let (mut numbers, mut leaves, mut bodies) =
            (self.numbers.split(' '), self.leaves.as_bytes().chunks_exact(64), self.bodies.as_str());
        let mut rows = Vec::with_capacity(usize::try_from(count).ok()?);
        for index in self.first..self.first.checked_add(count)? {
            let mut number = || numbers.next()?.parse::<i64>().ok();
            let (incident, seq, at, length) = (IncidentId(number()?), number()?, number()?, number()?);
            let (entry, rest) = bodies.split_at_checked(usize::try_from(length).ok()?)?;
            bodies = rest;
            let hash = Leaf { index, incident, seq, at, entry }.hash();
            let logged = hash_of(&hex::decode(leaves.next()?).ok()?)?;
            rows.push(Row { index, incident, seq, hash, logged: Some(logged) });
        }
        let whole = bodies.is_empty() && numbers.next().is_none() && leaves.next().is_none() && leaves.remainder().is_empty();
        whole.then_some(rows)
    }
}
