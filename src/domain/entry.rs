//! The ledger's entries: audit trail, checkpoint to resume from and transcript in one.

use super::Fingerprint;
use super::action::{Action, Digest, Outcome, Proposal, Target};
use super::alert::Alert;
use super::approval::{Principal, Vote};
use super::crowd::Crowd;
use super::facts::Grounds;
use super::ids::{ApprovalId, IncidentId, OrderId, Seq};
use super::level::{Level, Mode};
use super::order::{OrderKind, Reason};
use super::time::Time;
use super::verdict::{Opinion, Verdict};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannerKind {
    Runbook,
    Model,
}

impl fmt::Display for PlannerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runbook => "runbook",
            Self::Model => "model",
        })
    }
}

/// The two witnesses of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The alert's own condition.
    Alert,
    /// Something else: the unit's state, a metric.
    Independent,
}

/// One fact of an incident's life. Never changed once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    Raised {
        alert: Alert,
        target: Target,
    },
    Classified {
        level: Level,
        rule: Option<String>,
        why: String,
        runbook: Option<String>,
        mode: Option<Mode>,
    },
    AlertJoined {
        alert: Alert,
    },
    AlertResolved {
        fingerprint: Fingerprint,
        alertname: String,
        /// Alertmanager did not tell, it was asked: what its answer was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<String>,
    },
    /// Somebody silenced it in Alertmanager, or another alert inhibits it: nothing new is begun while all that fires is.
    Silenced {
        fingerprint: Fingerprint,
        alertname: String,
        by: String,
    },
    Unsilenced {
        fingerprint: Fingerprint,
        alertname: String,
    },
    /// News of many alerts of a large incident at once.
    ManyAlerts(Crowd),
    /// Nothing is begun or changed until another incident has ended: it is probably the cause, or about the same service.
    Held {
        behind: IncidentId,
        why: String,
        /// No longer than this.
        until: Time,
    },
    Released {
        why: String,
    },
    /// It fires and resolves again and again: a human has it, and nothing is begun each time.
    Flapping {
        alertname: String,
        /// How often it resolved within the window.
        times: u32,
        /// In seconds. After as much time without a change it does not flap any more.
        quiet_for: u32,
    },
    /// It does not flap any more.
    Steady,
    RunStarted {
        run: u32,
        planner: PlannerKind,
        runbook: Option<String>,
    },
    /// A runbook step whose `when` did not hold.
    Skipped {
        step: String,
        why: String,
    },
    /// A model's answer: its words and the calls it wants, one after the other.
    Thought {
        text: String,
        calls: Vec<Proposal>,
        tokens: u64,
    },
    /// A planner that cannot go on: broken, out of budget, or at its end without a fix.
    PlannerFailed {
        planner: PlannerKind,
        why: String,
    },
    /// The SafetyChecker (or the tool's own reading of its arguments) said no.
    Denied {
        proposal: Proposal,
        planner: PlannerKind,
        opinions: Vec<Opinion>,
    },
    /// A human is asked. `approval` is the row that holds the answer.
    Asked {
        approval: ApprovalId,
        proposal: Proposal,
        planner: PlannerKind,
        action: Action,
        opinions: Vec<Opinion>,
        expires_at: Time,
        /// The canonical text that the human decides on; its SHA-256 is what a signature signs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<String>,
    },
    /// An approval that is not the last one needed.
    Voted {
        approval: ApprovalId,
        by: Principal,
        missing: u32,
    },
    Granted {
        approval: ApprovalId,
        by: Principal,
        /// All of them, with their signatures, for whoever checks them later.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        votes: Vec<Vote>,
    },
    Refused {
        approval: ApprovalId,
        by: Principal,
    },
    Expired {
        approval: ApprovalId,
        /// Granted in time, and not begun in time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        granted: bool,
    },
    Void {
        approval: ApprovalId,
        why: String,
    },
    /// What the human decides on could not be read.
    Unavailable {
        approval: ApprovalId,
        why: String,
    },
    /// Written before the effect. Without a `finished` behind it, the action is in doubt.
    Started {
        proposal: Proposal,
        planner: PlannerKind,
        action: Action,
        verdict: Verdict,
        opinions: Vec<Opinion>,
        approval: Option<ApprovalId>,
    },
    /// Allowed, and put off: another incident is remediating the same thing.
    Waiting {
        why: String,
    },
    Finished {
        outcome: Outcome,
    },
    /// After a crash: started, never finished. `found` is what a probe by reading says, if the tool has one.
    InDoubt {
        found: Option<Outcome>,
    },
    RunEnded {
        planner: PlannerKind,
        summary: String,
    },
    VerifyStarted {
        deadline: Time,
        independent: Option<String>,
    },
    Signalled {
        signal: Signal,
        holds: bool,
        said: String,
    },
    Resolved {
        summary: String,
    },
    Escalated {
        why: String,
    },
    Closed {
        outcome: String,
    },
    /// A human says that it is over.
    ClosedBy {
        order: OrderId,
        by: Principal,
        reason: Reason,
    },
    /// A human's order, of no incident. Its reason stands with the order, of whose text this has the SHA-256.
    Ordered {
        order: OrderId,
        given: OrderKind,
        by: Principal,
        text: Digest,
    },
}

