//! The outbox: notices are written with the entry they speak of and sent afterwards, in order within an incident's channel.

use super::sums::sum;
use super::{Result, Store, from_json, json, millis, plain, strange, time};
use crate::domain::{Channel, IncidentId, Notice, Seq, ServiceName, Time};
use serde::Serialize;
use sqlx::{AnyConnection, Row};

/// A notice that is due.
#[derive(Debug, Clone)]
pub struct Letter {
    pub id: i64,
    pub incident: IncidentId,
    pub channel: Channel,
    pub notice: Notice,
    pub attempts: i64,
    /// An earlier attempt may have arrived.
    pub unsure: bool,
}

/// A notice as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeRow {
    pub channel: String,
    pub kind: String,
    pub state: String,
    pub attempts: i64,
    pub created_at: Time,
    pub sent_at: Option<Time>,
    pub error: Option<String>,
}

impl Store {
    /// The first waiting notice of each incident and channel whose time has come.
    pub async fn due_letters(&self, channel: Channel, now: Time, limit: i64) -> Result<Vec<Letter>> {
        let sql = "SELECT id, incident_id, body, attempts, unsure FROM outbox o WHERE state = 'waiting' AND channel = $1 AND next_at <= $2 \
             AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.state = 'waiting' AND e.incident_id = o.incident_id AND e.channel = o.channel AND e.id < o.id) \
             ORDER BY CASE WHEN kind IN ('page', 'ask') THEN 0 ELSE 1 END, id LIMIT $3";
        let rows = sqlx::query(sql).bind(channel.as_str()).bind(millis(now)).bind(limit).fetch_all(&self.read).await?;
        Ok(rows
            .iter()
            .filter_map(|row| letter(row, channel).inspect_err(|e| tracing::error!(error = %e, "a notice cannot be read")).ok())
            .collect())
    }

