//! How soon something happens: from an alert to the action, from a storm to the pages, from one step of a model to the next.

use super::alerts::{alert, body, post};
use super::server::{Ground, Server, service};
use super::{median, p99};
use paramedic::standins::model::{Generator, ModelStandin, Reply};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One more at once is large-scale degradation, and a second restart of the same one would cost its runbook trust.
const SERVICES: usize = 4;
const SERVERS: usize = 50;

pub async fn run() {
    dispatch().await;
    storm().await;
    model_step().await;
}

/// From the webhook's first byte until the restarted process runs and says so.
async fn dispatch() {
    let mut taken = Vec::new();
    for _ in 0..SERVERS {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("starts");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let names: Vec<String> = (0..SERVICES).map(|n| format!("svc-{n}")).collect();
        let services: Vec<_> = names.iter().map(|name| service(name, Some(&pipe))).collect();
        let starts = starts(&pipe);
        let ground = Ground::new(&services).await;
        let server = Server::start(&ground).await;
        for _ in &names {
            starts.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        let http = super::server::http();
        for (number, name) in (0..).zip(&names) {
            let firing = body(name, &[alert("ServiceDown", name, number, false)]);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let posted = Instant::now();
            assert!(post(&http, &server.webhook(), &firing).await);
            let (started, at) = starts.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(&started, name);
            taken.push(millis(at - posted));
            assert!(post(&http, &server.webhook(), &body(name, &[alert("ServiceDown", name, number, true)])).await);
            until_over(&http, &server).await;
        }
    }
    println!(
        "alert posted to its action's process running, runbook of three steps, idle ({} samples) | median {:.1} ms | p99 {:.1} ms",
        taken.len(),
        median(taken.clone()),
        p99(taken)
    );
}

fn starts(pipe: &std::path::Path) -> Receiver<(String, Instant)> {
    let (sender, receiver) = channel();
    // Opened for writing too, so that it does not end when the last service has spoken.
    let opened = std::fs::File::options().read(true).write(true).open(pipe).unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(opened).lines() {
            let Ok(line) = line else { return };
            if sender.send((line, Instant::now())).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn until_over(http: &reqwest::Client, server: &Server) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = server.get(http, "/api/incidents?limit=5").await;
        if listed.as_array().unwrap().iter().all(|incident| incident["state"] == "resolved" || incident["state"] == "closed") {
            return;
        }
        assert!(Instant::now() < end, "the incidents do not end: {listed:#}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A hundred alerts at once, ten of them of level 3: from the first post until a human was paged for each of those.
async fn storm() {
    let mut taken = Vec::new();
    for _ in 0..10 {
        let names: Vec<String> = (0..100).map(|n| format!("svc-{n}")).collect();
        let services: Vec<_> = names.iter().map(|name| service(name, None)).collect();
        let ground = Ground::new(&services).await.told();
        let server = Server::start(&ground).await;
        let http = super::server::http();
        let bodies: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                let of = ["DBCorruption", "ServiceDown", "HighRequestLatency", "QueueBacklog"];
                let kind = if n % 10 == 7 { of[0] } else { of[1 + n % 3] };
                body(name, &[alert(kind, name, n as u64, false)])
            })
            .collect();
        let posted = Instant::now();
        let url = server.webhook();
        let all = bodies.iter().map(|body| post(&http, &url, body));
        let watched = ground.pagerduty.until(Duration::from_secs(60), |events| {
            let paged = |event: &&paramedic::standins::PagerDutyEvent| {
                event.action == "trigger" && event.payload.as_ref().is_some_and(|payload| payload.to_string().contains("DBCorruption"))
            };
            let incidents: BTreeSet<&str> = events.iter().filter(paged).map(|event| event.dedup_key.as_str()).collect();
            (incidents.len() >= 10).then(Instant::now)
        });
        let (accepted, paged) = futures::join!(futures::future::join_all(all), watched);
        assert!(accepted.into_iter().all(|accepted| accepted));
        taken.push(millis(paged.expect("every level 3 is paged") - posted));
    }
    println!(
        "storm of 100 mixed alerts: all of level 3 paged | median {:.0} ms | slowest of 10 {:.0} ms",
        median(taken.clone()),
        p99(taken)
    );
}

/// Between a model's answer and the next question to it; the answers call a tool that looks at a process.
async fn model_step() {
    let asked: Arc<Mutex<BTreeMap<String, Vec<Instant>>>> = Arc::default();
    let seen = asked.clone();
    let generator: Arc<Generator> = Arc::new(move |request| {
        let first = request["messages"][1]["content"].as_str().unwrap_or("");
        let incident = first.split([' ', ',']).find(|word| word.starts_with("INC-")).unwrap_or("?").to_owned();
        let mut seen = seen.lock().unwrap();
        let turns = seen.entry(incident).or_default();
        turns.push(Instant::now());
        match turns.len() {
            1..=20 => Reply::call("check_service_status", json!({ "service": "api" })),
            _ => Reply::text("it runs"),
        }
    });
    let model = ModelStandin::answering(generator).await.unwrap();
    let ground = Ground::new(&[service("api", None)]).await;
    let ground = ground.with("llm", json!({ "base_url": model.url(), "model": "bench" })).with("planner", json!({ "first": "model" }));
    let server = Server::start(&ground).await;
    let http = super::server::http();
    for number in 0..10 {
        let service = format!("elsewhere-{number}");
        assert!(post(&http, &server.webhook(), &body(&service, &[alert("SomethingOdd", "api", number, false)])).await);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(post(&http, &server.webhook(), &body(&service, &[alert("SomethingOdd", "api", number, true)])).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let asked = asked.lock().unwrap();
    let gaps: Vec<f64> = asked.values().flat_map(|turns| turns.windows(2).map(|pair| millis(pair[1] - pair[0]))).collect();
    assert!(gaps.len() >= 150, "{} steps were made of 200", gaps.len());
    println!(
        "own time a model's step, with the tool it called and HTTP both ways ({} steps) | median {:.2} ms | p99 {:.2} ms",
        gaps.len(),
        median(gaps.clone()),
        p99(gaps)
    );
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
