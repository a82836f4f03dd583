//! Mail over SMTP: one text message to the configured list. Credentials never cross a network without TLS, and no header is made of
//! outside text except the subject, which is one line.

use super::http;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::{authentication::Credentials, client::Tls, client::TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// One SMTP command.
const COMMAND: Duration = Duration::from_secs(10);
/// The whole conversation.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_SUBJECT: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum EmailSetupError {
    /// The address is not repeated: it may hold a password.
    #[error("the address is not one of a mail server: expected smtp://HOST:PORT or smtps://HOST:PORT")]
    Url,
    #[error("set up TLS for the mail server")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("`{0}` is not a mail address: expected such as paramedic@example.org")]
    Address(String),
    #[error("expected at least one recipient")]
    NoRecipient,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("mail, to be tried again: {why}")]
    Later { after: Option<Duration>, why: String },
    /// Until somebody puts it right, here or there.
    #[error("the mail server refuses: {why}")]
    Refused { why: String },
    #[error("the mail server refuses the message: {why}")]
    Never { why: String },
}

pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    /// `login` is a user name and a password; with one, a server that is not on loopback must offer TLS.
    pub fn new(url: &SecretString, login: Option<(&str, &SecretString)>, from: &str, to: &[String]) -> Result<Self, EmailSetupError> {
        http::install_tls();
        let to: Vec<_> = to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err(EmailSetupError::NoRecipient);
        }
        Ok(Self { transport: transport(url, login)?, from: mailbox(from)?, to })
    }

    pub async fn send(&self, subject: &str, text: &str) -> Result<(), EmailError> {
        let mut builder = Message::builder().message_id(None).from(self.from.clone()).subject(one_line(subject));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let message =
            builder.header(ContentType::TEXT_PLAIN).body(text.to_owned()).map_err(|error| EmailError::Never { why: error.to_string() })?;
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(judge(&error)),
            Err(_) => Err(EmailError::Later { after: None, why: format!("the mail server took longer than {} s", TIMEOUT.as_secs()) }),
        }
    }
}

fn mailbox(text: &str) -> Result<Mailbox, EmailSetupError> {
    text.parse().map_err(|_| EmailSetupError::Address(text.to_owned()))
}

fn transport(url: &SecretString, login: Option<(&str, &SecretString)>) -> Result<AsyncSmtpTransport<Tokio1Executor>, EmailSetupError> {
    let url = Url::parse(url.expose_secret()).map_err(|_| EmailSetupError::Url)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EmailSetupError::Url)?;
    if !matches!(url.scheme(), "smtp" | "smtps") {
        return Err(EmailSetupError::Url);
    }
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str()).map_err(|_| EmailSetupError::Url)?;
    if let Some((user, password)) = login {
        builder = builder.credentials(Credentials::new(user.to_owned(), password.expose_secret().to_owned()));
    }
    let secret = login.is_some() || !url.username().is_empty();
    if secret && !http::is_loopback(&url) && url.scheme() == "smtp" {
        let tls = TlsParameters::new(host.to_owned()).map_err(EmailSetupError::Tls)?;
        builder = builder.tls(Tls::Required(tls));
    }
    Ok(builder.timeout(Some(COMMAND)).build())
}

/// A line break in a header would begin another header.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SUBJECT).collect();
    if text.chars().nth(MAX_SUBJECT).is_some() { line + "…" } else { line }
}

/// What an operator can put right: a login, an address, a relay that refuses us (554 is Postfix's word for it).
fn judge(error: &lettre::transport::smtp::Error) -> EmailError {
    let why = error.to_string();
    match error.status().map(u16::from) {
        Some(code @ 500..=599) if !matches!(code, 521 | 530 | 534 | 535 | 538 | 550 | 551 | 553 | 554) => EmailError::Never { why },
        Some(500..=599) => EmailError::Refused { why },
        _ => EmailError::Later { after: None, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_stays_one_line() {
        let subject = one_line("disk\r\nBcc: everyone@example.org\u{0}");
        assert!(!subject.contains(['\r', '\n', '\0']), "{subject:?}");
        assert_eq!(one_line(&"x".repeat(900)).chars().count(), MAX_SUBJECT + 1);
    }

    #[test]
    fn settings_that_cannot_work_are_refused_and_say_why() {
        let new = |url: &str, from: &str, to: &[&str]| {
            let to: Vec<_> = to.iter().map(|t| (*t).to_owned()).collect();
            Email::new(&SecretString::from(url), None, from, &to).err().map(|e| e.to_string())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        assert_eq!(new("smtp://127.0.0.1:25", "a@example.org", &["b@example.org"]), None);
        assert!(new("http://mail", "a@example.org", &["b@example.org"]).unwrap().contains("smtp://HOST:PORT"));
        assert!(new("smtp://127.0.0.1:25", "a", &["b@example.org"]).unwrap().contains("`a`"));
        assert!(new("smtp://127.0.0.1:25", "a@example.org", &[]).unwrap().contains("recipient"));
    }
}
