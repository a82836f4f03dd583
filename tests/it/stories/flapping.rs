//! An alert that fires and resolves again and again: a few fixes, then one human, told once.

use super::app::lines;
use super::{Hook, Setup, firing};
use insta::assert_snapshot;
use serde_json::json;

fn down(n: u32) -> Hook {
    let down = firing("ServiceDown", &[("service", "api-gateway"), ("severity", "critical")]);
    down.again(&format!("2026-03-01T03:{n:02}:00Z"))
}

/// Twice is a fix each time, the third time is a human's, and from then on it is quiet.
async fn an_alert_flaps(setup: Setup) {
    let mut app = setup.with("flapping", json!({ "times": 2, "within_seconds": 600 })).start().await;
    for n in 1..=2 {
        app.place.crash_if_running("api-gateway");
        app.alertmanager(&down(n)).await;
        app.until_line(n.into(), "signal independent good").await;
        app.alertmanager(&down(n).resolved()).await;
        app.until(n.into(), &["resolved"]).await;
    }
    app.alertmanager(&down(3)).await;
    app.until(3, &["escalated"]).await;
    assert_eq!(app.incidents().await[2]["flapping"], true);
    assert!(app.metrics().await.contains("paramedic_flapping_incidents 1"));
    for n in 4..=7 {
        app.alertmanager(&down(n - 1).resolved()).await;
        app.wait_for(3, "an end", |incident| (incident["alerts_firing"] == 0).then_some(())).await;
        if n == 5 {
            app.restart().await;
        }
        app.alertmanager(&down(n)).await;
        app.wait_for(3, "another firing", |incident| (incident["alerts_firing"] == 1).then_some(())).await;
    }
    app.told(3).await;
    assert_eq!((app.pages(3), app.incidents().await.len()), (vec!["trigger".to_owned()], 3), "told once, and it is one incident");
    assert_eq!(app.place.starts("api-gateway"), 3, "mended twice");
    // Quiet for as long as it takes; and an end later it is over.
    app.advance(chrono::Duration::minutes(11)).await;
    app.until_line(3, "it does not flap any more").await;
    app.alertmanager(&down(7).resolved()).await;
    app.until(3, &["closed"]).await;
    let transcript = app.transcript(3).await;
    let told: Vec<&str> = transcript.lines().filter(|line| !line.starts_with("alert ServiceDown ")).collect();
    assert_snapshot!(told.join("\n"), @"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    escalated: ServiceDown flaps: it resolved 2 times and fires again; one more fix would fix nothing
    it does not flap any more
    closed: the alert resolved after the escalation; a human owns what is left
    ");
    // A firing hours later is a fresh one.
    app.advance(chrono::Duration::hours(2)).await;
    app.place.crash_if_running("api-gateway");
    app.alertmanager(&down(8)).await;
    app.until_line(4, "signal independent good").await;
    assert_eq!(app.place.starts("api-gateway"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_flaps_is_one_incident_and_a_humans() {
    an_alert_flaps(Setup::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_flaps_on_postgres_is_one_incident_and_a_humans() {
    an_alert_flaps(Setup::default().postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_flaps_within_one_incident_ends_its_run() {
    let mut app = Setup::default().with("flapping", json!({ "times": 2, "within_seconds": 600 })).start().await;
    // Level 2 waits for a human's answer, and a second alert keeps the incident open.
    let slow = |instance: &str, n: u32| {
        let labels = [("service", "api-gateway"), ("severity", "warning"), ("instance", instance)];
        firing("HighRequestLatency", &labels).again(&format!("2026-03-01T03:{n:02}:00Z"))
    };
    app.alertmanager(&slow("a", 0).and(slow("b", 1))).await;
    app.until(1, &["awaiting_approval"]).await;
    for n in 2..=3 {
        app.alertmanager(&slow("b", n - 1).resolved()).await;
        app.wait_for(1, "an end", |incident| (incident["alerts_firing"] == 1).then_some(())).await;
        app.alertmanager(&slow("b", n)).await;
        app.wait_for(1, "another firing", |incident| (incident["alerts_firing"] == 2).then_some(())).await;
    }
    app.until_line(1, "alert HighRequestLatency flaps: it resolved 2 times in 10 minutes and fires again").await;
    // What a human was asked stands until they answer; then it is theirs.
    app.click("deny", super::ANA).await;
    app.until(1, &["escalated"]).await;
    let incident = app.incident(1).await;
    assert_eq!(lines(&incident).iter().filter(|line| line.starts_with("run ")).count(), 1);
    assert_eq!(app.incidents().await.len(), 1);
}
