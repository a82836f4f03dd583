//! Approvals beyond one click: two people over several doors, two clocks, a target that changed or cannot be read, a row that was
//! touched, and the API's own tokens.

use super::app::vote_beside;
use super::{ANA, Setup, TestApp, tales};
use insta::assert_snapshot;
use paramedic::domain::Decision;
use paramedic::standins::model::Reply;
use serde_json::{Value, json};
use std::time::Duration;

pub const ANAS_TOKEN: &str = "token-of-ana-0001";
pub const BENS_TOKEN: &str = "token-of-ben-0002";
const BEN: &str = "U0BEN";

pub fn people() -> Value {
    json!([
        { "name": "ana", "slack": ANA, "login": "ana.k", "token": ANAS_TOKEN },
        { "name": "ben", "slack": BEN, "login": "ben.l", "token": BENS_TOKEN },
    ])
}

async fn asked(setup: Setup) -> TestApp {
    let mut app = setup.start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app
}

/// The transcript from the question on.
async fn tail(app: &mut TestApp) -> String {
    let transcript = app.transcript(1).await;
    transcript.lines().skip_while(|line| !line.starts_with("asked ")).skip(1).collect::<Vec<_>>().join("\n")
}

async fn approval(app: &mut TestApp) -> Value {
    let (status, approval) = app.api("GET", "/api/approvals/APR-1", "any", None).await;
    assert_eq!(status, 200, "{approval}");
    approval
}