impl Entry {
    /// What the SafetyChecker said to the action that this is about.
    pub fn opinions(&self) -> &[Opinion] {
        match self {
            Self::Denied { opinions, .. } | Self::Asked { opinions, .. } | Self::Started { opinions, .. } => opinions,
            _ => &[],
        }
    }

    /// What that was judged by; nothing where no policy was asked.
    pub fn grounds(&self) -> Option<&Grounds> {
        self.opinions().iter().find_map(|opinion| opinion.grounds.as_deref())
    }
}

/// An entry with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    pub seq: Seq,
    pub at: Time,
    #[serde(flatten)]
    pub entry: Entry,
}

impl fmt::Display for Entry {
    /// One line of the transcript. Outside text is cut and control characters shown, so a line stays a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raised { alert, target } => {
                let asked = alert.origin.asked.as_ref().map_or(String::new(), |asked| format!(" [{}]", line(asked)));
                write!(f, "raised {} ({}): {}{asked}", line(alert.name()), line(&whereabouts(alert, target)), line(alert.headline()))
            }
            Self::Classified { level, rule, why, .. } => match rule {
                Some(rule) => write!(f, "level {level} by rule {rule}: {}", line(why)),
                None => write!(f, "level {level}: {}", line(why)),
            },
            Self::AlertJoined { alert } => match alert.place() {
                place if place.is_empty() => write!(f, "alert {} joined", line(alert.name())),
                place => write!(f, "alert {} joined ({})", line(alert.name()), line(&place)),
            },
            Self::AlertResolved { alertname, asked, .. } => match asked {
                Some(asked) => write!(f, "alert {} resolved: {}", line(alertname), line(asked)),
                None => write!(f, "alert {} resolved", line(alertname)),
            },
            Self::Silenced { alertname, by, .. } => write!(f, "alert {} is silenced in Alertmanager: {}", line(alertname), line(by)),
            Self::Unsilenced { alertname, .. } => write!(f, "alert {} is not silenced any more", line(alertname)),
            Self::ManyAlerts(crowd) => write!(f, "{crowd}"),
            Self::Held { behind, why, .. } => write!(f, "waits for {behind}: {}", line(why)),
            Self::Released { why } => write!(f, "goes on: {}", line(why)),
            Self::Flapping { alertname, times, quiet_for } => {
                write!(f, "alert {} flaps: it resolved {times} times in {} and fires again", line(alertname), minutes(*quiet_for))
            }
            Self::Steady => write!(f, "it does not flap any more"),
            Self::RunStarted { run, planner, runbook } => match runbook {
                Some(runbook) if *planner == PlannerKind::Runbook => write!(f, "run {run} by runbook {runbook}"),
                _ => write!(f, "run {run} by {planner}"),
            },
            Self::Skipped { step, why } => write!(f, "step {step} skipped: {}", line(why)),
            Self::Thought { text, calls, .. } => match calls.len() {
                0 => write!(f, "model: {}", line(text)),
                n => write!(f, "model wants {n} {}: {}", if n == 1 { "call" } else { "calls" }, line(text)),
            },
            Self::PlannerFailed { planner, why } => write!(f, "{planner} cannot go on: {}", line(why)),
            Self::Denied { proposal, opinions, .. } => {
                let word = if opinions.iter().any(|o| o.critical) { "DENIED (critical attempt)" } else { "denied" };
                write!(f, "{word} {} {}: {}", line(&proposal.tool), line(&proposal.arguments.to_string()), reasons(opinions, Verdict::Deny))
            }
            Self::Asked { approval, action, opinions, .. } => {
                write!(f, "asked {approval} for {}: {}", line(&action.summary()), reasons(opinions, Verdict::Confirm))
            }
            Self::Voted { approval, by, missing } => write!(f, "{approval} approved by {}, {missing} more to come", line(&by.to_string())),
            Self::Granted { approval, by, votes } => write!(f, "{approval} granted by {}", line(&granted_by(by, votes))),
            Self::Refused { approval, by } => write!(f, "{approval} denied by {}", line(&by.to_string())),
            Self::Expired { approval, granted: true } => write!(f, "{approval} expired: granted, and not begun in time"),
            Self::Expired { approval, granted: false } => write!(f, "{approval} expired: nobody decided in time"),
            Self::Void { approval, why } => write!(f, "{approval} void: {}", line(why)),
            Self::Unavailable { approval, why } => write!(f, "{approval} unavailable: {}", line(why)),
            Self::Started { action, approval, .. } => match approval {
                Some(approval) => write!(f, "started {} under {approval}", line(&action.summary())),
                None => write!(f, "started {}", line(&action.summary())),
            },
            Self::Waiting { why } => write!(f, "waiting: {}", line(why)),
            Self::Finished { outcome } => write!(f, "{}: {}", if outcome.ok { "ok" } else { "failed" }, line(&outcome.said)),
            Self::InDoubt { found: Some(found) } => write!(f, "in doubt, probed: {}", line(&found.said)),
            Self::InDoubt { found: None } => write!(f, "in doubt: started, and nothing can tell whether it happened"),
            Self::RunEnded { planner, summary } => write!(f, "{planner} done: {}", line(summary)),
            Self::VerifyStarted { independent, .. } => match independent {
                Some(check) => write!(f, "verifying: the alert, and {}", line(check)),
                None => write!(f, "verifying: the alert, and nothing independent"),
            },
            Self::Signalled { signal, holds, said } => {
                let name = match signal {
                    Signal::Alert => "alert",
                    Signal::Independent => "independent",
                };
                write!(f, "signal {name} {}: {}", if *holds { "good" } else { "bad" }, line(said))
            }
            Self::Resolved { summary } => write!(f, "resolved: {}", line(summary)),
            Self::Escalated { why } => write!(f, "escalated: {}", line(why)),
            Self::Closed { outcome } => write!(f, "closed: {}", line(outcome)),
            Self::Ordered { order, given, by, .. } => write!(f, "{order}: {given} by {}", line(&by.to_string())),
            Self::ClosedBy { by, reason, .. } => write!(f, "closed by {}: {}", line(&by.to_string()), line(&reason.to_string())),
        }
    }
}

