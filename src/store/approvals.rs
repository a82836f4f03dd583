//! Approvals: a request's text that never changes, a state that moves by compare-and-set, and votes that are only ever added. Doors
//! decide here; the incident's worker takes the decision into the ledger. A text that does not fit its digest opens nothing.

use super::sums::{or_nothing, sum};
use super::{Point, Result, Store, StoreError, from_json, json, millis, pass, strange, time};
use crate::domain::{Approval, ApprovalId, ApprovalState, Decision, IllegalTransition, IncidentId, Principal, Sealed, Time, Via, Vote};
use crate::safety::{NotAllowed, SignatureError};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

/// Fewer digits of a digest are no proof of what was seen.
const LEAST_SHOWN: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("there is no approval {0}")]
    Unknown(ApprovalId),
    #[error("{0} was asked for by an earlier version of Paramedic: it authorises nothing")]
    Earlier(ApprovalId),
    #[error("{0} is for another request than the one shown: nothing was decided")]
    OtherRequest(ApprovalId),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("{0}: nothing was decided")]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for DecideError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

const COLUMNS: &str = "SELECT id, incident_id, state, body, request, digest FROM approvals";

impl Store {
    /// None where there is none, or where an earlier version asked, without a text to decide on.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>> {
        let sql = select("WHERE id = $1 AND request IS NOT NULL");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&self.read).await?;
        let Some(row) = row else { return Ok(None) };
        let mut connection = self.read.acquire().await?;
        read(&mut connection, &row).await.map(Some)
    }

    /// Approvals nobody has decided yet, oldest first.
    pub async fn open_approvals(&self) -> Result<Vec<Approval>> {
        self.approvals_where("WHERE state = 'asked' AND request IS NOT NULL ORDER BY id LIMIT $1", i64::MAX).await
    }

    /// The newest approvals, whatever became of them.
    pub async fn approvals(&self, limit: i64) -> Result<Vec<Approval>> {
        self.approvals_where("WHERE request IS NOT NULL ORDER BY id DESC LIMIT $1", limit).await
    }

    async fn approvals_where(&self, which: &str, limit: i64) -> Result<Vec<Approval>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(select(which))).bind(limit).fetch_all(&self.read).await?;
        let mut connection = self.read.acquire().await?;
        let mut approvals = Vec::with_capacity(rows.len());
        for row in &rows {
            approvals.push(read(&mut connection, row).await?);
        }
        Ok(approvals)
    }

    /// A human's vote: the first decision wins, and wakes the incident. `shown`, where the door saw one, is the beginning of the
    /// digest that the human saw.
    pub async fn decide(&self, id: ApprovalId, vote: Vote, shown: Option<&str>) -> std::result::Result<Approval, DecideError> {
        let mut transaction = self.begin().await?;
        let sql = select("WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *transaction).await?;
        let row = row.ok_or(DecideError::Unknown(id))?;
        if row.try_get::<Option<String>, _>("request")?.is_none() {
            return Err(DecideError::Earlier(id));
        }
        let approval = read(&mut transaction, &row).await?;
        if shown.is_some_and(|shown| !fits(shown, &approval)) {
            return Err(DecideError::OtherRequest(id));
        }
        let now = vote.at;
        let before = approval.state.clone();
        let decided = approval.vote(vote.clone())?;
        cast(&mut transaction, id, &vote).await?;
        if !swap(&mut transaction, &decided, ApprovalState::Asked.word()).await? {
            return Err(IllegalTransition::Decided(id, before).into());
        }
        poke(&mut transaction, decided.incident(), now).await?;
        pass(Point::BeforeDecision, || "vote".into());
        transaction.commit().await?;
        pass(Point::AfterDecision, || "vote".into());
        Ok(decided)
    }

    pub async fn remember_ask(&self, id: ApprovalId, slack_ts: &str) -> Result<()> {
        sqlx::query("UPDATE approvals SET slack_ts = $1 WHERE id = $2").bind(slack_ts.to_owned()).bind(id.0).execute(&self.write).await?;
        Ok(())
    }

    pub async fn ask_message(&self, id: ApprovalId) -> Result<Option<String>> {
        let row = sqlx::query("SELECT slack_ts FROM approvals WHERE id = $1").bind(id.0).fetch_optional(&self.read).await?;
        row.map_or(Ok(None), |row| Ok(row.try_get("slack_ts")?))
    }
}

fn select(which: &str) -> String {
    format!("{COLUMNS} {which}")
}

fn fits(shown: &str, approval: &Approval) -> bool {
    shown.len() >= LEAST_SHOWN && approval.digest().0.starts_with(&shown.to_ascii_lowercase())
}

/// A row with its votes. The text must fit its digest and speak of this row; the state must be the one that the row is found by.
async fn read(connection: &mut AnyConnection, row: &AnyRow) -> Result<Approval> {
    let id = ApprovalId(row.try_get("id")?);
    let name = format!("approvals {id}");
    let (text, digest): (String, String) = (row.try_get("request")?, row.try_get("digest")?);
    let request = Sealed::open(text, &digest).map_err(|e| strange(&name, e))?;
    if request.approval != id || request.incident != IncidentId(row.try_get("incident_id")?) {
        return Err(strange(&name, format!("its text speaks of {} of {}", request.approval, request.incident)));
    }
    let (word, body): (String, String) = (row.try_get("state")?, row.try_get("body")?);
    let state: ApprovalState = from_json(&body, &name)?;
    if state.word() != word {
        return Err(strange(&name, format!("it is found as {word} and says that it is {}", state.word())));
    }
    let votes = votes(connection, id).await?;
    Ok(Approval { request, votes, state })
}

