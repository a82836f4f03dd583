//! `POST /webhooks/alertmanager`: 200 once every alert is durable, 400 for what can never become valid (kept, and shown by
//! `paramedic incidents --unreadable`), 503 when it should be sent again. Never 413 or 429: Alertmanager would not send again.

use super::Doors;
use super::alertmanager::{Delivery, parse};
use crate::engine::Cut;
use crate::store::{InboxError, Point, pass};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub async fn receive(State(doors): State<Doors>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return error(StatusCode::SERVICE_UNAVAILABLE, &format!("the body could not be read: {refused}")),
    };
    let now = doors.clock.now();
    let Delivery { alerts, mut broken, truncated, group_key, group_labels } = match parse(&body, now) {
        Ok(delivery) => delivery,
        Err(reason) => return unreadable(&doors, &body, &doors.engine.redactor().text(&reason)).await,
    };
    let accepted = alerts.len();
    match doors.engine.accept(alerts).await {
        Ok(()) => {}
        Err(e @ (InboxError::Overloaded | InboxError::Stopping | InboxError::Store(_))) => {
            return error(StatusCode::SERVICE_UNAVAILABLE, &format!("not stored, send it again: {e}"));
        }
    }
    // Asked for at once; if the server dies before, its next start asks for everything.
    if truncated > 0 && !doors.engine.ask_for(Cut { group_key, group_labels }) {
        let instead = "set it to 0, or let Paramedic ask (alertmanager.url)";
        broken.push(format!("{truncated} more alerts were left out by the receiver's max_alerts: {instead}"));
    }
    if !broken.is_empty() && !keep(&doors, &body, &broken.join("; ")).await {
        return error(StatusCode::SERVICE_UNAVAILABLE, "the store cannot keep the unreadable part: send it again");
    }
    pass(Point::Acknowledge, String::new);
    Json(json!({ "accepted": accepted, "unreadable": broken.len() })).into_response()
}

async fn unreadable(doors: &Doors, body: &[u8], reason: &str) -> Response {
    if !keep(doors, body, reason).await {
        return error(StatusCode::SERVICE_UNAVAILABLE, "the store cannot keep the unreadable delivery: send it again");
    }
    error(StatusCode::BAD_REQUEST, reason)
}

async fn keep(doors: &Doors, body: &[u8], reason: &str) -> bool {
    metrics::counter!("paramedic_unreadable_deliveries_total").increment(1);
    tracing::error!(%reason, bytes = body.len(), "a delivery could not be read; see `paramedic incidents --unreadable`");
    let kept = doors.engine.store().keep_unreadable(body, reason, doors.clock.now()).await;
    kept.inspect_err(|e| tracing::error!(error = %e, "and it could not be kept either")).is_ok()
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
