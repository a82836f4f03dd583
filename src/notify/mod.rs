//! Floor 3: tells humans. Renders one notice for one channel and sends it once; keeping it until it arrived is the outbox's part.
//! Never decides what is told, and never shows outside text as anything but text.

mod ask;
mod email;
mod pagerduty;
mod settings;
mod slack;
mod text;
mod words;

pub use settings::{EmailSettings, PagerDutySettings, SlackSettings};
pub use words::{PLANNERS_WORDS, progress, said as planners_words};

use crate::clients::email::{Email, EmailError};
use crate::clients::pagerduty::{PagerDuty, PagerDutyError};
use crate::clients::slack::{Click, Content, Posted, Search, SlackClient, SlackError, SocketDoors, SocketMode};
use crate::domain::{Approval, Channel, Incident, Notice, Problem};
use std::time::Duration;

/// One notice for one channel, with all that a rendering needs.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub channel: Channel,
    pub notice: &'a Notice,
    pub incident: &'a Incident,
    /// Of a question's notices, as it stands now.
    pub approval: Option<&'a Approval>,
    /// The incident's root message in Slack, once there is one.
    pub thread: Option<&'a Posted>,
    /// The question's own message in Slack, which is edited in place; needs `thread`, which knows the channel's id.
    pub message_ts: Option<&'a str>,
    /// PagerDuty's, one an incident.
    pub dedup_key: &'a str,
    /// Tells this notice from every other one, for Slack, which folds nothing by itself.
    pub mark: &'a str,
    /// An earlier attempt may have arrived.
    pub unsure: bool,
    /// Slack's id of the channel, once it is known.
    pub slack_channel: Option<&'a str>,
    /// Where to read more: `paramedic incidents INC-7`.
    pub console_hint: Option<&'a str>,
}

/// `slack` is to be kept: a card's is the thread, an ask's is what gets closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    pub slack: Option<Posted>,
}

/// What it takes to send a notice: the other side limits each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A new message, which may be there twice if it is sent twice.
    Post,
    /// A message that is there is changed.
    Edit,
    /// An event that is folded into what it is about.
    Event,
    Mail,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Without `after` nobody knows whether it arrived.
    #[error("{why}")]
    Later { after: Option<Duration>, why: String },
    /// It did not arrive, and will not until somebody puts something right.
    #[error("{why}")]
    Refused { why: String },
    #[error("{why}")]
    Never { why: String },
}

#[derive(Default)]
pub struct Notifier {
    slack: Option<SlackDesk>,
    pagerduty: Option<PagerDuty>,
    email: Option<Email>,
}

struct SlackDesk {
    client: SlackClient,
    settings: SlackSettings,
}

impl Notifier {
    /// All that is wrong at once. Needs a tokio runtime; calls nobody.
    pub fn build(
        slack: Option<&SlackSettings>,
        pagerduty: Option<&PagerDutySettings>,
        email: Option<&EmailSettings>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let notifier = Self {
            slack: slack.and_then(|settings| keep(SlackDesk::build(settings), &mut problems)),
            pagerduty: pagerduty.and_then(|settings| {
                let made = PagerDuty::new(&settings.api_url, settings.routing_key.clone());
                keep(made.map_err(|e| Problem::new("pagerduty.api_url", e.to_string())), &mut problems)
            }),
            email: email.and_then(|settings| keep(build_email(settings), &mut problems)),
        };
        if problems.is_empty() { Ok(notifier) } else { Err(problems) }
    }

    /// What is configured.
    pub fn channels(&self) -> Vec<Channel> {
        let configured = |channel: &Channel| match channel {
            Channel::Slack => self.slack.is_some(),
            Channel::Pagerduty => self.pagerduty.is_some(),
            Channel::Email => self.email.is_some(),
        };
        Channel::ALL.into_iter().filter(configured).collect()
    }

