//! What models cost: an estimate before a question, what it came to after it, by day and place, shared by all replicas. A question whose
//! answer nobody lived to see stays counted as estimated.

use super::transaction::Transaction;
use super::{Result, Store, millis, plain, strange};
use crate::domain::{CostLimits, IncidentId, LimitSpent, Spend, Time, day_of};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

/// A question that is about to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    pub incident: IncidentId,
    /// The incident's service, or what else it is about.
    pub place: &'a str,
    pub model: &'a str,
    /// About what it will come to.
    pub expected: Spend,
}

/// One that may be asked, until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking(i64);

/// A day's costs of one place by one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostRow {
    pub place: String,
    pub model: String,
    pub calls: u64,
    #[serde(flatten)]
    pub spend: Spend,
    /// Questions among them whose answer was not seen: estimated.
    pub estimated: u64,
}

/// Both tables as one.
const ALL: &str = "(SELECT day, place, model, calls, tokens_in, tokens_out, nanos, 0 AS estimated FROM model_costs UNION ALL \
     SELECT day, place, model, 1, tokens_in, tokens_out, nanos, 1 FROM model_questions) AS costs";
const SUMS: &str = "CAST(COALESCE(SUM(tokens_in), 0) AS BIGINT) AS tokens_in, CAST(COALESCE(SUM(tokens_out), 0) AS BIGINT) AS tokens_out, \
     CAST(COALESCE(SUM(nanos), 0) AS BIGINT) AS nanos";

impl Store {
    /// Counts a question before it is asked, unless a limit of the day is in its way. Whoever asks at the same time sees it counted.
    pub async fn may_ask(&self, question: Question<'_>, limits: &CostLimits, now: Time) -> Result<std::result::Result<Asking, LimitSpent>> {
        let (day, place) = (day_of(now), plain(question.place));
        let mut transaction = self.begin().await?;
        let all = spent(&mut transaction, &day, None).await?;
        let here = spent(&mut transaction, &day, Some(&place)).await?;
        if let Some(limit) = limits.spent(&day, all, (question.place, here), question.expected) {
            return Ok(Err(limit));
        }
        let sql = "INSERT INTO model_questions (incident_id, asked_at, day, place, model, tokens_in, tokens_out, nanos) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
        let query = sqlx::query(sql).bind(question.incident.0).bind(millis(now)).bind(day).bind(place).bind(plain(question.model));
        let [tokens_in, tokens_out, nanos] = signed(question.expected)?;
        let id = query.bind(tokens_in).bind(tokens_out).bind(nanos).fetch_one(&mut *transaction).await?.try_get("id")?;
        transaction.commit().await?;
        Ok(Ok(Asking(id)))
    }

    /// What it came to; nothing where the server did not answer it.
    pub async fn settle_question(&self, asking: Asking, came_to: Option<Spend>) -> Result<()> {
        let mut transaction = self.begin().await?;
        let sql = "DELETE FROM model_questions WHERE id = $1 RETURNING day, place, model";
        let Some(row) = sqlx::query(sql).bind(asking.0).fetch_optional(&mut *transaction).await? else { return Ok(()) };
        if let Some(spend) = came_to {
            add(&mut transaction, &row, spend).await?;
        }
        transaction.commit().await
    }

    /// Of one day (UTC), the dearest first.
    pub async fn costs(&self, day: &str) -> Result<Vec<CostRow>> {
        let sql = format!(
            "SELECT place, model, CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(estimated) AS BIGINT) AS estimated, {SUMS} FROM {ALL} \
             WHERE day = $1 GROUP BY place, model ORDER BY nanos DESC, tokens_in DESC, place, model"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(day.to_owned()).fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let (calls, estimated): (i64, i64) = (row.try_get("calls")?, row.try_get("estimated")?);
                let count = |n: i64| u64::try_from(n).map_err(|e| strange(format!("model_costs {day}"), e));
                let (place, model) = (row.try_get("place")?, row.try_get("model")?);
                Ok(CostRow { place, model, calls: count(calls)?, spend: unsigned(row, day)?, estimated: count(estimated)? })
            })
            .collect()
    }

    /// Of all days.
    pub async fn costs_in_all(&self) -> Result<Spend> {
        let sql = format!("SELECT {SUMS} FROM {ALL}");
        unsigned(&sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.read).await?, "all")
    }
}

/// Is this the first time today that this limit is spent? Part of the commit that tells humans.
pub(super) async fn first_told(connection: &mut AnyConnection, limit: &LimitSpent) -> Result<bool> {
    let sql = "INSERT INTO model_limits_told (day, scope) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let told = sqlx::query(sql).bind(limit.day.clone()).bind(plain(&limit.scope.to_string())).execute(connection).await?;
    Ok(told.rows_affected() == 1)
}

async fn spent(transaction: &mut Transaction, day: &str, place: Option<&str>) -> Result<Spend> {
    let of_place = if place.is_some() { "AND place = $2" } else { "" };
    let sql = format!("SELECT {SUMS} FROM {ALL} WHERE day = $1 {of_place}");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(day.to_owned());
    let query = place.into_iter().fold(query, |query, place| query.bind(place.to_owned()));
    unsigned(&query.fetch_one(&mut **transaction).await?, day)
}

async fn add(transaction: &mut Transaction, question: &AnyRow, spend: Spend) -> Result<()> {
    let sql = "INSERT INTO model_costs (day, place, model, calls, tokens_in, tokens_out, nanos) VALUES ($1, $2, $3, 1, $4, $5, $6) \
         ON CONFLICT (day, place, model) DO UPDATE SET calls = model_costs.calls + 1, tokens_in = model_costs.tokens_in + excluded.tokens_in, \
         tokens_out = model_costs.tokens_out + excluded.tokens_out, nanos = model_costs.nanos + excluded.nanos";
    let text = |column: &str| question.try_get::<String, _>(column);
    let [tokens_in, tokens_out, nanos] = signed(spend)?;
    let query = sqlx::query(sql).bind(text("day")?).bind(text("place")?).bind(text("model")?);
    query.bind(tokens_in).bind(tokens_out).bind(nanos).execute(&mut **transaction).await?;
    Ok(())
}

fn signed(spend: Spend) -> Result<[i64; 3]> {
    let one = |n: u64| i64::try_from(n).map_err(|e| strange("model_costs", e));
    Ok([one(spend.tokens_in)?, one(spend.tokens_out)?, one(spend.nanos)?])
}

fn unsigned(row: &AnyRow, day: &str) -> Result<Spend> {
    let one = |column: &str| {
        let n: i64 = row.try_get(column)?;
        u64::try_from(n).map_err(|e| strange(format!("model_costs {day}"), e))
    };
    Ok(Spend { tokens_in: one("tokens_in")?, tokens_out: one("tokens_out")?, nanos: one("nanos")? })
}
