//! Telling: which notices follow from an entry, and the loops that send what is in the outbox, in order within an incident
//! and channel, again and again until it is taken or can never be.

use super::Engine;
use super::error::{EngineError, unwound};
use super::refused::Refusal;
use crate::clients::slack::Posted;
use crate::domain::{
    Alert, AlertStatus, Channel, Entry, Fingerprint, Incident, IncidentId, Level, Notice, Recorded, Seq, Severity, Target, Time,
};
use crate::notify::{Outgoing, SendError, Sent, Way};
use crate::store::{Duty, Letter, Point, StoreError, pass};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::{BTreeMap, HashMap};
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
    let place = before.alert().map(Alert::place).filter(|place| !place.is_empty() && before.target == Target::default());
    let place = place.map_or(before.target.to_string(), |place| format!("{}: {place}", before.target));
    let name = format!("{} {} ({place})", before.id, before.alertname());
    let mut notices = match entry {
        Entry::Asked { approval, action, .. } => {
            let mut asked = vec![(slack, Notice::Ask { approval: *approval }), (email, Notice::Ask { approval: *approval })];
            if !channels.contains(&slack) {
                // No planner's words: the question is shown from its sealed request, wherever it is decided.
                let what = format!("{} on {}", action.tool, action.target);
                let text =
                    format!("{name}: asks for {what}. Read: paramedic approvals {approval}; decide: paramedic approve {approval}, or deny");
                asked.push((pagerduty, Notice::Page { severity: Severity::Warning, summary: text }));
            }
            asked
        }
        Entry::Granted { approval, .. } | Entry::Refused { approval, .. } => {
            vec![(slack, Notice::AskClosed { approval: *approval }), (pagerduty, Notice::Acknowledge)]
        }
        Entry::Voted { approval, .. } => vec![(slack, Notice::AskVoted { approval: *approval }), (pagerduty, Notice::Acknowledge)],
        Entry::Expired { approval, .. } | Entry::Void { approval, .. } | Entry::Unavailable { approval, .. } => {
            vec![(slack, Notice::AskClosed { approval: *approval })]
        }
        Entry::Denied { opinions, .. } if opinions.iter().any(|o| o.critical) => {
            vec![(slack, message(Severity::Critical, &format!("{name}: {entry}")))]
        }
        Entry::Escalated { why } => {
            // What failed is often what was found: a page says it once, and has room for where to read on.
            let finding = before.finding.as_deref().filter(|finding| !why.contains(finding));
            let finding = finding.map_or(String::new(), |finding| format!(" Found: {finding}"));
            let text = format!("{name} needs a human: {why}.{finding} Transcript: paramedic incidents {}", before.id);
            let severity = if before.level == Level::Three { Severity::Critical } else { before.severity().max(Severity::Warning) };
            vec![
                (pagerduty, Notice::Page { severity, summary: text.clone() }),
                (slack, message(Severity::Critical, &text)),
                (email, message(Severity::Critical, &text)),
            ]
        }
        // A human's word that it is over ends the page as a verified fix does.
        Entry::Resolved { .. } | Entry::ClosedBy { .. } => {
            let text = format!("{name}: {entry}");
            vec![(pagerduty, Notice::Resolve), (slack, message(Severity::Info, &text)), (email, message(Severity::Info, &text))]
        }
        Entry::Silenced { .. } | Entry::Held { .. } | Entry::Released { .. } | Entry::Flapping { .. } | Entry::Steady => {
            vec![(slack, message(Severity::Info, &format!("{name}: {entry}")))]
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

/// What a channel's loop keeps between two looks.
struct Desk {
    pace: DefaultDirectRateLimiter,
    /// The peer asked to be left alone until then, in this way.
    resting: BTreeMap<Way, Time>,
    /// It was away, or is not known to be there: what waits longer than it has to is sent when it is.
    away: bool,
    /// Nothing was tried since the start.
    fresh: bool,
    /// Arrived, but the store could not be told: sending again would repeat them.
    unrecorded: HashMap<i64, (Sent, Seq)>,
}

impl Engine {
    pub(super) async fn tell_loop(self: Arc<Self>, channel: Channel, stop: CancellationToken) {
        let mut desk = Desk { pace: pace(channel), resting: BTreeMap::new(), away: true, fresh: true, unrecorded: HashMap::new() };
        while !stop.is_cancelled() {
            if let Err(e) = unwound(self.tell_due(channel, &mut desk, &stop)).await {
                tracing::error!(%channel, error = %e, "the outbox could not be read or written");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.mail.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    async fn tell_due(&self, channel: Channel, desk: &mut Desk, stop: &CancellationToken) -> Result<(), EngineError> {
        let duty = Duty::Tell(channel);
        if !self.parts.store.on_duty(duty).await? {
            // Whoever tells instead knows nothing of what this server could not write down.
            desk.unrecorded.clear();
            return Ok(());
        }
        // A start is how a corrected configuration arrives.
        if desk.fresh {
            self.parts.store.hurry_refused(channel, self.now()).await?;
            desk.fresh = false;
        }
        loop {
            let letters = self.parts.store.due_letters(channel, self.now(), 20).await?;
            if letters.is_empty() {
                return Ok(());
            }
            for letter in letters {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = desk.pace.until_ready() => {}
                }
                // Asked again for each: another replica may have taken over since, and sent it.
                if !self.parts.store.on_duty(duty).await? {
                    return Ok(());
                }
                self.deliver(&letter, desk).await?;
            }
        }
    }

    async fn deliver(&self, letter: &Letter, desk: &mut Desk) -> Result<(), EngineError> {
        let store = &self.parts.store;
        let calls = letter.channel == Channel::Pagerduty && matches!(letter.notice, Notice::Page { .. } | Notice::Acknowledge);
        if calls && store.is_overtaken(letter).await? {
            return Ok(store.pass_over(letter, "the incident was over before this could be sent: nobody is called for it").await?);
        }
        let tried = match desk.unrecorded.remove(&letter.id) {
            Some((sent, seq)) => Tried::Sent(sent, seq),
            None => {
                pass(Point::Notify, || letter.channel.to_string());
                self.send(letter, &desk.resting).await?
            }
        };
        match tried {
            Tried::Sent(sent, seq) => {
                pass(Point::Notified, || letter.channel.to_string());
                let recorded = self.record(letter, &sent, seq).await;
                if recorded.is_err() {
                    desk.unrecorded.insert(letter.id, (sent, seq));
                }
                recorded?;
                if std::mem::take(&mut desk.away) {
                    store.hurry(letter.channel, self.now()).await?;
                }
                Ok(())
            }
            Tried::Anothers => Ok(()),
            Tried::Resting(until) => Ok(store.rest(letter, until, "it was asked to wait").await?),
            Tried::Failed(way, SendError::Later { after, why }) => {
                let after = after.and_then(|after| chrono::Duration::from_std(after).ok());
                match after {
                    Some(after) => drop(desk.resting.insert(way, self.now() + after)),
                    None => desk.away = true,
                }
                tracing::warn!(incident = %letter.incident, channel = %letter.channel, %why, "a notice is put off");
                let unsure = way == Way::Post && (after.is_none() || letter.unsure);
                Ok(store.postpone(letter, self.now() + after.unwrap_or_else(|| back_off(letter.attempts)), &why, unsure).await?)
            }
            Tried::Failed(_, SendError::Refused { why }) => {
                desk.away = true;
                self.refused(letter, &why, Refusal::ForNow).await
            }
            Tried::Failed(_, SendError::Never { why }) => self.refused(letter, &why, Refusal::ForEver).await,
        }
    }

    async fn record(&self, letter: &Letter, sent: &Sent, seq: Seq) -> Result<(), StoreError> {
        self.remember(letter, sent).await?;
        pass(Point::BeforeSent, || letter.channel.to_string());
        self.parts.store.sent(letter, seq, self.now()).await?;
        pass(Point::AfterSent, || letter.channel.to_string());
        Ok(())
    }

    /// The incident as it stands; of one that cannot be read, only its number.
    async fn subject(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        match self.parts.store.incident(id).await {
            Err(e @ (StoreError::Fold(_) | StoreError::StrangeRow { .. })) => Ok(Some(unreadable(id, &e.to_string(), self.now())?)),
            other => other,
        }
    }

    async fn send(&self, letter: &Letter, resting: &BTreeMap<Way, Time>) -> Result<Tried, StoreError> {
        let store = &self.parts.store;
        let Some(incident) = self.subject(letter.incident).await? else {
            return Ok(Tried::Failed(Way::Event, SendError::Never { why: "its incident is not in the ledger".into() }));
        };
        let approval_id = match &letter.notice {
            Notice::Ask { approval } | Notice::AskVoted { approval } | Notice::AskClosed { approval } => Some(*approval),
            Notice::StrayClosed { approval, .. } => Some(*approval),
            _ => None,
        };
        let (mut approval, mut message_ts) = (None, None);
        if let Some(id) = approval_id {
            approval = store.approval(id).await?;
            message_ts = store.ask_message(id).await?;
            if let Notice::StrayClosed { ts, .. } = &letter.notice {
                message_ts = Some(ts.clone());
            }
        }
        let thread = store.thread(letter.incident).await?.map(|(channel, ts)| Posted { channel, ts });
        let dedup_key = format!("paramedic-{}-{}", store.instance(), letter.incident);
        let hint = format!("paramedic incidents {}", letter.incident);
        let mark = format!("{}-{}", store.instance(), letter.id);
        let slack_channel = if letter.unsure { store.slack_channel().await? } else { None };
        let outgoing = Outgoing {
            channel: letter.channel,
            notice: &letter.notice,
            incident: &incident,
            approval: approval.as_ref(),
            thread: thread.as_ref(),
            message_ts: message_ts.as_deref(),
            dedup_key: &dedup_key,
            mark: &mark,
            unsure: letter.unsure,
            slack_channel: slack_channel.as_deref(),
            console_hint: Some(&hint),
        };
        let way = outgoing.way();
        if let Some(until) = resting.get(&way).filter(|until| **until > self.now()) {
            return Ok(Tried::Resting(*until));
        }
        if way == Way::Post && !letter.unsure {
            store.sending(letter).await?;
        }
        // Those writes may have taken long, or the server have stood still: whoever has the duty by now sends it.
        if !store.on_duty(Duty::Tell(letter.channel)).await? {
            return Ok(Tried::Anothers);
        }
        Ok(match self.parts.notifier.send(&outgoing).await {
            Ok(sent) => Tried::Sent(sent, incident.seq),
            Err(e) => Tried::Failed(way, e),
        })
    }

    async fn remember(&self, letter: &Letter, sent: &Sent) -> Result<(), StoreError> {
        let Some(posted) = &sent.slack else { return Ok(()) };
        match &letter.notice {
            Notice::Card => self.parts.store.remember_thread(letter.incident, &posted.channel, &posted.ts).await,
            Notice::Ask { approval } => self.parts.store.remember_ask(*approval, &posted.ts).await,
            _ => Ok(()),
        }
    }
}

/// What became of one attempt.
enum Tried {
    Sent(Sent, Seq),
    Failed(Way, SendError),
    /// Not tried: the peer asked to be left alone until then.
    Resting(Time),
    /// Not tried: another replica tells now.
    Anothers,
}

/// So many at once, and one more each so many milliseconds. Slack takes about one message a second a channel and lets short bursts pass.
/// PagerDuty takes about 120 events a minute: at most so many in any minute, and all that a burst may have at once, because a page waits for
/// nothing.
fn quota(channel: Channel) -> (u32, u64) {
    match channel {
        Channel::Slack => (15, 1_000),
        Channel::Pagerduty => (60, 1_000),
        Channel::Email => (30, 500),
    }
}

fn pace(channel: Channel) -> DefaultDirectRateLimiter {
    let (burst, apart) = quota(channel);
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let one_more = Quota::with_period(Duration::from_millis(apart)).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    RateLimiter::direct(one_more.allow_burst(burst))
}

fn back_off(attempts: i64) -> chrono::Duration {
    let seconds = 1_i64 << attempts.clamp(0, 9);
    chrono::Duration::seconds(seconds).min(MOST)
}

/// Stands for an incident whose entries cannot be folded, so that a human can still be told of it.
fn unreadable(id: IncidentId, why: &str, now: Time) -> Result<Incident, StoreError> {
    let labels = BTreeMap::from([("alertname".to_owned(), "UnreadableIncident".to_owned())]);
    let alert = Alert {
        status: AlertStatus::Firing,
        fingerprint: Fingerprint::of(&labels),
        annotations: BTreeMap::from([("summary".to_owned(), why.to_owned())]),
        labels,
        starts_at: now,
        ends_at: None,
        generator_url: String::new(),
        group_key: String::new(),
        origin: Default::default(),
    };
    let raised = Recorded { seq: 1, at: now, entry: Entry::Raised { alert, target: Target::default() } };
    Ok(Incident::replay(id, &[raised])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pagerduty_is_sent_no_more_in_a_minute_than_it_takes() {
        let (burst, apart) = quota(Channel::Pagerduty);
        assert!(u64::from(burst) + 60_000 / apart <= 120);
    }
}
