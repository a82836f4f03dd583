//! One step of one incident: take in what doors left, see what comes next, do it, append.

use super::costs::NoAnswer;
use super::error::EngineError;
use super::flapping::count;
use super::moves::{Move, Planners, next_move};
use super::{Engine, notices_for};
use crate::domain::{Alert, AlertStatus, Crowd, Entry, Incident, Level, LimitSpent, PlannerKind, Recorded, Time};
use crate::planner::Next;
use crate::store::{Assigned, Claim, Commit, StoreError, Wake};

/// An alert that joins an escalated incident later than this did not come with what was told.
const AGAIN: chrono::Duration = chrono::Duration::seconds(5);
/// And so often at the most is a human told that there is more.
const STILL: chrono::Duration = chrono::Duration::minutes(10);
/// Alerts that one step takes in.
const AT_ONCE: i64 = 1_000;

impl Engine {
    /// `took_in`: the step before this one took alerts in. However many come, every other step is one of the work itself.
    pub(super) async fn step(&self, claim: &Claim, incident: &mut Incident, took_in: &mut bool) -> Result<Wake, EngineError> {
        if !std::mem::take(took_in) {
            let assigned = self.parts.store.assigned_alerts(incident.id, AT_ONCE).await?;
            if !assigned.is_empty() {
                // Where there are more, they come first.
                *took_in = i64::try_from(assigned.len()).is_ok_and(|count| count < AT_ONCE);
                return self.take_in(claim, incident, assigned).await;
            }
        }
        if let Some(order) = self.closing_order(incident).await? {
            return self.close_by_order(claim, incident, order).await;
        }
        let silences = self.silences(incident);
        if !silences.is_empty() {
            return self.append(claim, incident, silences).await;
        }
        let next = next_move(incident, self.planners(incident), &self.parts.settings, self.now());
        match next {
            Move::Recover => self.recover(claim, incident).await,
            Move::Answer => self.answer(claim, incident).await,
            Move::Escalate(why) => self.append(claim, incident, vec![Entry::Escalated { why }]).await,
            Move::Close(outcome) => self.append(claim, incident, vec![Entry::Closed { outcome }]).await,
            Move::StartRun(planner) => {
                if incident.run.is_none()
                    && let Some(wake) = self.wait_for_cause(claim, incident).await?
                {
                    return Ok(wake);
                }
                let run = incident.run.as_ref().map_or(1, |run| run.number + 1);
                self.append(claim, incident, vec![Entry::RunStarted { run, planner, runbook: incident.runbook.clone() }]).await
            }
            Move::StopRun(planner, summary) => self.append(claim, incident, vec![Entry::RunEnded { planner, summary }]).await,
            Move::StartVerifying => self.start_verifying(claim, incident).await,
            Move::Verify => self.verify(claim, incident).await,
            Move::Gate(proposal) => self.gate(claim, incident, proposal).await,
            Move::Plan(planner) => self.plan(claim, incident, planner).await,
            Move::LookAgain => self.look_again(claim, incident).await,
            Move::CalmDown => self.append(claim, incident, vec![Entry::Steady]).await,
            Move::WaitUntil(time) => Ok(Wake::At(time)),
            Move::Wait => Ok(Wake::Never),
        }
    }

    fn planners(&self, incident: &Incident) -> Planners {
        let runbook = incident.runbook.as_ref().is_some_and(|name| self.parts.runbooks.contains_key(name));
        Planners { runbook, model: self.parts.model.is_some() }
    }

    /// Appends entries with the notices that follow from them.
    pub(super) async fn append(&self, claim: &Claim, incident: &mut Incident, entries: Vec<Entry>) -> Result<Wake, EngineError> {
        self.commit(claim, incident, Commit::of(entries)).await?;
        Ok(Wake::Now)
    }

