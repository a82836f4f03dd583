//! Trust: marks follow from entries and are written with them; each agent's score is their fold, kept beside them so that a judgement
//! reads one row.

use super::sums::sum;
use super::{Result, Store, from_json, json, millis, outbox, plain, strange, time};
use crate::domain::{Channel, Entry, Incident, IncidentId, Mark, MarkKind, Notice, Proposer, Recorded, Severity, Trust};
use crate::safety;
use serde::Serialize;
use sqlx::{AnyConnection, Row};

/// The same alert of the same place within this time after a verified fix: it did not last.
pub const RELAPSE: chrono::Duration = chrono::Duration::minutes(30);

/// A line of an agent's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Marked {
    #[serde(flatten)]
    pub mark: Mark,
    /// After it.
    pub score: i32,
}

impl Store {
    /// As it stands; one who has not been seen yet starts in the middle.
    pub async fn trust(&self, agent: &Proposer) -> Result<Trust> {
        let sql = "SELECT agent, body FROM trust WHERE agent = $1";
        let row = sqlx::query(sql).bind(agent.to_string()).fetch_optional(&self.read).await?;
        of_row(row.as_ref())
    }

    /// Every agent that has a mark.
    pub async fn trusted(&self) -> Result<Vec<(Proposer, Trust)>> {
        let rows = sqlx::query("SELECT agent, body FROM trust ORDER BY agent").fetch_all(&self.read).await?;
        rows.iter().map(read).collect()
    }

    /// The newest marks, newest first.
    pub async fn trust_marks(&self, limit: i64) -> Result<Vec<Marked>> {
        let sql = "SELECT agent, kind, incident_id, seq, place, alertname, at, score FROM trust_marks ORDER BY id DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(limit).fetch_all(&self.read).await?;
        rows.iter().map(marked).collect()
    }
}

/// The marks of a step's entries; `before` is the incident without them.
pub(super) async fn write(connection: &mut AnyConnection, before: &Incident, recorded: &[Recorded], channels: &[Channel]) -> Result<()> {
    let mut incident = before.clone();
    for entry in recorded {
        let mut marks = safety::marks(&incident, entry);
        if matches!(entry.entry, Entry::RunStarted { run: 1, .. }) {
            marks.extend(relapse(connection, &incident, entry).await?);
        }
        for mark in marks {
            take(connection, &mark, channels).await?;
        }
        incident.apply(entry)?;
    }
    Ok(())
}

/// Whose verified fix of the same alert in the same place did not last? Told when the next incident's first run begins.
async fn relapse(connection: &mut AnyConnection, incident: &Incident, recorded: &Recorded) -> Result<Option<Mark>> {
    let (place, alertname) = (plain(&safety::place(incident)), plain(incident.alertname()));
    let sql = "SELECT agent FROM trust_marks WHERE kind = 'verified' AND place = $1 AND alertname = $2 AND at > $3 AND incident_id <> $4 \
         ORDER BY id DESC LIMIT 1";
    let query = sqlx::query(sql).bind(place.clone()).bind(alertname.clone()).bind(millis(incident.opened_at - RELAPSE)).bind(incident.id.0);
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let agent = agent_of(&row)?;
    Ok(Some(Mark { agent, kind: MarkKind::Relapsed, incident: incident.id, seq: recorded.seq, place, alertname, at: recorded.at }))
}

async fn take(connection: &mut AnyConnection, mark: &Mark, channels: &[Channel]) -> Result<()> {
    let mut trust = load(connection, &mark.agent).await?;
    let opened = trust.take(mark);
    let sql = "INSERT INTO trust_marks (agent, incident_id, seq, at, kind, place, alertname, score, sum) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let (agent, place, alertname, at) = (mark.agent.to_string(), plain(&mark.place), plain(&mark.alertname), millis(mark.at));
    let sum = sum(&[&agent, &mark.incident.0, &mark.seq, &at, &mark.kind.as_str(), &place, &alertname, &trust.score()]);
    let query = sqlx::query(sql).bind(agent).bind(mark.incident.0).bind(mark.seq).bind(at);
    let query = query.bind(mark.kind.as_str()).bind(place).bind(alertname).bind(i64::from(trust.score()));
    query.bind(sum).execute(&mut *connection).await?;
    save(connection, &mark.agent, &trust).await?;
    if opened {
        let notices: Vec<(Channel, Notice)> = channels.iter().map(|channel| (*channel, alarm(*channel, mark))).collect();
        outbox::enqueue(connection, mark.incident, &notices, mark.at).await?;
    }
    Ok(())
}

