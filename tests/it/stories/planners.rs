//! Who plans: runbook, model, or nobody; and a model that is broken.

use super::{Setup, firing, tales};
use insta::assert_snapshot;
use paramedic::standins::model::Reply;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_model_degrades_to_the_runbook() {
    let model_first = Setup::default().with("planner", json!({ "first": "model" }));
    let mut app = model_first.model(vec![Reply::Body("<html>bad gateway</html>".into()); 20]).start().await;
    assert_eq!(tales::crash(&mut app).await, "resolved");
    assert_snapshot!(app.transcript(1).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by model
    model cannot go on: ask the model: the model's answer cannot be read: not JSON: expected value at line 1 column 1: <html>bad gateway</html>
    run 2 by runbook service_crash
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is dead
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    started restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}
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
async fn a_model_fixes_what_no_runbook_knows_within_the_same_bounds() {
    let replies = vec![
        Reply::call("check_service_status", json!({ "service": "api-gateway" })),
        Reply::Calls(vec![
            ("restart_service".into(), json!({ "service": "orders", "reason": "might help too" })),
            ("restart_service".into(), json!({ "service": "api-gateway", "reason": "it is dead" })),
            ("rm".into(), json!({ "path": "/" })),
        ]),
        Reply::text("api-gateway was dead and runs again."),
    ];
    let mut app = Setup::default().without_runbooks().model(replies).start().await;
    assert_eq!(tales::crash(&mut app).await, "resolved");
    assert_snapshot!(app.transcript(1).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by model
    model wants 1 call: 
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is dead
    model wants 3 calls: 
    denied restart_service {"reason":"might help too","service":"orders"}: orders is neither api-gateway nor a declared dependency of it
    started restart_service {"host":null,"reason":"it is dead","service":"api-gateway"}
    ok: api-gateway restarted and active
    denied rm {"path":"/"}: there is no such tool
    model: api-gateway was dead and runs again.
    model done: api-gateway was dead and runs again.
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: api-gateway is running
    alert ServiceDown resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_eq!((app.place.starts("api-gateway"), app.place.starts("orders")), (2, 1));
    assert!(app.model.refused().is_empty(), "a strict server takes every request: {:?}", app.model.refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_neither_runbook_nor_model_a_human_is_paged() {
    let mut app = Setup::default().without_runbooks().start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["escalated"]).await;
    assert_snapshot!(app.transcript(1).await, @"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    escalated: there is neither a runbook nor a model for it
    ");
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_no_rule_knows_is_of_level_two_and_a_human_is_told() {
    let mut app = Setup::default().start().await;
    app.alertmanager(&firing("SomethingQuiteDifferent", &[("service", "orders")])).await;
    app.until(1, &["escalated"]).await;
    assert_snapshot!(app.transcript(1).await, @"
    raised SomethingQuiteDifferent (orders): orders needs attention
    level 2: no rule matches: a human confirms
    escalated: there is neither a runbook nor a model for it
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_wait_for_a_slack_that_fails_and_arrive_in_order_and_once() {
    use paramedic::standins::Fault;
    let mut app = Setup::default().start().await;
    app.slack.faults().plan(Fault::Status(500), 4);
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    for tries in 1..=4 {
        let put_off = |incident: &serde_json::Value| {
            incident["notices"].as_array()?.iter().any(|notice| notice["attempts"].as_i64() >= Some(tries)).then_some(())
        };
        app.wait_for(1, "a notice that was put off", put_off).await;
        app.advance(chrono::Duration::seconds(10)).await;
    }
    app.told(1).await;
    app.restart().await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved", "closed"]).await;
    assert_snapshot!(app.told(1).await, @"
    slack ask sent
    email message sent
    slack ask_closed sent
    slack message sent
    email message sent
    ");
    let messages = app.slack.messages();
    let roots = messages.iter().filter(|message| message.thread_ts.is_none()).count();
    let firsts: Vec<String> = messages.iter().map(|m| m.text.chars().take(60).collect()).collect();
    assert_eq!(roots, 1, "one thread an incident: {firsts:#?}");
    assert_snapshot!(firsts.join("\n"), @"
    INC-1 HighRequestLatency: resolved and verified
    APR-1: void: the alert resolved before it was used
    ℹ️ INC-1 HighRequestLatency (api-gateway): resolved: recover
    ");
}
