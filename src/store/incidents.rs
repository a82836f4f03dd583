//! Which incident is due, who works on it, and the list that humans read.

use super::{Base, Point, Result, Store, Wake, millis, pass, strange, time};
use crate::domain::{IncidentId, Level, State, Time};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row};

/// The right to append to one incident until the lease ends. A newer claim of the same incident fences an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub incident: IncidentId,
    pub(super) lease: i64,
    poke: i64,
    urgency: i64,
    until: Time,
}

impl Claim {
    /// From then on somebody else may take the incident.
    pub fn until(&self) -> Time {
        self.until
    }
}

/// Which incidents a worker takes: the second kind is kept free for pages, so that slow fixes never delay one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Any,
    LevelThree,
}

impl Lane {
    fn condition(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::LevelThree => "AND urgency = 2 AND state <> 'escalated'",
        }
    }
}

/// A line of the list of incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub id: IncidentId,
    pub state: String,
    pub level: Level,
    pub service: Option<String>,
    pub host: Option<String>,
    pub alertname: String,
    /// Nothing is begun before this one has ended.
    pub waits_for: Option<IncidentId>,
    pub flapping: bool,
    pub opened_at: Time,
    pub updated_at: Time,
    pub closed_at: Option<Time>,
}

impl Store {
    /// The most urgent incident that is due and that nobody works on: level 3, then critical, then other alerts, then what is only for
    /// information; of equals the one that is due longest.
    pub async fn claim(&self, lane: Lane, now: Time, until: Time) -> Result<Option<Claim>> {
        let only = lane.condition();
        // A replica that comes second takes another one instead of waiting for the first.
        let (by, alone) = match &self.base {
            Base::Sqlite => ("", ""),
            Base::Postgres { .. } => (", lease_by = $3", "FOR UPDATE SKIP LOCKED"),
        };
        let sql = format!(
            "UPDATE incidents SET lease = lease + 1, lease_until = $1{by} WHERE id = \
             (SELECT id FROM incidents WHERE wake_at IS NOT NULL AND wake_at <= $2 AND (lease_until IS NULL OR lease_until <= $2) {only} \
              ORDER BY urgency DESC, wake_at, id LIMIT 1 {alone}) RETURNING id, lease, poke, urgency"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(millis(until)).bind(millis(now));
        if let Base::Postgres { replica } = &self.base {
            query = query.bind(replica.clone());
        }
        pass(Point::BeforeLease, String::new);
        let Some(row) = query.fetch_optional(&self.write).await? else {
            return Ok(None);
        };
        pass(Point::AfterLease, String::new);
        let (lease, poke, urgency) = (row.try_get("lease")?, row.try_get("poke")?, row.try_get("urgency")?);
        Ok(Some(Claim { incident: IncidentId(row.try_get("id")?), lease, poke, urgency, until }))
    }

    /// Is something more urgent due than what is being worked on under this claim?
    pub async fn any_more_urgent(&self, claim: &Claim, now: Time) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM incidents WHERE wake_at IS NOT NULL AND wake_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) \
             AND urgency > $2 LIMIT 1";
        Ok(sqlx::query(sql).bind(millis(now)).bind(claim.urgency).fetch_optional(&self.read).await?.is_some())
    }

    /// Is the incident still this claim's, and was no order given since this one? What stands in the way, if something does.
    pub async fn overtaken(&self, claim: &Claim, judged_by: Option<i64>) -> Result<Option<&'static str>> {
        let sql = "SELECT lease, (SELECT COALESCE(MAX(id), 0) FROM orders) AS orders FROM incidents WHERE id = $1";
        let row = sqlx::query(sql).bind(claim.incident.0).fetch_one(&self.read).await?;
        let (lease, orders): (i64, i64) = (row.try_get("lease")?, row.try_get("orders")?);
        Ok(match judged_by {
            _ if lease != claim.lease => Some("another one has taken the incident over"),
            Some(judged_by) if orders != judged_by => Some("an order was given meanwhile"),
            _ => None,
        })
    }

    /// Is anything due? Reads only, so that an idle server does not write.
    pub async fn any_due(&self, lane: Lane, now: Time) -> Result<bool> {
        let only = lane.condition();
        let sql = format!(
            "SELECT 1 AS one FROM incidents WHERE wake_at IS NOT NULL AND wake_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) {only} LIMIT 1"
        );
        Ok(sqlx::query(AssertSqlSafe(sql)).bind(millis(now)).fetch_optional(&self.read).await?.is_some())
    }

    /// Gives the incident back. What a door left meanwhile wakes it at once.
    pub async fn release(&self, claim: &Claim, wake: Wake, now: Time) -> Result<()> {
        let wake_at = match wake {
            Wake::Now => Some(millis(now)),
            Wake::At(then) => Some(millis(then)),
            Wake::Never => None,
        };
        let sql = "UPDATE incidents SET lease_until = NULL, wake_at = CASE WHEN poke = $1 THEN $2 ELSE $3 END WHERE id = $4 AND lease = $5";
        let query = sqlx::query(sql).bind(claim.poke).bind(wake_at).bind(millis(now)).bind(claim.incident.0).bind(claim.lease);
        pass(Point::BeforeRelease, String::new);
        query.execute(&self.write).await?;
        pass(Point::AfterRelease, String::new);
        Ok(())
    }

    /// Of a server that was alone and died. What it had put off for more than an hour is looked at now: no sum covers that column, and
    /// an incident must not be forgotten because of one wrong bit.
    pub(super) async fn forget_all_leases(&self) -> Result<()> {
        sqlx::query("UPDATE incidents SET lease_until = NULL WHERE lease_until IS NOT NULL").execute(&self.write).await?;
        let sql =
            "UPDATE incidents SET wake_at = 0 WHERE closed_at IS NULL AND wake_at > (CAST(strftime('%s', 'now') AS INTEGER) + 3600) * 1000";
        sqlx::query(sql).execute(&self.write).await?;
        Ok(())
    }

    /// Of one replica that died: the others are at work.
    pub(super) async fn forget_leases(&self, replica: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE incidents SET lease_until = NULL WHERE lease_by = $1 AND lease_until IS NOT NULL";
        sqlx::query(sql).bind(replica.to_owned()).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    pub async fn list(&self, state: Option<State>, limit: i64) -> Result<Vec<Listed>> {
        let sql = "SELECT id, state, level, service, host, alertname, waits_for, flapping, opened_at, updated_at, closed_at FROM incidents \
             WHERE ($1 = '' OR state = $1) ORDER BY opened_at DESC, id DESC LIMIT $2";
        let rows = sqlx::query(sql).bind(state.map_or("", State::as_str)).bind(limit).fetch_all(&self.read).await?;
        rows.iter().map(listed).collect()
    }

    /// Incidents by state, for the metrics.
    pub async fn counts(&self) -> Result<Vec<(String, i64)>> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS n FROM incidents GROUP BY state").fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((row.try_get("state")?, row.try_get("n")?))).collect()
    }
}

