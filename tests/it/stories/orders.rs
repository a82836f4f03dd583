//! A human's orders: everything halted, hands off a service, an incident closed; from another process, from a file, from Slack, and
//! through a restart.

use super::{ANA, Setup, TestApp, firing, tales};
use insta::assert_snapshot;
use paramedic::domain::{Decision, IncidentId, OrderKind, ServiceName};
use paramedic::store::OrderError;
use serde_json::json;

fn gateway() -> ServiceName {
    ServiceName::parse("api-gateway").unwrap()
}

/// An incident whose next step changes something as soon as a human allows it.
async fn about_to_act() -> TestApp {
    let mut app = Setup::default().with("mode", json!("review")).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["awaiting_approval"]).await;
    app
}

/// Nothing was done: the approval is void, a human was paged and told who halted and why.
async fn stopped(app: &mut TestApp, halted: &str) {
    app.until(1, &["escalated"]).await;
    let text = app.transcript(1).await;
    let void = format!("APR-1 void: granted, but no longer allowed: halted: {halted}");
    assert!(text.contains(&void), "{text}");
    app.paged(1).await;
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_from_another_process_stops_an_incident_between_two_steps_and_a_restart_forgets_no_halt() {
    let mut app = about_to_act().await;
    app.order(OrderKind::Halt, "bob", "calm down").await.unwrap();
    app.restart().await;
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    stopped(&mut app, "halt by bob via cli at ").await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["closed"]).await;
    assert!(app.metrics().await.contains("\nparamedic_halted 1\n"));

    // Looking and paging go on meanwhile.
    let again = tales::gateway_down().again("2026-03-01T04:00:00Z");
    app.alertmanager(&again).await;
    app.until(2, &["escalated"]).await;
    let text = app.transcript(2).await;
    assert!(text.contains("ok: api-gateway is dead") && text.contains(": calm down"), "{text}");
    app.paged(2).await;
    app.alertmanager(&again.resolved()).await;
    app.until(2, &["closed"]).await;

    app.order(OrderKind::Resume, "bob", "calm again").await.unwrap();
    assert!(matches!(app.order(OrderKind::Resume, "bob", "twice").await, Err(OrderError::NotHalted)));
    let once_more = tales::gateway_down().again("2026-03-01T05:00:00Z");
    app.alertmanager(&once_more).await;
    app.until(3, &["awaiting_approval"]).await;
    app.click("approve", ANA).await;
    app.until_line(3, "signal independent good").await;
    assert_eq!(app.place.starts("api-gateway"), 2);
    assert!(app.metrics().await.contains("\nparamedic_halted 0\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_file_stops_an_incident_between_two_steps_and_one_that_cannot_be_read_does_too() {
    let mut app = about_to_act().await;
    let file = app.place.path("state/HALT");
    std::fs::write(&file, "the datacentre is on fire\n").unwrap();
    app.click("approve", ANA).await;
    stopped(&mut app, "by the file [folder]/state/HALT: the datacentre is on fire").await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["closed"]).await;

    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    app.alertmanager(&tales::gateway_down().again("2026-03-01T04:00:00Z")).await;
    app.until(2, &["escalated"]).await;
    let text = app.transcript(2).await;
    assert!(text.contains("halted: by the file [folder]/state/HALT, which is no plain file"), "{text}");
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_halts_in_slack_and_somebody_else_is_told_that_he_may_not() {
    let mut app = about_to_act().await;
    let refused = app.slash("halt let me try", "U0MALLORY").await;
    assert_eq!(refused["text"], "you are not on the list of approvers (slack.approvers): nothing was decided");
    assert_eq!(refused["response_type"], "ephemeral");
    assert_eq!(app.slash("orders", ANA).await["text"], "nothing stands in the way");
    let no_reason = app.slash("halt", ANA).await;
    assert!(no_reason["text"].as_str().unwrap().starts_with("a reason is needed"), "{no_reason}");

    let halted = app.slash("halt <!here> too much at once", ANA).await;
    assert_eq!(halted["response_type"], "in_channel");
    let text = halted["text"].as_str().unwrap();
    assert!(text.starts_with("halt by U0ANA via slack at ") && text.ends_with("(ORD-1): &lt;!here&gt; too much at once"), "{text}");
    app.click("approve", ANA).await;
    stopped(&mut app, "halt by U0ANA via slack at ").await;
    let resumed = app.slash("resume it was nothing", ANA).await;
    assert!(resumed["text"].as_str().unwrap().starts_with("resume by U0ANA via slack at "), "{resumed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_public_address_an_approver_halts_over_socket_mode() {
    let mut app = Setup::default().socket_mode().start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    assert!(app.slack.linked(std::time::Duration::from_secs(20)).await, "Paramedic opened no WebSocket");
    let refused = app.slack.socket_command("halt let me try", "U0MALLORY").await.unwrap();
    assert_eq!(refused["response_type"], "ephemeral");
    assert_eq!(refused["text"], "you are not on the list of approvers (slack.approvers): nothing was decided");
    let halted = app.slack.socket_command("halt too much at once", ANA).await.unwrap();
    assert_eq!(halted["response_type"], "in_channel");
    assert!(halted["text"].as_str().unwrap().starts_with("halt by U0ANA via slack at "), "{halted}");
    let ts = app.button("approve").unwrap();
    app.slack.socket_click(&ts, "approve", ANA).await.unwrap();
    stopped(&mut app, "halt by U0ANA via slack at ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_in_a_humans_hands_is_left_alone_until_its_time_is_over() {
    let mut app = TestApp::start().await;
    let until = app.now() + chrono::Duration::hours(2);
    app.order(OrderKind::HandsOff { service: gateway(), until: Some(until) }, "bob", "swapping its disk").await.unwrap();
    app.restart().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["escalated"]).await;
    let text = app.transcript(1).await;
    assert!(text.contains("denied restart_service") && text.contains(": hands off api-gateway until "), "{text}");
    assert!(text.contains(" by bob via cli at ") && text.contains(" (ORD-1): swapping its disk"), "{text}");
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["closed"]).await;

    // The others are looked after meanwhile.
    app.place.crash("orders");
    let other = firing("ServiceDown", &[("service", "orders"), ("severity", "critical")]);
    app.alertmanager(&other).await;
    app.until_line(2, "signal independent good").await;
    app.alertmanager(&other.resolved()).await;
    app.until(2, &["resolved"]).await;
    assert_eq!((app.place.starts("api-gateway"), app.place.starts("orders")), (1, 2));

    app.advance(chrono::Duration::minutes(121)).await;
    app.alertmanager(&tales::gateway_down().again("2026-03-01T05:00:00Z")).await;
    app.until_line(3, "signal independent good").await;
    assert_eq!(app.place.starts("api-gateway"), 2);
    let lifted = app.order(OrderKind::HandsOn { service: gateway() }, "bob", "done").await;
    assert!(matches!(lifted, Err(OrderError::NotInHand(_))), "it is over: {lifted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_is_not_restarted_while_its_service_is_in_a_humans_hands() {
    let mut app = TestApp::start().await;
    app.order(OrderKind::HandsOff { service: ServiceName::parse("orders").unwrap(), until: None }, "bob", "mine").await.unwrap();
    let exhausted = firing("ConnectionPoolExhausted", &[("service", "orders"), ("severity", "warning")]);
    app.alertmanager(&exhausted).await;
    app.until(1, &["escalated"]).await;
    let text = app.transcript(1).await;
    assert!(text.contains("denied restart_connection_pool") && text.contains(": hands off orders by bob"), "{text}");
    assert_eq!((app.place.starts("orders-pool"), app.place.starts("orders")), (1, 1));
    app.order(OrderKind::HandsOn { service: ServiceName::parse("orders").unwrap() }, "bob", "yours").await.unwrap();
    app.alertmanager(&exhausted.clone().resolved()).await;
    app.until(1, &["closed"]).await;
    app.alertmanager(&exhausted.again("2026-03-01T04:00:00Z")).await;
    app.until_line(2, "ok: pool orders-pool restarted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_whose_end_was_lost_is_closed_by_a_human_and_the_next_firing_is_a_new_one() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until(1, &["escalated"]).await;
    app.paged(1).await;
    let close = |incident: i64| OrderKind::CloseIncident { incident: IncidentId(incident) };
    app.order(close(1), "bob", "restored from the backup").await.unwrap();
    app.until(1, &["closed"]).await;
    app.until_line(1, "closed by bob via cli: restored from the backup").await;
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger", "resolve"]);
    assert!(app.slack.messages().iter().any(|message| message.text.contains("closed by bob via cli: restored from the backup")));
    assert!(matches!(app.order(close(1), "bob", "again").await, Err(OrderError::Over(_))));
    assert!(matches!(app.order(close(77), "bob", "what").await, Err(OrderError::NoIncident(_))));

    // The lost notification comes after all, and changes nothing; a new firing is a new incident.
    app.alertmanager(&tales::corruption().resolved()).await;
    app.alertmanager(&tales::corruption().again("2026-03-01T04:00:00Z")).await;
    app.until(2, &["escalated"]).await;
    assert_eq!(app.incidents().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_an_incident_that_asks_voids_the_question() {
    let mut app = about_to_act().await;
    app.order(OrderKind::CloseIncident { incident: IncidentId(1) }, "bob", "a drill").await.unwrap();
    app.until(1, &["closed"]).await;
    let text = app.transcript(1).await;
    let end: Vec<&str> = text.lines().rev().take(2).collect();
    assert_snapshot!(format!("{}\n{}", end[1], end[0]), @"
    APR-1 void: the incident was closed
    closed by bob via cli: a drill
    ");
    assert!(app.decide_cli(1, Decision::Grant, "ana").await.is_err());
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_window_leaves_a_fix_to_humans() {
    let now = chrono::Utc::now();
    let window = json!([{
        "reason": "the yearly audit", "services": ["api-gateway"],
        "from": (now - chrono::Duration::hours(1)).to_rfc3339(), "to": (now + chrono::Duration::hours(1)).to_rfc3339(),
    }]);
    let mut app = Setup::default().with("freezes", window).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["escalated"]).await;
    let text = app.transcript(1).await;
    assert!(text.contains("denied restart_service") && text.contains("freeze: the yearly audit"), "{text}");
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["closed"]).await;
    app.advance(chrono::Duration::hours(1)).await;
    app.alertmanager(&tales::gateway_down().again("2026-03-01T05:00:00Z")).await;
    app.until_line(2, "signal independent good").await;
    assert_eq!(app.place.starts("api-gateway"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_at_the_store_may_stop_and_only_an_approver_gives_back() {
    let mut app = Setup::default().with("approvers", json!([{ "name": "ana", "login": "ana.k" }])).start().await;
    app.order(OrderKind::Halt, "bob", "smoke").await.unwrap();
    app.order(OrderKind::HandsOff { service: gateway(), until: None }, "bob", "smoke").await.unwrap();
    for kind in [OrderKind::Resume, OrderKind::HandsOn { service: gateway() }, OrderKind::CloseIncident { incident: IncidentId(1) }] {
        let told = app.order(kind, "bob", "no smoke").await.unwrap_err().to_string();
        assert_eq!(told, "login `bob` is none of the approvers (approvers: login): nothing was decided");
    }
    let resumed = app.order(OrderKind::Resume, "ana.k", "toast").await.unwrap();
    assert!(resumed.to_string().starts_with("resume by ana via cli at "), "{resumed}");
}
