//! A whole server on PostgreSQL, and several of them on one: each alert once, each action once, whoever dies.

use super::app::lines;
use super::{Hook, Setup, TestApp, firing, tales};
use crate::postgres::{LOCK, Proxy, Way};
use crate::server::until;
use paramedic::app::App;
use paramedic::clients::http::client;
use paramedic::domain::IncidentId;
use paramedic::store::FreezePoint::{After, Before};
use paramedic::store::Store;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_postgres_that_is_killed_goes_on_with_what_it_began() {
    for (nth, at) in [(1, After), (6, Before), (7, After), (9, After)] {
        let mut app = Setup::default().postgres().dies(nth, at).start().await;
        let end = tales::crash(&mut app).await;
        let transcript = app.transcript(1).await;
        assert_eq!((app.deaths, app.incidents().await.len()), (1, 1), "{transcript}");
        let doubted = transcript.contains("in doubt");
        assert!(end == "resolved" || (doubted && transcript.contains("escalated: ")), "ended {end}:\n{transcript}");
        let decided = transcript.lines().filter(|line| line.starts_with("started restart_service")).count();
        assert!(decided <= 1 && app.place.starts("api-gateway") - 1 <= decided, "done more often than decided:\n{transcript}");
        app.told(1).await;
    }
}

pub const SERVICES: [&str; 3] = ["api-gateway", "orders", "mailer"];

pub fn down(service: &str) -> Hook {
    firing("ServiceDown", &[("service", service), ("severity", "critical")]).in_group(&format!("{{}}:{{service=\"{service}\"}}"))
}

/// Alertmanager's peers tell every server of everything.
async fn tell_both(app: &mut TestApp, other: &App, hook: &Hook) {
    let told = client(Duration::from_secs(5)).unwrap().post(format!("http://{}/webhooks/alertmanager", other.address));
    let told = told.body(hook.body().to_string()).send().await.unwrap();
    assert_eq!(told.status(), 200);
    app.alertmanager(hook).await;
}

