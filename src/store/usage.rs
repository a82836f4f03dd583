//! What has been used of the budgets, read for the SafetyChecker. An error here is a fact that is missing: it denies.

use super::{Result, Store, millis, strange};
use crate::domain::{HostName, IncidentId, ServiceName, Time};
use sqlx::{AnyConnection, Row};
use std::collections::BTreeSet;

impl Store {
    /// Sum of a kind of use of a service since `since`.
    pub async fn used(&self, service: &ServiceName, kind: &str, since: Time) -> Result<u32> {
        used(&mut *self.read.acquire().await?, service, kind, since).await
    }

    /// Actions of an incident that changed something or may have.
    pub async fn actions_of(&self, incident: IncidentId) -> Result<u32> {
        let sql = "SELECT COUNT(DISTINCT seq) AS n FROM budget_uses WHERE incident_id = $1";
        let n: i64 = sqlx::query(sql).bind(incident.0).fetch_one(&self.read).await?.try_get("n")?;
        u32::try_from(n).map_err(|e| strange(format!("actions of {incident}"), e))
    }

    /// Hosts that incidents are working on, whoever asks.
    pub async fn hosts_held(&self) -> Result<Vec<HostName>> {
        Ok(hosts_held(&mut *self.read.acquire().await?).await?.into_iter().collect())
    }
}

pub(super) async fn used(connection: &mut AnyConnection, service: &ServiceName, kind: &str, since: Time) -> Result<u32> {
    let sql = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS n FROM budget_uses WHERE service = $1 AND kind = $2 AND at > $3";
    let query = sqlx::query(sql).bind(service.to_string()).bind(kind.to_owned()).bind(millis(since));
    let n: i64 = query.fetch_one(connection).await?.try_get("n")?;
    u32::try_from(n).map_err(|e| strange(format!("budget of {service}"), e))
}

pub(super) async fn hosts_held(connection: &mut AnyConnection) -> Result<BTreeSet<HostName>> {
    let rows = sqlx::query("SELECT thing FROM remediations WHERE thing LIKE 'on:%'").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let thing: String = row.try_get("thing")?;
            HostName::parse(thing.trim_start_matches("on:").split('#').next().unwrap_or_default())
                .map_err(|e| strange(format!("remediations {thing}"), e))
        })
        .collect()
}
