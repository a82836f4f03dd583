//! Level 2: diagnosed, then a human decides, once.

use super::{ANA, Setup, TestApp, tales};
use insta::assert_snapshot;
use paramedic::domain::Decision;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_service_is_scaled_once_a_human_clicked_approve() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    assert_eq!(app.place.starts("api-gateway"), 1, "nothing is done before somebody decided");
    let ts = app.click("approve", ANA).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised HighRequestLatency (api-gateway): api-gateway needs attention
    level 2 by rule response_time_anomaly: slowness has many causes; more instances may help and cost money, so a human confirms
    run 1 by runbook response_time_anomaly
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is running
    started get_metrics {"duration":"30m","query":"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{job=\"api-gateway\"}[5m])))"}
    failed: no prometheus is configured (prometheus.url)
    step resources skipped: does not hold: incident.host
    started get_service_logs {"host":null,"level":"warn","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    started get_alerts {"host":null,"service":null}
    failed: no alertmanager is configured (alertmanager.url)
    asked APR-1 for scale_service {"add":1,"reason":"HighRequestLatency: api-gateway answers slowly","service":"api-gateway"}: level 2: a human confirms each change
    APR-1 granted by U0ANA via slack
    started scale_service {"add":1,"reason":"HighRequestLatency: api-gateway answers slowly","service":"api-gateway"} under APR-1
    ok: api-gateway scaled from 1 to 2
    runbook done: response_time_anomaly; status: api-gateway is running; latency: no prometheus is configured (prometheus.url); logs: 0 lines of api-gateway; others: no alertmanager is configured (alertmanager.url); scale: api-gateway scaled from 1 to 2
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: api-gateway is running
    alert HighRequestLatency resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_snapshot!(app.told(1).await, @"
    slack ask sent
    email ask sent
    slack ask_closed sent
    slack message sent
    email message sent
    ");
    assert_eq!(app.place.starts("api-gateway"), 2);
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(message.buttons().is_empty() && message.shown().contains(ANA), "{message:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_in_slack_changes_nothing_and_pages() {
    let mut app = TestApp::start().await;
    assert_eq!(tales::latency(&mut app, "deny").await, "closed");
    assert_snapshot!(app.transcript(1).await, @r#"
    raised HighRequestLatency (api-gateway): api-gateway needs attention
    level 2 by rule response_time_anomaly: slowness has many causes; more instances may help and cost money, so a human confirms
    run 1 by runbook response_time_anomaly
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is running
    started get_metrics {"duration":"30m","query":"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{job=\"api-gateway\"}[5m])))"}
    failed: no prometheus is configured (prometheus.url)
    step resources skipped: does not hold: incident.host
    started get_service_logs {"host":null,"level":"warn","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    started get_alerts {"host":null,"service":null}
    failed: no alertmanager is configured (alertmanager.url)
    asked APR-1 for scale_service {"add":1,"reason":"HighRequestLatency: api-gateway answers slowly","service":"api-gateway"}: level 2: a human confirms each change
    APR-1 denied by U0ANA via slack
    runbook cannot go on: step scale (scale_service) was refused by U0ANA via slack; status: api-gateway is running; latency: no prometheus is configured (prometheus.url); logs: 0 lines of api-gateway; others: no alertmanager is configured (alertmanager.url)
    escalated: step scale (scale_service) was refused by U0ANA via slack; status: api-gateway is running; latency: no prometheus is configured (prometheus.url); logs: 0 lines of api-gateway; others: no alertmanager is configured (alertmanager.url)
    alert HighRequestLatency resolved
    closed: the alert resolved after the escalation; a human owns what is left
    "#);
    assert_snapshot!(app.told(1).await, @"
    slack ask sent
    email ask sent
    slack ask_closed sent
    pagerduty page sent
    slack message sent
    email message sent
    slack message sent
    email message sent
    ");
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_nobody_answers_in_five_minutes_pages_and_loses_its_buttons() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    let ts = app.button("approve").unwrap();
    app.advance(chrono::Duration::seconds(300)).await;
    app.until(1, &["escalated"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised HighRequestLatency (api-gateway): api-gateway needs attention
    level 2 by rule response_time_anomaly: slowness has many causes; more instances may help and cost money, so a human confirms
    run 1 by runbook response_time_anomaly
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is running
    started get_metrics {"duration":"30m","query":"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{job=\"api-gateway\"}[5m])))"}
    failed: no prometheus is configured (prometheus.url)
    step resources skipped: does not hold: incident.host
    started get_service_logs {"host":null,"level":"warn","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    started get_alerts {"host":null,"service":null}
    failed: no alertmanager is configured (alertmanager.url)
    asked APR-1 for scale_service {"add":1,"reason":"HighRequestLatency: api-gateway answers slowly","service":"api-gateway"}: level 2: a human confirms each change
    APR-1 expired: nobody decided in time
    escalated: nobody decided APR-1 in time: scale_service {"add":1,"service":"api-gateway"}
    "#);
    assert_snapshot!(app.told(1).await, @"
    slack ask sent
    email ask sent
    slack ask_closed sent
    pagerduty page sent
    slack message sent
    email message sent
    ");
    assert_eq!(app.pages(1), ["trigger"]);
    let mails = app.mail.mails();
    assert!(mails.len() == 2 && mails.iter().all(|mail| mail.to == ["oncall@example.org"]), "asked, then told: {mails:#?}");
    assert_eq!(app.button("approve"), None);
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(message.shown().contains("xpired"), "{}", message.shown());
    let late = app.decide_cli(1, Decision::Grant, "ana").await.unwrap_err();
    assert!(late.to_string().contains("expired"), "{late}");
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_resolves_while_a_human_is_asked_makes_the_question_void() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved", "closed"]).await;
    assert_snapshot!(app.transcript(1).await, @r#"
    raised HighRequestLatency (api-gateway): api-gateway needs attention
    level 2 by rule response_time_anomaly: slowness has many causes; more instances may help and cost money, so a human confirms
    run 1 by runbook response_time_anomaly
    started check_service_status {"host":null,"service":"api-gateway"}
    ok: api-gateway is running
    started get_metrics {"duration":"30m","query":"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{job=\"api-gateway\"}[5m])))"}
    failed: no prometheus is configured (prometheus.url)
    step resources skipped: does not hold: incident.host
    started get_service_logs {"host":null,"level":"warn","lines":100,"service":"api-gateway"}
    ok: 0 lines of api-gateway
    started get_alerts {"host":null,"service":null}
    failed: no alertmanager is configured (alertmanager.url)
    asked APR-1 for scale_service {"add":1,"reason":"HighRequestLatency: api-gateway answers slowly","service":"api-gateway"}: level 2: a human confirms each change
    alert HighRequestLatency resolved
    APR-1 void: the alert resolved before it was used
    runbook done: the alert resolved meanwhile
    verifying: the alert, and check_service_status: output.active
    signal alert good: Alertmanager told that it resolved
    signal independent good: api-gateway is running
    resolved: recovered by itself, nothing was changed; the alert resolved and the independent check holds
    "#);
    assert_snapshot!(app.told(1).await, @"
    slack ask sent
    email ask sent
    slack ask_closed sent
    slack message sent
    email message sent
    ");
    assert_eq!(app.button("approve"), None);
    let late = app.decide_cli(1, Decision::Grant, "ana").await.unwrap_err();
    assert!(late.to_string().contains("void"), "{late}");
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_approves_and_the_first_decision_stands_across_a_restart() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.restart().await;
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    let second = app.decide_cli(1, Decision::Deny, "bob").await.unwrap_err();
    assert!(second.to_string().contains("the first decision stands"), "{second}");
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved"]).await;
    let transcript = app.transcript(1).await;
    assert!(transcript.contains("APR-1 granted by ana via cli"), "{transcript}");
    assert_eq!(app.place.starts("api-gateway"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_by_somebody_who_may_not_decide_is_answered_and_decides_nothing() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.click("approve", "U0MALLORY").await;
    let answer = app.slack_answer().await;
    assert!(answer.contains("not on the list of approvers"), "{answer}");
    app.click("approve", ANA).await;
    app.until_line(1, "signal independent good").await;
    let transcript = app.transcript(1).await;
    assert!(!transcript.contains("MALLORY") && transcript.contains("APR-1 granted by U0ANA via slack"), "{transcript}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_slack_the_question_is_a_page_and_the_command_line_decides() {
    let mut app = super::Setup::default().with("slack", serde_json::Value::Null).start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.paged(1).await;
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved"]).await;
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger", "acknowledge", "resolve"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_over_socket_mode_is_stored_before_it_is_acknowledged_and_only_approvers_count() {
    let mut app = Setup::default().socket_mode().start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    let ts = app.button("approve").unwrap();
    assert!(app.slack.linked(std::time::Duration::from_secs(20)).await, "Paramedic opened no WebSocket");
    app.slack.socket_click(&ts, "approve", "U0NOBODY").await.unwrap();
    assert!(app.slack_answer().await.contains("approver"));
    assert_eq!(app.place.starts("api-gateway"), 1);
    app.slack.socket_click(&ts, "approve", ANA).await.unwrap();
    app.until_line(1, "APR-1 granted by U0ANA via slack").await;
    app.until_line(1, "ok: api-gateway scaled from 1 to 2").await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_eq!(app.place.starts("api-gateway"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_for_more_instances_of_a_service_that_is_down() {
    let mut app = TestApp::start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["escalated"]).await;
    let transcript = app.transcript(1).await;
    assert!(transcript.contains("api-gateway is dead") && transcript.contains("step scale skipped"), "{transcript}");
    assert_eq!((app.button("approve"), app.place.starts("api-gateway")), (None, 1), "{transcript}");
}