pub async fn is_fixed(app: &mut TestApp, id: i64) {
    app.wait_for(id, "a verified fix", |incident| {
        lines(incident).iter().any(|line| line.starts_with("signal independent good")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_raise_each_alert_once_and_act_once() {
    let mut app = Setup::default().postgres().start().await;
    let other = app.replica("second").await;
    for service in SERVICES {
        app.place.crash(service);
    }
    for service in SERVICES {
        tell_both(&mut app, &other, &down(service)).await;
    }
    until("three incidents", async || app.incidents().await.len() == 3).await;
    for id in 1..=3 {
        is_fixed(&mut app, id).await;
    }
    for service in SERVICES {
        tell_both(&mut app, &other, &down(service).resolved()).await;
    }
    for id in 1..=3 {
        app.until(id, &["resolved"]).await;
        app.told(id).await;
        assert_eq!(other.engine.store().incident(IncidentId(id)).await.unwrap().unwrap().state.as_str(), "resolved");
    }
    assert_eq!(app.incidents().await.len(), 3, "one for each service");
    for service in SERVICES {
        assert_eq!(app.place.starts(service), 2, "{service} was restarted once");
    }
    let roots = app.slack.messages().iter().filter(|message| message.thread_ts.is_none()).count();
    assert_eq!(roots, 3, "one thread an incident: {:#?}", app.slack.messages());
    assert!(other.stop().await, "it ends in good order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_of_two_servers_dies_the_other_goes_on_with_everything() {
    let mut app = Setup::default().postgres().start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&down("api-gateway")).await;
    is_fixed(&mut app, 1).await;
    let other = app.replica("second").await;
    let store = other.engine.store().clone();
    app.down().await;
    // What the dead one had claimed is free when its lease has run out.
    app.skip(chrono::Duration::minutes(6));
    app.place.crash("orders");
    let post = async |hook: Hook| {
        let request = client(Duration::from_secs(5)).unwrap().post(format!("http://{}/webhooks/alertmanager", other.address));
        assert_eq!(request.body(hook.body().to_string()).send().await.unwrap().status(), 200);
    };
    let state = async |id: i64| store.incident(IncidentId(id)).await.unwrap().map(|incident| incident.state.to_string());
    post(down("orders")).await;
    until("the second one raised it", async || state(2).await.is_some()).await;
    until("and restarted the service", async || app.place.starts("orders") == 2).await;
    post(down("orders").resolved()).await;
    post(down("api-gateway").resolved()).await;
    for id in [1, 2] {
        until("it is resolved", async || state(id).await.as_deref() == Some("resolved")).await;
    }
    let sent = async || store.waiting_letters().await.unwrap() == 0;
    until("everybody was told", sent).await;
    let signed = async || store.newest_checkpoint().await.unwrap().map(|kept| kept.size) == Some(store.log_size().await.unwrap());
    until("the second one signs the ledger", signed).await;
    assert_eq!((app.place.starts("api-gateway"), app.place.starts("orders")), (2, 2));
    assert!(other.stop().await);
    // The first one comes back, and finds everything as the second one left it.
    app.up().await;
    assert_eq!(app.until(1, &["resolved"]).await, app.until(2, &["resolved"]).await);
}

/// As Alertmanager: to one server after the other, until one of them takes it.
pub async fn deliver(servers: &[SocketAddr], hook: &Hook) {
    let client = client(Duration::from_secs(3)).unwrap();
    let body = hook.body().to_string();
    let end = Instant::now() + Duration::from_secs(40);
    for server in servers.iter().cycle() {
        let request = client.post(format!("http://{server}/webhooks/alertmanager")).body(body.clone());
        match request.send().await {
            Ok(answer) if answer.status() == 200 => return,
            Ok(answer) => assert!(answer.status().as_u16() >= 500, "{answer:?}"),
            Err(_) => {}
        }
        assert!(Instant::now() < end, "nobody takes {body}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Signed to its end, without a gap, and each leaf its entry's.
pub async fn log_is_whole(store: &Store) {
    let whole = async || {
        let (size, kept) = (store.log_size().await.ok()?, store.newest_checkpoint().await.ok()??);
        (kept.size == size).then_some(size)
    };
    until("the ledger is signed to its end", async || whole().await.is_some()).await;
    let rows = store.audited(0, store.log_size().await.unwrap()).await.unwrap();
    assert!(rows.iter().zip(0..).all(|(row, index)| row.index == index && row.logged == Some(row.hash)), "the log has a gap");
}

/// The network of one replica is bad in each way, again and again.
async fn trouble(proxy: &Proxy) {
    for (way, lasts) in [(Way::Slow, 700), (Way::DeafFrom(LOCK), 700), (Way::Cut, 700), (Way::Open, 2_000)].into_iter().cycle() {
        proxy.turn(way);
        tokio::time::sleep(Duration::from_millis(lasts)).await;
        // What went deaf hears nothing any more.
        proxy.cut().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_behind_bad_networks_lose_nothing_and_repeat_nothing_while_one_is_killed() {
    const ALERTS: i64 = 24;
    let mut app = Setup::default().postgres().start().await;
    let (near, near_url) = app.place.postgres().proxied().await;
    let (far, far_url) = app.place.postgres().proxied().await;
    let (second, third) = (app.replica_at("second", &near_url).await, app.replica_at("third", &far_url).await);
    let first = app.base().rsplit('/').next().unwrap().parse().unwrap();
    let servers = [first, second.address, third.address];
    app.place.crash("api-gateway");
    let (near, far) = (Arc::new(near), Arc::new(far));
    let troubles = [near.clone(), far.clone()].map(|proxy| tokio::spawn(async move { trouble(&proxy).await }));
    for n in 0..ALERTS {
        let hook = firing(&format!("Odd{n}"), &[("severity", "warning")]);
        let from = usize::try_from(n).unwrap() % 3;
        deliver(&[&servers[from..], &servers[..from]].concat(), &hook).await;
        if n == ALERTS / 2 {
            deliver(&servers, &down("api-gateway")).await;
            app.down().await;
        }
    }
    for (proxy, trouble) in [&near, &far].into_iter().zip(troubles) {
        trouble.abort();
        assert!(trouble.await.unwrap_err().is_cancelled());
        proxy.cut().await;
    }
    app.skip(chrono::Duration::minutes(6));
    app.up().await;
    let all = usize::try_from(ALERTS).unwrap() + 1;
    until("each alert is an incident", async || app.incidents().await.len() == all).await;
    let listed = app.incidents().await;
    let number = |incident: &Value| incident["id"].as_str().unwrap().trim_start_matches("INC-").parse::<i64>().unwrap();
    let (gateway, odd): (Vec<_>, Vec<_>) = listed.iter().partition(|incident| incident["alertname"] == "ServiceDown");
    for incident in odd {
        app.until(number(incident), &["escalated"]).await;
    }
    let gateway = number(gateway[0]);
    app.wait_for(gateway, "a fix, or a human", |incident| {
        let fixed = lines(incident).iter().any(|line| line.starts_with("signal independent good"));
        (fixed || incident["state"] == "escalated").then_some(())
    })
    .await;
    let transcript = app.transcript(gateway).await;
    let decided = transcript.lines().filter(|line| line.starts_with("started restart_service")).count();
    assert!(app.place.starts("api-gateway") - 1 <= decided && decided <= 1, "{decided} decided:\n{transcript}");
    let names: BTreeSet<String> = listed.iter().map(|incident| incident["alertname"].to_string()).collect();
    assert_eq!(names.len(), all, "each alert once");
    log_is_whole(second.engine.store()).await;
    second.kill().await;
    third.kill().await;
}

/// Whoever scrapes or probes a server that does not reach its database gets an answer, and what is sent there is sent back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_reach_its_database_is_not_ready_says_so_and_sends_alerts_back() {
    let app = Setup::default().postgres().start().await;
    let (proxy, url) = app.place.postgres().proxied().await;
    let far = app.replica_at("far", &url).await;
    let client = client(Duration::from_secs(40)).unwrap();
    let get = async |path: &str| {
        let answer = client.get(format!("http://{}{path}", far.address)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    until("it is ready", async || get("/readyz").await.0 == 200).await;
    assert!(get("/metrics").await.1.contains("paramedic_store_writable 1"));
    proxy.turn(Way::Cut);
    let (status, said) = get("/readyz").await;
    assert!(status == 503 && said.starts_with("the store cannot be written: "), "{status}: {said}");
    let (status, metrics) = get("/metrics").await;
    assert!(status == 200 && metrics.contains("paramedic_store_writable 0"), "{status}: {metrics}");
    let delivery = client.post(format!("http://{}/webhooks/alertmanager", far.address)).body(down("orders").body().to_string());
    assert_eq!(delivery.send().await.unwrap().status(), 503);
    assert!(get("/metrics").await.1.contains("paramedic_deliveries_refused_total 1"));
    proxy.turn(Way::Open);
    until("it is ready again", async || get("/readyz").await.0 == 200).await;
    assert!(get("/metrics").await.1.contains("paramedic_store_writable 1"));
    assert!(far.stop().await, "it ends in good order");
}