    /// The one way into the ledger: notices are derived here, so that no entry goes untold.
    pub(super) async fn commit(&self, claim: &Claim, incident: &mut Incident, mut step: Commit) -> Result<(), EngineError> {
        let channels = self.channels();
        // What was never open is not asked: its end alone is told.
        let open = step.asked.as_ref().is_none_or(|asked| asked.state.is_open());
        let told = step.entries.iter().filter(|entry| open || !matches!(entry, Entry::Asked { .. }));
        step.notices.extend(told.flat_map(|entry| notices_for(incident, entry, &channels)));
        step.channels = channels;
        let told = !step.notices.is_empty();
        let loud = |entry: &Entry| matches!(entry, Entry::Escalated { .. } | Entry::InDoubt { .. } | Entry::PlannerFailed { .. });
        count(&step.entries);
        let shown: Vec<(String, bool)> = step.entries.iter().map(|entry| (entry.to_string(), loud(entry))).collect();
        self.parts.store.commit(claim, incident, step, self.now()).await?;
        for (line, loud) in shown {
            match loud {
                true => tracing::warn!(incident = %incident.id, state = %incident.state, "{line}"),
                false => tracing::info!(incident = %incident.id, state = %incident.state, "{line}"),
            }
        }
        if told {
            self.mail.notify_waiters();
        }
        Ok(())
    }

    async fn take_in(&self, claim: &Claim, incident: &mut Incident, assigned: Vec<Assigned>) -> Result<Wake, EngineError> {
        let ids: Vec<i64> = assigned.iter().map(|a| a.id).collect();
        if incident.state.is_final() {
            self.parts.store.give_back(&ids).await?;
            self.accepted.notify_one();
            return Ok(Wake::Never);
        }
        let flaps = self.flaps_again(incident, &assigned).await?;
        let mut entries = self.fold_in(incident, assigned, flaps.is_some())?;
        entries.extend(flaps);
        self.commit(claim, incident, Commit { entries, seen: ids, ..Commit::default() }).await?;
        Ok(Wake::Now)
    }

    /// What alerts that came together mean, each seen in the light of those before it. In a large incident they are told in brief.
    fn fold_in(&self, incident: &Incident, assigned: Vec<Assigned>, flaps: bool) -> Result<Vec<Entry>, StoreError> {
        let (mut fold, now, mut entries, mut crowd) = (incident.clone(), self.now(), Vec::new(), Crowd::default());
        for alert in assigned.into_iter().map(|a| a.alert) {
            for entry in self.news(&fold, alert) {
                let brief = in_brief(&fold, &entry);
                let seen = brief.clone().map_or_else(|| entry.clone(), Entry::ManyAlerts);
                fold.apply(&Recorded { seq: fold.seq + 1, at: now, entry: seen })?;
                match brief {
                    Some(brief) => crowd.follow(brief),
                    None => entries.push(entry),
                }
            }
        }
        entries.extend((!crowd.is_empty()).then_some(Entry::ManyAlerts(crowd)));
        // Who took it over some time ago hears that there is more.
        if let (Some(name), Some(handover)) = (entries.iter().find_map(joined), &incident.escalated)
            && now - handover.at > if handover.told == 1 { AGAIN } else { STILL }
            && (incident.level == Level::Three || !(flaps || incident.flapping.is_some()))
        {
            entries.push(Entry::Escalated { why: format!("{name} fires again, or has joined what was escalated before") });
        }
        Ok(entries)
    }

    /// What an alert means for an incident that already is. Repetitions and stale resolutions mean nothing.
    fn news(&self, incident: &Incident, alert: Alert) -> Vec<Entry> {
        match alert.status {
            AlertStatus::Resolved => match incident.known(&alert.fingerprint) {
                // By the end too, not the start alone: a start may change between two notifications of one firing.
                Some((true, since)) if last_instant(&alert) >= since => {
                    let (fingerprint, alertname) = (alert.fingerprint.clone(), alert.name().to_owned());
                    vec![Entry::AlertResolved { fingerprint, alertname, asked: alert.origin.asked }]
                }
                _ => Vec::new(),
            },
            AlertStatus::Firing => {
                let found = self.parts.rules.classify(&alert);
                let stricter = found.level > incident.level || found.mode > incident.mode;
                let mut entries = vec![Entry::AlertJoined { alert }];
                if stricter {
                    let level = found.level.max(incident.level);
                    entries.push(Entry::Classified { level, rule: found.rule, why: found.why, runbook: found.runbook, mode: found.mode });
                }
                entries
            }
        }
    }