    /// Sends once. `Never` and `Refused` are for another channel too; `Later` is for the outbox.
    pub async fn send(&self, message: &Outgoing<'_>) -> Result<Sent, SendError> {
        match message.channel {
            Channel::Slack => {
                let desk = self.slack.as_ref().ok_or_else(|| not_configured(message.channel))?;
                let posted = desk.send(message).await?;
                Ok(Sent { slack: Some(posted) })
            }
            Channel::Pagerduty => {
                let client = self.pagerduty.as_ref().ok_or_else(|| not_configured(message.channel))?;
                pagerduty::send(client, message).await.map(|()| Sent::default())
            }
            Channel::Email => {
                let client = self.email.as_ref().ok_or_else(|| not_configured(message.channel))?;
                let mail = email::render(message)?;
                client.send(&mail.subject, &mail.text).await?;
                Ok(Sent::default())
            }
        }
    }

    /// Tells the user who clicked what came of it; nobody else sees it.
    pub async fn answer(&self, click: &Click, text: &str) -> Result<(), SendError> {
        let desk = self.slack.as_ref().ok_or_else(|| not_configured(Channel::Slack))?;
        let Some(url) = click.response_url.as_deref() else {
            return Err(SendError::never("the click says nowhere to answer"));
        };
        Ok(desk.client.answer(url, &text::escape(text, slack::MAX_TEXT)).await?)
    }

    /// Listens for clicks and slash commands, in the background, where `slack.app_token` is set.
    pub fn listen(&self, doors: SocketDoors) -> Option<SocketMode> {
        let desk = self.slack.as_ref()?;
        let app_token = desk.settings.app_token.as_ref()?;
        Some(desk.client.socket_mode(app_token, doors))
    }
}

impl Outgoing<'_> {
    pub fn way(&self) -> Way {
        match (self.channel, self.notice) {
            (Channel::Pagerduty, _) => Way::Event,
            (Channel::Email, _) => Way::Mail,
            (Channel::Slack, Notice::Card) if self.thread.is_some() => Way::Edit,
            (Channel::Slack, Notice::AskVoted { .. } | Notice::AskClosed { .. } | Notice::StrayClosed { .. }) if self.place().is_some() => {
                Way::Edit
            }
            (Channel::Slack, _) => Way::Post,
        }
    }

    /// Where the question stands in Slack.
    fn place(&self) -> Option<Posted> {
        self.thread.zip(self.message_ts).map(|(thread, ts)| Posted { channel: thread.channel.clone(), ts: ts.to_owned() })
    }
}

impl SlackDesk {
    fn build(settings: &SlackSettings) -> Result<Self, Problem> {
        if settings.channel.trim().is_empty() {
            return Err(Problem::new("slack.channel", "expected a channel's id or #name"));
        }
        let client = SlackClient::new(&settings.api_url, settings.bot_token.clone());
        Ok(Self { client: client.map_err(|error| Problem::new("slack.api_url", with_source(&error)))?, settings: settings.clone() })
    }

    async fn send(&self, message: &Outgoing<'_>) -> Result<Posted, SendError> {
        let content = slack::render(message)?;
        match message.notice {
            Notice::Card => self.edit_or_post(message, message.thread.cloned(), None, &content).await,
            Notice::AskVoted { .. } | Notice::AskClosed { .. } | Notice::StrayClosed { .. } => {
                self.edit_or_post(message, message.place(), message.thread, &content).await
            }
            _ => self.post(message, message.thread, &content).await,
        }
    }

    /// A message that somebody deleted is posted anew: a human always learns the outcome.
    async fn edit_or_post(
        &self,
        message: &Outgoing<'_>,
        place: Option<Posted>,
        thread: Option<&Posted>,
        content: &Content,
    ) -> Result<Posted, SendError> {
        match place {
            Some(place) => match self.client.update(&place, content).await {
                Err(SlackError::Gone { .. }) => self.post(message, thread, content).await,
                other => Ok(other?),
            },
            None => self.post(message, thread, content).await,
        }
    }

