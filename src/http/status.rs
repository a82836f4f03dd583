//! Is it alive, is it ready, how is it doing?

use super::Doors;
use crate::store::{Soundness, Store};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::time::timeout;

/// A probe that is not answered in this time is answered no; two of them are less than what Prometheus waits for.
const PATIENCE: Duration = Duration::from_secs(3);

pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready is who can make an alert durable, on a damaged store too: whoever sends alerts has nobody else.
pub async fn readyz(State(doors): State<Doors>) -> Response {
    let store = doors.engine.store();
    match ready(store).await {
        Ok(()) => match store.soundness() {
            Soundness::Sound => "ready\n".into_response(),
            Soundness::Unknown => "ready\nthe store is being looked over; nothing is changed before that has ended\n".into_response(),
            Soundness::Damaged(why) => format!("ready\nTHE STORE IS DAMAGED, nothing is changed any more: {why}\n").into_response(),
        },
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot be written: {why}\n")).into_response(),
    }
}

async fn ready(store: &Store) -> Result<(), String> {
    match timeout(PATIENCE, store.ready()).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

/// Counts deliveries whose sender is told to send them again, for whatever reason.
pub async fn count_refused(request: Request, next: Next) -> Response {
    let delivery = request.uri().path() == "/webhooks/alertmanager";
    let answer = next.run(request).await;
    if delivery && answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        metrics::counter!("paramedic_deliveries_refused_total").increment(1);
    }
    answer
}

pub async fn metrics(State(doors): State<Doors>) -> Response {
    let writable = ready(doors.engine.store()).await.is_ok();
    metrics::gauge!("paramedic_store_writable").set(f64::from(u8::from(writable)));
    match timeout(PATIENCE, gauges(&doors)).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!(error = %e, "the store's figures could not be read for /metrics"),
        Err(_) => tracing::warn!("the store gave no figures in {} s for /metrics: they are those of the time before", PATIENCE.as_secs()),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], doors.metrics.render()).into_response()
}

async fn gauges(doors: &Doors) -> Result<(), crate::store::StoreError> {
    let store = doors.engine.store();
    let (waiting, since) = store.backlog().await?;
    metrics::gauge!("paramedic_alerts_waiting").set(waiting as f64);
    let age = since.map_or(0, |since| (doors.clock.now() - since).num_seconds().max(0));
    metrics::gauge!("paramedic_alerts_waiting_oldest_seconds").set(age as f64);
    for state in crate::domain::State::ALL {
        metrics::gauge!("paramedic_incidents", "state" => state.as_str()).set(0.0);
    }
    for (state, count) in store.counts().await? {
        metrics::gauge!("paramedic_incidents", "state" => state).set(count as f64);
    }
    authority(doors).await?;
    let (flapping, held) = store.held_up().await?;
    metrics::gauge!("paramedic_flapping_incidents").set(flapping as f64);
    metrics::gauge!("paramedic_held_incidents").set(held as f64);
    costs(doors).await?;
    metrics::gauge!("paramedic_outbox_pending").set(store.waiting_letters().await? as f64);
    Ok(())
}

/// What keeps Paramedic from acting: somebody may want to be reminded of it.
async fn authority(doors: &Doors) -> Result<(), crate::store::StoreError> {
    let halted = !doors.engine.in_force().await?.halts.is_empty();
    metrics::gauge!("paramedic_halted").set(f64::from(u8::from(halted)));
    for (agent, trust) in doors.engine.store().trusted().await? {
        let open = trust.breaker().is_some();
        metrics::gauge!("paramedic_breaker_open", "agent" => agent.to_string()).set(f64::from(u8::from(open)));
        metrics::gauge!("paramedic_trust_score", "agent" => agent.to_string()).set(f64::from(trust.score()));
    }
    Ok(())
}

/// From the store: a restart forgets none of it, and replicas say the same.
async fn costs(doors: &Doors) -> Result<(), crate::store::StoreError> {
    let limits = doors.engine.cost_limits();
    let costs = crate::view::costs(doors.engine.store(), crate::domain::day_of(doors.clock.now()), limits).await?;
    metrics::gauge!("paramedic_model_cost_dollars_total").set(costs.dollars_ever);
    metrics::gauge!("paramedic_model_cost_dollars_today").set(costs.all.dollars);
    metrics::gauge!("paramedic_model_tokens_today").set((costs.all.tokens_in + costs.all.tokens_out) as f64);
    if let Some(left) = costs.all.tokens_left {
        metrics::gauge!("paramedic_model_tokens_left").set(left as f64);
    }
    if let Some(left) = costs.all.dollars_left {
        metrics::gauge!("paramedic_model_cost_dollars_left").set(left);
    }
    Ok(())
}
