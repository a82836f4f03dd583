//! Is it alive, is it ready, how is it doing?

use super::Doors;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready is who can make an alert durable.
pub async fn readyz(State(doors): State<Doors>) -> Response {
    match doors.engine.store().ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(e) => (StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot be written: {e}\n")).into_response(),
    }
}

pub async fn metrics(State(doors): State<Doors>) -> Response {
    if let Err(e) = gauges(&doors).await {
        tracing::warn!(error = %e, "the store's figures could not be read for /metrics");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], doors.metrics.render()).into_response()
}

async fn gauges(doors: &Doors) -> Result<(), crate::store::StoreError> {
    let store = doors.engine.store();
    for state in crate::domain::State::ALL {
        metrics::gauge!("paramedic_incidents", "state" => state.as_str()).set(0.0);
    }
    for (state, count) in store.counts().await? {
        metrics::gauge!("paramedic_incidents", "state" => state).set(count as f64);
    }
    metrics::gauge!("paramedic_outbox_pending").set(store.waiting_letters().await? as f64);
    Ok(())
}
