//! Who sends heartbeats, when the last one came, and how far apart they are: the memory of the dead man's switch.

use super::{Result, Store, millis, time};
use crate::domain::Time;
use sqlx::Row;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub source: String,
    /// When it was last heard; of one that never was, since when it is expected.
    pub last_at: Time,
    /// 0: expected, and never heard.
    pub heard: i64,
    /// How far apart they come; none before the second.
    pub every: Option<chrono::Duration>,
    /// Time since the last one in which nobody here listened.
    pub excused: chrono::Duration,
    /// A human was told that it is silent since then.
    pub silent_since: Option<Time>,
}

impl Store {
    pub async fn heartbeats(&self) -> Result<Vec<Heartbeat>> {
        let sql = "SELECT source, last_at, heard, every, excused, silent_since FROM heartbeats ORDER BY source";
        sqlx::query(sql).fetch_all(&self.read).await?.iter().map(heartbeat).collect()
    }

    pub async fn heartbeat(&self, source: &str) -> Result<Option<Heartbeat>> {
        let sql = "SELECT source, last_at, heard, every, excused, silent_since FROM heartbeats WHERE source = $1";
        sqlx::query(sql).bind(source.to_owned()).fetch_optional(&self.read).await?.as_ref().map(heartbeat).transpose()
    }

    /// It should be heard from now on.
    pub async fn expect_heartbeat(&self, source: &str, now: Time) -> Result<()> {
        let sql = "INSERT INTO heartbeats (source, last_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(source.to_owned()).bind(millis(now)).execute(&self.write).await?;
        Ok(())
    }

    /// It was heard, this far after the one before; any silence is over.
    pub async fn heard(&self, source: &str, every: Option<chrono::Duration>, now: Time) -> Result<()> {
        let sql = "INSERT INTO heartbeats (source, last_at, heard) VALUES ($1, $2, 1) ON CONFLICT (source) DO UPDATE SET \
             last_at = excluded.last_at, heard = heartbeats.heard + 1, every = $3, excused = 0, silent_since = NULL";
        let query = sqlx::query(sql).bind(source.to_owned()).bind(millis(now));
        query.bind(every.map(|every| every.num_milliseconds())).execute(&self.write).await?;
        Ok(())
    }

    pub async fn heartbeat_silent(&self, source: &str, since: Time) -> Result<()> {
        let sql = "UPDATE heartbeats SET silent_since = $1 WHERE source = $2";
        sqlx::query(sql).bind(millis(since)).bind(source.to_owned()).execute(&self.write).await?;
        Ok(())
    }

    /// Nobody listened for so long: that is no silence of theirs.
    pub async fn excuse_heartbeats(&self, by: chrono::Duration) -> Result<()> {
        let sql = "UPDATE heartbeats SET excused = excused + $1 WHERE silent_since IS NULL";
        sqlx::query(sql).bind(by.num_milliseconds()).execute(&self.write).await?;
        Ok(())
    }
}

fn heartbeat(row: &sqlx::any::AnyRow) -> Result<Heartbeat> {
    let source: String = row.try_get("source")?;
    let name = format!("heartbeats {source}");
    let (every, silent_since): (Option<i64>, Option<i64>) = (row.try_get("every")?, row.try_get("silent_since")?);
    Ok(Heartbeat {
        last_at: time(row.try_get("last_at")?, &name)?,
        heard: row.try_get("heard")?,
        every: every.map(chrono::Duration::milliseconds),
        excused: chrono::Duration::milliseconds(row.try_get("excused")?),
        silent_since: silent_since.map(|at| time(at, &name)).transpose()?,
        source,
    })
}
