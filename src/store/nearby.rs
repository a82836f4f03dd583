//! What is open beside a fresh alert: incidents that it may join, wait for, or flap in.

use super::incidents::{level_of, state_of};
use super::{Result, Store, millis, strange, time};
use crate::classifier::{Candidate, Nearby};
use crate::domain::{Fingerprint, IncidentId, ServiceName, Time};
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;

/// Values of one query.
const AT_ONCE: usize = 500;

impl Store {
    /// Open incidents about this place by this rule, of whatever group (see the engine's join key); the newest first.
    pub async fn open_about(&self, place: &str, rule: &str) -> Result<Vec<Candidate>> {
        let tail = serde_json::json!([place, rule]).to_string().replacen('[', ",", 1);
        let sql = "SELECT id, alertname FROM incidents WHERE closed_at IS NULL AND flapping = 0 \
             AND substr(join_key, length(join_key) - length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) ORDER BY id DESC LIMIT 20";
        let rows = sqlx::query(sql).bind(tail).fetch_all(&self.read).await?;
        let candidate =
            |row: &sqlx::any::AnyRow| Ok(Candidate { incident: IncidentId(row.try_get("id")?), alertname: row.try_get("alertname")? });
        rows.iter().map(candidate).collect()
    }

    /// Incidents of services that are open, or over since then.
    pub async fn nearby(&self, closed_since: Time) -> Result<Vec<Nearby>> {
        let columns = "SELECT id, service, alertname, level, urgency, state, updated_at, closed_at, flapping FROM incidents";
        // Two queries, for an index each.
        let open = format!("{columns} WHERE service IS NOT NULL AND closed_at IS NULL ORDER BY id");
        let over = format!("{columns} WHERE service IS NOT NULL AND closed_at >= $1 ORDER BY id");
        let mut rows = sqlx::query(AssertSqlSafe(open)).fetch_all(&self.read).await?;
        rows.extend(sqlx::query(AssertSqlSafe(over)).bind(millis(closed_since)).fetch_all(&self.read).await?);
        rows.iter().map(nearby).collect()
    }

    /// Which of these alerts resolved at least so often since then, and how often.
    pub async fn flaps(&self, fingerprints: &[&Fingerprint], since: Time, least: u32) -> Result<BTreeMap<Fingerprint, u32>> {
        let mut found = BTreeMap::new();
        for chunk in fingerprints.chunks(AT_ONCE) {
            let places: Vec<String> = (3..chunk.len() + 3).map(|n| format!("${n}")).collect();
            let sql = format!(
                "SELECT fingerprint, COUNT(*) AS n FROM alerts WHERE fingerprint IN ({}) AND status = 'resolved' AND received_at > $1 \
                 GROUP BY fingerprint HAVING COUNT(*) >= $2",
                places.join(", ")
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(millis(since)).bind(i64::from(least));
            let query = chunk.iter().fold(query, |query, fingerprint| query.bind(super::plain(&fingerprint.0)));
            for row in query.fetch_all(&self.read).await? {
                let n: i64 = row.try_get("n")?;
                found.insert(Fingerprint(row.try_get("fingerprint")?), u32::try_from(n).map_err(|e| strange("alerts that flap", e))?);
            }
        }
        Ok(found)
    }

    /// Alerts of open incidents that flap, and where they are at home.
    pub async fn flapping_homes(&self) -> Result<BTreeMap<Fingerprint, IncidentId>> {
        let any = sqlx::query("SELECT 1 AS one FROM incidents WHERE closed_at IS NULL AND flapping = 1 LIMIT 1");
        if any.fetch_optional(&self.read).await?.is_none() {
            return Ok(BTreeMap::new());
        }
        let sql = "SELECT DISTINCT a.fingerprint AS fingerprint, i.id AS id FROM incidents i JOIN alerts a ON a.incident_id = i.id \
             WHERE i.closed_at IS NULL AND i.flapping = 1 ORDER BY i.id";
        let rows = sqlx::query(sql).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((Fingerprint(row.try_get("fingerprint")?), IncidentId(row.try_get("id")?)))).collect()
    }

    /// Open incidents that flap, and those that wait for another one.
    pub async fn held_up(&self) -> Result<(i64, i64)> {
        let sql = "SELECT CAST(COALESCE(SUM(flapping), 0) AS BIGINT) AS flapping, COUNT(waits_for) AS held FROM incidents WHERE closed_at IS NULL";
        let row = sqlx::query(sql).fetch_one(&self.read).await?;
        Ok((row.try_get("flapping")?, row.try_get("held")?))
    }
}

fn nearby(row: &sqlx::any::AnyRow) -> Result<Nearby> {
    let incident = IncidentId(row.try_get("id")?);
    let name = format!("incidents {incident}");
    let service: String = row.try_get("service")?;
    let (closed_at, flapping): (Option<i64>, i64) = (row.try_get("closed_at")?, row.try_get("flapping")?);
    let state: String = row.try_get("state")?;
    Ok(Nearby {
        incident,
        service: ServiceName::parse(&service).map_err(|e| strange(&name, e))?,
        alertname: row.try_get("alertname")?,
        level: level_of(row.try_get("level")?, &name)?,
        urgency: row.try_get("urgency")?,
        state: state_of(&state, &name)?,
        news_at: time(row.try_get("updated_at")?, &name)?,
        closed_at: closed_at.map(|at| time(at, &name)).transpose()?,
        flapping: flapping == 1,
    })
}
