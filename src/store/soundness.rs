//! Is the store what it was? Looked over once at the start, in the background: the pages, and each row against its sum; the log against its leaves is the publisher's part. Until both are done nothing is changed anywhere, and nothing after
//! damage was found. Mends nothing.

use super::{Base, Result, Store, strange, sums};
use sqlx::Row as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Soundness {
    /// Not looked over to the end yet.
    Unknown,
    Sound,
    /// What was found first.
    Damaged(String),
}

#[derive(Debug, Default)]
struct Found {
    log: bool,
    rows: bool,
    damage: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Look(Arc<Mutex<Found>>);

impl Look {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    pub fn soundness(&self) -> Soundness {
        let found = self.look.found();
        match &found.damage {
            Some(why) => Soundness::Damaged(why.clone()),
            // A shared store is guarded by its database, and audited by the one replica that signs.
            None if self.is_shared() || (found.log && found.rows) => Soundness::Sound,
            None => Soundness::Unknown,
        }
    }

    /// The log was audited to its end and is what was signed.
    pub fn log_is_sound(&self) {
        self.look.found().log = true;
    }

    /// The first damage stands.
    pub fn is_damaged(&self, why: String) {
        self.look.found().damage.get_or_insert(why);
    }

    /// Looks at everything but the log. `Err`: it could not be looked at now.
    pub async fn look_over(&self) -> Result<()> {
        if let Base::Postgres { .. } = self.base {
            return Ok(());
        }
        let looked = async {
            self.compare_pages().await?;
            self.compare_sums().await?;
            self.compare_ends().await
        };
        match looked.await {
            Ok(()) => {
                self.look.found().rows = true;
                Ok(())
            }
            Err(e) if sums::is_damage(&e) => {
                self.is_damaged(format!("{}: {e}", self.path.display()));
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// SQLite's own look at its trees, indexes and constraints.
    async fn compare_pages(&self) -> Result<()> {
        let rows = sqlx::query("PRAGMA integrity_check(3)").fetch_all(&self.read).await?;
        let said: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, sqlx::Error>>()?;
        match said.as_slice() {
            [fine] if fine == "ok" => Ok(()),
            _ => Err(strange("pages of the file", said.join("; ").replace('\n', " "))),
        }
    }

    /// The log's head, and the alerts' states, which no sum covers because they move on.
    async fn compare_ends(&self) -> Result<()> {
        let sql =
            "SELECT (SELECT size FROM log_head WHERE id = 1) AS head, (SELECT COALESCE(MAX(log_index), -1) + 1 FROM entries) AS entries";
        let row = sqlx::query(sql).fetch_one(&self.read).await?;
        let (head, entries): (Option<i64>, i64) = (row.try_get("head")?, row.try_get("entries")?);
        if head != Some(entries) {
            return Err(strange("log_head", format!("expected {entries}, as many as there are entries, and it says {head:?}")));
        }
        let sql = "SELECT id FROM alerts WHERE state NOT IN ('accepted', 'raised', 'seen', 'late', 'unmatched', 'heartbeat') \
             OR (state = 'accepted' AND incident_id IS NOT NULL) OR incident_id <> -twin \
             OR (state IN ('raised', 'seen') AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = alerts.incident_id)) LIMIT 1";
        if let Some(row) = sqlx::query(sql).fetch_optional(&self.read).await? {
            let id: i64 = row.try_get("id")?;
            return Err(strange(format!("alerts {id}"), "its state and its incident do not fit each other"));
        }
        let sql = "SELECT id FROM outbox WHERE state NOT IN ('waiting', 'sent', 'failed', 'overtaken') LIMIT 1";
        match sqlx::query(sql).fetch_optional(&self.read).await? {
            Some(row) => Err(strange(format!("outbox {}", row.try_get::<i64, _>("id")?), "its state does not exist")),
            None => Ok(()),
        }
    }
}