fn listed(row: &sqlx::any::AnyRow) -> Result<Listed> {
    let id = IncidentId(row.try_get("id")?);
    let name = format!("incidents {id}");
    let level = level_of(row.try_get("level")?, &name)?;
    let (closed_at, waits_for): (Option<i64>, Option<i64>) = (row.try_get("closed_at")?, row.try_get("waits_for")?);
    let flapping: i64 = row.try_get("flapping")?;
    Ok(Listed {
        id,
        state: row.try_get("state")?,
        level,
        service: row.try_get("service")?,
        host: row.try_get("host")?,
        alertname: row.try_get("alertname")?,
        waits_for: waits_for.map(IncidentId),
        flapping: flapping == 1,
        opened_at: time(row.try_get("opened_at")?, &name)?,
        updated_at: time(row.try_get("updated_at")?, &name)?,
        closed_at: closed_at.map(|at| time(at, &name)).transpose()?,
    })
}

pub(super) fn level_of(level: i64, row: &str) -> Result<Level> {
    u8::try_from(level).map_err(|e| strange(row, e)).and_then(|n| Level::try_from(n).map_err(|e| strange(row, e)))
}

pub(super) fn state_of(text: &str, row: &str) -> Result<State> {
    let found = State::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| strange(row, format!("`{text}` is no state")))
}
