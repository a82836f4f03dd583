//! Alerts between the inbox and an incident's ledger, and deliveries nobody could read.

use super::incidents::level_of;
use super::{Base, Duty, Point, Result, Store, Unreadable, approvals, from_json, millis, outbox, pass, plain, strange, time};
use crate::domain::{Alert, Channel, IncidentId, Level, Notice, ServiceName, Time};
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::BTreeSet;

/// So much of an unreadable delivery is kept.
const KEPT: usize = 64 * 1024;

/// Alerts of one statement.
const AT_ONCE: usize = 500;

/// An accepted alert that no incident has yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: i64,
    pub alert: Alert,
}

/// An alert that belongs to an incident and is not in its ledger yet.
#[derive(Debug, Clone)]
pub struct Assigned {
    pub id: i64,
    pub alert: Alert,
}

impl Store {
    /// Accepted alerts in the order they came.
    pub async fn waiting_alerts(&self, limit: i64) -> Result<Vec<Waiting>> {
        let rows = sqlx::query("SELECT id, body FROM alerts WHERE state = 'accepted' ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|row| read(row).map(|(id, alert)| Waiting { id, alert })).collect()
    }

    /// How many accepted alerts wait for an incident, and since when the first of them does.
    pub async fn backlog(&self) -> Result<(i64, Option<Time>)> {
        let sql = "SELECT COUNT(*) AS n, COALESCE(MIN(received_at), -1) AS since FROM alerts WHERE state = 'accepted'";
        let row = sqlx::query(sql).fetch_one(&self.read).await?;
        let since: i64 = row.try_get("since")?;
        Ok((row.try_get("n")?, (since >= 0).then(|| time(since, "alerts")).transpose()?))
    }

    pub async fn assigned_alerts(&self, incident: IncidentId, limit: i64) -> Result<Vec<Assigned>> {
        let sql = "SELECT id, body FROM alerts WHERE incident_id = $1 AND state = 'raised' ORDER BY id LIMIT $2";
        let rows = sqlx::query(sql).bind(incident.0).bind(limit).fetch_all(&self.read).await?;
        rows.iter().map(|row| read(row).map(|(id, alert)| Assigned { id, alert })).collect()
    }

    /// The incident that took the same firing (same fingerprint and start).
    pub async fn incident_of(&self, alert: &Alert) -> Result<Option<IncidentId>> {
        let sql =
            "SELECT incident_id FROM alerts WHERE fingerprint = $1 AND starts_at = $2 AND incident_id IS NOT NULL ORDER BY id LIMIT 1";
        let row = sqlx::query(sql).bind(plain(&alert.fingerprint.0)).bind(millis(alert.starts_at)).fetch_optional(&self.read).await?;
        row.map(|row| Ok(IncidentId(row.try_get("incident_id")?))).transpose()
    }

    /// The newest open incident that holds an alert of this fingerprint, whatever its start.
    pub async fn open_incident_with(&self, alert: &Alert) -> Result<Option<IncidentId>> {
        let sql = "SELECT a.incident_id AS incident_id FROM alerts a JOIN incidents i ON i.id = a.incident_id \
             WHERE a.fingerprint = $1 AND i.closed_at IS NULL ORDER BY a.id DESC LIMIT 1";
        let row = sqlx::query(sql).bind(plain(&alert.fingerprint.0)).fetch_optional(&self.read).await?;
        row.map(|row| Ok(IncidentId(row.try_get("incident_id")?))).transpose()
    }

    /// Which of these firings had been reported resolved before they were reported firing.
    pub async fn late(&self, alerts: &[Waiting]) -> Result<BTreeSet<i64>> {
        let mut late = BTreeSet::new();
        for some in alerts.chunks(AT_ONCE) {
            let sql = format!(
                "SELECT w.id AS id FROM alerts w WHERE w.id IN ({}) AND EXISTS (SELECT 1 FROM alerts r WHERE r.fingerprint = w.fingerprint \
                 AND r.starts_at = w.starts_at AND r.status = 'resolved' AND (r.id < w.id OR r.state = 'unmatched'))",
                list(some.iter().map(|waiting| waiting.id))
            );
            for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.read).await? {
                late.insert(row.try_get("id")?);
            }
        }
        Ok(late)
    }

    /// The open incident with this join key.
    pub async fn open_incident(&self, join_key: &str) -> Result<Option<IncidentId>> {
        let sql = "SELECT id FROM incidents WHERE join_key = $1 AND closed_at IS NULL ORDER BY id LIMIT 1";
        let row = sqlx::query(sql).bind(plain(join_key)).fetch_optional(&self.read).await?;
        row.map(|row| Ok(IncidentId(row.try_get("id")?))).transpose()
    }

    /// An open incident's level; none if it is over.
    pub async fn level_if_open(&self, incident: IncidentId) -> Result<Option<Level>> {
        let sql = "SELECT level FROM incidents WHERE id = $1 AND closed_at IS NULL";
        let row = sqlx::query(sql).bind(incident.0).fetch_optional(&self.read).await?;
        row.map(|row| level_of(row.try_get("level")?, &format!("incidents {incident}"))).transpose()
    }

