//! Three replicas on one database: restarted in turn under load, with a heartbeat that stays away, with an alert that nobody sent, and
//! with commits whose answers are lost.

use super::app::lines;
use super::replicas::{SERVICES, deliver, down, is_fixed, log_is_whole};
use super::{Hook, Setup, TestApp, firing};
use crate::postgres::{COMMITTED, Proxy, Way};
use crate::server::until;
use chrono::{DateTime, Utc};
use paramedic::app::App;
use paramedic::standins::AlertmanagerApiStandin;
use paramedic::store::Store;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn first(app: &TestApp) -> SocketAddr {
    app.base().rsplit('/').next().unwrap().parse().unwrap()
}

/// An alert of one of a few groups, so that humans are told of few incidents.
fn odd(n: usize) -> Hook {
    let name = format!("Odd{}", n % 4);
    firing(&name, &[("severity", "warning"), ("nth", &n.to_string())]).in_group(&format!("{{}}:{{alertname=\"{name}\"}}"))
}

/// Posts until it is told to stop, to whoever is up, and counts what was acknowledged.
struct Load {
    up: Arc<Mutex<Vec<SocketAddr>>>,
    taken: Arc<AtomicUsize>,
    stop: CancellationToken,
    posting: tokio::task::JoinHandle<()>,
}

