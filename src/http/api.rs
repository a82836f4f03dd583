//! The read API: incidents as the ledger tells them. Also what `paramedic incidents --json` prints.

use super::Doors;
use crate::domain::IncidentId;
use crate::view;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

const LIMIT: i64 = 100;
const MOST: i64 = 1_000;

#[derive(Deserialize)]
pub struct Wanted {
    state: Option<String>,
    limit: Option<String>,
}

pub async fn list(State(doors): State<Doors>, Query(wanted): Query<Wanted>) -> Response {
    let state = match wanted.state.as_deref().filter(|text| !text.is_empty()).map(view::state_of).transpose() {
        Ok(state) => state,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let limit = match wanted.limit.as_deref().map(str::parse::<i64>) {
        None => LIMIT,
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
        Some(_) => return error(StatusCode::BAD_REQUEST, &format!("limit: expected 1 to {MOST}")),
    };
    match view::list(doors.engine.store(), state, limit).await {
        Ok(incidents) => Json(incidents).into_response(),
        Err(e) => internal(&e),
    }
}

pub async fn show(State(doors): State<Doors>, Path(id): Path<String>) -> Response {
    let id: IncidentId = match id.parse() {
        Ok(id) => id,
        Err(e) => return error(StatusCode::BAD_REQUEST, &format!("{e}")),
    };
    match view::incident(doors.engine.store(), id).await {
        Ok(Some(incident)) => Json(incident).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, &format!("there is no {id}")),
        Err(e) => internal(&e),
    }
}

pub fn internal(cause: &crate::store::StoreError) -> Response {
    tracing::error!(error = %cause, "the store could not be read for the API");
    error(StatusCode::INTERNAL_SERVER_ERROR, "the store could not be read; the server's log says why")
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
