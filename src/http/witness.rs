//! The witness's door: C2SP's tlog-witness. No credentials: the signature on a checkpoint is what is believed.

use crate::domain::Clock;
use crate::ledger::Refusal;
use crate::witness::{Witness, WitnessError};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// A proof of 63 hashes and a checkpoint with many signatures.
const LIMIT: usize = 64 * 1024;

#[derive(Clone)]
struct Door {
    witness: Arc<Witness>,
    clock: Arc<dyn Clock>,
}

/// Serves until `stop`; what is being judged then is finished.
pub async fn serve_witness(
    listener: TcpListener,
    witness: Arc<Witness>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(witness, clock)).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

fn router(witness: Arc<Witness>, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(20)))
        .layer(CatchPanicLayer::new())
        .with_state(Door { witness, clock })
}

async fn add_checkpoint(State(door): State<Door>, body: Bytes) -> Response {
    let now = door.clock.now();
    // What is co-signed is on the disk first.
    let judged = tokio::task::spawn_blocking(move || door.witness.cosign(&body, now)).await;
    match judged {
        Ok(Ok(lines)) => lines.into_response(),
        Ok(Err(WitnessError::Refused(refusal))) => refused(&refusal),
        Ok(Err(e)) => {
            tracing::error!(error = %e, "a checkpoint could not be co-signed");
            (StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot keep what it sees; its log says why\n").into_response()
        }
        Err(e) => {
            tracing::error!(error = %e, "co-signing a checkpoint panicked");
            (StatusCode::INTERNAL_SERVER_ERROR, "the witness failed; its log says why\n").into_response()
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog(_) => StatusCode::NOT_FOUND,
        Refusal::Unsigned(_) => StatusCode::FORBIDDEN,
        Refusal::Conflict(size) => {
            let body = format!("{size}\n");
            return (StatusCode::CONFLICT, [(header::CONTENT_TYPE, "text/x.tlog.size")], body).into_response();
        }
        Refusal::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, format!("{refusal}\n")).into_response()
}
