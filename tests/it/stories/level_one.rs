//! Level 1: fixed by itself, within bounds, and verified by two signals.

use super::{TestApp, firing, tales};
use insta::assert_snapshot;
use std::collections::BTreeSet;
use std::fs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_service_is_restarted_and_resolved_by_two_signals() {
    let mut app = TestApp::start().await;
    assert_eq!(tales::crash(&mut app).await, "resolved");
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
    assert!(app.pages(1).is_empty(), "nobody is woken for what was fixed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_logs_go_and_young_ones_and_links_stay_and_each_file_is_reported() {
    let mut app = TestApp::start().await;
    assert_eq!(tales::disk(&mut app).await, "resolved");
    assert_snapshot!(app.transcript(1).await, @r#"
    raised DiskSpaceLow (host app-server-01): app-server-01:9100 needs attention
    level 1 by rule disk_space_low: old logs under the declared log roots can go without loss, and a full disk stops everything else
    run 1 by runbook disk_space_low
    started check_system_resources {"check_types":["disk"],"host":"app-server-01"}
    ok: resources of app-server-01: [disk]
    started clean_disk_space {"host":"app-server-01","min_age_days":7,"paths":["[folder]/logs"],"reason":"DiskSpaceLow on app-server-01: files older than 7 days under the declared log roots"}
    ok: removed 2 files, 18 bytes; kept 1; refused 1
    started check_system_resources {"check_types":["disk"],"host":"app-server-01"}
    ok: resources of app-server-01: [disk]
    runbook done: disk_space_low; [what it saw]
    verifying: the alert, and check_system_resources, as the runbook expects it
    signal alert bad: still firing
    signal independent good: resources of app-server-01: [disk]
    alert DiskSpaceLow resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    let there = |name: &str| app.place.path("logs").join(name).symlink_metadata().is_ok();
    let after = ["app/old.log", "old.gz", "young.log", "link.log", "../outside.log"].map(|name| (name, there(name)));
    let expected = [("app/old.log", false), ("old.gz", false), ("young.log", true), ("link.log", true), ("../outside.log", true)];
    assert_eq!(after, expected);

    let incident = app.incident(1).await;
    let clean = incident["actions"].as_array().unwrap().iter().find(|action| action["tool"] == "clean_disk_space").unwrap();
    let removed = app.place.redact(&serde_json::to_string(&clean["output"]["removed"]).unwrap());
    assert_snapshot!(removed, @r#"
    [{"path":"[folder]/logs/app/old.log","bytes":9},{"path":"[folder]/logs/old.gz","bytes":9}]
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_old_logs_every_one_stands_in_the_ledger() {
    let mut app = TestApp::start().await;
    let names: BTreeSet<String> = (0..1_000).map(|n| format!("app/{}-{n:04}.log", "rotated".repeat(12))).collect();
    fs::create_dir(app.place.path("logs/app")).unwrap();
    for name in &names {
        tales::write_aged(&app.place.path("logs").join(name), 30);
    }
    assert_eq!(tales::disk(&mut app).await, "resolved");
    let incident = app.incident(1).await;
    let clean = incident["actions"].as_array().unwrap().iter().find(|action| action["tool"] == "clean_disk_space").unwrap();
    let removed = clean["output"]["removed"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap());
    let removed: BTreeSet<String> = removed.map(|path| path.rsplit_once("/logs/").unwrap().1.to_owned()).collect();
    assert!(names.is_subset(&removed), "{} of {} are told", removed.len(), names.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_is_restarted_and_its_service_is_not() {
    let mut app = TestApp::start().await;
    let exhausted = firing("DatabaseConnectionPoolExhausted", &[("service", "orders"), ("severity", "critical")]);
    app.alertmanager(&exhausted).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&exhausted.resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised DatabaseConnectionPoolExhausted (orders): orders needs attention
    level 1 by rule connection_pool_exhausted: a restarted connection pool hands out connections again and touches no data
    run 1 by runbook connection_pool_exhausted
    started check_service_status {"host":null,"service":"orders"}
    ok: orders is running
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"orders"}
    ok: 0 lines of orders
    started restart_connection_pool {"reason":"DatabaseConnectionPoolExhausted: the connection pool of orders is exhausted","service":"orders"}
    ok: pool orders-pool restarted and active
    runbook done: connection_pool_exhausted; status: orders is running; logs: 0 lines of orders; restart_pool: pool orders-pool restarted and active
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: orders-pool is running
    alert DatabaseConnectionPoolExhausted resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_eq!((app.place.starts("orders-pool"), app.place.starts("orders")), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_restarts_the_declared_consumers_and_nobody_else() {
    let mut app = TestApp::start().await;
    let backlog = firing("QueueBacklog", &[("service", "mailer"), ("severity", "warning")]);
    app.alertmanager(&backlog).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&backlog.resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised QueueBacklog (mailer): mailer needs attention
    level 1 by rule queue_backlog: consumers that hang are the usual reason of a backlog; restarting them loses no message of a durable queue
    run 1 by runbook queue_backlog
    started check_service_status {"host":null,"service":"mailer"}
    ok: mailer is running
    started get_service_logs {"host":null,"level":"warn","lines":100,"service":"mailer"}
    ok: 0 lines of mailer
    started restart_consumers {"reason":"QueueBacklog: the queue of mailer grows faster than it is consumed","service":"mailer"}
    ok: consumers restarted and active: mailer-worker-1, mailer-worker-2
    runbook done: queue_backlog; status: mailer is running; logs: 0 lines of mailer; restart_consumers: consumers restarted and active: mailer-worker-1, mailer-worker-2
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: mailer-worker-1 is running
    alert QueueBacklog resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    let starts = ["mailer", "mailer-worker-1", "mailer-worker-2", "orders"].map(|name| app.place.starts(name));
    assert_eq!(starts, [1, 2, 2, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_went_away_while_its_service_is_still_down_is_a_suppressed_symptom() {
    // A command that ends at once never comes up, whatever is restarted.
    let broken = serde_json::json!({ "reach": { "process": { "command": ["/bin/false"] } } });
    let mut app = super::Setup::default().service("api-gateway", broken).start().await;
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["escalated"]).await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["closed"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised ServiceDown (api-gateway): api-gateway needs attention
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is dead
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    started restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}
    failed: api-gateway was restarted and is dead (api-gateway.1: process [pid])
    runbook cannot go on: step restart (restart_service) failed: api-gateway was restarted and is dead (api-gateway.1: process [pid]); status: api-gateway is dead; logs: 0 lines of api-gateway
    escalated: step restart (restart_service) failed: api-gateway was restarted and is dead (api-gateway.1: process [pid]); status: api-gateway is dead; logs: 0 lines of api-gateway
    alert ServiceDown resolved
    closed: the alert resolved after the escalation; a human owns what is left
    "#);
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger"], "it is never reported as fixed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_resolves_while_the_fix_does_not_hold_goes_to_a_human() {
    let mut app = TestApp::start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(1, "signal independent good").await;
    app.place.crash("api-gateway");
    app.advance(chrono::Duration::seconds(10)).await;
    app.until_line(1, "signal independent bad").await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until_line(1, "signal alert good").await;
    app.advance(chrono::Duration::minutes(10)).await;
    app.until(1, &["escalated"]).await;
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
    signal independent bad: api-gateway is dead
    alert ServiceDown resolved
    signal alert good: Alertmanager told that it resolved
    escalated: symptom suppressed: the alert resolved, but the independent check does not hold
    "#);
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger"]);
}
