//! The fold: entries become an incident, one after the other. An entry that cannot follow is an error that names it; nothing is
//! guessed, skipped or repaired.

use super::{Briefs, Handover, InFlight, Incident, Pending, Run, State, Step, StepEnd, Thought, Verifying};
use crate::domain::action::{Action, Proposal};
use crate::domain::alert::AlertStatus;
use crate::domain::entry::{Entry, PlannerKind, Recorded, Signal};
use crate::domain::ids::{ApprovalId, IncidentId, Seq};
use crate::domain::level::Level;
use crate::domain::time::Time;
use crate::domain::verdict::Opinion;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error("{0} has no entries")]
    Empty(IncidentId),
    #[error("{0} begins with `{1}`, not with `raised`")]
    NotRaised(IncidentId, String),
    #[error("{0}: entry {1} follows entry {2}: the ledger has a gap")]
    Gap(IncidentId, Seq, Seq),
    #[error("{0}: entry {1} cannot follow in state {2}: {3}")]
    Illegal(IncidentId, Seq, State, &'static str),
}

impl Incident {
    pub fn replay(id: IncidentId, entries: &[Recorded]) -> Result<Self, FoldError> {
        let (first, rest) = entries.split_first().ok_or(FoldError::Empty(id))?;
        let mut incident = Self::begin(id, first)?;
        for recorded in rest {
            incident.apply(recorded)?;
        }
        Ok(incident)
    }

    fn begin(id: IncidentId, first: &Recorded) -> Result<Self, FoldError> {
        let Entry::Raised { alert, target } = &first.entry else {
            return Err(FoldError::NotRaised(id, first.entry.to_string()));
        };
        Ok(Self {
            id,
            seq: first.seq,
            opened_at: first.at,
            updated_at: first.at,
            closed_at: None,
            state: State::Open,
            target: target.clone(),
            level: Level::Two,
            rule: None,
            why: String::new(),
            runbook: None,
            mode: None,
            alerts: BTreeMap::from([(alert.fingerprint.clone(), alert.clone())]),
            crowd: Briefs::default(),
            news: 1,
            silenced: BTreeSet::new(),
            run: None,
            tried: Vec::new(),
            steps: Vec::new(),
            thoughts: Vec::new(),
            queue: VecDeque::new(),
            tokens: 0,
            pending: None,
            in_flight: None,
            waiting: false,
            held: None,
            waited: chrono::Duration::zero(),
            related: BTreeSet::new(),
            flapping: None,
            verifying: None,
            escalated: None,
            finding: None,
            outcome: None,
        })
    }

