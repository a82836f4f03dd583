//! The dead man's switch: a heartbeat that stays away pages once, through restarts, and its return ends that. Time in which nobody
//! listened is nobody's silence.

use super::{Setup, TestApp, firing};
use crate::server::until;
use insta::assert_snapshot;
use serde_json::json;

fn ten_minutes() -> Setup {
    Setup::default().with("watchdog", json!({ "silence_seconds": 600 }))
}

fn minutes(n: i64) -> chrono::Duration {
    chrono::Duration::minutes(n)
}

/// Without the instants.
async fn transcript(app: &mut TestApp, id: i64) -> String {
    let shown = app.transcript(id).await;
    let line = |line: &str| match line.split_once(" since 20") {
        Some((before, after)) => format!("{before} since …:{}", after.split_once("Z:").unwrap().1),
        None => line.to_owned(),
    };
    shown.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_that_stays_away_pages_once_through_restarts_and_its_return_ends_it() {
    let mut app = ten_minutes().start().await;
    let heartbeat = firing("Watchdog", &[("cluster", "eu"), ("severity", "none")]);
    app.alertmanager(&heartbeat).await;
    app.restart().await;
    app.advance(minutes(11)).await;
    app.until(1, &["escalated"]).await;
    // A server that dies before it has written down what PagerDuty took sends it again, and PagerDuty folds it.
    app.told(1).await;
    app.restart().await;
    app.advance(minutes(60)).await;
    app.alertmanager(&heartbeat).await;
    app.until(1, &["closed"]).await;
    assert_snapshot!(transcript(&mut app, 1).await, @"
    raised NoHeartbeat (no known target): no heartbeat from Watchdog (cluster=eu) since …: alerts from there may not arrive
    level 3 by rule no_heartbeat: whoever is silent may have everything on fire, and nobody would hear of it
    escalated: level 3: whoever is silent may have everything on fire, and nobody would hear of it
    alert NoHeartbeat resolved
    closed: the alert resolved after the escalation; a human owns what is left
    ");
    app.told(1).await;
    assert_eq!((app.pages(1), app.incidents().await.len()), (vec!["trigger".to_owned()], 1));

    app.advance(minutes(11)).await;
    app.until(2, &["escalated"]).await;
}

/// What was before does not count: nobody is told for eight minutes, while other alerts are taken, and somebody after eleven.
async fn is_silent_from_now_on(app: &mut TestApp) {
    app.advance(minutes(8)).await;
    app.alertmanager(&firing("HighRequestLatency", &[("service", "api-gateway")])).await;
    app.until(1, &["awaiting_approval"]).await;
    app.advance(minutes(3)).await;
    app.until(2, &["escalated"]).await;
    let names: Vec<String> = app.incidents().await.iter().map(|one| one["alertname"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["HighRequestLatency", "NoHeartbeat"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_in_which_nobody_listened_is_not_the_senders_silence() {
    let mut app = ten_minutes().start().await;
    app.alertmanager(&firing("DeadMansSwitch", &[])).await;
    app.down().await;
    app.skip(minutes(180));
    app.up().await;
    is_silent_from_now_on(&mut app).await;
}

/// Stopped for half an hour where ten minutes are silence, and continued: the next look of each loop is the first after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stood_still_takes_nobody_for_silent_and_says_since_when() {
    let mut app = ten_minutes().start().await;
    app.alertmanager(&firing("Watchdog", &[])).await;
    app.stand_still(minutes(30));
    until("the outage is on the disk", async || !app.outages().await.is_empty()).await;
    let outages = app.outages().await;
    let lasted = outages[0].ended_at - outages[0].began_at;
    assert!(outages.len() == 1 && lasted >= minutes(30) && lasted < minutes(40), "{outages:?}");
    is_silent_from_now_on(&mut app).await;
}

/// The first heartbeat after a stop may be heard before any loop looks: the stop is no pace of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_right_after_a_stop_does_not_make_its_source_a_slow_one() {
    let mut app = TestApp::start().await;
    for _ in 0..2 {
        app.alertmanager(&firing("Watchdog", &[])).await;
        app.advance(minutes(5)).await;
    }
    app.stand_still(minutes(600));
    app.alertmanager(&firing("Watchdog", &[])).await;
    app.advance(minutes(60)).await;
    app.until(1, &["escalated"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_that_is_expected_and_never_came_pages_too() {
    let expected = "{alertname=\"Beat\", cluster=\"us\"}";
    let mut app = Setup::default().with("watchdog", json!({ "silence_seconds": 600, "expect": [expected] })).start().await;
    app.advance(minutes(5)).await;
    // Neither another cluster's nor the end of it is a heartbeat of this one.
    app.alertmanager(&firing("Watchdog", &[("cluster", "eu")])).await;
    app.alertmanager(&firing("Beat", &[("cluster", "us")]).resolved()).await;
    app.advance(minutes(6)).await;
    // It is expected from the first look on, which may come after the first of these minutes.
    app.alertmanager(&firing("Watchdog", &[("cluster", "eu")])).await;
    app.advance(minutes(6)).await;
    app.until(1, &["escalated"]).await;
    assert_snapshot!(transcript(&mut app, 1).await.lines().next().unwrap(), @r#"raised NoHeartbeat (no known target): no heartbeat from {alertname="Beat", cluster="us"} since …: alerts from there may not arrive"#);
    app.alertmanager(&firing("Beat", &[("cluster", "us")])).await;
    app.until(1, &["closed"]).await;
}
