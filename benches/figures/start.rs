//! How soon it is there, and how much memory it takes.

use super::alerts::{alert, body, post};
use super::history;
use super::server::{Ground, Server, service};
use super::speed::millis;
use super::{median, p99};
use paramedic::standins::model::{Generator, ModelStandin, Reply};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STORED: u64 = 100_000;
const OPEN: u64 = 10_000;

pub async fn run() {
    let ground = Ground::new(&[service("api", None)]).await;
    starts(&ground, "an empty store").await;
    idle(&ground).await;
    storm().await;
    history::write(&ground.path("state/paramedic.db"), 0, STORED, false).await;
    starts(&ground, "100,000 incidents stored").await;
    after_a_kill().await;
}

async fn starts(ground: &Ground, with: &str) {
    let (mut taken, mut looked) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        let server = Server::start(ground).await;
        taken.push(millis(server.ready));
        looked.push(millis(server.ready + server.until_looked_over().await));
    }
    println!(
        "start to ready, {with}, warm cache | median {:.0} ms | slowest of 11 {:.0} ms | until something may be changed, median {:.0} ms",
        median(taken.clone()),
        p99(taken),
        median(looked)
    );
}

async fn idle(ground: &Ground) {
    let server = Server::start(ground).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("resident memory, idle | {:.0} MB", server.memory().0);
}

/// Ten thousand alerts of a hundred services in bodies of ten, as fast as they are taken; until the last was worked on.
async fn storm() {
    let names: Vec<String> = (0..100).map(|n| format!("svc-{n}")).collect();
    let services: Vec<_> = names.iter().map(|name| service(name, None)).collect();
    let ground = Ground::new(&services).await.told();
    let server = Server::start(&ground).await;
    let http = super::server::http();
    for round in 0..10_u64 {
        for (n, name) in names.iter().enumerate() {
            let first = (round * 100 + n as u64) * 10;
            let alerts: Vec<_> = (first..first + 10).map(|number| alert("HighRequestLatency", name, number, false)).collect();
            assert!(post(&http, &server.webhook(), &body(name, &alerts)).await);
        }
    }
    let begun = Instant::now();
    while waiting(&http, &server).await > 0.0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "the storm is not raised");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What an incident has been given is taken into its ledger a moment later.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let incidents = server.get(&http, "/api/incidents?limit=500").await;
    let (now, most) = server.memory();
    println!(
        "resident memory, a storm of 10,000 alerts of 100 services | most {most:.0} MB | afterwards {now:.0} MB | {} incidents",
        incidents.as_array().unwrap().len()
    );
}

/// Accepted alerts that no incident has yet.
async fn waiting(http: &reqwest::Client, server: &Server) -> f64 {
    let metrics = http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    metrics.lines().find_map(|line| line.strip_prefix("paramedic_alerts_waiting ")).unwrap().parse().unwrap()
}

/// Ten thousand incidents wait to be worked on when it dies: from its start until a model is asked about the first of them.
async fn after_a_kill() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let generator: Arc<Generator> = Arc::new(move |_| {
        let _ = sender.send(Instant::now());
        Reply::text("it is somebody else's")
    });
    let model = ModelStandin::answering(generator).await.unwrap();
    let ground = Ground::new(&[service("api", None)]).await.with("llm", json!({ "base_url": model.url(), "model": "bench" }));
    let ground = ground.with("planner", json!({ "first": "model" }));
    history::write(&ground.path("state/paramedic.db"), 0, OPEN, true).await;
    let mut taken = Vec::new();
    for _ in 0..7 {
        let begun = Instant::now();
        let server = Server::start(&ground).await;
        let first = tokio::time::timeout(Duration::from_secs(60), receiver.recv()).await.unwrap().unwrap();
        taken.push(millis(first - begun));
        server.kill();
        while receiver.try_recv().is_ok() {}
    }
    println!(
        "kill -9 with 10,000 open incidents to the first step | median {:.0} ms | slowest of 7 {:.0} ms",
        median(taken.clone()),
        p99(taken)
    );
}
