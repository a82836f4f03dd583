//! Orders in force and the trust in agents, to read.

use super::Doors;
use super::api::internal;
use crate::store::StoreError;
use crate::view;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

pub async fn list(State(doors): State<Doors>) -> Response {
    let read = async {
        let (in_force, trusted) = (doors.engine.in_force().await?, doors.engine.store().trusted().await?);
        Ok::<_, StoreError>(view::orders(in_force, doors.engine.freezes(), &trusted))
    };
    match read.await {
        Ok(orders) => Json(orders).into_response(),
        Err(e) => internal(&e),
    }
}

pub async fn trust(State(doors): State<Doors>) -> Response {
    let store = doors.engine.store();
    let read = async { Ok::<_, StoreError>(view::trust(&store.trusted().await?, store.trust_marks(100).await?)) };
    match read.await {
        Ok(trust) => Json(trust).into_response(),
        Err(e) => internal(&e),
    }
}
