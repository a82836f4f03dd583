//! Three replicas on one PostgreSQL against one: alerts taken a second, and incidents worked off a second.

use super::alerts::{alert, body, post};
use super::median;
use super::postgres::Postgres;
use super::server::{Ground, Server, service};
use futures::StreamExt as _;
use serde_json::json;
use std::time::{Duration, Instant};

const INCIDENTS: u64 = 300;
const SENDERS: usize = 8;

pub async fn run() {
    let (mut one, mut three) = (Vec::new(), Vec::new());
    for round in 0..4 {
        // Whoever comes second finds a warm machine.
        if round % 2 == 0 {
            one.push(worked_off(1).await);
            three.push(worked_off(3).await);
        } else {
            three.push(worked_off(3).await);
            one.push(worked_off(1).await);
        }
    }
    let ratio = median(three.iter().zip(&one).map(|(three, one)| three / one).collect());
    println!(
        "incidents taken in and worked off a second on PostgreSQL (fsync on), 8 senders | one replica {:.1} | three {:.1} | ratio {ratio:.2}",
        median(one),
        median(three)
    );
}

/// Each alert is an incident of its own that a runbook looks into and hands to a human.
async fn worked_off(replicas: usize) -> f64 {
    let postgres = Postgres::start_with("fsync=on");
    let ground = Ground::new(&[service("api", None)]).await;
    let mut servers = Vec::new();
    for n in 0..replicas {
        let folder = ground.path(&format!("state-{n}"));
        std::fs::create_dir(&folder).unwrap();
        let store = json!({ "url": postgres.url(), "dir": folder });
        servers.push(Server::start_at(&ground, &store, &format!("replica-{n}.yaml")).await);
    }
    let http = super::server::http();
    let begun = Instant::now();
    let urls: Vec<String> = servers.iter().map(Server::webhook).collect();
    let posts = (0..INCIDENTS).map(|number| {
        let (group, url) = (format!("group-{number}"), &urls[number as usize % replicas]);
        let (http, body) = (&http, body(&group, &[alert("SomethingOdd", &group, number, false)]));
        async move { assert!(post(http, url, &body).await) }
    });
    futures::stream::iter(posts).buffer_unordered(SENDERS).collect::<()>().await;
    loop {
        let listed = servers[0].get(&http, "/api/incidents?limit=500").await;
        let done = listed.as_array().unwrap().iter().filter(|incident| incident["state"] == "escalated").count();
        if done as u64 >= INCIDENTS {
            return INCIDENTS as f64 / begun.elapsed().as_secs_f64();
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "{done} of {INCIDENTS} incidents are worked off");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