    /// It arrived. A card speaks for the incident as it stood at `seq`; if that has moved on meanwhile, another card follows.
    pub async fn sent(&self, letter: &Letter, seq: Seq, now: Time) -> Result<()> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE outbox SET state = 'sent', attempts = attempts + 1, unsure = 0, sent_at = $1, error = NULL WHERE id = $2";
        sqlx::query(sql).bind(millis(now)).bind(letter.id).execute(&mut *transaction).await?;
        if letter.notice == Notice::Card {
            let sql = "SELECT 1 AS one FROM incidents WHERE id = $1 AND seq <> $2";
            let moved = sqlx::query(sql).bind(letter.incident.0).bind(seq).fetch_optional(&mut *transaction).await?;
            if moved.is_some() {
                enqueue(&mut transaction, letter.incident, &[(letter.channel, Notice::Card)], now).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Puts notices into the outbox that follow from no entry: the incident's own ledger cannot be written or read.
    pub async fn tell(&self, incident: IncidentId, notices: &[(Channel, Notice)], now: Time) -> Result<()> {
        let notices = self.notices_without_secrets(notices)?;
        let mut transaction = self.begin().await?;
        enqueue(&mut transaction, incident, &notices, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// From here on it may have arrived, whatever becomes of this server.
    pub async fn sending(&self, letter: &Letter) -> Result<()> {
        sqlx::query("UPDATE outbox SET unsure = 1 WHERE id = $1").bind(letter.id).execute(&self.write).await?;
        Ok(())
    }

    /// `unsure`: it may have arrived for all that is known.
    pub async fn postpone(&self, letter: &Letter, until: Time, why: &str, unsure: bool) -> Result<()> {
        let sql = "UPDATE outbox SET attempts = attempts + 1, next_at = $1, error = $2, unsure = $3 WHERE id = $4";
        let query = sqlx::query(sql).bind(millis(until)).bind(plain(&self.redactor.text(why))).bind(i64::from(unsure));
        query.bind(letter.id).execute(&self.write).await?;
        Ok(())
    }

    /// It waits without having been tried.
    pub async fn rest(&self, letter: &Letter, until: Time, why: &str) -> Result<()> {
        let sql = "UPDATE outbox SET next_at = $1, error = $2 WHERE id = $3";
        sqlx::query(sql).bind(millis(until)).bind(plain(why)).bind(letter.id).execute(&self.write).await?;
        Ok(())
    }

    /// The other side is there again: whatever waits for it need not wait longer.
    pub async fn hurry(&self, channel: Channel, now: Time) -> Result<()> {
        let sql = "UPDATE outbox SET next_at = $1 WHERE state = 'waiting' AND channel = $2 AND next_at > $1";
        sqlx::query(sql).bind(millis(now)).bind(channel.as_str()).execute(&self.write).await?;
        Ok(())
    }

    /// Does the end of its incident wait behind it?
    pub async fn is_overtaken(&self, letter: &Letter) -> Result<bool> {
        let sql =
            "SELECT 1 AS one FROM outbox WHERE incident_id = $1 AND channel = $2 AND kind = 'resolve' AND state = 'waiting' AND id > $3";
        let query = sqlx::query(sql).bind(letter.incident.0).bind(letter.channel.as_str()).bind(letter.id);
        Ok(query.fetch_optional(&self.read).await?.is_some())
    }

    pub async fn pass_over(&self, letter: &Letter, why: &str) -> Result<()> {
        let sql = "UPDATE outbox SET state = 'overtaken', error = $1 WHERE id = $2";
        sqlx::query(sql).bind(plain(why)).bind(letter.id).execute(&self.write).await?;
        Ok(())
    }

    /// It was refused: tried again from `until` on, without one never. The other channels are told of it once an incident, or this would go
    /// round in circles where they refuse too.
    pub async fn refuse(&self, letter: &Letter, until: Option<Time>, why: &str, others: &[(Channel, Notice)], now: Time) -> Result<()> {
        let others = self.notices_without_secrets(others)?;
        let state = if until.is_some() { "waiting" } else { "failed" };
        let mut transaction = self.begin().await?;
        let sql = "UPDATE outbox SET state = $1, attempts = attempts + 1, next_at = $2, error = $3, unsure = $4 WHERE id = $5";
        let query = sqlx::query(sql).bind(state).bind(millis(until.unwrap_or(now))).bind(plain(&self.redactor.text(why)));
        query.bind(i64::from(letter.unsure)).bind(letter.id).execute(&mut *transaction).await?;
        let refused = format!("{} {}", letter.incident, letter.channel);
        is_new(&mut transaction, "refused", &refused).await?;
        for other in others {
            if is_new(&mut transaction, "refusal_told", &format!("{refused} {}", other.0)).await? {
                enqueue(&mut transaction, letter.incident, &[other], now).await?;
            }
        }
        transaction.commit().await
    }

    /// Something may have been put right: what was refused need not wait its long time.
    pub async fn hurry_refused(&self, channel: Channel, now: Time) -> Result<()> {
        let sql = "UPDATE outbox SET next_at = $1 WHERE state = 'waiting' AND channel = $2 AND next_at > $1 \
             AND ('INC-' || CAST(incident_id AS TEXT) || ' ' || channel) IN (SELECT name FROM known_names WHERE kind = 'refused')";
        sqlx::query(sql).bind(millis(now)).bind(channel.as_str()).execute(&self.write).await?;
        Ok(())
    }

    /// Does one that calls a human wait behind it?
    pub async fn calls_behind(&self, letter: &Letter) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM outbox WHERE incident_id = $1 AND channel = $2 AND kind IN ('page', 'ask') AND state = 'waiting' \
             AND id > $3 LIMIT 1";
        let query = sqlx::query(sql).bind(letter.incident.0).bind(letter.channel.as_str()).bind(letter.id);
        Ok(query.fetch_optional(&self.read).await?.is_some())
    }

    pub async fn notices(&self, incident: IncidentId) -> Result<Vec<NoticeRow>> {
        let sql = "SELECT channel, kind, state, attempts, created_at, sent_at, error FROM outbox WHERE incident_id = $1 ORDER BY id";
        let rows = sqlx::query(sql).bind(incident.0).fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let sent_at: Option<i64> = row.try_get("sent_at")?;
                Ok(NoticeRow {
                    channel: row.try_get("channel")?,
                    kind: row.try_get("kind")?,
                    state: row.try_get("state")?,
                    attempts: row.try_get("attempts")?,
                    created_at: time(row.try_get("created_at")?, "outbox")?,
                    sent_at: sent_at.map(|at| time(at, "outbox")).transpose()?,
                    error: row.try_get("error")?,
                })
            })
            .collect()
    }

    pub async fn waiting_letters(&self) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM outbox WHERE state = 'waiting'").fetch_one(&self.read).await?;
        Ok(row.try_get("n")?)
    }

