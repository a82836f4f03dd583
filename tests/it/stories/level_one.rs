//! Level 1: fixed by itself, within bounds, and verified by two signals.

use super::{TestApp, firing};
use insta::assert_snapshot;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_service_is_restarted_and_resolved_by_two_signals() {
    let mut app = TestApp::start().await;
    app.place.crash("api-gateway");
    let down = firing("ServiceDown", &[("service", "api-gateway"), ("severity", "critical")]);
    app.alertmanager(&down).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&down.resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
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
    assert_snapshot!(app.told(1).await, @"
    slack message sent
    email message sent
    ");
    assert_eq!(app.place.starts("api-gateway"), 2);
}
