//! A million alerts, posted as Alertmanager does until each is accepted, while the server is killed again and again. Each accepted one
//! must be in the store.

use super::alerts::{alert, body, post};
use super::server::{Ground, Server, service};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const EACH: u64 = 64;
const SENDERS: u64 = 8;

/// FIGURES_SOAK: alerts.
pub async fn run() {
    let wanted: u64 = std::env::var("FIGURES_SOAK").ok().map_or(1_000_000, |count| count.parse().expect("FIGURES_SOAK is a number"));
    let ground = Ground::new(&[service("api", None)]).await;
    let accepted: Arc<Mutex<Vec<u64>>> = Arc::default();
    let next = Arc::new(AtomicU64::new(0));
    let base = Arc::new(Mutex::new(String::new()));
    let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(send(next.clone(), wanted / EACH, base.clone(), accepted.clone()))).collect();
    let (begun, mut kills) = (Instant::now(), 0_u32);
    while senders.iter().any(|sender| !sender.is_finished()) {
        let server = Server::start_at(&ground, &json!({ "url": ground.store_url() }), "paramedic.yaml").await;
        *base.lock().unwrap() = server.webhook();
        let moment = Duration::from_millis(u64::from(400 + kills * 137 % 1600));
        tokio::time::sleep(moment).await;
        server.kill();
        kills += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let raised = raise_the_rest(&ground).await;
    let pool = sqlx::SqlitePool::connect(&ground.store_url()).await.unwrap();
    let stored: Vec<String> = sqlx::query_scalar("SELECT DISTINCT fingerprint FROM alerts").fetch_all(&pool).await.unwrap();
    let stored: std::collections::HashSet<u64> = stored.iter().map(|text| u64::from_str_radix(text, 16).unwrap()).collect();
    let accepted = accepted.lock().unwrap();
    let lost = accepted.iter().flat_map(|first| *first..first + EACH).filter(|number| !stored.contains(number)).count();
    println!(
        "soak: {} alerts accepted through {kills} kills in {seconds:.0} s | {lost} lost | {} stored, the last with its incident {raised:.0} s later",
        accepted.len() as u64 * EACH,
        stored.len()
    );
    assert_eq!(lost, 0);
}

/// Seconds until each alert that was accepted has an incident.
async fn raise_the_rest(ground: &Ground) -> f64 {
    let _server = Server::start(ground).await;
    let pool = sqlx::SqlitePool::connect(&ground.store_url()).await.unwrap();
    let begun = Instant::now();
    loop {
        let sql = "SELECT COUNT(*) FROM alerts WHERE incident_id IS NULL";
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        if left == 0 {
            return begun.elapsed().as_secs_f64();
        }
        assert!(begun.elapsed() < Duration::from_secs(1_800), "{left} alerts have no incident");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn send(next: Arc<AtomicU64>, bodies: u64, base: Arc<Mutex<String>>, accepted: Arc<Mutex<Vec<u64>>>) {
    let http = super::server::http();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= bodies {
            return;
        }
        let first = number * EACH;
        let alerts: Vec<_> = (first..first + EACH).map(|n| alert("HighRequestLatency", "api", n, false)).collect();
        let body = body("api", &alerts);
        loop {
            let url = base.lock().unwrap().clone();
            if post(&http, &url, &body).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        accepted.lock().unwrap().push(first);
    }
}
