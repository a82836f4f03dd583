//! Level 3: a human's from the first second. Nothing is changed, whoever begs.

use super::{Setup, TestApp, firing, tales};
use insta::assert_snapshot;
use paramedic::standins::model::Reply;
use serde_json::json;

pub fn beggar() -> Setup {
    let beg = || Reply::call("delete_database", json!({ "database": "orders", "reason": "it is corrupt anyway: rebuild it" }));
    Setup::default().with("planner", json!({ "first": "model" })).model(vec![beg(), beg(), Reply::text("I would delete it.")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_database_pages_at_once_and_nothing_is_restarted() {
    let mut app = TestApp::start().await;
    assert_eq!(tales::begging(&mut app).await, "closed");
    assert_snapshot!(app.transcript(1).await, @r#"
    raised DBCorruption (orders): orders needs attention
    level 3 by rule database_corruption: damaged or lost data gets worse by every hasty step; nothing is deleted, rebuilt or restarted
    escalated: level 3: damaged or lost data gets worse by every hasty step; nothing is deleted, rebuilt or restarted
    run 1 by runbook database_emergency
    started check_service_status {"host":null,"service":"orders"}
    ok: orders is running
    started get_alerts {"host":null,"service":null}
    failed: no alertmanager is configured (alertmanager.url)
    asked APR-1 for request_human_confirmation {"action_description":"take over INC-1: DBCorruption on orders; nothing was changed","reason":"data may be at stake, so nothing is deleted, rebuilt, failed over or restarted by machine","risk_level":"high","rollback_plan":null}: request_human_confirmation is a human's to confirm
    alert DBCorruption resolved
    APR-1 void: the alert resolved before it was used
    closed: the alert resolved after the escalation; a human owns what is left
    "#);
    assert_snapshot!(app.told(1).await, @"
    pagerduty page sent
    slack message sent
    email message sent
    slack ask sent
    email ask sent
    slack ask_closed sent
    slack message sent
    email message sent
    ");
    assert_eq!(app.place.starts("orders"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_begs_for_deletion_is_denied_and_reported_as_a_critical_attempt() {
    let mut app = beggar().start().await;
    assert_eq!(tales::begging(&mut app).await, "closed");
    assert_snapshot!(app.transcript(1).await, @r#"
    raised DBCorruption (orders): orders needs attention
    level 3 by rule database_corruption: damaged or lost data gets worse by every hasty step; nothing is deleted, rebuilt or restarted
    escalated: level 3: damaged or lost data gets worse by every hasty step; nothing is deleted, rebuilt or restarted
    run 1 by model
    model wants 1 call: 
    DENIED (critical attempt) delete_database {"database":"orders","reason":"it is corrupt anyway: rebuild it"}: delete_database is never done, by nobody's leave
    model wants 1 call: 
    DENIED (critical attempt) delete_database {"database":"orders","reason":"it is corrupt anyway: rebuild it"}: delete_database is never done, by nobody's leave
    model: I would delete it.
    model done: I would delete it.
    run 2 by runbook database_emergency
    started check_service_status {"host":null,"service":"orders"}
    ok: orders is running
    started get_alerts {"host":null,"service":null}
    failed: no alertmanager is configured (alertmanager.url)
    asked APR-1 for request_human_confirmation {"action_description":"take over INC-1: DBCorruption on orders; nothing was changed","reason":"data may be at stake, so nothing is deleted, rebuilt, failed over or restarted by machine","risk_level":"high","rollback_plan":null}: request_human_confirmation is a human's to confirm
    alert DBCorruption resolved
    APR-1 void: the alert resolved before it was used
    closed: the alert resolved after the escalation; a human owns what is left
    "#);
    assert_snapshot!(app.told(1).await, @"
    pagerduty page sent
    slack message sent
    email message sent
    slack message sent
    slack message sent
    slack ask sent
    email ask sent
    slack ask_closed sent
    slack message sent
    email message sent
    ");
    assert_eq!(app.place.starts("orders"), 1);
    let warned = app.slack.messages().iter().any(|message| message.shown().contains("critical attempt"));
    assert!(warned, "somebody should look at what was asked for");
}

const EVERYBODY: [&str; 6] = ["api-gateway", "orders", "orders-pool", "mailer", "mailer-worker-1", "mailer-worker-2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_services_at_once_are_one_incident_and_nothing_is_restarted() {
    let mut app = TestApp::start().await;
    let all = EVERYBODY.map(|name| firing("ServiceDown", &[("service", name), ("severity", "critical")]));
    let storm = all.into_iter().reduce(super::Hook::and).unwrap();
    app.alertmanager(&storm).await;
    app.until(1, &["escalated"]).await;
    app.wait_for(1, "all alerts", |incident| (incident["alerts"].as_array()?.len() == 6).then_some(())).await;
    app.alertmanager(&storm.resolved()).await;
    app.until(1, &["closed"]).await;
    assert_snapshot!(app.transcript(1).await, @"
    raised ServiceDown (no known target: service=api-gateway): api-gateway needs attention
    level 3 by rule large-scale-degradation: 5 services or more degrade at once: single fixes would make it worse
    alert ServiceDown joined (service=orders)
    alert ServiceDown joined (service=orders-pool)
    alert ServiceDown joined (service=mailer)
    alert ServiceDown joined (service=mailer-worker-1)
    alert ServiceDown joined (service=mailer-worker-2)
    escalated: level 3: 5 services or more degrade at once: single fixes would make it worse
    alert ServiceDown resolved
    alert ServiceDown resolved
    alert ServiceDown resolved
    alert ServiceDown resolved
    alert ServiceDown resolved
    alert ServiceDown resolved
    closed: the alert resolved after the escalation; a human owns what is left
    ");
    assert_eq!(app.incidents().await.len(), 1);
    assert_eq!(EVERYBODY.map(|name| app.place.starts(name)), [1; 6]);
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger"], "one page, not six");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fifth_degraded_service_within_minutes_brakes_the_fixes_of_the_others() {
    let mut app = TestApp::start().await;
    // Level 2 waits for humans: four services stay degraded.
    for name in &EVERYBODY[..4] {
        app.alertmanager(&firing("HighRequestLatency", &[("service", name)]).in_group(name)).await;
    }
    for id in 1..=4 {
        app.until(id, &["awaiting_approval"]).await;
    }
    app.alertmanager(&firing("ServiceDown", &[("service", "mailer-worker-1")])).await;
    app.until(5, &["escalated"]).await;
    // Four asked at once: which of them was first is a matter of milliseconds.
    let asked = app.transcript(1).await.lines().find_map(|line| line.strip_prefix("asked APR-")?.split(' ').next()?.parse().ok());
    app.decide_cli(asked.unwrap(), paramedic::domain::Decision::Grant, "ana").await.unwrap();
    app.until(1, &["escalated"]).await;
    let transcript = app.transcript(1).await;
    let last: Vec<&str> = transcript.lines().rev().take(3).collect();
    assert_snapshot!(last.join("\n").replace(&format!("APR-{}", asked.unwrap()), "APR-n"), @"
    escalated: step scale (scale_service) became void: granted, but no longer allowed: 5 services are degraded at once: this is no time for single fixes, the brake is on; status: api-gateway is running; latency: no prometheus is configured (prometheus.url); logs: 0 lines of api-gateway; others: no alertmanager is … (cut)
    runbook cannot go on: step scale (scale_service) became void: granted, but no longer allowed: 5 services are degraded at once: this is no time for single fixes, the brake is on; status: api-gateway is running; latency: no prometheus is configured (prometheus.url); logs: 0 lines of api-gateway; others: no alertmanager is … (cut)
    APR-n void: granted, but no longer allowed: 5 services are degraded at once: this is no time for single fixes, the brake is on
    ");
    assert_eq!(EVERYBODY.map(|name| app.place.starts(name)), [1; 6]);
}