    async fn post(&self, message: &Outgoing<'_>, thread: Option<&Posted>, content: &Content) -> Result<Posted, SendError> {
        if let Some(earlier) = self.earlier(message, thread).await? {
            // It may say what was true then; where it cannot be edited it was said all the same.
            return match self.client.update(&earlier, content).await {
                Err(SlackError::Gone { .. }) => Ok(earlier),
                other => Ok(other?),
            };
        }
        let Some(root) = thread else {
            return Ok(self.client.post(&self.settings.channel, None, message.mark, content).await?);
        };
        match self.client.post(&root.channel, Some(&root.ts), message.mark, content).await {
            Err(SlackError::Gone { .. }) => Ok(self.client.post(&root.channel, None, message.mark, content).await?),
            other => Ok(other?),
        }
    }

    /// The same notice, where an earlier attempt arrived and nobody heard so. Whoever may not look posts: twice is better than never.
    async fn earlier(&self, message: &Outgoing<'_>, thread: Option<&Posted>) -> Result<Option<Posted>, SendError> {
        if !message.unsure {
            return Ok(None);
        }
        let named = Some(self.settings.channel.as_str()).filter(|name| !name.starts_with('#'));
        let Some(channel) = thread.map(|root| root.channel.as_str()).or(message.slack_channel).or(named) else { return Ok(None) };
        match self.client.search(channel, thread.map(|root| root.ts.as_str()), message.mark).await? {
            Search::Found(posted) => Ok(Some(posted)),
            Search::NotThere => Ok(None),
            Search::MayNotLook(why) => {
                tracing::warn!(%why, "whether an earlier message arrived cannot be looked up in Slack (channels:history); it is posted");
                Ok(None)
            }
        }
    }
}

/// Outside text as Slack shows it: text and nothing else.
pub fn escape(text: &str) -> String {
    text::escape(text, slack::MAX_TEXT)
}

fn build_email(settings: &EmailSettings) -> Result<Email, Problem> {
    let login = match (&settings.user, &settings.password) {
        (Some(user), Some(password)) => Some((user.as_str(), password)),
        (None, None) => None,
        _ => return Err(Problem::new("email", "expected both user and password, or neither")),
    };
    Email::new(&settings.url, login, &settings.from, &settings.to).map_err(|error| Problem::new("email", with_source(&error)))
}

fn keep<T>(made: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    made.map_err(|problem| problems.push(problem)).ok()
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn not_configured(channel: Channel) -> SendError {
    SendError::never(format!("{channel} is not configured"))
}

impl SendError {
    fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }

    fn no_form(message: &Outgoing<'_>) -> Self {
        Self::never(format!("{:?} has no form on {}", message.notice, message.channel))
    }
}

impl From<SlackError> for SendError {
    fn from(error: SlackError) -> Self {
        let said = error.to_string();
        match error {
            SlackError::Later { after, .. } => Self::Later { after, why: said },
            SlackError::Refused { why } => Self::Refused { why },
            SlackError::Never { why } | SlackError::Gone { why } => Self::Never { why },
        }
    }
}

impl From<PagerDutyError> for SendError {
    fn from(error: PagerDutyError) -> Self {
        let said = error.to_string();
        match error {
            PagerDutyError::Later { after, .. } => Self::Later { after, why: said },
            PagerDutyError::Refused { why } => Self::Refused { why },
            PagerDutyError::Never { why } => Self::Never { why },
        }
    }
}

impl From<EmailError> for SendError {
    fn from(error: EmailError) -> Self {
        let said = error.to_string();
        match error {
            EmailError::Later { after, .. } => Self::Later { after, why: said },
            EmailError::Refused { why } => Self::Refused { why },
            EmailError::Never { why } => Self::Never { why },
        }
    }
}
