//! Telling humans: what Slack, PagerDuty and a mailbox get, and what comes back from a button; against stand-ins that check what they
//! get as strictly as the real ones.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::post;
use chrono::{DateTime, TimeDelta};
use futures::FutureExt;
use paramedic::clients::slack::{Click, OnClick, Posted};
use paramedic::domain::{
    Action, Alert, AlertStatus, Approval, ApprovalId, ApprovalState, Channel, Decision, Effect, Entry, Fingerprint, Incident, IncidentId,
    Layer, Level, Notice, Opinion, Outcome, PlannerKind, Principal, Proposal, Recorded, ServiceName, Severity, Target, Tier, Time, Verdict,
    Via,
};
use paramedic::http::slack::{DoorError, receive};
use paramedic::notify::{EmailSettings, Notifier, Outgoing, PagerDutySettings, SendError, SlackSettings};
use paramedic::standins::{Fault, Forgery, PagerDutyIncident, PagerDutyStandin, SlackStandin, SmtpStandin};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(10);

fn now() -> Time {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

fn slack_settings(slack: &SlackStandin) -> SlackSettings {
    SlackSettings {
        bot_token: SecretString::from(SlackStandin::BOT_TOKEN),
        channel: SlackStandin::CHANNEL_NAME.into(),
        api_url: slack.api_url(),
        approvers: vec!["U0ANA".into()],
        signing_secret: Some(SecretString::from(SlackStandin::SIGNING_SECRET)),
        app_token: Some(SecretString::from(SlackStandin::APP_TOKEN)),
    }
}

async fn slack() -> (SlackStandin, Notifier) {
    let slack = SlackStandin::start().await.unwrap();
    let notifier = Notifier::build(Some(&slack_settings(&slack)), None, None).unwrap();
    (slack, notifier)
}

fn alert(name: &str, summary: &str) -> Alert {
    let labels = [("alertname", name), ("severity", "critical")];
    Alert {
        status: AlertStatus::Firing,
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        annotations: [("summary".to_owned(), summary.to_owned())].into(),
        starts_at: now(),
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint("f1".into()),
        group_key: "g".into(),
    }
}

fn target() -> Target {
    Target {
        service: Some(ServiceName::parse("api").unwrap()),
        host: None,
    }
}

fn action(arguments: Value) -> Action {
    let effect = Effect::Scale {
        service: ServiceName::parse("api").unwrap(),
        add: 1,
    };
    Action {
        tool: "scale_service".into(),
        tier: Tier::Disruptive,
        target: target(),
        arguments,
        effect,
        reason: "more load than usual".into(),
    }
}

fn approval(action: Action) -> Approval {
    Approval {
        id: ApprovalId(3),
        incident: IncidentId(7),
        digest: action.digest(),
        action,
        reasons: vec!["level 2 confirms each change".into()],
        asked_at: now(),
        expires_at: now() + TimeDelta::seconds(300),
        state: ApprovalState::Asked,
    }
}

fn ana() -> Principal {
    Principal {
        name: "U0ANA".into(),
        via: Via::Slack,
    }
}

/// INC-7 as far as these entries go.
fn incident(name: &str, text: &str, more: Vec<Entry>) -> Incident {
    let mut entries = vec![
        Entry::Raised {
            alert: alert(name, text),
            target: target(),
        },
        Entry::Classified {
            level: Level::Two,
            rule: Some("latency".into()),
            why: text.into(),
            runbook: None,
            mode: None,
        },
        Entry::RunStarted {
            run: 1,
            planner: PlannerKind::Runbook,
            runbook: None,
        },
    ];
    entries.extend(more);
    let recorded: Vec<_> = entries
        .into_iter()
        .zip(1..)
        .map(|(entry, seq)| Recorded { seq, at: now(), entry })
        .collect();
    Incident::replay(IncidentId(7), &recorded).unwrap()
}

fn latency() -> Incident {
    incident("HighLatency", "p99 above 2 s", vec![])
}

fn outgoing<'a>(channel: Channel, notice: &'a Notice, incident: &'a Incident) -> Outgoing<'a> {
    Outgoing {
        channel,
        notice,
        incident,
        approval: None,
        thread: None,
        message_ts: None,
        dedup_key: "paramedic/INC-7",
        console_hint: Some("paramedic incidents INC-7"),
    }
}

async fn send_slack(notifier: &Notifier, message: Outgoing<'_>) -> Posted {
    notifier.send(&message).await.unwrap().slack.unwrap()
}

#[tokio::test]
async fn a_card_is_posted_once_and_then_edited_in_place() {
    let (slack, notifier) = slack().await;
    let card = send_slack(&notifier, outgoing(Channel::Slack, &Notice::Card, &latency())).await;

    let resolved = incident(
        "HighLatency",
        "p99 above 2 s",
        vec![Entry::Resolved {
            summary: "latency is back to 0.2 s".into(),
        }],
    );
    let again = Outgoing {
        thread: Some(&card),
        ..outgoing(Channel::Slack, &Notice::Card, &resolved)
    };
    assert_eq!(send_slack(&notifier, again).await, card);

    let said = Notice::Message {
        severity: Severity::Info,
        text: "latency is back".into(),
    };
    send_slack(
        &notifier,
        Outgoing {
            thread: Some(&card),
            ..outgoing(Channel::Slack, &said, &resolved)
        },
    )
    .await;

    let messages = slack.messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages[0].earlier[0].0.contains("being diagnosed"));
    let shown = messages[0].shown();
    for fact in [
        "INC-7",
        "HighLatency",
        "resolved and verified",
        "api",
        "2 (diagnoses and asks)",
        "p99 above 2 s",
        "1 firing",
        "back to 0.2 s",
    ] {
        assert!(shown.contains(fact), "{fact} is missing in {shown}");
    }
    assert_eq!(messages[1].thread_ts.as_deref(), Some(card.ts.as_str()));
}