    pub async fn thread(&self, incident: IncidentId) -> Result<Option<(String, String)>> {
        let row = sqlx::query("SELECT channel, ts FROM threads WHERE incident_id = $1").bind(incident.0).fetch_optional(&self.read).await?;
        row.map(|row| Ok((row.try_get("channel")?, row.try_get("ts")?))).transpose()
    }

    /// Slack's id of the channel that incidents were told in last.
    pub async fn slack_channel(&self) -> Result<Option<String>> {
        let row = sqlx::query("SELECT channel FROM threads ORDER BY incident_id DESC LIMIT 1").fetch_optional(&self.read).await?;
        row.map(|row| Ok(row.try_get("channel")?)).transpose()
    }

    /// The root message; a new one where somebody deleted the first.
    pub async fn remember_thread(&self, incident: IncidentId, channel: &str, ts: &str) -> Result<()> {
        let sql = "INSERT INTO threads (incident_id, channel, ts, sum) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (incident_id) DO UPDATE SET channel = excluded.channel, ts = excluded.ts, sum = excluded.sum";
        let query = sqlx::query(sql).bind(incident.0).bind(channel.to_owned()).bind(ts.to_owned());
        query.bind(sum(&[&incident.0, &channel, &ts])).execute(&self.write).await?;
        Ok(())
    }
}

/// Notes it once.
async fn is_new(connection: &mut AnyConnection, kind: &'static str, name: &str) -> Result<bool> {
    let sql = "INSERT INTO known_names (kind, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(sqlx::query(sql).bind(kind).bind(name.to_owned()).execute(connection).await?.rows_affected() > 0)
}

fn letter(row: &sqlx::any::AnyRow, channel: Channel) -> Result<Letter> {
    let id: i64 = row.try_get("id")?;
    let body: String = row.try_get("body")?;
    let notice = from_json(&body, &format!("outbox {id}"))?;
    let unsure: i64 = row.try_get("unsure")?;
    let incident = IncidentId(row.try_get("incident_id")?);
    Ok(Letter { id, incident, channel, notice, attempts: row.try_get("attempts")?, unsure: unsure != 0 })
}

/// Puts notices into the outbox, part of a commit. A card that has not been sent yet speaks for the newest state, so a
/// second one is not needed; PagerDuty hears of acknowledge and resolve only for what it was told to trigger.
pub(super) async fn enqueue(connection: &mut AnyConnection, id: IncidentId, notices: &[(Channel, Notice)], now: Time) -> Result<()> {
    for (channel, notice) in notices {
        let condition = match notice {
            Notice::Card => {
                "NOT EXISTS (SELECT 1 FROM outbox WHERE incident_id = $1 AND channel = $2 AND kind = 'card' AND state = 'waiting')"
            }
            Notice::Acknowledge | Notice::Resolve => {
                "EXISTS (SELECT 1 FROM outbox WHERE incident_id = $1 AND channel = $2 AND kind = 'page')"
            }
            _ => "1 = 1",
        };
        let sql = format!(
            "INSERT INTO outbox (incident_id, channel, kind, body, next_at, created_at, sum, state) SELECT $1, $2, $3, $4, $5, $5, $6, 'waiting' WHERE {condition}"
        );
        let (kind, body) = (kind(notice)?, json(notice, "notice")?);
        let sum = sum(&[&id.0, &channel.as_str(), &kind, &body, &millis(now)]);
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).bind(channel.as_str()).bind(kind).bind(body);
        query.bind(millis(now)).bind(sum).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A human has taken a service into his hands, and so whoever was paged for it need not be called again.
pub(super) async fn acknowledge_of(connection: &mut AnyConnection, service: &ServiceName, now: Time) -> Result<()> {
    let sql = "SELECT id FROM incidents WHERE closed_at IS NULL AND service = $1 ORDER BY id";
    let rows = sqlx::query(sql).bind(service.to_string()).fetch_all(&mut *connection).await?;
    for row in &rows {
        enqueue(connection, IncidentId(row.try_get("id")?), &[(Channel::Pagerduty, Notice::Acknowledge)], now).await?;
    }
    Ok(())
}

fn kind(notice: &Notice) -> Result<String> {
    let value = serde_json::to_value(notice).map_err(|e| strange("notice", e))?;
    value.get("notice").and_then(|kind| kind.as_str()).map(str::to_owned).ok_or_else(|| strange("notice", "it has no kind"))
}