    /// Puts alerts into an incident and wakes it; the notices do not wait for its worker. `false`: the incident is over, and took nothing.
    pub async fn assign(&self, incident: IncidentId, alerts: &[i64], notices: &[(Channel, Notice)], now: Time) -> Result<bool> {
        let notices = self.notices_without_secrets(notices)?;
        pass(Point::BeforeRaise, || "join".into());
        let mut transaction = self.begin().await?;
        self.still_on_duty(&mut transaction, Duty::Raise).await?;
        if !approvals::poke(&mut transaction, incident, now).await? {
            return Ok(false);
        }
        move_on(&mut transaction, alerts, "accepted", "raised", Some(incident)).await?;
        outbox::enqueue(&mut transaction, incident, &notices, now).await?;
        transaction.commit().await?;
        pass(Point::AfterRaise, || "join".into());
        Ok(true)
    }

    /// Gives alerts back that an incident took just before it was over: they are raised anew.
    pub async fn give_back(&self, alerts: &[i64]) -> Result<()> {
        let mut transaction = self.begin().await?;
        move_on(&mut transaction, alerts, "raised", "accepted", None).await?;
        transaction.commit().await
    }

    /// Settles an alert that changes nothing: a firing that came after its own resolution (`late`), a resolution nobody
    /// waited for (`unmatched`).
    pub async fn settle(&self, alert: i64, state: &'static str, incident: Option<IncidentId>) -> Result<()> {
        pass(Point::BeforeRaise, || state.into());
        let sql = "UPDATE alerts SET state = $1, incident_id = $2, twin = -CAST($2 AS BIGINT) WHERE id = $3 AND state = 'accepted'";
        let query = sqlx::query(sql).bind(state).bind(incident.map(|i| i.0)).bind(alert);
        if let Base::Sqlite = self.base {
            query.execute(&self.write).await?;
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        self.still_on_duty(&mut transaction, Duty::Raise).await?;
        query.execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Services with an incident that was opened since `since` and is not over.
    pub async fn degraded_services(&self, since: Time) -> Result<BTreeSet<ServiceName>> {
        let sql = "SELECT DISTINCT service FROM incidents WHERE opened_at >= $1 AND closed_at IS NULL AND service IS NOT NULL";
        let rows = sqlx::query(sql).bind(millis(since)).fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let name: String = row.try_get("service")?;
                ServiceName::parse(&name).map_err(|e| strange("incidents.service", e))
            })
            .collect()
    }

    pub async fn keep_unreadable(&self, body: &[u8], reason: &str, now: Time) -> Result<()> {
        // Cut after the search, so that no half of a secret is left at the end; a body of many megabytes is not searched whole.
        let text = String::from_utf8_lossy(&body[..body.len().min(2 * KEPT)]);
        let text = self.redactor.text(&text);
        let kept = &text.as_bytes()[..text.len().min(KEPT)];
        let reason = self.redactor.text(reason);
        let sql = "INSERT INTO unreadable (received_at, reason, size, body) VALUES ($1, $2, $3, $4)";
        let size = i64::try_from(body.len()).map_err(|e| strange("unreadable delivery", e))?;
        pass(Point::BeforeAccept, || "unreadable".into());
        sqlx::query(sql).bind(millis(now)).bind(plain(&reason)).bind(size).bind(kept.to_vec()).execute(&self.write).await?;
        pass(Point::AfterAccept, || "unreadable".into());
        Ok(())
    }

    pub async fn unreadable(&self, limit: i64) -> Result<Vec<Unreadable>> {
        let sql = "SELECT id, received_at, reason, size, body FROM unreadable ORDER BY id DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(limit).fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let body: Vec<u8> = row.try_get("body")?;
                let received_at = time(row.try_get("received_at")?, "unreadable")?;
                let body = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
                Ok(Unreadable { id: row.try_get("id")?, received_at, reason: row.try_get("reason")?, size: row.try_get("size")?, body })
            })
            .collect()
    }
}

pub(super) fn read(row: &sqlx::any::AnyRow) -> Result<(i64, Alert)> {
    let id: i64 = row.try_get("id")?;
    let body: String = row.try_get("body")?;
    Ok((id, from_json(&body, &format!("alerts.{id}"))?))
}

/// Marks alerts as taken into the ledger; part of a commit.
pub(super) async fn mark_seen(connection: &mut AnyConnection, alerts: &[i64]) -> Result<()> {
    for some in alerts.chunks(AT_ONCE) {
        let sql = format!("UPDATE alerts SET state = 'seen' WHERE id IN ({})", list(some.iter().copied()));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// From one state to the next, and to whom they belong then; those in another state stay where they are.
pub(super) async fn move_on(
    connection: &mut AnyConnection,
    alerts: &[i64],
    from: &'static str,
    to: &'static str,
    incident: Option<IncidentId>,
) -> Result<()> {
    for some in alerts.chunks(AT_ONCE) {
        let ids = list(some.iter().copied());
        let sql = format!("UPDATE alerts SET state = $1, incident_id = $2, twin = -CAST($2 AS BIGINT) WHERE state = $3 AND id IN ({ids})");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(to).bind(incident.map(|i| i.0)).bind(from);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Numbers of ours for an `IN`.
fn list(ids: impl Iterator<Item = i64>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(", ")
}