    /// Takes one more entry in. An entry that cannot follow is an error that names it: a ledger is never half believed.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        if recorded.seq != self.seq + 1 {
            return Err(FoldError::Gap(self.id, recorded.seq, self.seq));
        }
        if self.state.is_final() {
            return Err(self.illegal(recorded.seq, "the incident is over"));
        }
        self.take(recorded)?;
        self.follow(recorded);
        self.seq = recorded.seq;
        self.updated_at = recorded.at;
        Ok(())
    }

    fn take(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let seq = recorded.seq;
        match &recorded.entry {
            Entry::Raised { .. } => return Err(self.illegal(seq, "raised twice")),
            Entry::Classified { level, rule, why, runbook, mode } => {
                if *level < self.level && self.rule.is_some() {
                    return Err(self.illegal(seq, "a level is never lowered"));
                }
                (self.level, self.rule, self.why) = (*level, rule.clone(), why.clone());
                (self.runbook, self.mode) = (runbook.clone(), (*mode).max(self.mode));
            }
            Entry::AlertJoined { alert } => {
                self.alerts.insert(alert.fingerprint.clone(), alert.clone());
            }
            Entry::Silenced { fingerprint, .. } => {
                self.silenced.insert(fingerprint.clone());
            }
            Entry::Unsilenced { fingerprint, .. } => {
                self.silenced.remove(fingerprint);
            }
            Entry::AlertResolved { fingerprint, asked, .. } => {
                if let Some(alert) = self.alerts.get_mut(fingerprint) {
                    alert.origin.asked = asked.clone();
                    alert.status = AlertStatus::Resolved;
                    alert.ends_at = Some(recorded.at);
                }
            }
            Entry::ManyAlerts(crowd) => self.take_crowd(crowd, recorded.at),
            Entry::Held { behind, until, .. } => self.hold(*behind, *until, recorded.at),
            Entry::Released { .. } if self.held.is_none() => return Err(self.illegal(seq, "released, but it was not held")),
            Entry::Released { .. } => self.release(recorded.at),
            Entry::Flapping { times, quiet_for, .. } => self.flap(*times, *quiet_for, recorded.at),
            Entry::Steady => self.flapping = None,
            Entry::RunStarted { run, planner, .. } => self.start_run(*run, *planner, recorded.at),
            Entry::Skipped { step, .. } => {
                let Some(run) = self.run.as_mut() else {
                    return Err(self.illegal(seq, "skipped outside a run"));
                };
                run.skipped.insert(step.clone());
            }
            Entry::Thought { text, calls, tokens } => {
                self.tokens += tokens;
                self.queue = calls.iter().cloned().collect();
                self.thoughts.push(Thought { text: text.clone(), calls: calls.clone() });
            }
            Entry::PlannerFailed { why, .. } => self.end_run(why, true),
            Entry::RunEnded { summary, .. } => self.end_run(summary, false),
            Entry::Denied { proposal, planner, opinions } => self.push_step(seq, proposal, *planner, None, None, opinions, StepEnd::Denied),
            Entry::Asked { approval, proposal, planner, action, opinions, expires_at, request } => {
                if self.pending.is_some() || self.in_flight.is_some() {
                    return Err(self.illegal(seq, "asked while another action is open"));
                }
                self.pending = Some(Pending {
                    approval: *approval,
                    asked_at: recorded.at,
                    expires_at: *expires_at,
                    request: request.clone(),
                    votes: 0,
                    granted: None,
                });
                self.push_step(seq, proposal, *planner, Some(action), Some(*approval), opinions, StepEnd::Asked);
                self.go(State::AwaitingApproval);
            }
            Entry::Voted { approval, .. } => match self.pending.as_mut() {
                Some(pending) if pending.approval == *approval && pending.granted.is_none() => pending.votes += 1,
                _ => return Err(self.illegal(seq, "approved, but that is not what waits for it")),
            },
            Entry::Granted { approval, by, .. } => match self.pending.as_mut() {
                Some(pending) if pending.approval == *approval => pending.granted = Some(by.clone()),
                Some(_) => return Err(self.illegal(seq, "granted, but something else was asked")),
                None => return Err(self.illegal(seq, "granted, but nothing was asked")),
            },
            Entry::Refused { approval, by } => self.end_question(recorded, *approval, StepEnd::RefusedBy(by.clone()))?,
            Entry::Expired { approval, .. } => self.end_question(recorded, *approval, StepEnd::Expired)?,
            Entry::Void { approval, why } => self.end_question(recorded, *approval, StepEnd::Void(why.clone()))?,
            Entry::Unavailable { approval, why } => self.end_question(recorded, *approval, StepEnd::Unavailable(why.clone()))?,
            Entry::Started { proposal, planner, action, opinions, approval, .. } => {
                self.start_action(recorded, proposal, *planner, action, opinions, *approval)?
            }
            Entry::Waiting { .. } => self.waiting = true,
            Entry::Finished { outcome } => self.end_action(seq, StepEnd::Finished(outcome.clone()))?,
            Entry::InDoubt { found: Some(outcome) } => self.end_action(seq, StepEnd::Finished(outcome.clone()))?,
            Entry::InDoubt { found: None } => self.end_action(seq, StepEnd::InDoubt)?,
            Entry::VerifyStarted { deadline, independent } => {
                self.verifying = Some(Verifying { deadline: *deadline, checkable: independent.is_some(), independent: None, alert: None });
                self.go(State::Verifying);
            }
            Entry::Signalled { signal, holds, .. } => {
                let Some(verifying) = self.verifying.as_mut() else {
                    return Err(self.illegal(seq, "a signal outside verification"));
                };
                match signal {
                    Signal::Alert => verifying.alert = Some(*holds),
                    Signal::Independent => verifying.independent = Some(*holds),
                }
            }
            Entry::Resolved { summary } => self.end(State::Resolved, summary, recorded.at),
            Entry::Ordered { .. } => return Err(self.illegal(seq, "an order, which is of no incident")),
            Entry::Closed { outcome } => self.end(State::Closed, outcome, recorded.at),
            Entry::ClosedBy { .. } if self.in_flight.is_some() => return Err(self.illegal(seq, "closed while an action is under way")),
            Entry::ClosedBy { by, reason, .. } => {
                self.pending = None;
                self.end(State::Closed, &format!("closed by {by}: {reason}"), recorded.at);
            }
            Entry::Escalated { why } => {
                let (firing, told) = (self.still_firing(), self.escalated.as_ref().map_or(0, |before| before.told) + 1);
                self.escalated = Some(Handover { why: why.clone(), at: recorded.at, firing, told });
                self.release(recorded.at);
                self.verifying = None;
                self.state = State::Escalated;
            }
        }
        Ok(())
    }

    fn illegal(&self, seq: Seq, why: &'static str) -> FoldError {
        FoldError::Illegal(self.id, seq, self.state, why)
    }

    /// An escalated incident stays with its human, whatever else is observed.
    fn go(&mut self, next: State) {
        if self.state != State::Escalated {
            self.state = next;
        }
    }

    fn start_run(&mut self, number: u32, planner: PlannerKind, at: Time) {
        let (first_step, first_thought) = (self.steps.len(), self.thoughts.len());
        self.run =
            Some(Run { number, planner, started_at: at, skipped: BTreeSet::new(), first_step, first_thought, over: false, failed: false });
        self.queue.clear();
        self.verifying = None;
        self.go(State::Diagnosing);
    }

    fn end_run(&mut self, words: &str, failed: bool) {
        if let Some(run) = self.run.as_mut() {
            run.over = true;
            run.failed = failed;
            self.tried.push(run.planner);
        }
        self.queue.clear();
        self.finding = Some(words.to_owned());
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one step, in its order")]
    fn push_step(
        &mut self,
        seq: Seq,
        proposal: &Proposal,
        planner: PlannerKind,
        action: Option<&Action>,
        approval: Option<ApprovalId>,
        opinions: &[Opinion],
        end: StepEnd,
    ) {
        if self.queue.front() == Some(proposal) {
            self.queue.pop_front();
        }
        self.steps.push(Step {
            seq,
            proposal: proposal.clone(),
            planner,
            action: action.cloned(),
            approval,
            opinions: opinions.to_vec(),
            end,
        });
    }

    fn start_action(
        &mut self,
        recorded: &Recorded,
        proposal: &Proposal,
        planner: PlannerKind,
        action: &Action,
        opinions: &[Opinion],
        approval: Option<ApprovalId>,
    ) -> Result<(), FoldError> {
        if self.in_flight.is_some() {
            return Err(self.illegal(recorded.seq, "started while another action is under way"));
        }
        if self.pending.is_some() && approval.is_none() {
            return Err(self.illegal(recorded.seq, "started while a human is asked"));
        }
        let asked = self.steps.last_mut().filter(|step| step.end == StepEnd::Asked && step.approval == approval);
        match (asked, approval) {
            (Some(step), Some(_)) => step.end = StepEnd::Started,
            (_, Some(_)) => return Err(self.illegal(recorded.seq, "started under an approval that was not asked")),
            (_, None) => self.push_step(recorded.seq, proposal, planner, Some(action), None, opinions, StepEnd::Started),
        }
        if let Some(pending) = self.pending.take() {
            self.excuse(recorded.at - pending.asked_at);
        }
        self.waiting = false;
        self.in_flight = Some(InFlight { seq: recorded.seq, action: action.clone(), started_at: recorded.at });
        if action.effect.changes_something() {
            self.go(State::Mitigating);
        } else if self.state == State::AwaitingApproval {
            self.go(State::Diagnosing);
        }
        Ok(())
    }

    fn end_action(&mut self, seq: Seq, end: StepEnd) -> Result<(), FoldError> {
        if self.in_flight.take().is_none() {
            return Err(self.illegal(seq, "finished, but nothing was started"));
        }
        self.end_last_step(end);
        Ok(())
    }

    fn end_question(&mut self, recorded: &Recorded, approval: ApprovalId, end: StepEnd) -> Result<(), FoldError> {
        match &self.pending {
            Some(pending) if pending.approval == approval => self.excuse(recorded.at - pending.asked_at),
            Some(_) => return Err(self.illegal(recorded.seq, "decided, but something else was asked")),
            None => return Err(self.illegal(recorded.seq, "decided, but nothing was asked")),
        }
        self.pending = None;
        self.end_last_step(end);
        self.go(State::Diagnosing);
        Ok(())
    }

    /// Waiting for a human does not count against the run.
    pub(super) fn excuse(&mut self, waited: chrono::Duration) {
        if let Some(run) = self.run.as_mut() {
            run.started_at += waited;
        }
    }

    fn end_last_step(&mut self, end: StepEnd) {
        if let Some(step) = self.steps.last_mut() {
            step.end = end;
        }
    }

    fn end(&mut self, state: State, words: &str, at: Time) {
        self.release(at);
        self.state = state;
        self.outcome = Some(words.to_owned());
        self.closed_at = Some(at);
        self.verifying = None;
    }
}
