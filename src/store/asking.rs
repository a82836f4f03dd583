//! What asking Alertmanager needs of the store: which alerts are open here, which are known, who sends, and when nobody was listening.

use super::alerts::read;
use super::{Result, Store, approvals, millis, time};
use crate::domain::{Alert, Fingerprint, IncidentId, Time};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Fingerprints of one query.
const AT_ONCE: usize = 500;

/// A firing alert of an incident that is not over.
#[derive(Debug, Clone)]
pub struct Watched {
    pub incident: IncidentId,
    pub alert: Alert,
}

/// From when to when no server was alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outage {
    pub began_at: Time,
    pub ended_at: Time,
    /// When Alertmanager had been asked for what was missed; what fired and resolved in between cannot be known even then.
    pub asked_at: Option<Time>,
}

impl Store {
    pub async fn watched_alerts(&self) -> Result<Vec<Watched>> {
        let sql = "SELECT a.id AS id, a.incident_id AS incident_id, a.body AS body FROM incidents i JOIN alerts a ON a.incident_id = i.id \
             WHERE i.closed_at IS NULL AND a.status = 'firing' AND NOT EXISTS \
             (SELECT 1 FROM alerts r WHERE r.fingerprint = a.fingerprint AND r.status = 'resolved' AND r.id > a.id) ORDER BY a.id";
        let rows = sqlx::query(sql).fetch_all(&self.read).await?;
        let watched = |row| Ok(Watched { incident: IncidentId(sqlx::any::AnyRow::try_get(row, "incident_id")?), alert: read(row)?.1 });
        rows.iter().map(watched).collect()
    }

    /// Which of these fingerprints have a firing from this start on the disk, and whether its end was reported before `settled`.
    pub async fn known_firings(&self, fingerprints: &[Fingerprint], settled: Time) -> Result<BTreeMap<(Fingerprint, i64), bool>> {
        let mut known = BTreeMap::new();
        for chunk in fingerprints.chunks(AT_ONCE) {
            let places: Vec<String> = (2..chunk.len() + 2).map(|n| format!("${n}")).collect();
            let sql = format!(
                "SELECT a.fingerprint AS fingerprint, a.starts_at AS starts_at, CAST((SELECT COUNT(*) FROM alerts r \
                   WHERE r.fingerprint = a.fingerprint AND r.starts_at = a.starts_at AND r.status = 'resolved' AND r.received_at < $1) AS BIGINT) \
                   AS ends FROM alerts a WHERE a.fingerprint IN ({}) AND a.status = 'firing'",
                places.join(", ")
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(millis(settled));
            let query = chunk.iter().fold(query, |query, fingerprint| query.bind(fingerprint.0.clone()));
            for row in query.fetch_all(&self.read).await? {
                let ends: i64 = row.try_get("ends")?;
                known.insert((Fingerprint(row.try_get("fingerprint")?), row.try_get("starts_at")?), ends > 0);
            }
        }
        Ok(known)
    }

    pub async fn poke(&self, incident: IncidentId, now: Time) -> Result<()> {
        let mut transaction = self.begin().await?;
        approvals::poke(&mut transaction, incident, now).await?;
        transaction.commit().await
    }

    pub async fn known_names(&self, kind: &str) -> Result<BTreeSet<String>> {
        let rows = sqlx::query("SELECT name FROM known_names WHERE kind = $1").bind(kind.to_owned()).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
    }

    pub async fn know_name(&self, kind: &str, name: &str) -> Result<()> {
        let sql = "INSERT INTO known_names (kind, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(kind.to_owned()).bind(name.to_owned()).execute(&self.write).await?;
        Ok(())
    }

    /// The server is alive. Gives when it was last, where there was one.
    pub async fn beat(&self, now: Time) -> Result<Option<Time>> {
        let before = sqlx::query("SELECT at FROM pulse WHERE id = 1").fetch_optional(&self.write).await?;
        let sql = "INSERT INTO pulse (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at";
        sqlx::query(sql).bind(millis(now)).execute(&self.write).await?;
        before.map(|row| time(row.try_get("at")?, "pulse")).transpose()
    }

    pub async fn note_outage(&self, began_at: Time, ended_at: Time) -> Result<()> {
        let sql = "INSERT INTO outages (began_at, ended_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(millis(began_at)).bind(millis(ended_at)).execute(&self.write).await?;
        Ok(())
    }

    /// Alertmanager has been asked since.
    pub async fn outages_asked(&self, now: Time) -> Result<()> {
        let sql = "UPDATE outages SET asked_at = $1 WHERE asked_at IS NULL";
        sqlx::query(sql).bind(millis(now)).execute(&self.write).await?;
        Ok(())
    }

    /// The newest first.
    pub async fn outages(&self, limit: i64) -> Result<Vec<Outage>> {
        let sql = "SELECT began_at, ended_at, asked_at FROM outages ORDER BY began_at DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(limit).fetch_all(&self.read).await?;
        let at = |millis: i64| time(millis, "outages");
        rows.iter()
            .map(|row| {
                let asked_at: Option<i64> = row.try_get("asked_at")?;
                let (began_at, ended_at) = (at(row.try_get("began_at")?)?, at(row.try_get("ended_at")?)?);
                Ok(Outage { began_at, ended_at, asked_at: asked_at.map(at).transpose()? })
            })
            .collect()
    }
}
