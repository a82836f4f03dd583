//! A click on Approve or Deny, from `POST /slack/interactions` or Socket Mode: verified, stored, answered. Whoever may not
//! decide is told so.

use super::{Doors, slack};
use crate::clients::slack::Click;
use crate::domain::Via;
use crate::engine::{Ballot, Engine};
use crate::notify::{Notifier, SlackSettings};
use crate::store::DecideError;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

pub async fn receive(State(doors): State<Doors>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(settings) = &doors.slack else {
        return (StatusCode::NOT_FOUND, "slack is not configured\n").into_response();
    };
    let Some(secret) = &settings.signing_secret else {
        return (StatusCode::NOT_FOUND, "slack.signing_secret is not configured: clicks come over Socket Mode\n").into_response();
    };
    let click = match slack::receive(secret, &headers, &body, doors.clock.now()) {
        Ok(click) => click,
        Err(e) => {
            tracing::warn!(error = %e, "a request to /slack/interactions was refused");
            return e.into_response();
        }
    };
    match take_click(&doors.engine, &doors.notifier, settings, click).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

/// Stores the decision and tells the user what came of it. `Err` only if nothing is stored that should be: Slack shows that.
pub async fn take_click(engine: &Arc<Engine>, notifier: &Arc<Notifier>, settings: &SlackSettings, click: Click) -> Result<(), String> {
    let text = match slack::may_decide(&click, settings) {
        Err(not_allowed) => {
            tracing::warn!(user = %click.user_id, approval = %click.approval, "a click by somebody who may not decide");
            Some(not_allowed.to_string())
        }
        Ok(()) => {
            let (who, shown) = (click.user_id.clone(), Some(click.digest.0.clone()));
            let ballot = Ballot { who, via: Via::Slack, decision: click.decision, shown, signature: None };
            match engine.decide(click.approval, ballot).await {
                Ok(_) => None,
                Err(DecideError::Store(e)) => return Err(format!("the decision could not be stored: {e}")),
                Err(e) => {
                    close_stray(engine, &click).await;
                    Some(e.to_string())
                }
            }
        }
    };
    if let Some(text) = text {
        // Slack wants its acknowledgement within three seconds; the answer may take longer.
        let notifier = notifier.clone();
        tokio::spawn(async move {
            if let Err(e) = notifier.answer(&click, &text).await {
                tracing::warn!(error = %e, "a click could not be answered");
            }
        });
    }
    Ok(())
}

/// Buttons that still live where nothing is left to decide: this message is not the one that is known.
async fn close_stray(engine: &Arc<Engine>, click: &Click) {
    let Some(message) = &click.message else { return };
    if let Err(e) = engine.close_stray(click.approval, &message.ts).await {
        tracing::warn!(approval = %click.approval, error = %e, "a message whose buttons live on could not be closed");
    }
}