impl Load {
    fn on(up: Vec<SocketAddr>) -> Self {
        let (up, taken, stop) = (Arc::new(Mutex::new(up)), Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let posting = {
            let (up, taken, stop) = (up.clone(), taken.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let n = taken.load(Ordering::SeqCst);
                    let mut servers = up.lock().unwrap().clone();
                    let from = n % servers.len();
                    servers.rotate_left(from);
                    deliver(&servers, &odd(n)).await;
                    taken.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        };
        Self { up, taken, stop, posting }
    }

    async fn takes_more(&self) {
        let enough = self.taken.load(Ordering::SeqCst) + 10;
        until("the load goes on", async || self.taken.load(Ordering::SeqCst) >= enough).await;
    }

    /// The one that stops goes on being asked until it is gone, as by a balancer that has not noticed.
    fn replace(&self, old: SocketAddr, new: SocketAddr) {
        let mut up = self.up.lock().unwrap();
        up.iter_mut().filter(|address| **address == old).for_each(|address| *address = new);
    }

    async fn end(self) -> usize {
        self.stop.cancel();
        self.posting.await.unwrap();
        self.taken.load(Ordering::SeqCst)
    }
}

/// The sole word of a column that every row has.
async fn rows(app: &TestApp, sql: &'static str) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&app.place.store_url()).await.unwrap();
    let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
    pool.close().await;
    rows.into_iter().map(|(word,)| word).collect()
}

async fn everybody_was_told(store: &Store) {
    until("everybody was told", async || store.waiting_letters().await.unwrap() == 0).await;
}

/// What was put into the outbox first was sent first, in each incident and channel.
fn told_in_order(incident: &Value) {
    let mut last: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for notice in incident["notices"].as_array().unwrap() {
        // As times: one on the full second is written without a fraction, and sorts after its successors.
        let (channel, sent) = (notice["channel"].as_str().unwrap(), notice["sent_at"].as_str().unwrap().parse().unwrap());
        let before = last.insert(channel, sent);
        assert!(before.is_none_or(|before| before <= sent), "{} was told out of order: {:#}", incident["id"], incident["notices"]);
    }
}

/// Each message once: a thread says nothing twice.
fn nothing_was_said_twice(app: &TestApp) {
    let messages = app.slack.messages();
    let said: BTreeSet<(Option<&str>, &str)> =
        messages.iter().map(|message| (message.thread_ts.as_deref(), message.text.as_str())).collect();
    assert_eq!(said.len(), messages.len(), "{messages:#?}");
}

/// A page arrived for each that was written, and for none twice.
async fn paged_as_written(app: &mut TestApp, id: i64) {
    let incident = app.incident(id).await;
    let written = incident["notices"].as_array().unwrap().iter().filter(|n| n["kind"] == "page" && n["state"] == "sent").count();
    let paged = app.pages(id).iter().filter(|action| *action == "trigger").count();
    assert_eq!(paged, written, "INC-{id} paged {:?} for {:#}", app.pages(id), incident["notices"]);
}

/// In Slack there is a root for each incident, and below it one message for each that was written: alerts that join later say the same again.
async fn said_as_written(app: &mut TestApp) {
    let (all, mut written) = (ids(app).await, 0);
    for id in &all {
        let incident = app.incident(*id).await;
        let said = |n: &&Value| n["channel"] == "slack" && n["state"] == "sent" && (n["kind"] == "message" || n["kind"] == "ask");
        written += incident["notices"].as_array().unwrap().iter().filter(said).count();
    }
    assert_eq!(app.slack.messages().len(), all.len() + written, "{:#?}", app.slack.messages());
}

async fn ids(app: &mut TestApp) -> Vec<i64> {
    app.incidents().await.iter().map(|incident| incident["id"].as_str().unwrap().trim_start_matches("INC-").parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_that_are_restarted_in_turn_under_load_lose_nothing_and_repeat_nothing() {
    let mut app = Setup::default().postgres().start().await;
    let mut others: Vec<(&str, App)> = Vec::new();
    for folder in ["second", "third"] {
        others.push((folder, app.replica(folder).await));
    }
    let load = Load::on(vec![first(&app), others[0].1.address, others[1].1.address]);
    for round in 0..2 {
        for (nth, service) in SERVICES.into_iter().enumerate() {
            load.takes_more().await;
            if round == 0 {
                app.place.crash(service);
                let up = load.up.lock().unwrap().clone();
                deliver(&up, &down(service)).await;
            }
            let (old, new) = match nth {
                0 => {
                    let old = first(&app);
                    app.stop().await;
                    load.takes_more().await;
                    app.up().await;
                    (old, first(&app))
                }
                _ => {
                    let (folder, replica) = others.remove(0);
                    let old = replica.address;
                    assert!(replica.stop().await, "it stops in good order");
                    load.takes_more().await;
                    let replica = app.replica(folder).await;
                    let new = replica.address;
                    others.push((folder, replica));
                    (old, new)
                }
            };
            load.replace(old, new);
        }
    }
    load.takes_more().await;
    let taken = load.end().await;
    let all: BTreeSet<String> = (0..taken).map(|n| odd(n).body()["alerts"][0]["fingerprint"].as_str().unwrap().to_owned()).collect();
    assert!(taken > 100 && all.len() == taken, "{taken} taken");
    let handled = async || {
        rows(&app, "SELECT fingerprint FROM alerts WHERE incident_id IS NOT NULL AND state = 'seen'")
            .await
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    until("each alert that was acknowledged is with an incident", async || handled().await.is_superset(&all)).await;

    let mut fixed = Vec::new();
    for id in ids(&mut app).await {
        if app.incident(id).await["alertname"] == "ServiceDown" {
            is_fixed(&mut app, id).await;
            fixed.push(id);
        }
    }
    assert_eq!(fixed.len(), SERVICES.len());
    for service in SERVICES {
        deliver(&[first(&app)], &down(service).resolved()).await;
    }
    for id in fixed {
        app.until(id, &["resolved"]).await;
        let transcript = app.transcript(id).await;
        assert_eq!(transcript.lines().filter(|line| line.starts_with("started restart_service")).count(), 1, "{transcript}");
        assert!(!transcript.contains("in doubt"), "{transcript}");
    }
    assert!(SERVICES.iter().all(|service| app.place.starts(service) == 2), "each was restarted once");
    let store = others[0].1.engine.store().clone();
    everybody_was_told(&store).await;
    for id in ids(&mut app).await {
        told_in_order(&app.incident(id).await);
        paged_as_written(&mut app, id).await;
    }
    said_as_written(&mut app).await;
    log_is_whole(&store).await;
}

async fn post(server: SocketAddr, hook: &Hook) {
    deliver(&[server], hook).await;
}

/// Every replica hears every heartbeat, and each looks by itself whether one stays away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_page_once_for_a_heartbeat_that_stays_away() {
    let mut app = Setup::default().postgres().with("watchdog", json!({ "silence_seconds": 600 })).start().await;
    let (second, third) = (app.replica("second").await, app.replica("third").await);
    let servers = [first(&app), second.address, third.address];
    let heartbeat = firing("Watchdog", &[("cluster", "eu"), ("severity", "none")]);
    for server in servers {
        post(server, &heartbeat).await;
    }
    app.advance(chrono::Duration::minutes(11)).await;
    app.until(1, &["escalated"]).await;
    app.paged(1).await;
    // Two of them are told that it is back, and then all of them are asked to look again.
    for server in &servers[1..] {
        post(*server, &heartbeat).await;
    }
    app.until(1, &["closed"]).await;
    app.advance(chrono::Duration::minutes(11)).await;
    app.until(2, &["escalated"]).await;
    app.paged(2).await;
    everybody_was_told(second.engine.store()).await;
    assert_eq!((app.pages(1), app.pages(2)), (vec!["trigger".to_owned()], vec!["trigger".to_owned()]));
    assert_eq!(app.incidents().await.len(), 2, "one for each silence");
    assert!(second.stop().await && third.stop().await);
}

/// Each asks Alertmanager by itself; what nobody sent is found once, and what is gone ends once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_that_ask_alertmanager_find_what_nobody_sent_once() {
    let march = "2026-03-01T03:00:00Z".parse().unwrap();
    let peer = AlertmanagerApiStandin::start(march).await.unwrap();
    let mut app = Setup::default().postgres().with("alertmanager", json!({ "url": peer.url() })).start().await;
    let (second, third) = (app.replica("second").await, app.replica("third").await);
    peer.hold("HighRequestLatency", &[("service", "api-gateway"), ("severity", "warning")], march, "paramedic");
    let asked = async |app: &mut TestApp| {
        let enough = peer.asked() + 6;
        app.advance(chrono::Duration::minutes(5) + chrono::Duration::seconds(1)).await;
        until("all have asked", async || peer.asked() >= enough - 3).await;
        app.advance(chrono::Duration::minutes(5) + chrono::Duration::seconds(1)).await;
        until("and used the answer", async || peer.asked() >= enough).await;
    };
    asked(&mut app).await;
    app.until(1, &["awaiting_approval", "escalated"]).await;
    peer.forget();
    asked(&mut app).await;
    asked(&mut app).await;
    app.until(1, &["resolved", "closed"]).await;
    let transcript = app.transcript(1).await;
    assert!(transcript.contains("[found by asking Alertmanager: nobody sent it]"), "{transcript}");
    assert_eq!(transcript.matches("alert HighRequestLatency resolved").count(), 1, "{transcript}");
    assert_eq!(app.incidents().await.len(), 1);
    assert_eq!(rows(&app, "SELECT status FROM alerts ORDER BY status").await, ["firing", "resolved"]);
    assert!(second.stop().await && third.stop().await);
}

/// The answer to many a commit is lost: it was made, and nobody heard.
async fn lose_answers(proxy: &Proxy) {
    // Long enough now and then for something to be heard of.
    for pause in [50, 300, 2_000].into_iter().cycle() {
        let lost = proxy.deafened();
        proxy.turn(Way::LosesFrom(COMMITTED));
        while proxy.deafened() == lost {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.cut().await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_whose_answers_are_lost_double_nothing() {
    let mut app = Setup::default().postgres().start().await;
    let (proxy, url) = app.place.postgres().proxied().await;
    app.stop().await;
    let replica = app.replica_at("state", &url).await;
    let proxy = Arc::new(proxy);
    let losing = {
        let proxy = proxy.clone();
        tokio::spawn(async move { lose_answers(&proxy).await })
    };
    app.place.crash("api-gateway");
    deliver(&[replica.address], &down("api-gateway")).await;
    deliver(&[replica.address], &firing("SomethingOdd", &[("severity", "warning")])).await;
    let lost = proxy.deafened() + 10;
    until("many answers were lost", async || proxy.deafened() >= lost).await;
    losing.abort();
    assert!(losing.await.unwrap_err().is_cancelled());
    proxy.cut().await;
    assert!(replica.stop().await);
    app.skip(chrono::Duration::minutes(6));
    app.up().await;

    until("each alert is an incident", async || app.incidents().await.len() >= 2).await;
    let listed = app.incidents().await;
    let names: BTreeSet<&str> = listed.iter().map(|incident| incident["alertname"].as_str().unwrap()).collect();
    assert_eq!((listed.len(), names.len()), (2, 2), "each alert is one incident: {listed:#?}");
    for id in 1..=2 {
        app.wait_for(id, "a fix, or a human", |incident| {
            let fixed = lines(incident).iter().any(|line| line.starts_with("signal independent good"));
            (fixed || incident["state"] == "escalated").then_some(())
        })
        .await;
    }
    let store = Store::open_beside(&app.place.store_url()).await.unwrap();
    everybody_was_told(&store).await;
    for id in 1..=2 {
        let transcript = app.transcript(id).await;
        let decided = transcript.lines().filter(|line| line.starts_with("started restart_service")).count();
        assert!(decided <= 1 && transcript.matches("raised ").count() == 1, "{transcript}");
        paged_as_written(&mut app, id).await;
    }
    assert!(app.place.starts("api-gateway") <= 2, "restarted once at most");
    nothing_was_said_twice(&app);
    log_is_whole(&store).await;
    store.close().await;
}