#[tokio::test]
async fn a_card_that_somebody_deleted_is_posted_anew() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let card = send_slack(&notifier, outgoing(Channel::Slack, &Notice::Card, &incident)).await;
    slack.delete(&card.ts);
    let again = send_slack(
        &notifier,
        Outgoing {
            thread: Some(&card),
            ..outgoing(Channel::Slack, &Notice::Card, &incident)
        },
    )
    .await;
    assert_ne!(again.ts, card.ts);
    assert_eq!(slack.messages().len(), 1);
}

#[tokio::test]
async fn an_ask_has_two_buttons_bound_to_the_exact_action_and_loses_them_once_decided() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let card = send_slack(&notifier, outgoing(Channel::Slack, &Notice::Card, &incident)).await;
    let asked = approval(action(json!({ "service": "api", "add": 1 })));
    let ask = Notice::Ask { approval: asked.id };
    let message = Outgoing {
        approval: Some(&asked),
        thread: Some(&card),
        ..outgoing(Channel::Slack, &ask, &incident)
    };
    let posted = send_slack(&notifier, message).await;

    let live = slack.messages()[1].clone();
    assert_eq!(live.buttons(), ["approve", "deny"]);
    let shown = live.shown();
    for fact in [
        "scale_service",
        "\"add\": 1",
        "level 2 confirms",
        "planner's words: more load",
        "<!date^1780000300^",
    ] {
        assert!(shown.contains(fact), "{fact} is missing in {shown}");
    }

    let closed = Notice::AskClosed { approval: asked.id };
    let undecided = Outgoing {
        approval: Some(&asked),
        message_ts: Some(&posted.ts),
        ..outgoing(Channel::Slack, &closed, &incident)
    };
    assert!(
        matches!(notifier.send(&undecided).await, Err(SendError::Never { .. })),
        "an open question keeps its buttons"
    );

    let granted = asked.clone().decide(Decision::Grant, ana(), now()).unwrap();
    let message = Outgoing {
        approval: Some(&granted),
        thread: Some(&card),
        message_ts: Some(&posted.ts),
        ..outgoing(Channel::Slack, &closed, &incident)
    };
    assert_eq!(send_slack(&notifier, message).await, posted);
    let after = slack.messages()[1].clone();
    assert!(after.buttons().is_empty());
    assert!(
        after.shown().contains("approved by U0ANA via slack") && after.shown().contains("<!date^1780000000^"),
        "{}",
        after.shown()
    );
}

