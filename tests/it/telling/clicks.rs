//! What comes back from a button, over HTTP and over Socket Mode.

use super::*;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::post;
use futures::FutureExt;
use paramedic::clients::slack::{Click, OnClick, OnCommand, Said, SlashCommand, SocketDoors};
use paramedic::http::slack::{DoorError, may_decide, receive};
use paramedic::notify::SendError;
use paramedic::standins::Forgery;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// A door as the server wires it: verified clicks end in the list.
async fn door() -> (String, Arc<Mutex<Vec<Click>>>) {
    let clicks: Arc<Mutex<Vec<Click>>> = Arc::default();
    async fn handle(State(clicks): State<Arc<Mutex<Vec<Click>>>>, headers: HeaderMap, body: Bytes) -> Result<(), DoorError> {
        let click = receive(&SecretString::from(SlackStandin::SIGNING_SECRET), &headers, &body, now())?;
        clicks.lock().unwrap().push(click);
        Ok(())
    }
    let router = axum::Router::new().route("/slack/interactions", post(handle)).with_state(clicks.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, clicks)
}

async fn asked(notifier: &Notifier) -> (Approval, Posted) {
    let incident = latency();
    let asked = approval(action(json!({ "add": 1 })));
    let ask = Notice::Ask { approval: asked.id() };
    let posted = send_slack(notifier, Outgoing { approval: Some(&asked), ..outgoing(Channel::Slack, &ask, &incident) }).await;
    (asked, posted)
}

#[tokio::test]
async fn a_signed_click_says_who_decided_what_and_the_user_alone_is_answered() {
    let (slack, notifier) = slack().await;
    let (asked, posted) = asked(&notifier).await;
    let (url, clicks) = door().await;
    assert_eq!(slack.click(&url, &posted.ts, "approve", "U0ANA", now()).await.unwrap(), 200);
    assert_eq!(slack.click(&url, &posted.ts, "deny", "U0BOB", now()).await.unwrap(), 200);

    let clicks = clicks.lock().unwrap().clone();
    assert_eq!((clicks[0].approval, clicks[0].decision, &clicks[0].digest), (asked.id(), Decision::Grant, asked.digest()));
    assert_eq!((clicks[1].decision, clicks[1].user_id.as_str()), (Decision::Deny, "U0BOB"));
    assert_eq!(clicks[0].message.as_ref(), Some(&posted));
    assert_eq!((clicks[0].team.as_deref(), clicks[0].app_id.as_deref()), (Some(SlackStandin::TEAM), Some(SlackStandin::APP)));

    assert_eq!(may_decide(&clicks[0], &slack_settings(&slack)), Ok(()));
    assert!(may_decide(&clicks[1], &slack_settings(&slack)).is_err());

    notifier.answer(&clicks[1], "you may not decide APR-3 <!here>").await.unwrap();
    assert_eq!(slack.answers(), ["you may not decide APR-3 &lt;!here&gt;"]);
    let elsewhere = Click { response_url: Some("http://169.254.169.254/latest".into()), ..clicks[1].clone() };
    assert!(matches!(notifier.answer(&elsewhere, "x").await, Err(SendError::Never { .. })));
}

#[tokio::test]
async fn a_forged_stale_or_double_click_decides_nothing_and_a_replay_reads_the_same() {
    let (slack, notifier) = slack().await;
    let (_, posted) = asked(&notifier).await;
    let (url, clicks) = door().await;
    let expected = [(Forgery::WrongSecret, 401), (Forgery::Tampered, 401), (Forgery::Stale, 401), (Forgery::TwoActions, 400)];
    for (forgery, status) in expected {
        let forged = slack.sign_click(&posted.ts, "approve", "U0ANA", Some(forgery), now()).unwrap();
        assert_eq!(slack.deliver(&url, &forged).await.unwrap(), status, "{forgery:?}");
    }
    assert!(clicks.lock().unwrap().is_empty());

    let signed = slack.sign_click(&posted.ts, "approve", "U0ANA", None, now()).unwrap();
    for _ in 0..2 {
        assert_eq!(slack.deliver(&url, &signed).await.unwrap(), 200);
    }
    let clicks = clicks.lock().unwrap();
    assert_eq!(clicks[0], clicks[1], "the store decides once; the door reads both");
}

#[tokio::test]
async fn a_socket_mode_click_is_acknowledged_only_after_it_is_stored() {
    let (slack, notifier) = slack().await;
    let (asked, posted) = asked(&notifier).await;
    let (store, mut stored) = mpsc::channel::<(Click, tokio::sync::oneshot::Sender<Result<(), String>>)>(8);
    let on_click: OnClick = Arc::new(move |click| {
        let store = store.clone();
        async move {
            let (done, answer) = tokio::sync::oneshot::channel();
            store.send((click, done)).await.map_err(|e| e.to_string())?;
            answer.await.map_err(|e| e.to_string())?
        }
        .boxed()
    });
    let (order, mut orders) = mpsc::channel::<SlashCommand>(8);
    let on_command: OnCommand = Arc::new(move |command| {
        let order = order.clone();
        async move {
            order.send(command).await.map_err(|e| e.to_string())?;
            Ok(Said { text: "halted".into(), to_all: true })
        }
        .boxed()
    });
    let socket = notifier.listen(SocketDoors { on_click, on_command }).unwrap();
    assert!(slack.linked(PATIENCE).await);

    let click = slack.socket_click(&posted.ts, "approve", "U0ANA");
    tokio::pin!(click);
    let (seen, done) = tokio::select! {
        early = &mut click => panic!("acknowledged before it was stored: {early:?}"),
        seen = stored.recv() => seen.unwrap(),
    };
    assert_eq!((seen.approval, seen.decision, &seen.digest, seen.user_id.as_str()), (asked.id(), Decision::Grant, asked.digest(), "U0ANA"));
    assert!(click.as_mut().now_or_never().is_none(), "acknowledged before it was stored");
    done.send(Ok(())).unwrap();
    click.await.unwrap();

    // The store fails: no acknowledgement, so Slack would bring it again.
    let click = slack.socket_click(&posted.ts, "deny", "U0ANA");
    let failing = async { stored.recv().await.unwrap().1.send(Err("the disk is full".into())) };
    let (outcome, _) = tokio::join!(click, failing);
    assert!(outcome.unwrap_err().to_string().contains("not acknowledged"));

    // A command is answered with its acknowledgement.
    let said = slack.socket_command("halt too much at once", "U0ANA").await.unwrap();
    assert_eq!((&said["text"], &said["response_type"]), (&json!("halted"), &json!("in_channel")));
    let typed = orders.recv().await.unwrap();
    assert_eq!(
        (typed.text.as_str(), typed.user_id.as_str(), typed.team.as_deref()),
        ("halt too much at once", "U0ANA", Some(SlackStandin::TEAM))
    );

    // Slack's routine refresh: it comes back by itself.
    slack.refresh_links();
    assert!(slack.linked(PATIENCE).await);
    let click = slack.socket_click(&posted.ts, "deny", "U0ANA");
    let storing = async { stored.recv().await.unwrap().1.send(Ok(())) };
    let (outcome, _) = tokio::join!(click, storing);
    outcome.unwrap();
    socket.shutdown().await;
}

#[test]
fn a_refused_door_answers_without_details_of_the_signature() {
    let refused = receive(&SecretString::from("s"), &HeaderMap::new(), b"payload={}", now()).unwrap_err();
    assert_eq!(refused.into_response().status(), 401);
}
