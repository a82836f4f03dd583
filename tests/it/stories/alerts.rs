//! Deliveries as they really come: repeated, late, out of order, unreadable.

use super::{TestApp, tales};
use insta::assert_snapshot;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_delivery_five_times_changes_nothing() {
    let mut app = TestApp::start().await;
    app.place.crash("api-gateway");
    for _ in 0..5 {
        app.alertmanager(&tales::gateway_down()).await;
    }
    app.until_line(1, "signal independent good").await;
    let before = app.transcript(1).await;
    for _ in 0..5 {
        app.alertmanager(&tales::gateway_down()).await;
    }
    for _ in 0..3 {
        app.alertmanager(&tales::gateway_down().resolved()).await;
    }
    app.until(1, &["resolved"]).await;
    let after = app.transcript(1).await;
    assert_snapshot!(after.strip_prefix(&before).unwrap(), @"
    alert ServiceDown resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    ");
    assert_eq!((app.incidents().await.len(), app.place.starts("api-gateway")), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firing_that_comes_after_its_own_resolution_opens_nothing_and_a_new_one_does() {
    let mut app = TestApp::start().await;
    app.place.crash("api-gateway");
    let late = tales::gateway_down().again("2026-03-01T02:00:00Z");
    app.alertmanager(&late.clone().resolved()).await;
    app.alertmanager(&late).await;
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["resolved"]).await;
    app.alertmanager(&tales::gateway_down()).await;
    app.alertmanager(&late).await;
    // Behind those two in the queue: once it is there, they have been dealt with.
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(2, &["awaiting_approval"]).await;
    let names: Vec<String> = app.incidents().await.iter().map(|one| one["alertname"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["ServiceDown", "HighRequestLatency"]);
    assert_eq!(app.place.starts("api-gateway"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_another_shape_is_kept_and_refused_and_a_half_readable_one_is_half_taken() {
    let mut app = TestApp::start().await;
    assert_eq!(app.post("not JSON").await, 400);
    assert_eq!(app.post(r#"{"text":"a template of somebody's own"}"#).await, 400);
    let mut half = tales::gateway_slow().body();
    half["alerts"].as_array_mut().unwrap().insert(0, serde_json::json!("no alert"));
    assert_eq!(app.post(&half.to_string()).await, 200);
    app.until(1, &["awaiting_approval"]).await;
    let kept = app.unreadable().await;
    assert_eq!(kept.len(), 3, "{kept:#?}");
}
