//! Approvals: rows with a state that moves by compare-and-set. Doors decide here; the incident's worker takes the decision
//! into the ledger.

use super::{Result, Store, StoreError, from_json, json, millis};
use crate::domain::{Approval, ApprovalId, ApprovalState, Decision, IllegalTransition, IncidentId, Principal, Time};
use sqlx::{AnyConnection, Row};

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("there is no approval {0}")]
    Unknown(ApprovalId),
    #[error("{0} is for another action than the one shown: nothing was decided")]
    OtherAction(ApprovalId),
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>> {
        let row = sqlx::query("SELECT body FROM approvals WHERE id = $1").bind(id.0).fetch_optional(&self.read).await?;
        let Some(row) = row else { return Ok(None) };
        let body: String = row.try_get("body")?;
        from_json(&body, &format!("approvals {id}")).map(Some)
    }

    /// Approvals nobody has decided yet, oldest first.
    pub async fn open_approvals(&self) -> Result<Vec<Approval>> {
        let rows = sqlx::query("SELECT id, body FROM approvals WHERE state = 'asked' ORDER BY id").fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let (id, body): (i64, String) = (row.try_get("id")?, row.try_get("body")?);
                from_json(&body, &format!("approvals {id}"))
            })
            .collect()
    }

    /// A human's decision: the first one wins, and wakes the incident. `digest`, where the door saw one, must be the action's.
    pub async fn decide(
        &self,
        id: ApprovalId,
        decision: Decision,
        by: Principal,
        digest: Option<&str>,
        now: Time,
    ) -> std::result::Result<Approval, DecideError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query("SELECT body FROM approvals WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(StoreError::from)?;
        let row = row.ok_or(DecideError::Unknown(id))?;
        let body: String = row.try_get("body").map_err(StoreError::from)?;
        let approval: Approval = from_json(&body, &format!("approvals {id}"))?;
        if digest.is_some_and(|seen| seen != approval.digest.0) {
            return Err(DecideError::OtherAction(id));
        }
        let decided = approval.decide(decision, by, now)?;
        if !swap(&mut transaction, &decided, ApprovalState::Asked.word()).await? {
            return Err(IllegalTransition::Decided(id, "decided").into());
        }
        poke(&mut transaction, decided.incident, now).await?;
        transaction.commit().await?;
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

/// The incident's worker wrote an approval: a new one, or one that expired, was voided or spent.
pub(super) async fn write(
    connection: &mut AnyConnection,
    asked: Option<&Approval>,
    moved: Option<&(Approval, &'static str)>,
) -> Result<()> {
    if let Some(approval) = asked {
        let body = json(approval, "approval")?;
        let sql = "INSERT INTO approvals (id, incident_id, state, body) VALUES ($1, $2, $3, $4)";
        let query = sqlx::query(sql).bind(approval.id.0).bind(approval.incident.0).bind(approval.state.word()).bind(body);
        query.execute(&mut *connection).await?;
    }
    if let Some((approval, from)) = moved
        && !swap(connection, approval, from).await?
    {
        // A door was faster: the worker starts its step again with what is true now.
        return Err(StoreError::Fenced(approval.incident));
    }
    Ok(())
}

async fn swap(connection: &mut AnyConnection, approval: &Approval, from: &str) -> Result<bool> {
    let body = json(approval, "approval")?;
    let sql = "UPDATE approvals SET state = $1, body = $2 WHERE id = $3 AND state = $4";
    let query = sqlx::query(sql).bind(approval.state.word()).bind(body).bind(approval.id.0).bind(from.to_owned());
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

async fn poke(connection: &mut AnyConnection, incident: IncidentId, now: Time) -> Result<()> {
    let sql = "UPDATE incidents SET poke = poke + 1, wake_at = $1 WHERE id = $2 AND closed_at IS NULL";
    sqlx::query(sql).bind(millis(now)).bind(incident.0).execute(connection).await?;
    Ok(())
}
