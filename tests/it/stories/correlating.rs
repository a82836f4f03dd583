//! Alerts that are one cause: what waits for what, what a human sees of it, and that nothing waits for ever.

use super::app::lines;
use super::{Hook, Setup, TestApp, firing, tales};
use serde_json::{Value, json};

/// `api-gateway` needs `orders`.
fn needing(settle: u32) -> Setup {
    let gateway = Setup::default().service("api-gateway", json!({ "depends_on": ["orders"] }));
    gateway.with("correlation", json!({ "settle_seconds": settle }))
}

fn waits(incident: &Value) -> Vec<String> {
    lines(incident)
        .into_iter()
        .filter(|line| line.starts_with("waits for") || line.starts_with("goes on") || line.starts_with("run "))
        .collect()
}

fn is_fixed(incident: &Value) -> Option<()> {
    lines(incident).iter().any(|line| line.starts_with("signal independent good")).then_some(())
}

/// The cause is a human's; the symptom waits, is seen to wait, and goes on by itself when the cause has ended and it still fires.
async fn a_symptom_waits(setup: Setup) {
    let mut app = setup.start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until(1, &["escalated"]).await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(2, "waits for INC-1").await;
    let incident = app.incident(2).await;
    assert_eq!((incident["waits_for"]["incident"].as_str(), incident["state"].as_str()), (Some("INC-1"), Some("open")));
    assert_eq!(app.incidents().await[1]["waits_for"], "INC-1");
    assert!(app.metrics().await.contains("paramedic_held_incidents 1"));
    app.told(2).await;
    let told = |text: &str| app.slack.messages().iter().any(|message| message.thread_ts.is_some() && message.shown().contains(text));
    assert!(told("INC-2 ServiceDown (api-gateway) waits for this incident"), "{:#?}", app.slack.messages());
    assert!(told("waits for INC-1: api-gateway needs orders, and INC-1 (DBCorruption of orders) is open: probably the cause"));
    // A restart of the server forgets nothing of it, and begins nothing.
    app.restart().await;
    assert_eq!((app.place.starts("api-gateway"), app.pages(2).len()), (1, 0));
    app.alertmanager(&tales::corruption().resolved()).await;
    app.until(1, &["closed"]).await;
    app.wait_for(2, "a fix", is_fixed).await;
    assert_eq!(
        waits(&app.incident(2).await),
        [
            "waits for INC-1: api-gateway needs orders, and INC-1 (DBCorruption of orders) is open: probably the cause",
            "goes on: INC-1 holds it up no longer, and it still fires",
            "run 1 by runbook service_crash",
        ]
    );
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(2, &["resolved"]).await;
    assert_eq!((app.place.starts("api-gateway"), app.incident(2).await["related"].clone()), (2, json!(["INC-1"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symptom_waits_for_its_cause_and_goes_on_by_itself() {
    a_symptom_waits(needing(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symptom_waits_for_its_cause_on_postgres_too() {
    a_symptom_waits(needing(1).postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symptom_that_goes_with_its_cause_is_never_touched() {
    let mut app = needing(60).start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until(1, &["escalated"]).await;
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(2, "waits for INC-1").await;
    app.alertmanager(&tales::corruption().resolved()).await;
    app.until(1, &["closed"]).await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(2, &["resolved"]).await;
    let incident = app.incident(2).await;
    assert_eq!((waits(&incident).len(), app.place.starts("api-gateway")), (1, 1), "{:#?}", lines(&incident));
    assert!(incident["outcome"].as_str().unwrap().contains("recovered by itself, nothing was changed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_longer_than_it_may() {
    let mut app = needing(60).start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until(1, &["escalated"]).await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(2, "waits for INC-1").await;
    app.advance(chrono::Duration::minutes(16)).await;
    app.wait_for(2, "a fix", is_fixed).await;
    let incident = app.incident(2).await;
    assert_eq!(waits(&incident)[1], "goes on: it has waited for INC-1 as long as it may, and still fires");
    assert_eq!((app.incident(1).await["state"].as_str(), app.place.starts("api-gateway")), (Some("escalated"), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_services_that_need_each_other_the_earlier_goes_first() {
    let both = needing(1).service("orders", json!({ "depends_on": ["api-gateway"] }));
    let mut app = both.start().await;
    for name in ["api-gateway", "orders"] {
        app.place.crash(name);
    }
    let down = |name: &str| firing("ServiceDown", &[("service", name), ("severity", "critical")]);
    app.alertmanager(&down("orders").and(down("api-gateway"))).await;
    app.wait_for(1, "a fix", is_fixed).await;
    app.until_line(2, "waits for INC-1").await;
    assert_eq!((app.place.starts("orders"), app.place.starts("api-gateway")), (2, 1));
    app.alertmanager(&down("orders").resolved()).await;
    app.until(1, &["resolved"]).await;
    app.wait_for(2, "a fix", is_fixed).await;
    assert_eq!((app.place.starts("orders"), app.place.starts("api-gateway")), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_waits_for_nobody_and_not_for_the_worker_of_what_it_joins() {
    let mut app = needing(60).start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until(1, &["escalated"]).await;
    // Level 3 of the service that waits: at once.
    app.alertmanager(&firing("DBCorruption", &[("service", "api-gateway"), ("severity", "critical")])).await;
    app.until(2, &["escalated"]).await;
    // And an alert that waits stops waiting when one of level 3 joins it.
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(3, "waits for INC-").await;
    let page = firing("ServiceDown", &[("service", "api-gateway"), ("severity", "critical"), ("paramedic_level", "3")]);
    app.alertmanager(&page).await;
    app.until(3, &["escalated"]).await;
    app.paged(3).await;
    assert!(app.incident(3).await["waits_for"].is_null());
    app.told(3).await;
    let told = |text: &str| app.slack.messages().iter().any(|message| message.shown().contains(text));
    assert!(told("INC-3 needs a human: ServiceDown service=api-gateway of level 3 has joined it"), "{:#?}", app.slack.messages());
    assert_eq!((app.incidents().await.len(), app.place.starts("api-gateway")), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_alert_of_a_service_that_is_being_mended_waits_and_asks_for_nothing() {
    let mut app = TestApp::start().await;
    app.place.crash("api-gateway");
    let both = tales::gateway_slow().and(tales::gateway_down());
    app.alertmanager(&both).await;
    app.wait_for(1, "a fix", is_fixed).await;
    app.until_line(2, "waits for INC-1: INC-1 (ServiceDown of api-gateway) is about the same service").await;
    app.alertmanager(&both.resolved()).await;
    for id in [1, 2] {
        app.until(id, &["resolved"]).await;
    }
    assert_eq!((waits(&app.incident(2).await).len(), app.place.starts("api-gateway")), (1, 2), "two incidents, one fix, no question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brake_ends_when_the_storm_does_and_a_restart_forgets_neither() {
    let mut app = Setup::default().with("limits", json!({ "brake_services": 2 })).start().await;
    let down = |name: &str| firing("ServiceDown", &[("service", name), ("severity", "critical")]).in_group(name);
    app.alertmanager(&down("orders").and(down("mailer"))).await;
    app.until(1, &["escalated"]).await;
    app.restart().await;
    // However late: while it is open nothing is mended, and whatever comes joins it.
    app.advance(chrono::Duration::minutes(30)).await;
    app.place.crash("api-gateway");
    app.alertmanager(&down("api-gateway")).await;
    app.wait_for(1, "all three", |incident| (incident["alerts_in_all"] == 3).then_some(())).await;
    assert_eq!((app.incidents().await.len(), app.place.starts("api-gateway")), (1, 1));
    let all = ["orders", "mailer", "api-gateway"].map(|name| down(name).resolved());
    app.alertmanager(&all.into_iter().reduce(Hook::and).unwrap()).await;
    app.until(1, &["closed"]).await;
    app.alertmanager(&down("api-gateway").again("2026-03-01T04:00:00Z")).await;
    app.wait_for(2, "a fix", is_fixed).await;
    assert_eq!(app.place.starts("api-gateway"), 2);
}