async fn votes(connection: &mut AnyConnection, id: ApprovalId) -> Result<Vec<Vote>> {
    let sql = "SELECT name, decision, via, at, signature FROM approval_votes WHERE approval_id = $1 ORDER BY place";
    let rows = sqlx::query(sql).bind(id.0).fetch_all(connection).await?;
    rows.iter().map(|row| vote(row, &format!("approval_votes {id}"))).collect()
}

fn vote(row: &AnyRow, name: &str) -> Result<Vote> {
    let (decision, via): (String, String) = (row.try_get("decision")?, row.try_get("via")?);
    let decision = match decision.as_str() {
        "grant" => Decision::Grant,
        "deny" => Decision::Deny,
        other => return Err(strange(name, format!("`{other}` is no decision"))),
    };
    let via = match via.as_str() {
        "slack" => Via::Slack,
        "cli" => Via::Cli,
        "api" => Via::Api,
        other => return Err(strange(name, format!("`{other}` is no door"))),
    };
    let by = Principal { name: row.try_get("name")?, via };
    Ok(Vote { by, decision, at: time(row.try_get("at")?, name)?, signature: row.try_get("signature")? })
}

async fn cast(connection: &mut AnyConnection, id: ApprovalId, vote: &Vote) -> Result<()> {
    let decision = match vote.decision {
        Decision::Grant => "grant",
        Decision::Deny => "deny",
    };
    let place = sqlx::query("SELECT COUNT(*) + 1 AS place FROM approval_votes WHERE approval_id = $1").bind(id.0);
    let place: i64 = place.fetch_one(&mut *connection).await?.try_get("place")?;
    let sql =
        "INSERT INTO approval_votes (approval_id, place, name, decision, via, at, signature, sum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (via, at) = (vote.by.via.to_string(), millis(vote.at));
    let sum = sum(&[&id.0, &place, &vote.by.name, &decision, &via, &at, &or_nothing(vote.signature.as_ref())]);
    let query = sqlx::query(sql).bind(id.0).bind(place).bind(vote.by.name.clone()).bind(decision).bind(via);
    query.bind(at).bind(vote.signature.clone()).bind(sum).execute(connection).await?;
    Ok(())
}

/// The incident's worker wrote an approval: a new one, or one that expired, was voided or spent.
pub(super) async fn write(
    connection: &mut AnyConnection,
    asked: Option<&Approval>,
    moved: Option<&(Approval, &'static str)>,
) -> Result<()> {
    if let Some(approval) = asked {
        let body = json(&approval.state, "approval")?;
        let sql = "INSERT INTO approvals (id, incident_id, state, body, request, digest, sum) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let sum = sum_of(approval, &body);
        let query = sqlx::query(sql).bind(approval.id().0).bind(approval.incident().0).bind(approval.state.word()).bind(body);
        let query = query.bind(approval.request.text().to_owned()).bind(approval.digest().0.clone());
        query.bind(sum).execute(&mut *connection).await?;
    }
    if let Some((approval, from)) = moved
        && !swap(connection, approval, from).await?
    {
        // A door was faster: the worker starts its step again with what is true now.
        return Err(StoreError::Fenced(approval.incident()));
    }
    Ok(())
}

/// Moves the state on, if it is still `from` and the text is still the one that was read.
async fn swap(connection: &mut AnyConnection, approval: &Approval, from: &str) -> Result<bool> {
    let body = json(&approval.state, "approval")?;
    let sql = "UPDATE approvals SET state = $1, body = $2, sum = $6 WHERE id = $3 AND state = $4 AND digest = $5";
    let sum = sum_of(approval, &body);
    let query = sqlx::query(sql).bind(approval.state.word()).bind(body).bind(approval.id().0).bind(from.to_owned());
    Ok(query.bind(approval.digest().0.clone()).bind(sum).execute(connection).await?.rows_affected() == 1)
}

fn sum_of(approval: &Approval, body: &str) -> String {
    let (id, incident, state, request) = (approval.id().0, approval.incident().0, approval.state.word(), approval.request.text());
    sum(&[&id, &incident, &state, &body, &request, &approval.digest().0])
}

/// Wakes an incident, unless it is over. What is due already stays due since then: whoever is woken often does not go to the back of the queue.
pub(super) async fn poke(connection: &mut AnyConnection, incident: IncidentId, now: Time) -> Result<bool> {
    let sql = "UPDATE incidents SET poke = poke + 1, wake_at = CASE WHEN wake_at <= $1 THEN wake_at ELSE $1 END \
         WHERE id = $2 AND closed_at IS NULL";
    let woken = sqlx::query(sql).bind(millis(now)).bind(incident.0).execute(connection).await?;
    Ok(woken.rows_affected() == 1)
}
