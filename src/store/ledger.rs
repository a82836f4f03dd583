//! The ledger: entries are appended under a lease, naming the sequence number expected, together with everything that
//! follows from them (their leaves in the log, projection, approvals, budgets, locks, notices) in one transaction.

use super::projection::project;
use super::sums::{or_nothing, sum};
use super::{Claim, Duty, FreezePoint, Point, Result, Store, StoreError, from_json, log, millis, outbox, pass, plain, strange, time};
use crate::domain::{Approval, ApprovalId, Channel, Entry, Incident, IncidentId, LimitSpent, Notice, Recorded, Seq, ServiceName, Time};
use sqlx::{AnyConnection, Row};

/// When the worker wants to be called again. A poke by a door overrides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    Now,
    At(Time),
    /// Only when poked.
    Never,
}

/// Counts against a budget from the moment the action starts, whatever becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetUse {
    pub kind: &'static str,
    pub service: Option<ServiceName>,
    pub amount: u32,
    /// At most so much of it within so long. Judged before, and counted again in the transaction that spends it: another worker
    /// may have judged by the same count.
    pub most: Option<(u32, chrono::Duration)>,
}

/// One durable step of an incident.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub entries: Vec<Entry>,
    /// Alerts that these entries take into the ledger.
    pub seen: Vec<i64>,
    /// A new approval row, or one whose state moved on. The old state's word guards the update.
    pub asked: Option<Approval>,
    pub moved: Option<(Approval, &'static str)>,
    pub budget: Vec<BudgetUse>,
    /// Things to hold (`service:api`) until the incident is verified or handed over.
    pub hold: Vec<String>,
    /// Hosts that may be worked on at once, these included; counted again like a budget.
    pub hosts_at_once: Option<u32>,
    pub notices: Vec<(Channel, Notice)>,
    /// A limit of the day that is spent, and what is told if nobody has been told of it today.
    pub once: Option<(LimitSpent, Vec<(Channel, Notice)>)>,
    /// Told in the threads of other incidents.
    pub elsewhere: Vec<(IncidentId, Channel, Notice)>,
    /// How many orders there were when an action was judged that now starts: one given since then is judged first.
    pub judged_by: Option<i64>,
    /// Where an alarm goes that follows from these entries: a breaker that opens.
    pub channels: Vec<Channel>,
}

impl Commit {
    pub fn of(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }
}

impl Store {
    pub async fn entries(&self, incident: IncidentId) -> Result<Vec<Recorded>> {
        let sql = "SELECT seq, at, body FROM entries WHERE incident_id = $1 ORDER BY seq";
        let rows = sqlx::query(sql).bind(incident.0).fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let seq: Seq = row.try_get("seq")?;
                let name = format!("entries {incident} {seq}");
                let body: String = row.try_get("body")?;
                Ok(Recorded { seq, at: time(row.try_get("at")?, &name)?, entry: from_json(&body, &name)? })
            })
            .collect()
    }

    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>> {
        let entries = self.entries(id).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        Ok(Some(Incident::replay(id, &entries)?))
    }

    /// A number for an approval that a later commit will ask for. A gap does no harm.
    pub async fn next_approval(&self) -> Result<ApprovalId> {
        let sql = "INSERT INTO identity (name, value) VALUES ('approvals', '1') \
             ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(identity.value AS BIGINT) + 1 AS TEXT) RETURNING value";
        let text: String = sqlx::query(sql).fetch_one(&self.write).await?.try_get("value")?;
        text.parse().map_err(|e| strange("identity.approvals", e))
    }

    /// Opens an incident with its first entries and takes its alerts.
    pub async fn open(
        &self,
        entries: Vec<Entry>,
        join_key: &str,
        alerts: &[i64],
        notices: &(dyn Fn(&Incident) -> Vec<(Channel, Notice)> + Sync),
        now: Time,
    ) -> Result<Incident> {
        let entries = self.entries_without_secrets(entries)?;
        self.freeze.pass(FreezePoint::Before).await;
        pass(Point::BeforeRaise, || "open".into());
        let mut transaction = self.begin().await?;
        self.still_on_duty(&mut transaction, Duty::Raise).await?;
        let sql = "INSERT INTO incidents (seq, state, level, urgency, alertname, join_key, opened_at, updated_at, wake_at, sum) \
             VALUES (0, 'open', 2, 0, '', $1, $2, $2, $2, $3) RETURNING id";
        let (join_key, at) = (plain(join_key), millis(now));
        let sum = sum(&[&join_key, &at]);
        let row = sqlx::query(sql).bind(join_key).bind(at).bind(sum).fetch_one(&mut *transaction).await?;
        let id = IncidentId(row.try_get("id")?);
        let recorded = number(0, entries, now);
        log::append(&mut transaction, id, &recorded).await?;
        let incident = Incident::replay(id, &recorded)?;
        project(&mut transaction, &incident).await?;
        super::alerts::move_on(&mut transaction, alerts, "accepted", "seen", Some(id)).await?;
        outbox::enqueue(&mut transaction, id, &notices(&incident), now).await?;
        transaction.commit().await?;
        self.freeze.pass(FreezePoint::After).await;
        pass(Point::AfterRaise, || "open".into());
        Ok(incident)
    }

    /// Appends under the claim's lease; `incident` is the fold up to now and is moved on. Fails as a whole or not at all:
    /// a lost lease is `Fenced`, a thing that another incident holds is `Busy`, a budget that others have used up meanwhile is `Spent`.
    pub async fn commit(&self, claim: &Claim, incident: &mut Incident, step: Commit, now: Time) -> Result<()> {
        let step = self.commit_without_secrets(step)?;
        self.freeze.pass(FreezePoint::Before).await;
        let recorded = number(incident.seq, step.entries, now);
        let mut after = incident.clone();
        for entry in &recorded {
            after.apply(entry)?;
        }
        pass(Point::BeforeAppend, || kinds(&recorded));
        let mut transaction = self.begin().await?;
        let sql = "UPDATE incidents SET seq = $1 WHERE id = $2 AND lease = $3 AND seq = $4";
        let query = sqlx::query(sql).bind(after.seq).bind(claim.incident.0).bind(claim.lease).bind(incident.seq);
        if query.execute(&mut *transaction).await?.rows_affected() != 1 {
            return Err(StoreError::Fenced(claim.incident));
        }
        if let Some(judged_by) = step.judged_by
            && super::orders::count(&mut transaction).await? != judged_by
        {
            return Err(StoreError::Fenced(claim.incident));
        }
        hold(&mut transaction, claim.incident, &step.hold, now).await?;
        if let Some(most) = step.hosts_at_once {
            check_hosts(&mut transaction, most).await?;
        }
        log::append(&mut transaction, claim.incident, &recorded).await?;
        project(&mut transaction, &after).await?;
        super::alerts::mark_seen(&mut transaction, &step.seen).await?;
        super::approvals::write(&mut transaction, step.asked.as_ref(), step.moved.as_ref()).await?;
        spend(&mut transaction, claim.incident, after.seq, &step.budget, now).await?;
        outbox::enqueue(&mut transaction, claim.incident, &step.notices, now).await?;
        if let Some((limit, notices)) = &step.once
            && super::costs::first_told(&mut transaction, limit).await?
        {
            outbox::enqueue(&mut transaction, claim.incident, notices, now).await?;
        }
        for (other, channel, notice) in step.elsewhere {
            outbox::enqueue(&mut transaction, other, &[(channel, notice)], now).await?;
        }
        super::trust::write(&mut transaction, incident, &recorded, &step.channels).await?;
        if after.closed_at.is_some() || after.escalated.is_some() {
            sqlx::query("DELETE FROM remediations WHERE incident_id = $1").bind(claim.incident.0).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        self.freeze.pass(FreezePoint::After).await;
        pass(Point::AfterAppend, || kinds(&recorded));
        *incident = after;
        Ok(())
    }
}

