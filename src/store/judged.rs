//! Entries of all incidents since a time, for judging them again.

use super::{Result, Store, from_json, millis, time};
use crate::domain::{IncidentId, Recorded, Seq, Time};
use sqlx::Row;

impl Store {
    /// At most `limit`, behind `after`, by incident and number. A row that cannot be read is an error that names it.
    pub async fn entries_since(&self, since: Time, after: (IncidentId, Seq), limit: i64) -> Result<Vec<(IncidentId, Recorded)>> {
        let sql = "SELECT incident_id, seq, at, body FROM entries \
             WHERE at >= $1 AND (incident_id > $2 OR (incident_id = $2 AND seq > $3)) ORDER BY incident_id, seq LIMIT $4";
        let query = sqlx::query(sql).bind(millis(since)).bind(after.0.0).bind(after.1).bind(limit);
        let rows = query.fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let (incident, seq): (i64, Seq) = (row.try_get("incident_id")?, row.try_get("seq")?);
                let incident = IncidentId(incident);
                let name = format!("entries {incident} {seq}");
                let body: String = row.try_get("body")?;
                Ok((incident, Recorded { seq, at: time(row.try_get("at")?, &name)?, entry: from_json(&body, &name)? }))
            })
            .collect()
    }
}