#[tokio::test]
async fn an_ask_that_arrives_after_the_decision_never_shows_buttons() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let denied = approval(action(json!({}))).decide(Decision::Deny, ana(), now()).unwrap();
    let ask = Notice::Ask { approval: denied.id };
    send_slack(
        &notifier,
        Outgoing {
            approval: Some(&denied),
            ..outgoing(Channel::Slack, &ask, &incident)
        },
    )
    .await;
    assert!(slack.messages()[0].buttons().is_empty());
    assert!(slack.messages()[0].shown().contains("denied by U0ANA"));
}

#[tokio::test]
async fn arguments_that_cannot_be_shown_in_full_cannot_be_approved_by_a_button() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let long = approval(action(json!({ "paths": "/var/log/app".repeat(1000) })));
    let ask = Notice::Ask { approval: long.id };
    send_slack(
        &notifier,
        Outgoing {
            approval: Some(&long),
            ..outgoing(Channel::Slack, &ask, &incident)
        },
    )
    .await;
    assert_eq!(slack.messages()[0].buttons(), ["deny"]);
    assert!(slack.messages()[0].shown().contains("paramedic approve APR-3"));
}

#[tokio::test]
async fn a_rate_limit_is_honoured_a_server_error_is_tried_again_and_a_wrong_token_slowly() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let card = outgoing(Channel::Slack, &Notice::Card, &incident);

    slack.faults().plan(Fault::TooMany(17), 1);
    let limited = notifier.send(&card).await.unwrap_err();
    assert!(
        matches!(limited, SendError::Later { after: Some(after), .. } if after == Duration::from_secs(17)),
        "{limited:?}"
    );

    slack.faults().plan(Fault::Status(500), 1);
    let broken = notifier.send(&card).await.unwrap_err();
    assert!(matches!(broken, SendError::Later { after: None, .. }), "{broken:?}");

    let wrong = SlackSettings {
        bot_token: SecretString::from("xoxb-other"),
        ..slack_settings(&slack)
    };
    let error = Notifier::build(Some(&wrong), None, None).unwrap().send(&card).await.unwrap_err();
    assert!(
        matches!(error, SendError::Later { after: Some(after), .. } if after >= Duration::from_secs(60)),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("invalid_auth") && !error.to_string().contains("xoxb"),
        "{error}"
    );

    let lost = SlackSettings {
        channel: "#nowhere".into(),
        ..slack_settings(&slack)
    };
    let error = Notifier::build(Some(&lost), None, None).unwrap().send(&card).await.unwrap_err();
    assert!(error.to_string().contains("channel_not_found"), "{error}");

    assert!(slack.messages().is_empty());
    notifier.send(&card).await.unwrap();
}

#[tokio::test]
async fn a_slack_that_is_not_there_is_tried_again() {
    let gone = SlackStandin::start().await.unwrap();
    let notifier = Notifier::build(Some(&slack_settings(&gone)), None, None).unwrap();
    drop(gone);
    let error = notifier
        .send(&outgoing(Channel::Slack, &Notice::Card, &latency()))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Later { .. }), "{error:?}");
}

