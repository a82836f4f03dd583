//! Socket Mode: clicks and slash commands come over a WebSocket that we open, so no public address is needed. An envelope is acknowledged only after
//! the door has stored what was decided or ordered; what could not be stored is left unacknowledged: Slack brings a click again, and tells
//! the user that the command failed.

use super::{Click, Said, SlackClient, SlashCommand, token};
use futures::future::BoxFuture;
use secrecy::SecretString;
use slack_morphism::SlackApiToken;
use slack_morphism::errors::SlackClientError;
use slack_morphism::listener::{HttpStatusCode, SlackClientEventsListenerEnvironment, SlackClientEventsUserState};
use slack_morphism::prelude::{
    SlackClient as Morphism, SlackClientHyperHttpsConnector, SlackClientSocketModeConfig, SlackClientSocketModeListener, SlackCommandEvent,
    SlackCommandEventResponse, SlackInteractionEvent, SlackMessageContent, SlackMessageResponseType, SlackSocketModeListenerCallbacks,
};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Stores the decision, then returns. An error means "not stored".
pub type OnClick = Arc<dyn Fn(Click) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Stores the order, then returns what is said to it. An error means "not stored".
pub type OnCommand = Arc<dyn Fn(SlashCommand) -> BoxFuture<'static, Result<Said, String>> + Send + Sync>;

/// Where it goes what comes in.
#[derive(Clone)]
pub struct SocketDoors {
    pub on_click: OnClick,
    pub on_command: OnCommand,
}

/// Seconds between two attempts to connect.
const RECONNECT: u64 = 10;

type Client = Morphism<SlackClientHyperHttpsConnector>;
type Listener = SlackClientSocketModeListener<SlackClientHyperHttpsConnector>;

/// Open connections. Ends with `shutdown`.
pub struct SocketMode {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl SlackClient {
    /// Returns at once; connects, and connects again, in the background.
    pub fn socket_mode(&self, app_token: &SecretString, doors: SocketDoors) -> SocketMode {
        let stop = CancellationToken::new();
        let watch = watch(self.morphism.clone(), token(app_token), doors, Patience::default(), stop.clone());
        let task = tokio::spawn(watch);
        SocketMode { stop, task }
    }
}

impl SocketMode {
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "slack socket mode ended badly");
        }
    }
}

/// How long nothing may be heard. slack-morphism connects without a time limit of its own: this is the one around it.
#[derive(Debug, Clone, Copy)]
struct Patience {
    first: Duration,
    /// Slack asks every connection to come again after about five hours, and each one begins with a `hello`.
    then: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(60), then: Duration::from_secs(6 * 3600) }
    }
}

/// What the callbacks, which are plain functions, get to see.
struct Door {
    doors: SocketDoors,
    hello: Notify,
}

async fn watch(client: Client, token: SlackApiToken, doors: SocketDoors, patience: Patience, stop: CancellationToken) {
    let door = Arc::new(Door { doors, hello: Notify::new() });
    loop {
        let listener = listener(&client, door.clone());
        if let Err(error) = listener.listen_for(&token).await {
            tracing::error!(%error, "slack socket mode does not start");
        }
        listener.start().await;
        let mut limit = patience.first;
        loop {
            tokio::select! {
                () = stop.cancelled() => return listener.shutdown().await,
                heard = tokio::time::timeout(limit, door.hello.notified()) => match heard {
                    Ok(()) => limit = patience.then,
                    Err(_) => break,
                },
            }
        }
        tracing::warn!(silence = ?limit, "slack socket mode: no connection, connecting anew");
        listener.shutdown().await;
    }
}

fn listener(client: &Client, door: Arc<Door>) -> Listener {
    let environment = SlackClientEventsListenerEnvironment::new(Arc::new(client.clone())).with_error_handler(failed).with_user_state(door);
    let callbacks =
        SlackSocketModeListenerCallbacks::new().with_hello_events(hello).with_interaction_events(interaction).with_command_events(command);
    // Two connections (the default), so that Slack's routine refresh of one leaves no gap.
    let config = SlackClientSocketModeConfig::new().with_reconnect_timeout_in_seconds(RECONNECT);
    Listener::new(&config, Arc::new(environment), callbacks)
}

/// The event has a type that slack-morphism does not let us name.
async fn hello<Event>(_: Event, _: Arc<Client>, state: SlackClientEventsUserState) {
    if let Some(door) = state.read().await.get_user_state::<Arc<Door>>() {
        door.hello.notify_one();
    }
}

type Failure = Box<dyn Error + Send + Sync>;

async fn interaction(event: SlackInteractionEvent, _: Arc<Client>, state: SlackClientEventsUserState) -> Result<(), Failure> {
    // Back to JSON: one reader of clicks, whichever way they come.
    let click = match Click::read(&serde_json::to_value(&event)?) {
        Ok(click) => click,
        Err(error) => {
            // It reads no better the next time, so it is acknowledged.
            tracing::warn!(%error, "slack sent an interaction that is no decision");
            return Ok(());
        }
    };
    Ok((doors(&state).await?.on_click)(click).await?)
}

async fn command(
    event: SlackCommandEvent,
    _: Arc<Client>,
    state: SlackClientEventsUserState,
) -> Result<SlackCommandEventResponse, Failure> {
    let SlackCommandEvent { team_id, user_id, text, .. } = event;
    // A command without any text has none to bring.
    let text = text.unwrap_or_else(String::new);
    let typed = SlashCommand { text, user_id: user_id.0, team: Some(team_id.0), app_id: None };
    let Said { text, to_all } = (doors(&state).await?.on_command)(typed).await?;
    let to = if to_all { SlackMessageResponseType::InChannel } else { SlackMessageResponseType::Ephemeral };
    Ok(SlackCommandEventResponse::new(SlackMessageContent::new().with_text(text)).with_response_type(to))
}

async fn doors(state: &SlackClientEventsUserState) -> Result<SocketDoors, Failure> {
    let state = state.read().await;
    Ok(state.get_user_state::<Arc<Door>>().map(|door| door.doors.clone()).ok_or("no door for what comes in")?)
}

/// Anything but a success keeps the acknowledgement back.
fn failed(error: Failure, _: Arc<Client>, _: SlackClientEventsUserState) -> HttpStatusCode {
    match error.downcast_ref::<SlackClientError>() {
        // Its text holds the whole payload.
        Some(SlackClientError::ProtocolError(protocol)) => {
            tracing::warn!(error = %protocol.json_error, "slack sent an envelope that cannot be read");
        }
        _ => tracing::warn!(%error, "slack socket mode"),
    }
    HttpStatusCode::SERVICE_UNAVAILABLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_slack_that_takes_the_connection_and_says_nothing_is_connected_to_anew() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api", silent.local_addr().unwrap());
        let client = SlackClient::new(&url, SecretString::from("xoxb-1")).unwrap();
        let on_command = |_| async { Ok(Said { text: String::new(), to_all: false }) }.boxed();
        let doors = SocketDoors { on_click: Arc::new(|_| async { Ok(()) }.boxed()), on_command: Arc::new(on_command) };
        let short = Duration::from_millis(50);
        let patience = Patience { first: short, then: short };
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch(client.morphism, token(&SecretString::from("xapp-1")), doors, patience, stop.clone()));
        let mut held = Vec::new();
        for _ in 0..3 {
            let next = tokio::time::timeout(Duration::from_secs(10), silent.accept()).await;
            held.push(next.expect("no further attempt").unwrap());
        }
        stop.cancel();
        task.await.unwrap();
    }
}