/// Told once, with the entry that opened it.
fn alarm(channel: Channel, mark: &Mark) -> Notice {
    let Mark { agent, incident, kind, .. } = mark;
    let text = format!(
        "{agent} was wrong {} times in a row, the last {} in {incident}. Nothing that it proposes is done until a human closes its breaker: \
         paramedic trust close-breaker {agent} --reason …",
        Trust::WRONG_OPENS,
        kind.words()
    );
    match channel {
        Channel::Pagerduty => Notice::Page { severity: Severity::Critical, summary: text },
        Channel::Slack | Channel::Email => Notice::Message { severity: Severity::Critical, text },
    }
}

pub(super) async fn close_breaker(connection: &mut AnyConnection, agent: &Proposer) -> Result<()> {
    let mut trust = load(connection, agent).await?;
    trust.close_breaker();
    save(connection, agent, &trust).await
}

pub(super) async fn is_open(connection: &mut AnyConnection, agent: &Proposer) -> Result<bool> {
    Ok(load(connection, agent).await?.breaker().is_some())
}

async fn load(connection: &mut AnyConnection, agent: &Proposer) -> Result<Trust> {
    let sql = "SELECT agent, body FROM trust WHERE agent = $1";
    let row = sqlx::query(sql).bind(agent.to_string()).fetch_optional(connection).await?;
    of_row(row.as_ref())
}

/// No row is no mark yet: everybody starts in the middle.
fn of_row(row: Option<&sqlx::any::AnyRow>) -> Result<Trust> {
    match row {
        Some(row) => Ok(read(row)?.1),
        None => Ok(Trust::default()),
    }
}

async fn save(connection: &mut AnyConnection, agent: &Proposer, trust: &Trust) -> Result<()> {
    let sql = "INSERT INTO trust (agent, body, sum) VALUES ($1, $2, $3) \
         ON CONFLICT (agent) DO UPDATE SET body = excluded.body, sum = excluded.sum";
    let (agent, body) = (agent.to_string(), json(trust, "trust")?);
    let sum = sum(&[&agent, &body]);
    sqlx::query(sql).bind(agent).bind(body).bind(sum).execute(connection).await?;
    Ok(())
}

fn agent_of(row: &sqlx::any::AnyRow) -> Result<Proposer> {
    let text: String = row.try_get("agent")?;
    text.parse().map_err(|e| strange(format!("trust of {text}"), e))
}

fn read(row: &sqlx::any::AnyRow) -> Result<(Proposer, Trust)> {
    let agent = agent_of(row)?;
    let body: String = row.try_get("body")?;
    let trust = from_json(&body, &format!("trust {agent}"))?;
    Ok((agent, trust))
}

fn marked(row: &sqlx::any::AnyRow) -> Result<Marked> {
    let incident = IncidentId(row.try_get("incident_id")?);
    let name = format!("trust_marks {incident}");
    let (kind, score): (String, i64) = (row.try_get("kind")?, row.try_get("score")?);
    let mark = Mark {
        agent: agent_of(row)?,
        kind: from_json(&format!("\"{kind}\""), &name)?,
        incident,
        seq: row.try_get("seq")?,
        place: row.try_get("place")?,
        alertname: row.try_get("alertname")?,
        at: time(row.try_get("at")?, &name)?,
    };
    Ok(Marked { mark, score: i32::try_from(score).map_err(|e| strange(&name, e))? })
}