/// `started`, `resolved+signalled`: what is appended, for whoever stops there.
fn kinds(recorded: &[Recorded]) -> String {
    let kind = |entry: &Entry| serde_json::to_value(entry).ok()?.get("kind")?.as_str().map(str::to_owned);
    recorded.iter().filter_map(|recorded| kind(&recorded.entry)).collect::<Vec<_>>().join("+")
}

fn number(last: Seq, entries: Vec<Entry>, at: Time) -> Vec<Recorded> {
    // Stored as milliseconds: the fold in memory must not know more than the one after a restart.
    let at = Time::from_timestamp_millis(millis(at)).unwrap_or(at);
    (last + 1..).zip(entries).map(|(seq, entry)| Recorded { seq, at, entry }).collect()
}

async fn hold(connection: &mut AnyConnection, id: IncidentId, things: &[String], now: Time) -> Result<()> {
    for thing in things {
        let sql = "INSERT INTO remediations (thing, incident_id, at, sum) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (thing) DO UPDATE SET at = remediations.at RETURNING incident_id";
        let sum = sum(&[thing, &id.0, &millis(now)]);
        let row = sqlx::query(sql).bind(thing.clone()).bind(id.0).bind(millis(now)).bind(sum).fetch_one(&mut *connection).await?;
        let holder = IncidentId(row.try_get("incident_id")?);
        if holder != id {
            return Err(StoreError::Busy { thing: thing.clone(), holder });
        }
    }
    Ok(())
}

async fn check_hosts(connection: &mut AnyConnection, most: u32) -> Result<()> {
    let held = super::usage::hosts_held(&mut *connection).await?;
    if held.len() > most as usize {
        return Err(StoreError::Spent(format!("{} hosts would be worked on at once (limit {most})", held.len())));
    }
    Ok(())
}

async fn check_budget(connection: &mut AnyConnection, budget: &BudgetUse, now: Time) -> Result<()> {
    let (Some((most, within)), Some(service)) = (budget.most, &budget.service) else { return Ok(()) };
    let used = super::usage::used(connection, service, budget.kind, now - within).await?;
    if used.saturating_add(budget.amount) > most {
        return Err(StoreError::Spent(format!("{} of {service}: {used} of {most} are used", budget.kind)));
    }
    Ok(())
}

async fn spend(connection: &mut AnyConnection, id: IncidentId, seq: Seq, uses: &[BudgetUse], now: Time) -> Result<()> {
    for budget in uses {
        check_budget(connection, budget, now).await?;
        let sql = "INSERT INTO budget_uses (incident_id, seq, kind, service, amount, at, sum) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let service = budget.service.as_ref().map(ToString::to_string);
        let sum = sum(&[&id.0, &seq, &budget.kind, &or_nothing(service.as_ref()), &budget.amount, &millis(now)]);
        let query = sqlx::query(sql).bind(id.0).bind(seq).bind(budget.kind).bind(service);
        query.bind(i64::from(budget.amount)).bind(millis(now)).bind(sum).execute(&mut *connection).await?;
    }
    Ok(())
}
