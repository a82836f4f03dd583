//! An operator's own policy changes what becomes of an alert, and the transcript says which one it was.

use super::{ANA, Setup, tales};
use insta::assert_snapshot;
use paramedic::domain::Decision;
use serde_json::json;

const BY_HAND: &str = r#"
@id("payments_by_hand")
@reason("payments are never restarted unasked")
forbid (principal == Agent::"remediator", action == Action::"execute", resource)
when { resource.tags.contains("payments") };
"#;

const HANDS_OFF: &str = r#"
@id("payments_are_taboo")
@reason("only the payments team touches payments")
forbid (principal == Agent::"remediator", action in [Action::"execute", Action::"propose"], resource)
when { resource.tags.contains("payments") };
"#;

fn tagged(policy: &'static str) -> Setup {
    Setup::default().service("api-gateway", json!({ "tags": ["payments"], "environment": "production" })).policy(policy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_order_becomes_a_question_where_a_policy_forbids_doing_it_unasked() {
    let mut app = tagged(BY_HAND).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["awaiting_approval"]).await;
    assert_eq!(app.place.starts("api-gateway"), 1);
    app.told(1).await;
    let ts = app.button("approve").unwrap();
    let shown = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap().shown();
    for part in
        ["policy payments_by_hand: payments are never restarted unasked", "risk 0.65 (disruptive 0.35, production +0.20, off-hours +0.10)"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(shown.contains("estimated impact: users: those of api-gateway; downtime: seconds"), "{shown}");
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
    asked APR-1 for restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}: policy payments_by_hand: payments are never restarted unasked
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
    let incident = app.incident(1).await;
    let restart = incident["actions"].as_array().unwrap().iter().find(|action| action["tool"] == "restart_service").unwrap();
    assert_eq!((&restart["risk"]["score"], &restart["policies"]), (&json!(0.65), &json!(["payments_by_hand"])), "{restart}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_forbids_altogether_is_denied_and_a_human_is_paged() {
    let mut app = tagged(HANDS_OFF).start().await;
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
    denied restart_service {"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}: policy payments_are_taboo: only the payments team touches payments
    runbook cannot go on: step restart (restart_service) was denied: policy payments_are_taboo: only the payments team touches payments; status: api-gateway is dead; logs: 0 lines of api-gateway
    escalated: step restart (restart_service) was denied: policy payments_are_taboo: only the payments team touches payments; status: api-gateway is dead; logs: 0 lines of api-gateway
    "#);
    app.told(1).await;
    assert_eq!((app.place.starts("api-gateway"), app.pages(1)), (1, vec!["trigger".to_owned()]));
}

const ANA_IS_AWAY: &str = r#"
@id("ana_is_away")
@reason("ana is on leave")
forbid (principal == Human::"slack/U0ANA", action == Action::"approve", resource);
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_policy_does_not_let_approve_is_told_so_and_may_still_deny() {
    let mut app = Setup::default().policy(ANA_IS_AWAY).start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.click("approve", ANA).await;
    assert!(app.slack_answer().await.contains("policy ana_is_away: ana is on leave: nothing was decided"), "{}", app.slack_answer().await);
    assert_eq!((app.incident(1).await["state"].clone(), app.place.starts("api-gateway")), (json!("awaiting_approval"), 1));
    app.click("deny", ANA).await;
    app.until(1, &["escalated"]).await;
    assert_eq!(app.place.starts("api-gateway"), 1);
}

const TWO_FOR_PAYMENTS: &str = r#"
@id("two_for_payments")
@reason("two people decide about payments")
forbid (principal, action == Action::"release", resource)
when { resource.tags.contains("payments") && context.approvers < 2 };
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_may_want_two_people_where_the_configuration_wants_one() {
    let people = json!([{ "name": "ana", "slack": ANA, "login": "ana.k" }, { "name": "ben", "login": "ben.l" }]);
    let mut app = tagged(TWO_FOR_PAYMENTS).with("approvers", people).start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.click("approve", ANA).await;
    app.until_line(1, "APR-1 approved by ana via slack, 1 more to come").await;
    assert_eq!(app.place.starts("api-gateway"), 1, "one is not enough");
    app.decide_cli(1, Decision::Grant, "ben.l").await.unwrap();
    app.until_line(1, "ok: api-gateway scaled").await;
    assert_eq!(app.place.starts("api-gateway"), 2);
}

const NEVER: &str = r#"
@id("payments_never_released")
@reason("payments are nobody's to scale")
forbid (principal, action == Action::"release", resource)
when { resource.tags.contains("payments") };
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_number_of_people_could_release_nobody_is_asked_for() {
    let mut app = tagged(NEVER).start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["escalated"]).await;
    let transcript = app.transcript(1).await;
    assert!(transcript.contains("nobody could be asked for scale_service"), "{transcript}");
    assert!(transcript.contains("no policy releases scale_service on api-gateway"), "{transcript}");
    assert_eq!((app.button("approve"), app.place.starts("api-gateway")), (None, 1));
}
