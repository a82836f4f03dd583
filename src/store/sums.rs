//! The sum that a row carries over its own fields, and where the look over the store finds both. A sum guards against a disk that
//! changes bytes, not against somebody who can write the store: that is what the ledger's log is for.

use super::{Result, Store, StoreError, strange};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Row as _};
use std::fmt::Display;

/// Stands between two fields, in SQL as `char(31)`.
const BETWEEN: char = '\u{1f}';
const AT_ONCE: i64 = 500;

/// Over the fields as SQL shows them: numbers in decimal, nothing for NULL.
pub(super) fn sum(fields: &[&(dyn Display + Sync)]) -> String {
    let text: Vec<String> = fields.iter().map(ToString::to_string).collect();
    hex::encode(&Sha256::digest(text.join(&BETWEEN.to_string()))[..8])
}

/// Of a field that may be NULL.
pub(super) fn or_nothing(field: Option<&String>) -> &str {
    field.map_or("", String::as_str)
}

/// The tables, the column of the sum, and the fields that it is over, in the order in which `sum` got them.
const SUMMED: [(&str, &str, &[&str]); 12] = [
    ("alerts", "sum", &["fingerprint", "starts_at", "status", "received_at", "body"]),
    ("incidents", "sum", &["join_key", "opened_at"]),
    (
        "incidents",
        "shape",
        &["id", "seq", "state", "level", "urgency", "service", "host", "alertname", "updated_at", "closed_at", "waits_for", "flapping"],
    ),
    ("approvals", "sum", &["id", "incident_id", "state", "body", "request", "digest"]),
    ("approval_votes", "sum", &["approval_id", "place", "name", "decision", "via", "at", "signature"]),
    ("budget_uses", "sum", &["incident_id", "seq", "kind", "service", "amount", "at"]),
    ("remediations", "sum", &["thing", "incident_id", "at"]),
    ("orders", "sum", &["id", "topic", "kind", "at", "body"]),
    ("outbox", "sum", &["incident_id", "channel", "kind", "body", "created_at"]),
    ("threads", "sum", &["incident_id", "channel", "ts"]),
    ("trust", "sum", &["agent", "body"]),
    ("trust_marks", "sum", &["agent", "incident_id", "seq", "at", "kind", "place", "alertname", "score"]),
];

impl Store {
    /// Every row with a sum; the first that does not fit is the error.
    pub(super) async fn compare_sums(&self) -> Result<()> {
        for (table, kept, fields) in SUMMED {
            self.compare(table, kept, fields).await?;
        }
        Ok(())
    }

    async fn compare(&self, table: &str, kept: &str, fields: &[&str]) -> Result<()> {
        let text: Vec<String> = fields.iter().map(|field| format!("COALESCE({field}, '')")).collect();
        let text = text.join(" || char(31) || ");
        let sql = format!(
            "SELECT rowid AS place, {kept} AS kept, {text} AS fields FROM {table} WHERE rowid > $1 AND {kept} IS NOT NULL ORDER BY rowid LIMIT {AT_ONCE}"
        );
        let mut from = i64::MIN;
        loop {
            let rows = sqlx::query(AssertSqlSafe(sql.clone())).bind(from).fetch_all(&self.read).await?;
            for row in &rows {
                from = row.try_get("place")?;
                let name = format!("{table} {from}");
                let unreadable = |e: sqlx::Error| strange(&name, e);
                let (kept, fields): (String, String) =
                    (row.try_get("kept").map_err(unreadable)?, row.try_get("fields").map_err(unreadable)?);
                if sum(&[&fields]) != kept {
                    return Err(strange(&name, "it is not what was written: its fields do not fit its sum"));
                }
            }
            if rows.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }
}

/// Does the error say that the file itself is damaged, and not that it cannot be reached now?
pub(super) fn is_damage(error: &StoreError) -> bool {
    /// SQLITE_CORRUPT and SQLITE_NOTADB, without what SQLite adds to them.
    const CODES: [i64; 2] = [11, 26];
    match error {
        StoreError::StrangeRow { .. } | StoreError::Fold(_) => true,
        StoreError::Sql(sqlx::Error::Database(e)) => {
            e.code().and_then(|code| code.parse::<i64>().ok()).is_some_and(|code| CODES.contains(&(code & 0xff)))
        }
        StoreError::Sql(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_tells_fields_apart_and_is_that_of_their_text() {
        assert_eq!(sum(&[&"a", &1, &""]), sum(&[&"a\u{1f}1\u{1f}"]));
        assert_ne!(sum(&[&"ab", &"c"]), sum(&[&"a", &"bc"]));
        assert_eq!(sum(&[&"a"]).len(), 16);
    }
}
