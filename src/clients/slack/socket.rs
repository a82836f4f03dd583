//! Socket Mode: clicks come over a WebSocket that we open, so no public address is needed. An envelope is acknowledged only after
//! the door has stored the decision; a decision that could not be stored is left unacknowledged, and Slack brings it again.

use super::{Click, SlackClient, token};
use futures::future::BoxFuture;
use secrecy::SecretString;
use slack_morphism::errors::SlackClientError;
use slack_morphism::listener::{HttpStatusCode, SlackClientEventsListenerEnvironment, SlackClientEventsUserState};
use slack_morphism::prelude::{
    SlackClient as Morphism, SlackClientHyperHttpsConnector, SlackClientSocketModeConfig, SlackClientSocketModeListener,
    SlackInteractionEvent, SlackSocketModeListenerCallbacks,
};
use std::{error::Error, sync::Arc};

/// Stores the decision, then returns. An error means "not stored".
pub type OnClick = Arc<dyn Fn(Click) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Seconds between two attempts to connect.
const RECONNECT: u64 = 5;

/// Open connections. Ends with `shutdown`.
pub struct SocketMode {
    listener: SlackClientSocketModeListener<SlackClientHyperHttpsConnector>,
}

impl SlackClient {
    /// Returns at once; connects, and connects again, in the background.
    pub async fn socket_mode(&self, app_token: &SecretString, on_click: OnClick) -> SocketMode {
        let environment = SlackClientEventsListenerEnvironment::new(Arc::new(self.morphism.clone()))
            .with_error_handler(failed)
            .with_user_state(on_click);
        let callbacks = SlackSocketModeListenerCallbacks::new().with_interaction_events(interaction);
        // Two connections, so that Slack's routine refresh of one leaves no gap.
        let config = SlackClientSocketModeConfig::new().with_reconnect_timeout_in_seconds(RECONNECT);
        let listener = SlackClientSocketModeListener::new(&config, Arc::new(environment), callbacks);
        if let Err(error) = listener.listen_for(&token(app_token)).await {
            tracing::error!(%error, "slack socket mode does not start");
        }
        listener.start().await;
        SocketMode { listener }
    }
}

impl SocketMode {
    pub async fn shutdown(&self) {
        self.listener.shutdown().await;
    }
}

type Failure = Box<dyn Error + Send + Sync>;

async fn interaction(
    event: SlackInteractionEvent,
    _: Arc<Morphism<SlackClientHyperHttpsConnector>>,
    state: SlackClientEventsUserState,
) -> Result<(), Failure> {
    // Back to JSON: one reader of clicks, whichever way they come.
    let click = match Click::read(&serde_json::to_value(&event)?) {
        Ok(click) => click,
        Err(error) => {
            // It reads no better the next time, so it is acknowledged.
            tracing::warn!(%error, "slack sent an interaction that is no decision");
            return Ok(());
        }
    };
    let on_click = state
        .read()
        .await
        .get_user_state::<OnClick>()
        .cloned()
        .ok_or("no door for clicks")?;
    Ok(on_click(click).await?)
}

/// Anything but a success keeps the acknowledgement back.
fn failed(error: Failure, _: Arc<Morphism<SlackClientHyperHttpsConnector>>, _: SlackClientEventsUserState) -> HttpStatusCode {
    match error.downcast_ref::<SlackClientError>() {
        // Its text holds the whole payload.
        Some(SlackClientError::ProtocolError(protocol)) => {
            tracing::warn!(error = %protocol.json_error, "slack sent an envelope that cannot be read");
        }
        _ => tracing::warn!(%error, "slack socket mode"),
    }
    HttpStatusCode::SERVICE_UNAVAILABLE
}