#[tokio::test]
async fn hostile_text_neither_mentions_nor_links_nor_breaks_out_nor_grows() {
    let (slack, notifier) = slack().await;
    let unit = "<!channel> <@U1> <https://evil.example|ok> *x* ``` &lt; \u{202e}\u{0}\r\n*State:* resolved ";
    let hostile = unit.repeat(10_240 / unit.len());
    let proposal = Proposal {
        tool: hostile.clone(),
        arguments: json!({ &hostile: hostile }),
        reason: hostile.clone(),
        step: None,
        call: None,
    };
    let denied = Entry::Denied {
        proposal: proposal.clone(),
        planner: PlannerKind::Model,
        opinions: vec![Opinion::new(Layer::Scope, Verdict::Deny, hostile.clone())],
    };
    let started = Entry::Started {
        proposal,
        planner: PlannerKind::Model,
        action: Action {
            reason: hostile.clone(),
            ..action(json!({ "service": hostile }))
        },
        verdict: Verdict::Allow,
        opinions: vec![],
        approval: None,
    };
    let mut entries = vec![denied; 20];
    entries.extend([
        started,
        Entry::Finished {
            outcome: Outcome::failed(hostile.clone()),
        },
    ]);
    entries.push(Entry::Escalated { why: hostile.clone() });
    let incident = incident(&hostile, &hostile, entries);
    let short = json!({ "q": unit });
    let mut asked = approval(Action {
        tool: hostile.clone(),
        reason: hostile.clone(),
        ..action(short.clone())
    });
    asked.reasons = vec![hostile.clone(); 30];
    let by = Principal {
        name: hostile.clone(),
        via: Via::Slack,
    };
    let denied = asked.clone().decide(Decision::Deny, by, now()).unwrap();

    let (ask, closed) = (Notice::Ask { approval: asked.id }, Notice::AskClosed { approval: asked.id });
    let said = Notice::Message {
        severity: Severity::Critical,
        text: hostile.clone(),
    };
    for (notice, approval) in [(&Notice::Card, None), (&ask, Some(&asked)), (&closed, Some(&denied)), (&said, None)] {
        send_slack(
            &notifier,
            Outgoing {
                approval,
                ..outgoing(Channel::Slack, notice, &incident)
            },
        )
        .await;
    }
    for message in slack.messages() {
        let shown = message.shown() + "\n" + &message.text;
        for tag in shown.split('<').skip(1) {
            assert!(
                tag.starts_with("!date^178"),
                "an unescaped `<` before {:?}",
                &tag[..tag.len().min(30)]
            );
        }
        assert!(!shown.contains(['\u{0}', '\r', '\u{202e}']));
        assert!(
            message
                .blocks
                .iter()
                .all(|block| block["text"]["text"].as_str().unwrap_or_default().matches("```").count() % 2 == 0)
        );
    }
    // A card's lines stay ours: the name of an alert cannot add a state.
    assert_eq!(
        slack.messages()[0]
            .shown()
            .lines()
            .filter(|line| line.starts_with("*State:*"))
            .count(),
        1
    );
    let fences = slack.messages()[1].shown();
    let code = fences
        .split("```")
        .nth(1)
        .unwrap()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    assert_eq!(
        serde_json::from_str::<Value>(&code).unwrap(),
        short,
        "the arguments are shown exactly"
    );
}

/// A door as the server wires it: verified clicks end in the list.
async fn door() -> (String, Arc<Mutex<Vec<Click>>>) {
    let clicks: Arc<Mutex<Vec<Click>>> = Arc::default();
    async fn handle(State(clicks): State<Arc<Mutex<Vec<Click>>>>, headers: HeaderMap, body: Bytes) -> Result<(), DoorError> {
        let click = receive(&SecretString::from(SlackStandin::SIGNING_SECRET), &headers, &body, now())?;
        clicks.lock().unwrap().push(click);
        Ok(())
    }
    let router = axum::Router::new()
        .route("/slack/interactions", post(handle))
        .with_state(clicks.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, clicks)
}

async fn asked(notifier: &Notifier) -> (Approval, Posted) {
    let incident = latency();
    let asked = approval(action(json!({ "add": 1 })));
    let ask = Notice::Ask { approval: asked.id };
    let posted = send_slack(
        notifier,
        Outgoing {
            approval: Some(&asked),
            ..outgoing(Channel::Slack, &ask, &incident)
        },
    )
    .await;
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
    assert_eq!(
        (clicks[0].approval, clicks[0].decision, &clicks[0].digest),
        (asked.id, Decision::Grant, &asked.digest)
    );
    assert_eq!((clicks[1].decision, clicks[1].user_id.as_str()), (Decision::Deny, "U0BOB"));
    assert_eq!(clicks[0].message.as_ref(), Some(&posted));
    assert_eq!(
        (clicks[0].team.as_deref(), clicks[0].app_id.as_deref()),
        (Some(SlackStandin::TEAM), Some(SlackStandin::APP))
    );

    notifier.answer(&clicks[1], "you may not decide APR-3 <!here>").await.unwrap();
    assert_eq!(slack.answers(), ["you may not decide APR-3 &lt;!here&gt;"]);
    let elsewhere = Click {
        response_url: Some("http://169.254.169.254/latest".into()),
        ..clicks[1].clone()
    };
    assert!(matches!(notifier.answer(&elsewhere, "x").await, Err(SendError::Never { .. })));
}

