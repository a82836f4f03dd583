//! Floor 6, a door: HTTP. Parses, calls the engine, renders; never acts.

mod access;
pub mod alertmanager;
mod api;
mod approvals;
mod clicks;
mod costs;
mod ledger;
mod orders;
pub mod slack;
mod slash;
mod status;
mod webhook;
mod witness;

pub use access::{Access, ApproverTokens};
pub use clicks::take_click;
pub use slash::take_command;
pub use witness::serve_witness;

use crate::domain::Clock;
use crate::engine::Engine;
use crate::notify::{Notifier, SlackSettings};
use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// Deliveries being read at once; more are told to try again.
const DELIVERIES: usize = 128;
/// Larger than any body Alertmanager sends; what is beyond it is not read.
pub(crate) const BODY_LIMIT: usize = 128 * 1024 * 1024;
const CLICK_LIMIT: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the handlers need.
#[derive(Clone)]
pub struct Doors {
    pub engine: Arc<Engine>,
    pub clock: Arc<dyn Clock>,
    pub access: Arc<Access>,
    pub tokens: Arc<ApproverTokens>,
    pub slack: Option<Arc<SlackSettings>>,
    pub notifier: Arc<Notifier>,
    pub metrics: PrometheusHandle,
}

/// One page: every route there is.
pub fn router(doors: Doors) -> Router {
    let guard = from_fn_with_state(doors.access.clone(), access::require);
    let shed = ServiceBuilder::new().layer(HandleErrorLayer::new(overloaded)).load_shed().concurrency_limit(DELIVERIES);
    let webhook = Router::new()
        .route("/webhooks/alertmanager", post(webhook::receive))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(shed)
        .layer(guard.clone());
    let api = Router::new()
        .route("/api/incidents", get(api::list))
        .route("/api/incidents/{id}", get(api::show))
        .route("/api/orders", get(orders::list))
        .route("/api/trust", get(orders::trust))
        .route("/api/costs", get(costs::today))
        .route("/ledger/checkpoint", get(ledger::checkpoint))
        .route("/ledger/tile/{*path}", get(ledger::tile))
        .layer(guard);
    let readers = from_fn_with_state(doors.clone(), approvals::readers);
    let approvals = Router::new()
        .route("/api/approvals", get(approvals::list))
        .route("/api/approvals/{id}", get(approvals::show))
        .layer(readers)
        .route("/api/approvals/{id}/decide", post(approvals::decide))
        .layer(DefaultBodyLimit::max(CLICK_LIMIT));
    let open = Router::new()
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .route("/slack/interactions", post(clicks::receive))
        .route("/slack/commands", post(slash::receive))
        .layer(DefaultBodyLimit::max(CLICK_LIMIT));
    webhook
        .merge(api)
        .merge(approvals)
        .merge(open)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(from_fn(status::count_refused))
        .layer(CatchPanicLayer::new())
        .with_state(doors)
}

async fn overloaded(_: tower::BoxError) -> (StatusCode, &'static str) {
    (StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once: try again")
}
