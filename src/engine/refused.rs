//! Refusals: what a channel will not take is told on the others, once an incident and channel, and tried again slowly where somebody can
//! put right what is wrong. Nothing is ever dropped with a line in the log alone.

use super::Engine;
use super::error::EngineError;
use crate::domain::{Channel, Notice, Severity};
use crate::store::Letter;

const AT_FIRST: chrono::Duration = chrono::Duration::minutes(5);
/// So many attempts at first.
const EAGER: i64 = 12;
const LATER_ON: chrono::Duration = chrono::Duration::hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A key, a token, a channel, a peer: somebody can put it right.
    ForNow,
    /// The same notice will never be taken.
    ForEver,
}

impl Engine {
    pub(super) async fn refused(&self, letter: &Letter, why: &str, refusal: Refusal) -> Result<(), EngineError> {
        let (store, now) = (&self.parts.store, self.now());
        tracing::error!(incident = %letter.incident, channel = %letter.channel, %why, ?refusal, "a notice was refused; the other channels are told");
        metrics::counter!("paramedic_notices_failed_total", "channel" => letter.channel.as_str()).increment(1);
        // A question may stand behind a card that is refused, and is not tried before it.
        let behind = refusal == Refusal::ForNow && store.calls_behind(letter).await?;
        let until = (refusal == Refusal::ForNow).then(|| now + pause(letter.attempts));
        let others = elsewhere(letter, &words(letter, why, refusal, behind), behind, &self.channels());
        store.refuse(letter, until, why, &others, now).await?;
        self.mail.notify_waiters();
        Ok(())
    }
}

fn pause(attempts: i64) -> chrono::Duration {
    if attempts < EAGER { AT_FIRST } else { LATER_ON }
}

/// Does it want a human now?
fn calls(notice: &Notice) -> bool {
    matches!(notice, Notice::Page { .. } | Notice::Ask { .. })
}

/// What the other channels say of it. Nobody is woken because a card was not shown; a question or a page that nobody sees is a page.
fn elsewhere(letter: &Letter, text: &str, behind: bool, channels: &[Channel]) -> Vec<(Channel, Notice)> {
    let calls = behind || calls(&letter.notice);
    let severity = match &letter.notice {
        Notice::Page { severity, .. } => *severity,
        _ => Severity::Warning,
    };
    let others = channels.iter().copied().filter(|channel| *channel != letter.channel);
    let others = others.filter_map(|channel| match channel {
        Channel::Pagerduty => calls.then(|| (channel, Notice::Page { severity, summary: text.to_owned() })),
        Channel::Slack | Channel::Email => Some((channel, Notice::Message { severity: Severity::Critical, text: text.to_owned() })),
    });
    others.collect()
}

fn words(letter: &Letter, why: &str, refusal: Refusal, behind: bool) -> String {
    let (incident, channel) = (letter.incident, title(letter.channel));
    let (what, said) = match &letter.notice {
        Notice::Card => ("the overview".to_owned(), None),
        Notice::Message { text, .. } => ("a message".to_owned(), Some(text)),
        Notice::Page { summary, .. } => ("the page".to_owned(), Some(summary)),
        Notice::Ask { approval } => (format!("the question {approval} (decide it with paramedic approve {approval}, or deny)"), None),
        Notice::AskVoted { approval } | Notice::AskClosed { approval } | Notice::StrayClosed { approval, .. } => {
            (format!("what became of {approval}"), None)
        }
        Notice::Acknowledge => ("the acknowledgement".to_owned(), None),
        Notice::Resolve => ("the end of the page".to_owned(), None),
    };
    let next = match refusal {
        Refusal::ForNow => "It is tried again until it is taken; put right what is wrong",
        Refusal::ForEver => "It is not tried again",
    };
    let behind = if behind { ", and a question or a page waits behind it" } else { "" };
    let said = said.map_or(String::new(), |said| format!(" It says: {said}"));
    format!("{what} for {incident} was refused by {channel}: {why}. {next}{behind}. Read: paramedic incidents {incident}.{said}")
}

fn title(channel: Channel) -> &'static str {
    match channel {
        Channel::Slack => "Slack",
        Channel::Pagerduty => "PagerDuty",
        Channel::Email => "the mail server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApprovalId, IncidentId};

    fn letter(channel: Channel, notice: Notice) -> Letter {
        Letter { id: 1, incident: IncidentId(7), channel, notice, attempts: 0, unsure: false }
    }

    #[test]
    fn it_is_tried_often_for_an_hour_and_hourly_from_then_on() {
        let first: chrono::Duration = (0..EAGER).map(pause).sum();
        assert_eq!((first, pause(EAGER), pause(1_000)), (LATER_ON, LATER_ON, LATER_ON));
    }

    #[test]
    fn nobody_is_woken_for_a_card_and_somebody_is_for_a_question() {
        let on = |notice: Notice, behind| {
            let told = elsewhere(&letter(Channel::Slack, notice), "refused", behind, &Channel::ALL);
            told.into_iter().map(|(channel, _)| channel).collect::<Vec<_>>()
        };
        assert_eq!(on(Notice::Card, false), [Channel::Email]);
        assert_eq!(on(Notice::Card, true), [Channel::Pagerduty, Channel::Email]);
        assert_eq!(on(Notice::Ask { approval: ApprovalId(1) }, false), [Channel::Pagerduty, Channel::Email]);
    }

    #[test]
    fn the_others_hear_what_the_page_said_and_why_it_was_refused() {
        let page = letter(Channel::Pagerduty, Notice::Page { severity: Severity::Critical, summary: "disk gone".into() });
        assert_eq!(
            words(&page, "answered 400", Refusal::ForEver, false),
            "the page for INC-7 was refused by PagerDuty: answered 400. It is not tried again. Read: paramedic incidents INC-7. It says: disk gone"
        );
    }
}
