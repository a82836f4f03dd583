//! An incident's row as far as it is a projection of the entries: written with them, and never read back into them.

use super::sums::{or_nothing, sum};
use super::{Result, millis, plain};
use crate::domain::{Incident, Level, Severity};
use sqlx::AnyConnection;
use std::fmt::Display;

/// Part of a commit. The sum is over all that is written here.
pub(super) async fn project(connection: &mut AnyConnection, incident: &Incident) -> Result<()> {
    let sql = "UPDATE incidents SET seq = $1, state = $2, level = $3, urgency = $4, service = $5, host = $6, alertname = $7, \
         updated_at = $8, closed_at = $9, waits_for = $10, flapping = $11, shape = $12 WHERE id = $13";
    let (state, level, urgency) = (incident.state.as_str(), i64::from(u8::from(incident.level)), urgency(incident));
    let (service, host) =
        (incident.target.service.as_ref().map(ToString::to_string), incident.target.host.as_ref().map(ToString::to_string));
    let (alertname, updated_at, closed_at) = (plain(incident.alertname()), millis(incident.updated_at), incident.closed_at.map(millis));
    let (waits_for, flapping) = (incident.held.as_ref().map(|held| held.behind.0), i64::from(incident.flapping.is_some()));
    let shown = |number: Option<i64>| number.map(|number| number.to_string());
    let (over, behind) = (shown(closed_at), shown(waits_for));
    let (named, on) = (or_nothing(service.as_ref()), or_nothing(host.as_ref()));
    let (over, behind) = (or_nothing(over.as_ref()), or_nothing(behind.as_ref()));
    let shape: [&(dyn Display + Sync); 12] =
        [&incident.id.0, &incident.seq, &state, &level, &urgency, &named, &on, &alertname, &updated_at, &over, &behind, &flapping];
    let shape = sum(&shape);
    let query = sqlx::query(sql).bind(incident.seq).bind(state).bind(level).bind(urgency).bind(service.clone()).bind(host.clone());
    let query = query.bind(alertname).bind(updated_at).bind(closed_at).bind(waits_for).bind(flapping).bind(shape);
    query.bind(incident.id.0).execute(connection).await?;
    Ok(())
}

/// What goes first: 2 for level 3, 1 for what is critical, 0, and -1 for what is only for information.
pub fn urgency(incident: &Incident) -> i64 {
    match (incident.level, incident.severity()) {
        (Level::Three, _) => 2,
        (_, Severity::Critical) => 1,
        (_, Severity::Warning) => 0,
        (_, Severity::Info) => -1,
    }
}
