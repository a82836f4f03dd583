//! Slack's Web API: posts a message, edits it, answers the user who clicked. Every call has a time limit and each failure says
//! whether trying again can help. Never renders, and never takes a click for a permission.

mod click;
mod command;
mod error;
mod search;
mod socket;

pub use click::{Click, ClickError};
pub use command::{Said, SlashCommand};
pub use error::{SlackError, SlackSetupError};
pub use socket::{OnClick, OnCommand, SocketDoors, SocketMode};

use super::http;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use slack_morphism::prelude::{
    SlackApiToken, SlackApiTokenValue, SlackClient as Morphism, SlackClientHyperConnector, SlackClientHyperHttpsConnector,
};
use std::time::Duration;

pub const API_URL: &str = "https://slack.com/api";

/// slack-morphism's own client waits for ever.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A message: `text` is what a notification shows, `blocks` what the channel shows. Both are Slack's own markup, escaped by the
/// one who rendered them.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub text: String,
    pub blocks: Vec<Value>,
}

/// Where a message is: Slack's id of the channel, and the timestamp that names the message in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Posted {
    pub channel: String,
    pub ts: String,
}

/// What asking for a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    Found(Posted),
    NotThere,
    /// Slack does not let us look, and says why: a scope is missing.
    MayNotLook(String),
}

pub struct SlackClient {
    morphism: Morphism<SlackClientHyperHttpsConnector>,
    api_url: Url,
    bot_token: SecretString,
    answers: reqwest::Client,
}

impl SlackClient {
    pub fn new(api_url: &str, bot_token: SecretString) -> Result<Self, SlackSetupError> {
        let api_url = http::safe_url(api_url).ok_or_else(|| SlackSetupError::Url(api_url.to_owned()))?;
        let connector = SlackClientHyperConnector::with_connector(https(&api_url)?);
        Ok(Self {
            morphism: Morphism::new(connector.with_slack_api_url(api_url.as_str().trim_end_matches('/'))),
            api_url,
            bot_token,
            answers: http::client(TIMEOUT)?,
        })
    }

    /// `channel` is an id or `#name`; the answer has the id, which edits need. `mark` stays with the message, unseen, so that `search` can
    /// find it.
    pub async fn post(&self, channel: &str, thread_ts: Option<&str>, mark: &str, content: &Content) -> Result<Posted, SlackError> {
        let mut body = body(channel, content);
        body["metadata"] = search::metadata(mark);
        body["unfurl_links"] = json!(false);
        body["unfurl_media"] = json!(false);
        if let Some(ts) = thread_ts {
            body["thread_ts"] = json!(ts);
        }
        self.call("chat.postMessage", &body).await
    }

    pub async fn update(&self, at: &Posted, content: &Content) -> Result<Posted, SlackError> {
        let mut body = body(&at.channel, content);
        body["ts"] = json!(at.ts);
        self.call("chat.update", &body).await
    }

    /// Tells the user who clicked, and nobody else. The address comes with the click, so it is only used where it is Slack's own.
    pub async fn answer(&self, response_url: &str, text: &str) -> Result<(), SlackError> {
        let url = Url::parse(response_url).map_err(|_| SlackError::never("the click's response_url is not a URL"))?;
        if !self.may_answer_at(&url) {
            return Err(SlackError::never(format!(
                "the click's response_url points to {}, which is not Slack",
                url.host_str().unwrap_or("nowhere")
            )));
        }
        let body = json!({ "response_type": "ephemeral", "replace_original": false, "text": text });
        let reply = self.answers.post(url).json(&body).send().await;
        match reply.map_err(|e| SlackError::later(None, e.without_url().to_string()))?.status() {
            status if status.is_success() => Ok(()),
            status => Err(SlackError::of_status(status.as_u16(), None)),
        }
    }

    fn may_answer_at(&self, url: &Url) -> bool {
        let slack = url.scheme() == "https" && url.port().is_none() && matches!(url.host_str(), Some("slack.com" | "hooks.slack.com"));
        slack || url.origin() == self.api_url.origin()
    }

    /// Looks for a message that was posted with this mark: in a thread, or among the newest of a channel (by its id).
    pub async fn search(&self, channel: &str, thread_ts: Option<&str>, mark: &str) -> Result<Search, SlackError> {
        let token = token(&self.bot_token);
        let session = self.morphism.open_session(&token);
        let looking = search::look(&session, channel, thread_ts, mark);
        match tokio::time::timeout(TIMEOUT * 2, looking).await {
            Ok(found) => found,
            Err(_) => Err(SlackError::later(None, "looking for an earlier message took too long")),
        }
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Posted, SlackError> {
        let token = token(&self.bot_token);
        let session = self.morphism.open_session(&token);
        let call = session.http_session_api.http_post::<_, Posted>(method, body, None);
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(answer) => answer.map_err(SlackError::from),
            Err(_) => Err(SlackError::later(None, format!("{method} took longer than {} s", TIMEOUT.as_secs()))),
        }
    }
}

/// `parse: none` and `link_names: false`: Slack makes no mention and no link out of plain text.
fn body(channel: &str, content: &Content) -> Value {
    json!({ "channel": channel, "text": content.text, "blocks": content.blocks, "parse": "none", "link_names": false })
}

fn token(secret: &SecretString) -> SlackApiToken {
    SlackApiToken::new(SlackApiTokenValue(secret.expose_secret().to_owned()))
}

type Https = hyper_rustls::HttpsConnector<HttpConnector>;

/// TLS with the system's roots; a machine without any may still talk to a loopback address.
fn https(api_url: &Url) -> Result<Https, SlackSetupError> {
    http::install_tls();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(http::CONNECT));
    let builder = hyper_rustls::HttpsConnectorBuilder::new();
    if api_url.scheme() == "https" {
        let builder = builder.with_native_roots().map_err(SlackSetupError::Roots)?;
        return Ok(builder.https_only().enable_all_versions().wrap_connector(tcp));
    }
    let no_roots = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    Ok(builder.with_tls_config(no_roots).https_or_http().enable_http1().wrap_connector(tcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_answered_at_slack_and_nowhere_else() {
        let client = SlackClient::new("http://127.0.0.1:4000/api", SecretString::from("xoxb-1")).unwrap();
        for good in ["https://hooks.slack.com/actions/T/1/x", "https://slack.com/x", "http://127.0.0.1:4000/respond/1"] {
            assert!(client.may_answer_at(&Url::parse(good).unwrap()), "{good}");
        }
        for bad in [
            "http://hooks.slack.com/actions",
            "https://hooks.slack.com.evil.example/",
            "https://hooks.slack.com@evil.example/",
            "https://hooks.slack.com:8443/",
            "http://127.0.0.1:4001/respond/1",
            "http://169.254.169.254/latest/meta-data",
            "https://evil.slack.com/",
        ] {
            assert!(!client.may_answer_at(&Url::parse(bad).unwrap()), "{bad}");
        }
    }
}
