//! The ten ways in which approvals in Slack are known to fail elsewhere, each a story in which they do not.

use super::approvals::people;
use super::{ANA, Setup, TestApp, tales};
use paramedic::domain::Decision;
use paramedic::standins::Forgery;
use serde_json::json;

const BEN: &str = "U0BEN";

/// A question in Slack, sent and remembered; the message's `ts`.
async fn asked() -> (TestApp, String) {
    let mut app = Setup::default().with("approvers", people()).start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    let ts = app.button("approve").unwrap();
    (app, ts)
}

async fn scaled_once(app: &mut TestApp) {
    app.until_line(1, "ok: api-gateway scaled from 1 to 2").await;
    app.told(1).await;
    assert_eq!((app.place.starts("api-gateway"), app.button("approve")), (2, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_approval_is_not_lost_on_a_restart() {
    let (mut app, ts) = asked().await;
    app.restart().await;
    assert_eq!(app.incident(1).await["state"], "awaiting_approval");
    assert_eq!(app.click("approve", ANA).await, ts, "the same message as before");
    scaled_once(&mut app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_of_clicks_decides_once() {
    let (mut app, ts) = asked().await;
    // Signed first: whoever is slow clicks a button that is gone from the message by then.
    let clicks = [("approve", ANA), ("deny", BEN), ("approve", BEN), ("deny", ANA), ("approve", ANA)];
    let signed = clicks.map(|(button, user)| app.slack.sign_click(&ts, button, user, None, app.now()).unwrap());
    let base = app.base();
    let answers = futures::future::join_all(signed.iter().map(|click| app.slack.deliver(&base, click))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(200))), "each is acknowledged: {answers:?}");
    app.until(1, &["verifying", "escalated"]).await;
    let transcript = app.transcript(1).await;
    let decided = transcript.lines().filter(|line| line.starts_with("APR-1 granted") || line.starts_with("APR-1 denied")).count();
    let granted = usize::from(transcript.contains("APR-1 granted"));
    assert_eq!((decided, app.place.starts("api-gateway")), (1, 1 + granted), "{transcript}");
    let told = app.slack_answer().await;
    assert!(told.contains("the first decision stands"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_approval_is_swept_though_nobody_was_there_when_it_expired() {
    let (mut app, _) = asked().await;
    app.down().await;
    app.skip(chrono::Duration::seconds(301));
    app.up().await;
    app.until(1, &["escalated"]).await;
    app.paged(1).await;
    app.told(1).await;
    assert_eq!((app.button("approve"), app.button("deny")), (None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_does_not_say_approved_before_the_decision_is_stored() {
    let (mut app, ts) = asked().await;
    app.sql("CREATE TRIGGER full BEFORE INSERT ON approval_votes BEGIN SELECT RAISE(ABORT, 'the disk is full'); END").await;
    let click = app.slack.click(&app.base(), &ts, "approve", ANA, app.now()).await;
    assert_eq!(click.unwrap(), 503, "Slack shows the user that it failed");
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert_eq!(message.buttons(), ["approve", "deny"]);
    assert!(app.slack.messages().iter().all(|message| !message.shown().contains("approved by")));
    app.sql("DROP TRIGGER full").await;
    app.click("approve", ANA).await;
    scaled_once(&mut app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_click_after_a_restart_is_not_swallowed() {
    let (mut app, ts) = asked().await;
    app.restart().await;
    let click = app.slack.click(&app.base(), &ts, "approve", ANA, app.now()).await;
    assert_eq!(click.unwrap(), 200);
    app.until_line(1, "APR-1 granted by ana via slack").await;
    scaled_once(&mut app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unauthorised_click_gets_an_answer() {
    let (mut app, ts) = asked().await;
    let click = app.slack.click(&app.base(), &ts, "approve", "U0MALLORY", app.now()).await;
    assert_eq!(click.unwrap(), 200, "acknowledged, so that Slack shows no error of its own");
    let told = app.slack_answer().await;
    assert!(told.contains("not on the list of approvers") && told.contains("nothing was decided"), "{told}");
    assert_eq!(app.incident(1).await["state"], "awaiting_approval");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buttons_do_not_stay_live_after_a_decision_elsewhere() {
    let (mut app, ts) = asked().await;
    app.decide_cli(1, Decision::Deny, "ben.l").await.unwrap();
    app.until(1, &["escalated"]).await;
    app.told(1).await;
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(message.buttons().is_empty() && message.shown().contains("denied by ben via cli"), "{}", message.shown());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_click_does_not_overwrite_who_decided() {
    let (mut app, ts) = asked().await;
    let late = app.slack.sign_click(&ts, "deny", BEN, None, app.now()).unwrap();
    app.click("approve", ANA).await;
    scaled_once(&mut app).await;
    assert_eq!(app.slack.deliver(&app.base(), &late).await.unwrap(), 200);
    let told = app.slack_answer().await;
    assert!(told.contains("granted by ana via slack"), "the late one is told who decided: {told}");
    let (_, approval) = app.api("GET", "/api/approvals/APR-1", "any", None).await;
    assert_eq!((approval["votes"].as_array().unwrap().len(), &approval["votes"][0]["by"]["name"]), (1, &json!("ana")));
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(message.shown().contains("approved by ana via slack"), "{}", message.shown());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_posted_without_its_ts_is_closed_by_the_next_click_on_it() {
    let (mut app, ts) = asked().await;
    // The server died between Slack's answer and its record.
    app.sql("UPDATE approvals SET slack_ts = NULL WHERE id = 1").await;
    app.decide_cli(1, Decision::Grant, "ben.l").await.unwrap();
    app.until_line(1, "ok: api-gateway scaled from 1 to 2").await;
    app.told(1).await;
    let closed = |message: &&paramedic::standins::SlackMessage| message.shown().contains("approved by ben via cli");
    assert!(app.slack.messages().iter().any(|message| closed(&message)), "who decided is told, in a message of its own");
    assert_eq!(app.button("approve"), Some(ts.clone()), "the lost one cannot be edited: nobody knows it");
    app.click("approve", ANA).await;
    let told = app.slack_answer().await;
    assert!(told.contains("granted by ben via cli"), "{told}");
    app.told(1).await;
    assert_eq!((app.button("approve"), app.place.starts("api-gateway")), (None, 2));
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(closed(&&message), "{}", message.shown());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_actions_in_one_payload_decide_nothing() {
    let (mut app, ts) = asked().await;
    let two = app.slack.sign_click(&ts, "approve", ANA, Some(Forgery::TwoActions), app.now()).unwrap();
    assert_eq!(app.slack.deliver(&app.base(), &two).await.unwrap(), 400);
    let (_, approval) = app.api("GET", "/api/approvals/APR-1", "any", None).await;
    assert_eq!((&approval["state"], &approval["votes"]), (&json!("asked"), &json!([])));
    app.click("approve", ANA).await;
    scaled_once(&mut app).await;
}