#[tokio::test]
async fn a_forged_stale_or_double_click_decides_nothing_and_a_replay_reads_the_same() {
    let (slack, notifier) = slack().await;
    let (_, posted) = asked(&notifier).await;
    let (url, clicks) = door().await;
    let expected = [
        (Forgery::WrongSecret, 401),
        (Forgery::Tampered, 401),
        (Forgery::Stale, 401),
        (Forgery::TwoActions, 400),
    ];
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
    let socket = notifier.listen(on_click).await.unwrap();
    assert!(slack.linked(PATIENCE).await);

    let click = slack.socket_click(&posted.ts, "approve", "U0ANA");
    tokio::pin!(click);
    let (seen, done) = tokio::select! {
        early = &mut click => panic!("acknowledged before it was stored: {early:?}"),
        seen = stored.recv() => seen.unwrap(),
    };
    assert_eq!(
        (seen.approval, seen.decision, &seen.digest, seen.user_id.as_str()),
        (asked.id, Decision::Grant, &asked.digest, "U0ANA")
    );
    assert!(click.as_mut().now_or_never().is_none(), "acknowledged before it was stored");
    done.send(Ok(())).unwrap();
    click.await.unwrap();

    // The store fails: no acknowledgement, so Slack would bring it again.
    let click = slack.socket_click(&posted.ts, "deny", "U0ANA");
    let failing = async { stored.recv().await.unwrap().1.send(Err("the disk is full".into())) };
    let (outcome, _) = tokio::join!(click, failing);
    assert!(outcome.unwrap_err().to_string().contains("not acknowledged"));

    // Slack's routine refresh: it comes back by itself.
    slack.refresh_links();
    assert!(slack.linked(PATIENCE).await);
    let click = slack.socket_click(&posted.ts, "deny", "U0ANA");
    let storing = async { stored.recv().await.unwrap().1.send(Ok(())) };
    let (outcome, _) = tokio::join!(click, storing);
    outcome.unwrap();
    socket.shutdown().await;
}

fn pager(desk: &PagerDutyStandin) -> Notifier {
    let settings = PagerDutySettings {
        routing_key: SecretString::from(PagerDutyStandin::ROUTING_KEY),
        api_url: desk.api_url(),
    };
    Notifier::build(None, Some(&settings), None).unwrap()
}

#[tokio::test]
async fn an_incident_is_one_page_that_is_acknowledged_and_resolved() {
    let desk = PagerDutyStandin::start().await.unwrap();
    let notifier = pager(&desk);
    assert_eq!(notifier.channels(), [Channel::Pagerduty]);
    let hostile = "x".repeat(5000) + "\r\n";
    let incident = incident("DBCorruption", &hostile, vec![]);
    let page = Notice::Page {
        severity: Severity::Critical,
        summary: hostile.clone(),
    };
    for notice in [&Notice::Acknowledge, &page, &page, &Notice::Acknowledge, &Notice::Resolve] {
        notifier.send(&outgoing(Channel::Pagerduty, notice, &incident)).await.unwrap();
    }
    let seen: Vec<_> = desk.events().iter().map(|event| (event.action.clone(), event.effective)).collect();
    let expected = [
        ("acknowledge", false),
        ("trigger", true),
        ("trigger", true),
        ("acknowledge", true),
        ("resolve", true),
    ];
    assert_eq!(seen, expected.map(|(action, effective)| (action.to_owned(), effective)));
    assert_eq!(desk.incident("paramedic/INC-7"), Some(PagerDutyIncident::Resolved));
    let payload = desk.events()[1].payload.clone().unwrap();
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("critical"), &json!("api")));
    assert!(payload["summary"].as_str().unwrap().ends_with("(cut)"));
    assert_eq!(payload["custom_details"]["incident"], "INC-7");
}

#[tokio::test]
async fn pagerduty_is_tried_again_after_minutes_where_it_is_busy_and_never_where_the_event_is_wrong() {
    let desk = PagerDutyStandin::start().await.unwrap();
    let notifier = pager(&desk);
    let incident = latency();
    let page = Notice::Page {
        severity: Severity::Warning,
        summary: "p99".into(),
    };
    desk.faults().plan(Fault::TooMany(5), 1);
    desk.faults().plan(Fault::Status(500), 1);
    let busy = notifier.send(&outgoing(Channel::Pagerduty, &page, &incident)).await.unwrap_err();
    assert!(
        matches!(busy, SendError::Later { after: Some(after), .. } if after >= Duration::from_secs(60)),
        "{busy:?}"
    );
    let broken = notifier.send(&outgoing(Channel::Pagerduty, &page, &incident)).await.unwrap_err();
    assert!(matches!(broken, SendError::Later { after: None, .. }), "{broken:?}");

    let wrong = PagerDutySettings {
        routing_key: SecretString::from("ffff"),
        api_url: desk.api_url(),
    };
    let notifier = Notifier::build(None, Some(&wrong), None).unwrap();
    let refused = notifier.send(&outgoing(Channel::Pagerduty, &page, &incident)).await.unwrap_err();
    assert!(
        matches!(&refused, SendError::Never { why } if why.contains("routing_key") && !why.contains("ffff")),
        "{refused:?}"
    );
    assert!(matches!(
        notifier.send(&outgoing(Channel::Pagerduty, &Notice::Card, &incident)).await,
        Err(SendError::Never { .. })
    ));
    assert!(desk.events().is_empty());
}