fn minutes(seconds: u32) -> String {
    if seconds.is_multiple_of(60) { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") }
}

/// The target in the inventory's words; of an unknown one, what the alert's own labels say.
fn whereabouts(alert: &Alert, target: &Target) -> String {
    match (target == &Target::default(), alert.place()) {
        (true, place) if !place.is_empty() => format!("{target}: {place}"),
        _ => target.to_string(),
    }
}

/// `ana via cli (signed) and ben via slack`.
fn granted_by(by: &Principal, votes: &[Vote]) -> String {
    let signed = |vote: &Vote| if vote.signature.is_some() { " (signed)" } else { "" };
    let names: Vec<String> = votes.iter().map(|vote| format!("{}{}", vote.by, signed(vote))).collect();
    if names.is_empty() { by.to_string() } else { names.join(" and ") }
}

fn reasons(opinions: &[Opinion], verdict: Verdict) -> String {
    let texts: Vec<_> = opinions.iter().filter(|o| o.verdict == verdict).map(|o| line(&o.reason)).collect();
    texts.join("; ")
}

/// At most 300 characters, control characters and bidirectional overrides escaped.
pub(super) fn line(text: &str) -> String {
    let shown: String = text.chars().take(300).map(|c| if hidden(c) { ' ' } else { c }).collect();
    if text.chars().nth(300).is_some() { format!("{shown}… (cut)") } else { shown }
}

fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}
