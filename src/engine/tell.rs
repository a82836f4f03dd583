//! Telling: which notices follow from an entry, and the loops that send what is in the outbox, in order within an incident
//! and channel, again and again until it is taken or can never be.

use super::Engine;
use crate::clients::slack::Posted;
use crate::domain::{Channel, Entry, Incident, Level, Notice, Severity};
use crate::notify::{Outgoing, SendError, Sent};
use crate::store::{Letter, StoreError};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_millis(250);
/// The longest pause between two attempts to send a notice.
const MOST: chrono::Duration = chrono::Duration::minutes(5);

/// What humans are told because of an entry, on the channels there are. `before` is the incident without it.
pub fn notices_for(before: &Incident, entry: &Entry, channels: &[Channel]) -> Vec<(Channel, Notice)> {
    let (slack, pagerduty, email) = (Channel::Slack, Channel::Pagerduty, Channel::Email);
    let name = format!("{} {} ({})", before.id, before.alertname(), before.target);
    let mut notices = match entry {
        Entry::Asked { approval, action, .. } => {
            let text =
                format!("{name}: asks for {}. Decide with: paramedic approve {approval}, or paramedic deny {approval}", action.summary());
            let mut asked = vec![(slack, Notice::Ask { approval: *approval }), (email, message(Severity::Warning, &text))];
            if !channels.contains(&slack) {
                asked.push((pagerduty, Notice::Page { severity: Severity::Warning, summary: text }));
            }
            asked
        }
        Entry::Granted { approval, .. } | Entry::Refused { approval, .. } => {
            vec![(slack, Notice::AskClosed { approval: *approval }), (pagerduty, Notice::Acknowledge)]
        }
        Entry::Expired { approval } | Entry::Void { approval, .. } => vec![(slack, Notice::AskClosed { approval: *approval })],
        Entry::Denied { opinions, .. } if opinions.iter().any(|o| o.critical) => {
            vec![(slack, message(Severity::Critical, &format!("{name}: {entry}")))]
        }
        Entry::Escalated { why } => {
            let finding = before.finding.as_deref().map_or(String::new(), |finding| format!(" Found: {finding}"));
            let text = format!("{name} needs a human: {why}.{finding} Transcript: paramedic incidents {}", before.id);
            let severity = if before.level == Level::Three { Severity::Critical } else { before.severity().max(Severity::Warning) };
            vec![
                (pagerduty, Notice::Page { severity, summary: text.clone() }),
                (slack, message(Severity::Critical, &text)),
                (email, message(Severity::Critical, &text)),
            ]
        }
        Entry::Resolved { .. } => {
            let text = format!("{name}: {entry}");
            vec![(pagerduty, Notice::Resolve), (slack, message(Severity::Info, &text)), (email, message(Severity::Info, &text))]
        }
        Entry::Closed { .. } => {
            let text = format!("{name}: {entry}");
            vec![(slack, message(Severity::Info, &text)), (email, message(Severity::Info, &text))]
        }
        _ => Vec::new(),
    };
    if shows_on_card(entry) {
        notices.push((slack, Notice::Card));
    }
    notices.retain(|(channel, _)| channels.contains(channel));
    notices
}

/// The card tells where an incident stands, not each of its steps.
fn shows_on_card(entry: &Entry) -> bool {
    match entry {
        Entry::Finished { .. } | Entry::Skipped { .. } | Entry::Thought { .. } | Entry::Waiting { .. } | Entry::Signalled { .. } => false,
        Entry::Started { action, .. } => action.effect.changes_something(),
        _ => true,
    }
}

fn message(severity: Severity, text: &str) -> Notice {
    Notice::Message { severity, text: text.to_owned() }
}

impl Engine {
    pub(super) async fn tell_loop(self: Arc<Self>, channel: Channel, stop: CancellationToken) {
        let pace = pace(channel);
        while !stop.is_cancelled() {
            if let Err(e) = self.tell_due(channel, &pace, &stop).await {
                tracing::error!(%channel, error = %e, "the outbox could not be read or written");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.mail.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    async fn tell_due(&self, channel: Channel, pace: &DefaultDirectRateLimiter, stop: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let letters = self.parts.store.due_letters(channel, self.now(), 20).await?;
            if letters.is_empty() {
                return Ok(());
            }
            for letter in letters {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = pace.until_ready() => {}
                }
                self.deliver(&letter).await?;
            }
        }
    }

    async fn deliver(&self, letter: &Letter) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let Some(incident) = store.incident(letter.incident).await? else {
            return store.give_up(letter, "its incident is not in the ledger").await;
        };
        match self.send(letter, &incident).await? {
            Ok(sent) => {
                self.remember(letter, sent).await?;
                store.sent(letter, incident.seq, self.now()).await
            }
            Err(SendError::Later { after, why }) => {
                let wait = after.and_then(|after| chrono::Duration::from_std(after).ok()).unwrap_or_else(|| back_off(letter.attempts));
                tracing::warn!(incident = %letter.incident, channel = %letter.channel, %why, "a notice is put off");
                store.postpone(letter, self.now() + wait, &why).await
            }
            Err(SendError::Never { why }) => {
                tracing::error!(incident = %letter.incident, channel = %letter.channel, %why, "a notice can never be sent");
                store.give_up(letter, &why).await
            }
        }
    }

    async fn send(&self, letter: &Letter, incident: &Incident) -> Result<Result<Sent, SendError>, StoreError> {
        let store = &self.parts.store;
        let approval_id = match &letter.notice {
            Notice::Ask { approval } | Notice::AskClosed { approval } => Some(*approval),
            _ => None,
        };
        let (mut approval, mut message_ts) = (None, None);
        if let Some(id) = approval_id {
            approval = store.approval(id).await?;
            message_ts = store.ask_message(id).await?;
        }
        let thread = store.thread(letter.incident).await?.map(|(channel, ts)| Posted { channel, ts });
        let dedup_key = format!("paramedic-{}-{}", store.instance(), letter.incident);
        let hint = format!("paramedic incidents {}", letter.incident);
        let outgoing = Outgoing {
            channel: letter.channel,
            notice: &letter.notice,
            incident,
            approval: approval.as_ref(),
            thread: thread.as_ref(),
            message_ts: message_ts.as_deref(),
            dedup_key: &dedup_key,
            console_hint: Some(&hint),
        };
        Ok(self.parts.notifier.send(&outgoing).await)
    }

    async fn remember(&self, letter: &Letter, sent: Sent) -> Result<(), StoreError> {
        let Some(posted) = sent.slack else { return Ok(()) };
        match &letter.notice {
            Notice::Card => self.parts.store.remember_thread(letter.incident, &posted.channel, &posted.ts).await,
            Notice::Ask { approval } => self.parts.store.remember_ask(*approval, &posted.ts).await,
            _ => Ok(()),
        }
    }
}

/// Slack takes about one message a second a channel and lets short bursts pass; PagerDuty about 120 a minute.
fn pace(channel: Channel) -> DefaultDirectRateLimiter {
    let (a_second, burst) = match channel {
        Channel::Slack => (1, 15),
        Channel::Pagerduty | Channel::Email => (2, 30),
    };
    let of = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(of(a_second)).allow_burst(of(burst)))
}

fn back_off(attempts: i64) -> chrono::Duration {
    let seconds = 1_i64 << attempts.clamp(0, 9);
    chrono::Duration::seconds(seconds).min(MOST)
}
