//! What the model costs today.

use super::Doors;
use super::api::internal;
use crate::domain::day_of;
use crate::view;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

pub async fn today(State(doors): State<Doors>) -> Response {
    match view::costs(doors.engine.store(), day_of(doors.clock.now()), doors.engine.cost_limits()).await {
        Ok(costs) => Json(costs).into_response(),
        Err(e) => internal(&e),
    }
}