    async fn plan(&self, claim: &Claim, incident: &mut Incident, planner: PlannerKind) -> Result<Wake, EngineError> {
        let asked = match planner {
            PlannerKind::Runbook => self.ask_runbook(incident),
            PlannerKind::Model => self.ask_model(incident).await?,
        };
        match asked {
            Asked::Write(entry) => self.append(claim, incident, vec![*entry]).await,
            Asked::Gate(proposal) => self.gate(claim, incident, *proposal).await,
            Asked::Spent(limit) => self.limit_spent(claim, incident, limit).await,
        }
    }

    fn ask_runbook(&self, incident: &Incident) -> Asked {
        let planner = PlannerKind::Runbook;
        let Some(runbook) = incident.runbook.as_ref().and_then(|name| self.parts.runbooks.get(name)) else {
            return Asked::write(Entry::PlannerFailed { planner, why: "the runbook is not there any more".into() });
        };
        match runbook.next(incident) {
            Next::Propose(proposal) => Asked::Gate(Box::new(proposal)),
            Next::Skip { step, why } => Asked::write(Entry::Skipped { step, why }),
            Next::Wait { step } => Asked::write(Entry::PlannerFailed { planner, why: format!("step {step} has no end") }),
            Next::Done { summary } => Asked::write(Entry::RunEnded { planner, summary }),
            Next::Fail { why } => Asked::write(Entry::PlannerFailed { planner, why }),
        }
    }

    /// A model's answer is an entry of its own, so a restart never asks (and pays) twice for what it already said.
    async fn ask_model(&self, incident: &Incident) -> Result<Asked, EngineError> {
        let planner = PlannerKind::Model;
        let Some(model) = &self.parts.model else {
            return Ok(Asked::write(Entry::PlannerFailed { planner, why: "no model is configured any more".into() }));
        };
        if let Some(last) = last_words(incident) {
            return Ok(Asked::write(Entry::RunEnded { planner, summary: last }));
        }
        Ok(match self.within_costs(model, incident).await? {
            Ok(thought) => Asked::write(Entry::Thought { text: thought.text, calls: thought.calls, tokens: thought.tokens }),
            Err(NoAnswer::Spent(limit)) => Asked::Spent(limit),
            Err(NoAnswer::Model(e)) => Asked::write(Entry::PlannerFailed { planner, why: with_sources(&e) }),
        })
    }
}

/// "ask the model: no answer within 60 s": whoever reads the transcript has no log.
fn with_sources(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The same without the alert itself, where the incident has enough of whole ones.
fn in_brief(incident: &Incident, entry: &Entry) -> Option<Crowd> {
    let mut crowd = Crowd::default();
    match entry {
        _ if !incident.is_crowded() => return None,
        Entry::AlertJoined { alert } => crowd.join(alert),
        Entry::AlertResolved { fingerprint, .. } => drop(crowd.resolved.insert(fingerprint.clone())),
        _ => return None,
    }
    Some(crowd)
}

/// Who has joined: the first of them.
fn joined(entry: &Entry) -> Option<String> {
    match entry {
        Entry::AlertJoined { alert } => Some(format!("{} {}", alert.name(), alert.place()).trim().to_owned()),
        Entry::ManyAlerts(crowd) => crowd.joined.first().map(|joined| joined.alertname.clone()),
        _ => None,
    }
}

/// The latest time an alert speaks of.
fn last_instant(alert: &Alert) -> Time {
    alert.ends_at.map_or(alert.starts_at, |end| end.max(alert.starts_at))
}

enum Asked {
    Write(Box<Entry>),
    Gate(Box<crate::domain::Proposal>),
    Spent(LimitSpent),
}

impl Asked {
    fn write(entry: Entry) -> Self {
        Self::Write(Box::new(entry))
    }
}

/// A model that said something and wants no call has said its last word.
fn last_words(incident: &Incident) -> Option<String> {
    let run = incident.run.as_ref()?;
    let last = incident.thoughts[run.first_thought..].last()?;
    (last.calls.is_empty() && !last.text.trim().is_empty()).then(|| last.text.clone())
}
