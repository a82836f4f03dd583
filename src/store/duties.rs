//! Work that one server does for all of them: raising alerts, sending what waits on a channel, signing the log. A file has one server,
//! which does it all. Of replicas, each duty has one holder, by a lease in the database's own time; whoever lost it is refused where it
//! writes, because a duty changes hands only under the writers' lock.

use super::transaction::Transaction;
use super::{Base, Result, Store, StoreError};
use crate::domain::Channel;
use sqlx::Row as _;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long does a holder that is not heard of any more keep a duty, in milliseconds.
const LEASE: i64 = 10_000;
/// So long is an answer relied on: well within the lease.
const SURE: Duration = Duration::from_secs(3);
/// So long is somebody else's duty not asked for again.
const LET_BE: Duration = Duration::from_millis(500);

const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Alerts become incidents.
    Raise,
    /// What waits in the outbox for a channel is sent.
    Tell(Channel),
    /// The log's checkpoints are signed and handed out.
    Publish,
}

impl Duty {
    fn name(self) -> String {
        match self {
            Self::Raise => "raise".into(),
            Self::Tell(channel) => format!("tell:{channel}"),
            Self::Publish => "publish".into(),
        }
    }
}

/// What this server was told last, and until when it holds good.
#[derive(Debug, Clone, Default)]
pub(super) struct Roster(Arc<Mutex<BTreeMap<String, (bool, Instant)>>>);

impl Roster {
    fn said(&self, name: &str, now: Instant) -> Option<bool> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(name).filter(|(_, until)| now < *until).map(|(ours, _)| *ours)
    }

    fn note(&self, name: String, ours: bool, asked_at: Instant) {
        let until = asked_at + if ours { SURE } else { LET_BE };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (ours, until));
    }

    fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Store {
    /// Is it this server's to do, for a few seconds from now? Takes the duty where nobody has it.
    pub async fn on_duty(&self, duty: Duty) -> Result<bool> {
        let Base::Postgres { replica } = &self.base else { return Ok(true) };
        let (name, asked_at) = (duty.name(), Instant::now());
        if let Some(ours) = self.roster.said(&name, asked_at) {
            return Ok(ours);
        }
        let ours = !self.is_others(&name, replica).await? && self.take(&name, replica).await?;
        self.roster.note(name, ours, asked_at);
        Ok(ours)
    }

    /// Reads only, so that those without a duty write nothing.
    async fn is_others(&self, name: &str, replica: &str) -> Result<bool> {
        let sql = format!("SELECT 1 AS one FROM duties WHERE name = $1 AND holder <> $2 AND until_at >= {NOW}");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name.to_owned()).bind(replica.to_owned());
        Ok(query.fetch_optional(&self.read).await?.is_some())
    }

    async fn take(&self, name: &str, replica: &str) -> Result<bool> {
        let sql = format!(
            "INSERT INTO duties (name, holder, until_at) VALUES ($1, $2, {NOW} + $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at \
             WHERE duties.holder = excluded.holder OR duties.until_at < {NOW} RETURNING holder"
        );
        let mut transaction = self.begin().await?;
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name.to_owned()).bind(replica.to_owned()).bind(LEASE);
        let taken = query.fetch_optional(&mut *transaction).await?.is_some();
        transaction.commit().await?;
        Ok(taken)
    }

    /// At a stop, so that others go on at once.
    pub async fn leave_duties(&self) -> Result<()> {
        let Base::Postgres { replica } = &self.base else { return Ok(()) };
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM duties WHERE holder = $1").bind(replica.clone()).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Part of a transaction that writes what only the duty's holder may.
    pub(super) async fn still_on_duty(&self, transaction: &mut Transaction, duty: Duty) -> Result<()> {
        let Base::Postgres { replica } = &self.base else { return Ok(()) };
        let sql = "SELECT holder FROM duties WHERE name = $1";
        let row = sqlx::query(sql).bind(duty.name()).fetch_optional(&mut **transaction).await?;
        let holder: Option<String> = row.map(|row| row.try_get("holder")).transpose()?;
        match holder.as_ref() == Some(replica) {
            true => Ok(()),
            false => {
                self.roster.forget(&duty.name());
                Err(StoreError::OffDuty(duty.name()))
            }
        }
    }
}
