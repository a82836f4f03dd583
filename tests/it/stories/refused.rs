//! Refused: a wrong key, a revoked token, an event that will never be taken. Somebody hears of it on another channel, once, and what can be
//! put right is tried again until it is taken.

use super::{Setup, TestApp, firing, tales};
use crate::server::until;
use paramedic::domain::{IncidentId, OrderKind};
use paramedic::standins::Fault;
use serde_json::{Value, json};

const WRONG_KEY: &str = "ffffffffffffffffffffffffffffffff";
const WRONG_EVENT: &str = r#"{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is too odd"]}"#;

fn minutes(n: i64) -> chrono::Duration {
    chrono::Duration::minutes(n)
}

fn odd() -> super::Hook {
    firing("SomethingOdd", &[("severity", "critical")])
}

/// Another value of a peer's setting for the next start; what all of them were.
fn change(app: &TestApp, peer: &str, key: &str, value: &str) -> Value {
    let main = std::fs::read_to_string(app.place.path("config/paramedic.yaml")).unwrap();
    let there = serde_json::from_str::<Value>(&main).unwrap()[peer].clone();
    let mut changed = there.clone();
    changed[key] = json!(value);
    app.configure(peer, changed);
    there
}

fn in_slack(app: &TestApp, text: &str) -> usize {
    app.slack.messages().iter().filter(|message| message.text.contains(text)).count()
}

/// Mails are wrapped as their encoding wants it.
fn in_mail(app: &TestApp, text: &str) -> usize {
    let unwrapped = app.mail.mails().into_iter().map(|mail| mail.data.replace("=\r\n", "").replace("=\n", ""));
    unwrapped.filter(|data| data.contains(text)).count()
}

fn in_pages(app: &TestApp, text: &str) -> usize {
    let said = |payload: &Value| payload["summary"].as_str().is_some_and(|summary| summary.contains(text));
    app.pagerduty.events().iter().filter(|event| event.payload.as_ref().is_some_and(said)).count()
}

/// Waits until a notice of this kind has been tried so often.
async fn tried(app: &mut TestApp, channel: &str, kind: &str, times: i64) {
    let often = |incident: &Value| {
        let ours = |notice: &&Value| notice["channel"] == channel && notice["kind"] == kind;
        let attempts = incident["notices"].as_array()?.iter().find(ours)?["attempts"].as_i64()?;
        (attempts >= times).then_some(())
    };
    app.wait_for(1, &format!("{kind} on {channel}, tried {times} times"), often).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_with_a_wrong_key_is_told_on_the_other_channels_once_and_arrives_when_the_key_is_right() {
    let mut app = TestApp::start().await;
    let right = change(&app, "pagerduty", "routing_key", WRONG_KEY);
    app.restart().await;
    app.alertmanager(&odd()).await;
    app.until(1, &["escalated"]).await;
    let refused = "the page for INC-1 was refused by PagerDuty: answered 400";
    until("the other channels are told", async || in_slack(&app, refused) == 1 && in_mail(&app, refused) == 1).await;
    for times in 2..=3 {
        app.advance(minutes(6)).await;
        tried(&mut app, "pagerduty", "page", times).await;
    }
    let metrics = app.metrics().await;
    assert!(metrics.contains("paramedic_notices_failed_total{channel=\"pagerduty\"} 3"), "{metrics}");
    assert!(!metrics.contains("paramedic_outbox_pending 0"), "a refused page is pending");
    // An hour between two attempts is not what the operator who has just put it right waits for.
    for times in 4..=13 {
        app.advance(minutes(6)).await;
        tried(&mut app, "pagerduty", "page", times).await;
    }
    app.down().await;
    app.configure("pagerduty", right);
    app.up().await;
    app.paged(1).await;
    app.told(1).await;
    assert_eq!((in_slack(&app, refused), in_mail(&app, refused), app.pages(1)), (1, 1, vec!["trigger".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_slack_refuses_to_show_pages_somebody_and_is_shown_when_the_token_is_right() {
    let mut app = Setup::default().with("approvals", json!({ "expire_seconds": 3600 })).start().await;
    let right = change(&app, "slack", "bot_token", "xoxb-revoked");
    app.restart().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    tried(&mut app, "slack", "card", 1).await;
    assert!(app.slack.messages().is_empty());
    let refused = "for INC-1 was refused by Slack: invalid_auth";
    app.advance(minutes(6)).await;
    until("somebody is called", async || in_pages(&app, refused) == 1).await;
    until("and told by mail", async || in_mail(&app, refused) == 1).await;
    app.down().await;
    app.configure("slack", right);
    app.up().await;
    until("the question is there", async || app.button("approve").is_some()).await;
    app.told(1).await;
    assert_eq!((in_pages(&app, refused), in_mail(&app, refused), in_slack(&app, "refused")), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_refuse_each_others_refusals_do_not_go_round_in_circles() {
    let mut app = TestApp::start().await;
    change(&app, "slack", "bot_token", "xoxb-revoked");
    app.restart().await;
    app.pagerduty.faults().last(Some(Fault::Refused(WRONG_EVENT)));
    app.alertmanager(&odd()).await;
    app.until(1, &["escalated"]).await;
    tried(&mut app, "pagerduty", "page", 1).await;
    app.order(OrderKind::CloseIncident { incident: IncidentId(1) }, "ben", "I saw the mail").await.unwrap();
    app.until(1, &["closed"]).await;
    tried(&mut app, "pagerduty", "resolve", 1).await;
    for times in 2..=6 {
        app.advance(minutes(6)).await;
        tried(&mut app, "slack", "card", times).await;
    }
    let sent = |notice: &Value| notice["channel"] != "email" || notice["state"] == "sent";
    until("every mail is there", async || app.incident(1).await["notices"].as_array().unwrap().iter().all(sent)).await;
    let by = |peer: &str| in_mail(&app, &format!("was refused by {peer}: "));
    assert_eq!((by("PagerDuty"), by("Slack")), (1, 1), "once each: {:#?}", app.mail.mails());
    let notices = app.incident(1).await["notices"].clone();
    let of = |channel: &str, state: &str| {
        notices.as_array().unwrap().iter().filter(|notice| notice["channel"] == channel && notice["state"] == state).count()
    };
    assert_eq!((of("pagerduty", "failed"), of("slack", "failed"), of("slack", "sent")), (2, 0, 0), "{notices:#}");
    assert!(app.pagerduty.events().is_empty() && app.slack.messages().is_empty());
}
