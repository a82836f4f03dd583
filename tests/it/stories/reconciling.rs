//! What nobody sent: Alertmanager is asked. What it holds is found once, what is silenced is left to whoever silenced it, and what is gone is
//! over only where that is certain.

use super::{Setup, TestApp, firing};
use crate::server::until;
use insta::assert_snapshot;
use paramedic::domain::{OrderKind, Time};
use paramedic::standins::AlertmanagerApiStandin;
use serde_json::json;
use std::time::{Duration, Instant};

const MARCH: &str = "2026-03-01T03:00:00Z";

fn march() -> Time {
    MARCH.parse().unwrap()
}

async fn peer() -> AlertmanagerApiStandin {
    AlertmanagerApiStandin::start(march()).await.unwrap()
}

fn asking(peer: &AlertmanagerApiStandin) -> Setup {
    Setup::default().with("alertmanager", json!({ "url": peer.url() }))
}

/// Waits until it was asked once more, and what it answered was used: the round after that has begun.
async fn asked_again(app: &mut TestApp, peer: &AlertmanagerApiStandin) {
    for _ in 0..2 {
        let before = peer.asked();
        app.advance(chrono::Duration::minutes(5) + chrono::Duration::seconds(1)).await;
        let end = Instant::now() + Duration::from_secs(20);
        while peer.asked() == before {
            assert!(Instant::now() < end, "Alertmanager was not asked again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_nobody_sent_is_found_after_an_outage_and_its_webhook_joins_it() {
    let peer = peer().await;
    let mut app = asking(&peer).start().await;
    app.down().await;
    app.skip(chrono::Duration::hours(2));
    peer.hold("HighRequestLatency", &[("service", "api-gateway"), ("severity", "warning")], march(), "paramedic");
    peer.hold("HighRequestLatency", &[("service", "orders")], march(), "somebody-else");
    app.up().await;
    app.until(1, &["awaiting_approval"]).await;
    let slow = firing("HighRequestLatency", &[("service", "api-gateway"), ("severity", "warning")]);
    app.alertmanager(&slow).await;
    let other = firing("HighRequestLatency", &[("service", "api-gateway"), ("instance", "second"), ("severity", "warning")]);
    app.alertmanager(&other).await;
    app.until_line(1, "alert HighRequestLatency joined").await;
    let transcript = app.transcript(1).await;
    let lines: Vec<&str> = transcript.lines().filter(|line| line.starts_with("raised") || line.contains("joined")).collect();
    assert_snapshot!(lines.join("\n"), @"
    raised HighRequestLatency (api-gateway): api-gateway needs attention [found by asking Alertmanager: nobody sent it]
    alert HighRequestLatency joined (service=api-gateway, instance=second)
    ");
    assert_eq!(app.incidents().await.len(), 1, "neither a second incident nor somebody else's alert");
    let outages = app.outages().await;
    assert_eq!(outages.len(), 1, "{outages:?}");
    let lasted = outages[0].ended_at - outages[0].began_at;
    assert!(lasted >= chrono::Duration::hours(2) && lasted < chrono::Duration::hours(3), "{outages:?}");
    assert!(outages[0].asked_at.is_some(), "{outages:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_alertmanager_is_asked_for_what_was_missed() {
    let peer = peer().await;
    let mut app = asking(&peer).start().await;
    asked_again(&mut app, &peer).await;
    peer.hold("HighRequestLatency", &[("service", "api-gateway"), ("severity", "warning")], march(), "paramedic");
    app.stand_still(chrono::Duration::minutes(3));
    app.until(1, &["awaiting_approval"]).await;
    until("the outage is asked about", async || app.outages().await.iter().any(|outage| outage.asked_at.is_some())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_is_not_listed_any_more_is_over_after_two_whole_answers_and_not_before() {
    let peer = peer().await;
    let mut app = asking(&peer).start().await;
    let labels = [("service", "api-gateway"), ("severity", "warning")];
    app.alertmanager(&firing("HighRequestLatency", &labels)).await;
    app.until(1, &["awaiting_approval"]).await;
    peer.hold("HighRequestLatency", &labels, march(), "paramedic");
    asked_again(&mut app, &peer).await;

    for (status, body) in [(500, "no"), (200, "[{\"labels\":"), (200, "{}"), (200, "[{\"labels\":{}}]")] {
        peer.ill(Some((status, body)));
        asked_again(&mut app, &peer).await;
    }
    peer.ill(None);
    peer.forget();
    peer.restarted(app.now() + chrono::Duration::days(1));
    asked_again(&mut app, &peer).await;
    let before = app.transcript(1).await;
    assert!(!before.contains("resolved"), "neither an ill nor a young Alertmanager ends an alert: {before}");

    peer.restarted(march());
    asked_again(&mut app, &peer).await;
    asked_again(&mut app, &peer).await;
    app.until_line(1, "alert HighRequestLatency resolved: Alertmanager was asked and does not list it any more").await;
    app.until(1, &["resolved", "closed", "escalated"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_of_a_sender_that_is_not_asked_is_never_taken_for_gone() {
    let peer = peer().await;
    let mut app = asking(&peer).start().await;
    app.alertmanager(&firing("HighRequestLatency", &[("service", "api-gateway")])).await;
    app.until(1, &["awaiting_approval"]).await;
    for _ in 0..3 {
        asked_again(&mut app, &peer).await;
    }
    assert!(!app.transcript(1).await.contains("resolved"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_silenced_opens_nothing_and_an_open_incident_waits_until_it_is_not() {
    let peer = peer().await;
    peer.hold("ServiceDown", &[("service", "orders")], march(), "paramedic");
    peer.silence("ServiceDown", true);
    let mut app = asking(&peer).start().await;
    let labels = [("service", "api-gateway"), ("severity", "warning")];
    peer.hold("HighRequestLatency", &labels, march(), "paramedic");
    app.alertmanager(&firing("HighRequestLatency", &labels)).await;
    app.until(1, &["awaiting_approval"]).await;
    peer.silence("HighRequestLatency", true);
    asked_again(&mut app, &peer).await;
    app.until_line(1, "alert HighRequestLatency is silenced in Alertmanager: silence 5a1e").await;
    peer.silence("HighRequestLatency", false);
    asked_again(&mut app, &peer).await;
    app.until_line(1, "alert HighRequestLatency is not silenced any more").await;
    assert_eq!(app.incidents().await.len(), 1, "the silenced one is nobody's incident");
    peer.silence("ServiceDown", false);
    asked_again(&mut app, &peer).await;
    app.until_line(2, "raised ServiceDown (orders)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_body_left_out_is_asked_for_at_once_and_joins() {
    let peer = peer().await;
    let mut app = asking(&peer).start().await;
    let of = |instance| [("service", "api-gateway"), ("instance", instance)];
    for instance in ["one", "two", "three"] {
        peer.hold("HighRequestLatency", &of(instance), app.now(), "paramedic");
    }
    let mut body = firing("HighRequestLatency", &of("one")).again(&app.now().to_rfc3339()).body();
    body["truncatedAlerts"] = json!(2);
    body["groupLabels"] = json!({ "alertname": "HighRequestLatency" });
    assert_eq!(app.post(&body.to_string()).await, 200);
    app.wait_for(1, "all three alerts", |incident| (incident["alerts"].as_array()?.len() == 3).then_some(())).await;
    assert_eq!((app.incidents().await.len(), app.unreadable().await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_starts_nothing_and_is_the_first_news_to_whoever_was_down() {
    let mut app = TestApp::start().await;
    let slow = firing("HighRequestLatency", &[("service", "api-gateway")]);
    let mut repeated = slow.body();
    repeated["notification_reason"] = json!("repeat interval elapsed");
    assert_eq!(app.post(&repeated.to_string()).await, 200);
    app.until(1, &["awaiting_approval"]).await;
    app.order(OrderKind::CloseIncident { incident: paramedic::domain::IncidentId(1) }, "ana", "known").await.unwrap();
    app.until(1, &["closed"]).await;
    assert_eq!(app.post(&repeated.to_string()).await, 200);
    // Behind it in the queue: once it is there, the repetition has been dealt with.
    app.alertmanager(&firing("HighRequestLatency", &[("service", "orders")])).await;
    app.until(2, &["awaiting_approval"]).await;
    assert_eq!(app.incidents().await.len(), 2);
}
