//! Bounds that hold whatever is asked: budgets, modes, the inventory, one remediation at a time.

use super::{ANA, Hook, Setup, TestApp, firing, tales};
use insta::assert_snapshot;
use serde_json::json;

/// The `n`th time that the gateway goes down, minutes later.
async fn down_again(app: &mut TestApp, n: i64) -> Hook {
    app.place.crash_if_running("api-gateway");
    let down = tales::gateway_down().again(&format!("2026-03-01T0{n}:00:00Z"));
    app.alertmanager(&down).await;
    down
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fourth_restart_within_an_hour_is_a_humans_and_after_an_hour_it_is_allowed_again() {
    let mut app = TestApp::start().await;
    for n in 1..=3 {
        let down = down_again(&mut app, n).await;
        app.until_line(n, "signal independent good").await;
        app.alertmanager(&down.resolved()).await;
        app.until(n, &["resolved"]).await;
    }
    // A restart of the server forgets no budget.
    app.restart().await;
    let down = down_again(&mut app, 4).await;
    app.until(4, &["escalated"]).await;
    assert_snapshot!(app.transcript(4).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is dead
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    denied restart_service {"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}: api-gateway was restarted 3 times in the past hour (limit 3)
    runbook cannot go on: step restart (restart_service) was denied: api-gateway was restarted 3 times in the past hour (limit 3); status: api-gateway is dead; logs: 0 lines of api-gateway
    escalated: step restart (restart_service) was denied: api-gateway was restarted 3 times in the past hour (limit 3); status: api-gateway is dead; logs: 0 lines of api-gateway
    "#);
    app.told(4).await;
    assert_eq!((app.place.starts("api-gateway"), app.pages(4)), (4, vec!["trigger".to_owned()]));
    app.alertmanager(&down.resolved()).await;
    app.until(4, &["closed"]).await;

    app.advance(chrono::Duration::minutes(61)).await;
    let down = down_again(&mut app, 5).await;
    app.until_line(5, "signal independent good").await;
    app.alertmanager(&down.resolved()).await;
    app.until(5, &["resolved"]).await;
    assert_eq!(app.place.starts("api-gateway"), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mode_review_asks_even_for_a_standing_order() {
    let mut app = Setup::default().with("mode", json!("review")).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["awaiting_approval"]).await;
    assert_eq!(app.place.starts("api-gateway"), 1);
    app.click("approve", ANA).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is dead
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    asked APR-1 for restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}: mode review: a human confirms each change
    APR-1 granted by U0ANA via slack
    started restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"} under APR-1
    ok: api-gateway restarted and active
    runbook done: service_crash; status: api-gateway is dead; logs: 0 lines of api-gateway; restart: api-gateway restarted and active
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: api-gateway is running
    alert ServiceDown resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_eq!(app.place.starts("api-gateway"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mode_disabled_of_one_service_only_observes_it() {
    let mut app = Setup::default().service("api-gateway", json!({ "mode": "disabled" })).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["escalated"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is dead
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    denied restart_service {"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}: mode disabled: nothing is changed
    runbook cannot go on: step restart (restart_service) was denied: mode disabled: nothing is changed; status: api-gateway is dead; logs: 0 lines of api-gateway
    escalated: step restart (restart_service) was denied: mode disabled: nothing is changed; status: api-gateway is dead; logs: 0 lines of api-gateway
    "#);
    app.told(1).await;
    assert_eq!((app.place.starts("api-gateway"), app.pages(1)), (1, vec!["trigger".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_inventory_does_not_know_is_told_and_never_acted_upon() {
    let mut app = TestApp::start().await;
    let names =
        ["ghost", "api gateway", "api-gateway; reboot", "api-gateway\norders", "--all", "-rf", "\u{202e}yawetag-ipa", "../orders", ""];
    for (index, name) in names.iter().enumerate() {
        let hook = firing("ServiceDown", &[("service", name), ("severity", "critical")]).in_group(&format!("group {index}"));
        app.alertmanager(&hook).await;
    }
    for id in 1..=names.len() as i64 {
        app.until(id, &["escalated"]).await;
        app.paged(id).await;
    }
    assert_snapshot!(app.transcript(4).await, @"
    raised ServiceDown (no known target: service=api-gateway orders): api-gateway orders needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    step status skipped: does not hold: incident.service
    step logs skipped: does not hold: incident.service
    step restart skipped: does not hold: incident.service
    runbook cannot go on: no step of service_crash applies to no known target
    escalated: the alert names no service or host of the inventory (no step of service_crash applies to no known target)
    ");
    for name in ["api-gateway", "orders"] {
        assert_eq!(app.place.starts(name), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_incidents_of_one_service_are_remediated_one_after_the_other() {
    // Kept apart, as they would be by two rules; and without what usually makes the second wait before it begins.
    let apart = json!({ "across_groups": false, "wait_seconds": 0 });
    let mut app = Setup::default().with("correlation", apart).start().await;
    app.place.crash("api-gateway");
    let first = tales::gateway_down();
    let second = firing("InstanceDown", &[("service", "api-gateway"), ("severity", "critical")]);
    app.alertmanager(&first).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&second).await;
    app.until_line(2, "waiting").await;
    assert_eq!(app.place.starts("api-gateway"), 2, "the second waits while the first is being verified");
    app.alertmanager(&first.resolved()).await;
    app.until(1, &["resolved"]).await;
    app.until_line(2, "signal independent good").await;
    app.alertmanager(&second.resolved()).await;
    app.until(2, &["resolved"]).await;
    assert_snapshot!(app.transcript(2).await, @r#"
    raised InstanceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is running
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    waiting: INC-1 is remediating service:api-gateway
    started restart_service {"host":null,"reason":"InstanceDown: api-gateway does not serve","service":"api-gateway"}
    ok: api-gateway restarted and active
    runbook done: service_crash; status: api-gateway is running; logs: 0 lines of api-gateway; restart: api-gateway restarted and active
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: api-gateway is running
    alert InstanceDown resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_eq!(app.place.starts("api-gateway"), 3);
}