fn decision(word: &str, approval: &Value) -> Option<Value> {
    Some(json!({ "decision": word, "digest": approval["digest"] }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_must_agree_and_one_person_at_two_doors_is_one() {
    let setup = Setup::default().with("approvals", json!({ "quorum": 2 })).with("approvers", people());
    let mut app = asked(setup).await;
    let ts = app.click("approve", ANA).await;
    app.until_line(1, "APR-1 approved by ana via slack").await;
    app.told(1).await;
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(message.shown().contains("approved by ana via slack, 1 more must"), "{}", message.shown());
    assert_eq!(message.buttons(), ["approve", "deny"], "the second one still has to");
    let again = app.decide_cli(1, Decision::Grant, "ana.k").await.unwrap_err();
    assert_eq!(again.to_string(), "APR-1: ana has approved it already; 1 more must, and each must be somebody else");
    let stranger = app.decide_cli(1, Decision::Grant, "root").await.unwrap_err();
    assert!(stranger.to_string().contains("login `root` is none of the approvers"), "{stranger}");
    assert_eq!(app.place.starts("api-gateway"), 1, "one is not enough");
    app.restart().await;
    let shown = approval(&mut app).await;
    assert_eq!((&shown["state"], &shown["missing"], &shown["request"]["quorum"]), (&json!("asked"), &json!(1), &json!(2)));
    let (status, _) = app.api("POST", "/api/approvals/APR-1/decide", BENS_TOKEN, decision("approve", &shown)).await;
    assert_eq!(status, 200);
    app.until_line(1, "ok: api-gateway scaled").await;
    assert_snapshot!(tail(&mut app).await.lines().take(4).collect::<Vec<_>>().join("\n"), @r#"
    APR-1 approved by ana via slack, 1 more to come
    APR-1 granted by ana via slack and ben via api
    started scale_service {"add":1,"reason":"HighRequestLatency: api-gateway answers slowly","service":"api-gateway"} under APR-1
    ok: api-gateway scaled from 1 to 2
    "#);
    app.told(1).await;
    let message = app.slack.messages().into_iter().find(|message| message.ts == ts).unwrap();
    assert!(message.buttons().is_empty() && message.shown().contains("ana via slack and ben via api"), "{}", message.shown());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_denial_ends_what_two_must_approve() {
    let setup = Setup::default().with("approvals", json!({ "quorum": 2 })).with("approvers", people());
    let mut app = asked(setup).await;
    app.decide_cli(1, Decision::Grant, "ana.k").await.unwrap();
    app.decide_cli(1, Decision::Deny, "ben.l").await.unwrap();
    app.until(1, &["escalated"]).await;
    let late = app.decide_cli(1, Decision::Grant, "ana.k").await.unwrap_err();
    assert!(late.to_string().starts_with("APR-1 is already denied by ben via cli at "), "{late}");
    assert_eq!((app.place.starts("api-gateway"), approval(&mut app).await["state"].clone()), (1, json!("denied")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_takes_an_approvers_own_token_and_the_digest_that_was_read() {
    let setup = Setup::default().with("approvers", people());
    let server = json!({ "listen": "127.0.0.1:0" });
    let mut app = asked(setup.with("server", server)).await;
    let shown = approval(&mut app).await;
    let decide = "/api/approvals/APR-1/decide";
    let refused = [
        ("nobody's-token-at-all", decision("approve", &shown), 401, "an approver's own token"),
        (ANAS_TOKEN, Some(json!({ "decision": "approve" })), 400, "expected `digest`"),
        (ANAS_TOKEN, Some(json!({ "decision": "approve", "digest": "abcdefabcdef" })), 409, "another request than the one shown"),
        (ANAS_TOKEN, Some(json!({ "decision": "approve", "digest": shown["digest"].as_str().unwrap()[..6] })), 409, "another request"),
        (ANAS_TOKEN, Some(json!({ "decision": "perhaps" })), 400, "expected {\"decision\": \"approve\" or \"deny\""),
        (ANAS_TOKEN, Some(json!({ "decision": "deny", "signature": "x" })), 400, "the signature cannot be read"),
    ];
    for (token, body, status, why) in refused {
        let (answered, said) = app.api("POST", decide, token, body.clone()).await;
        assert_eq!(answered, status, "{body:?}: {said}");
        assert!(said["error"].as_str().unwrap().contains(why), "{said}");
    }
    assert_eq!(app.api("POST", "/api/approvals/APR-9/decide", ANAS_TOKEN, decision("approve", &shown)).await.0, 404);
    assert_eq!(app.api("GET", "/api/approvals", ANAS_TOKEN, None).await.1.as_array().unwrap().len(), 1);
    let (status, granted) = app.api("POST", decide, ANAS_TOKEN, decision("approve", &shown)).await;
    assert_eq!((status, &granted["state"], &granted["votes"][0]["by"]["name"]), (200, &json!("granted"), &json!("ana")));
    let (status, late) = app.api("POST", decide, BENS_TOKEN, decision("deny", &shown)).await;
    let said = late["error"].as_str().unwrap();
    assert!(status == 409 && said.contains("granted by ana via api") && said.ends_with("the first decision stands"), "{status} {late}");
    app.until_line(1, "ok: api-gateway scaled").await;
    assert_eq!(app.api("GET", "/api/approvals", ANAS_TOKEN, None).await.1, json!([]));
    let (_, all) = app.api("GET", "/api/approvals?state=all", ANAS_TOKEN, None).await;
    assert_eq!(all[0]["state"], "used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webhooks_token_reads_approvals_and_approves_nothing() {
    let hook = "token-of-alertmanager";
    let with = |more: Option<Value>| {
        let setup = Setup::default().with("server", json!({ "listen": "127.0.0.1:0", "webhook_token": hook }));
        more.into_iter().fold(setup, |setup, people| setup.with("approvers", people))
    };
    for (setup, status, why) in [(with(None), 403, "no approver has a token"), (with(Some(people())), 401, "an approver's own token")] {
        let mut app = setup.start().await;
        assert_eq!(app.api("GET", "/api/approvals", hook, None).await, (200, json!([])));
        assert_eq!(app.api("GET", "/api/approvals", "somebody", None).await.0, 401);
        let (answered, said) = app.api("POST", "/api/approvals/APR-1/decide", hook, Some(json!({ "decision": "deny" }))).await;
        assert_eq!(answered, status);
        assert!(said["error"].as_str().unwrap().contains(why), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_changed_since_it_was_shown_makes_the_approval_void() {
    let mut app = asked(Setup::default()).await;
    app.told(1).await;
    app.place.crash("api-gateway");
    app.click("approve", ANA).await;
    app.until(1, &["escalated"]).await;
    let void = "APR-1 void: the target changed since it was shown: api-gateway was active and is not active";
    let transcript = tail(&mut app).await;
    assert!(transcript.starts_with(&format!("APR-1 granted by U0ANA via slack\n{void}\n")), "{transcript}");
    app.paged(1).await;
    app.told(1).await;
    assert_eq!((app.place.starts("api-gateway"), app.button("approve")), (1, None));
    let shown = approval(&mut app).await;
    assert_eq!(shown["state"], "void");
    assert!(app.slack.messages().iter().any(|message| message.shown().contains("the target changed since it was shown")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_up_is_decided_on_by_how_full_the_disks_are() {
    let mut app = Setup::default().with("mode", json!("review")).start().await;
    app.alertmanager(&tales::disk_low()).await;
    app.until(1, &["awaiting_approval"]).await;
    let seen = approval(&mut app).await["request"]["seen"].clone();
    let disks = seen["disks"].as_array().unwrap();
    assert!(disks.iter().any(|disk| disk["host"] == "app-server-01" && disk["used_percent"].as_u64().is_some()), "{seen}");
    assert_eq!(seen["services"], json!([]));
    app.click("approve", ANA).await;
    app.until_line(1, "ok: removed 0 files").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_cannot_be_read_is_put_to_nobody_and_paged() {
    let plan = vec![Reply::call("restart_service", json!({ "service": "api-gateway", "reason": "it hangs" }))];
    let nowhere = json!({ "reach": { "docker": { "container": "gateway", "socket": "/nonexistent/docker.sock" } } });
    let setup = Setup::default().with("mode", json!("review")).without_runbooks().model(plan).service("api-gateway", nowhere);
    let mut app = setup.start().await;
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["escalated"]).await;
    app.paged(1).await;
    let told = app.told(1).await;
    assert!(!told.contains("email ask"), "nobody is asked what cannot be answered: {told}");
    let transcript = tail(&mut app).await;
    assert!(transcript.starts_with("APR-1 unavailable: the target could not be read: "), "{transcript}");
    assert!(transcript.contains("\nescalated: nobody could be asked for restart_service "), "{transcript}");
    assert_eq!((approval(&mut app).await["state"].clone(), app.button("approve")), (json!("unavailable"), None));
    let late = app.decide_cli(1, Decision::Grant, "ana").await.unwrap_err();
    assert!(late.to_string().starts_with("APR-1 is already unavailable: "), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_granted_and_not_begun_in_time_expires_and_pages() {
    let mut app = asked(Setup::default().with("approvals", json!({ "execute_within": 60 }))).await;
    app.down().await;
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    app.skip(chrono::Duration::seconds(360));
    app.up().await;
    app.until(1, &["escalated"]).await;
    assert_snapshot!(tail(&mut app).await, @r#"
    APR-1 expired: granted, and not begun in time
    escalated: APR-1 was granted and could not be begun in time: scale_service {"add":1,"service":"api-gateway"}
    "#);
    app.paged(1).await;
    let shown = approval(&mut app).await;
    assert!(shown["state"] == "expired" && shown["said"].as_str().unwrap().ends_with("granted, and not begun in time"), "{shown}");
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_policy_than_the_one_it_was_asked_under_makes_the_approval_void() {
    let mut app = asked(Setup::default()).await;
    app.down().await;
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    app.configure("limits", json!({ "restarts_per_hour": 2 }));
    app.up().await;
    app.until_line(1, "APR-1 void: granted, but it was asked under another policy than the one in force").await;
    app.until(1, &["escalated"]).await;
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_taken_off_the_list_before_it_is_done_counts_no_more() {
    let mut app = asked(Setup::default().with("approvers", people())).await;
    app.down().await;
    app.decide_cli(1, Decision::Grant, "ben.l").await.unwrap();
    app.configure("approvers", json!([{ "name": "ana", "slack": ANA }]));
    app.up().await;
    app.until_line(1, "APR-1 void: granted, but ben via cli is no approver by the server's configuration").await;
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_somebody_changed_in_the_store_authorises_nothing_and_is_named() {
    let mut app = asked(Setup::default()).await;
    app.told(1).await;
    let ts = app.button("approve").unwrap();
    app.sql("UPDATE approvals SET request = replace(request, '\"add\":1', '\"add\":2') WHERE id = 1").await;
    let click = app.slack.click(&app.base(), &ts, "approve", ANA, app.now()).await;
    assert_eq!(click.unwrap(), 503);
    let (status, said) = app.api("GET", "/api/approvals/APR-1", "any", None).await;
    assert!(status == 500 && said["error"].as_str().unwrap().starts_with("approvals APR-1 is not readable"), "{said}");
    let refused = app.decide_cli(1, Decision::Grant, "ana").await.unwrap_err();
    assert!(refused.to_string().contains("row approvals APR-1 is not readable: the request's SHA-256 is "), "{refused}");
    assert_eq!(app.place.starts("api-gateway"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_version_asked_is_void() {
    let mut app = asked(Setup::default()).await;
    app.told(1).await;
    app.down().await;
    app.sql("UPDATE approvals SET request = NULL, digest = NULL, sum = NULL, state = 'void' WHERE id = 1").await;
    app.up().await;
    app.sql("UPDATE incidents SET poke = poke + 1, wake_at = 0 WHERE id = 1").await;
    app.until_line(1, "APR-1 void: an earlier version of Paramedic asked, or its row is gone").await;
    let late = app.decide_cli(1, Decision::Grant, "ana").await.unwrap_err();
    assert_eq!(late.to_string(), "APR-1 was asked for by an earlier version of Paramedic: it authorises nothing");
    app.told(1).await;
    assert_eq!((app.place.starts("api-gateway"), app.button("approve")), (1, None));
}

/// Slack says yes, the API no, a terminal yes, all in the same moment.
async fn race(setup: Setup, over_socket: bool) {
    let mut app = asked(setup.with("approvers", people())).await;
    app.told(1).await;
    let ts = app.button("approve").unwrap();
    if over_socket {
        assert!(app.slack.linked(Duration::from_secs(20)).await, "Paramedic opened no WebSocket");
    }
    let no = decision("deny", &approval(&mut app).await).unwrap().to_string();
    let (base, now, http) = (app.base(), app.now(), paramedic::clients::http::client(Duration::from_secs(20)).unwrap());
    let slack = async {
        match over_socket {
            true => app.slack.socket_click(&ts, "approve", ANA).await.unwrap(),
            false => assert!(matches!(app.slack.click(&base, &ts, "approve", ANA, now).await, Ok(200))),
        }
    };
    let api = async {
        let request = http.post(format!("{base}/api/approvals/APR-1/decide")).header("authorization", format!("Bearer {BENS_TOKEN}"));
        request.body(no).send().await.unwrap().status().as_u16()
    };
    let terminal = vote_beside(&app.place, 1, Decision::Grant, "ben.l", now);
    let ((), api, terminal) = futures::join!(slack, api, terminal);
    app.until(1, &["verifying", "escalated"]).await;
    let transcript = app.transcript(1).await;
    let decided: Vec<&str> = transcript.lines().filter(|l| l.starts_with("APR-1 granted") || l.starts_with("APR-1 denied")).collect();
    let [decided] = decided[..] else { panic!("{decided:?} in {transcript}") };
    let by_slack = decided.starts_with("APR-1 granted by ana via slack");
    let by_api = decided.starts_with("APR-1 denied by ben via api");
    assert_eq!((by_api, api), (by_api, if by_api { 200 } else { 409 }), "{decided}");
    assert_eq!(terminal.is_ok(), !by_slack && !by_api, "{terminal:?}: {decided}");
    assert_eq!(app.place.starts("api-gateway"), if by_api { 1 } else { 2 }, "{transcript}");
    if !by_slack {
        let told = app.slack_answer().await;
        assert!(told.contains("the first decision stands"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_doors_at_once_the_first_decides() {
    for postgres in [false, true] {
        for over_socket in [false, true] {
            let setup = if over_socket { Setup::default().socket_mode() } else { Setup::default() };
            race(if postgres { setup.postgres() } else { setup }, over_socket).await;
        }
    }
}