#[tokio::test]
async fn a_mail_arrives_whole_and_hostile_text_adds_no_header() {
    let server = SmtpStandin::start().await.unwrap();
    let settings = EmailSettings {
        url: SecretString::from(server.url()),
        from: "Paramedic <paramedic@example.org>".into(),
        to: vec!["ana@example.org".into(), "bob@example.org".into()],
        user: None,
        password: None,
    };
    let notifier = Notifier::build(None, None, Some(&settings)).unwrap();
    let incident = incident("Disk\r\nBcc: all@example.org", "p99", vec![]);
    let said = Notice::Message {
        severity: Severity::Warning,
        text: "first\n.\n.dot\nBcc: more@example.org\r\nlast é".into(),
    };
    server.refuse_next("451 try again later");
    let later = notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap_err();
    assert!(matches!(later, SendError::Later { .. }), "{later:?}");
    server.refuse_next("552 too much");
    let never = notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap_err();
    assert!(matches!(never, SendError::Never { .. }), "{never:?}");

    notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap();
    let mail = server.until(PATIENCE, |mails| mails.first().cloned()).await.unwrap();
    assert_eq!((mail.from.as_str(), mail.to.len()), ("paramedic@example.org", 2));
    let headers = mail.headers();
    assert!(headers.iter().all(|line| !line.to_lowercase().starts_with("bcc")), "{headers:#?}");
    assert!(
        headers.iter().any(|line| line.starts_with("Subject: [paramedic] INC-7 Disk")),
        "{headers:#?}"
    );

    let asked = approval(action(json!({ "add": 1 })));
    let ask = Notice::Ask { approval: asked.id };
    notifier
        .send(&Outgoing {
            approval: Some(&asked),
            ..outgoing(Channel::Email, &ask, &latency())
        })
        .await
        .unwrap();
    let mail = server.until(PATIENCE, |mails| mails.get(1).cloned()).await.unwrap();
    assert!(
        mail.data.contains("paramedic approve APR-3") && mail.data.contains("scale_service"),
        "{}",
        mail.data
    );
}

#[test]
fn settings_are_read_with_their_secrets_hidden_and_unknown_keys_refused() {
    let settings: SlackSettings = serde_json::from_value(json!({ "bot_token": "xoxb-1", "channel": "#ops" })).unwrap();
    assert_eq!(settings.api_url, "https://slack.com/api");
    assert!(settings.approvers.is_empty() && !format!("{settings:?}").contains("xoxb"));
    let typo = json!({ "bot_token": "x", "channel": "#ops", "approver": ["U1"] });
    assert!(
        serde_json::from_value::<SlackSettings>(typo)
            .unwrap_err()
            .to_string()
            .contains("approver")
    );
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_said_at_once() {
    let slack = SlackSettings {
        api_url: "http://slack.example".into(),
        ..serde_json::from_value(json!({ "bot_token": "x", "channel": "#o" })).unwrap()
    };
    let pagerduty = PagerDutySettings {
        routing_key: SecretString::from("k"),
        api_url: "nonsense".into(),
    };
    let email = EmailSettings {
        url: SecretString::from("imap://x"),
        from: "a".into(),
        to: vec![],
        user: None,
        password: None,
    };
    let problems = Notifier::build(Some(&slack), Some(&pagerduty), Some(&email)).err().unwrap();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["slack.api_url", "pagerduty.api_url", "email"]);
}

#[test]
fn a_refused_door_answers_without_details_of_the_signature() {
    let refused = receive(&SecretString::from("s"), &HeaderMap::new(), b"payload={}", now()).unwrap_err();
    assert_eq!(refused.into_response().status(), 401);
}
