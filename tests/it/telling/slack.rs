//! What the channel shows.

use super::*;
use paramedic::domain::{Layer, Opinion, Outcome, Proposal, Severity, Verdict};
use paramedic::notify::SendError;
use paramedic::standins::Fault;
use serde_json::json;

#[tokio::test]
async fn a_card_is_posted_once_and_then_edited_in_place() {
    let (slack, notifier) = slack().await;
    let card = send_slack(&notifier, outgoing(Channel::Slack, &Notice::Card, &latency())).await;

    let resolved = incident("HighLatency", "p99 above 2 s", vec![Entry::Resolved { summary: "latency is back to 0.2 s".into() }]);
    let again = Outgoing { thread: Some(&card), ..outgoing(Channel::Slack, &Notice::Card, &resolved) };
    assert_eq!(send_slack(&notifier, again).await, card);

    let said = Notice::Message { severity: Severity::Info, text: "latency is back".into() };
    send_slack(&notifier, Outgoing { thread: Some(&card), ..outgoing(Channel::Slack, &said, &resolved) }).await;

    insta::assert_snapshot!(slack.messages()[0].shown(), @r##"
    🟢 *INC-7* · *HighLatency*
    *State:* resolved and verified
    *Target:* api
    *Level:* 2 (diagnoses and asks)
    *Why:* p99 above 2 s
    *Alerts:* 1 firing, 0 resolved
    *Outcome:* latency is back to 0.2 s
    since <!date^1780000000^{date_short_pretty} {time_secs}|2026-05-28 20:26:40 UTC> · paramedic incidents INC-7
    "##);
    let messages = slack.messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages[0].earlier[0].0.contains("being diagnosed"));
    assert_eq!(messages[1].thread_ts.as_deref(), Some(card.ts.as_str()));
}

#[tokio::test]
async fn a_card_that_somebody_deleted_is_posted_anew() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let card = send_slack(&notifier, outgoing(Channel::Slack, &Notice::Card, &incident)).await;
    slack.delete(&card.ts);
    let again = send_slack(&notifier, Outgoing { thread: Some(&card), ..outgoing(Channel::Slack, &Notice::Card, &incident) }).await;
    assert_ne!(again.ts, card.ts);
    assert_eq!(slack.messages().len(), 1);
}

#[tokio::test]
async fn an_ask_has_two_buttons_bound_to_the_exact_action_and_loses_them_once_decided() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let card = send_slack(&notifier, outgoing(Channel::Slack, &Notice::Card, &incident)).await;
    let asked = approval(action(json!({ "service": "api", "add": 1 })));
    let ask = Notice::Ask { approval: asked.id() };
    let message = Outgoing { approval: Some(&asked), thread: Some(&card), ..outgoing(Channel::Slack, &ask, &incident) };
    let posted = send_slack(&notifier, message).await;

    let live = slack.messages()[1].clone();
    let shown = live.shown().replace(asked.digest().short(), "[digest]");
    insta::assert_snapshot!(shown, @r#"
    *APR-3* · may I do this for *INC-7*?
    *scale_service* on api
    ```{
      "add": 1,
      "service": "api"
    }```
    *It looks like this*
    • api is active (running) since 2026-05-28 18:26:40Z, process 4711, 1 of 1 instances up
    *A human is asked because*
    • level 2 confirms each change
    *The planner's own words, checked by nobody*
    > more load than usual
    Approve
    Back
    scale_service on api
    Approve APR-3?
    Approve
    Deny
    decide by <!date^1780000300^{date_short_pretty} {time_secs}|2026-05-28 20:31:40 UTC>, begin by <!date^1780000900^{date_short_pretty} {time_secs}|2026-05-28 20:41:40 UTC>; then it is escalated · digest `[digest]`
    "#);
    assert_eq!(live.buttons(), ["approve", "deny"]);

    let closed = Notice::AskClosed { approval: asked.id() };
    let undecided = Outgoing { approval: Some(&asked), message_ts: Some(&posted.ts), ..outgoing(Channel::Slack, &closed, &incident) };
    assert!(matches!(notifier.send(&undecided).await, Err(SendError::Never { .. })), "an open question keeps its buttons");

    let granted = asked.clone().vote(vote(ana(), Decision::Grant)).unwrap();
    let message = Outgoing {
        approval: Some(&granted),
        thread: Some(&card),
        message_ts: Some(&posted.ts),
        ..outgoing(Channel::Slack, &closed, &incident)
    };
    assert_eq!(send_slack(&notifier, message).await, posted);
    let after = slack.messages()[1].clone();
    assert!(after.buttons().is_empty());
    assert!(after.shown().contains("approved by U0ANA via slack") && after.shown().contains("<!date^1780000000^"), "{}", after.shown());
}

#[tokio::test]
async fn an_ask_that_arrives_after_the_decision_never_shows_buttons() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let denied = approval(action(json!({}))).vote(vote(ana(), Decision::Deny)).unwrap();
    let ask = Notice::Ask { approval: denied.id() };
    send_slack(&notifier, Outgoing { approval: Some(&denied), ..outgoing(Channel::Slack, &ask, &incident) }).await;
    assert!(slack.messages()[0].buttons().is_empty());
    assert!(slack.messages()[0].shown().contains("denied by U0ANA"));
}

#[tokio::test]
async fn arguments_that_cannot_be_shown_in_full_cannot_be_approved_by_a_button() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    let long = approval(action(json!({ "paths": "/var/log/app".repeat(1000) })));
    let ask = Notice::Ask { approval: long.id() };
    send_slack(&notifier, Outgoing { approval: Some(&long), ..outgoing(Channel::Slack, &ask, &incident) }).await;
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
    assert!(matches!(limited, SendError::Later { after: Some(after), .. } if after == Duration::from_secs(17)), "{limited:?}");

    slack.faults().plan(Fault::Status(500), 1);
    let broken = notifier.send(&card).await.unwrap_err();
    assert!(matches!(broken, SendError::Later { after: None, .. }), "{broken:?}");

    let wrong = SlackSettings { bot_token: SecretString::from("xoxb-other"), ..slack_settings(&slack) };
    let error = Notifier::build(Some(&wrong), None, None).unwrap().send(&card).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("invalid_auth") && !error.to_string().contains("xoxb"), "{error}");

    let lost = SlackSettings { channel: "#nowhere".into(), ..slack_settings(&slack) };
    let error = Notifier::build(Some(&lost), None, None).unwrap().send(&card).await.unwrap_err();
    assert!(error.to_string().contains("channel_not_found"), "{error}");

    assert!(slack.messages().is_empty());
    notifier.send(&card).await.unwrap();
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_looked_for_before_it_is_posted_again() {
    let (slack, notifier) = slack().await;
    let incident = latency();
    for n in 0..7 {
        let other = format!("other-{n}");
        send_slack(&notifier, Outgoing { mark: &other, ..outgoing(Channel::Slack, &Notice::Card, &incident) }).await;
    }
    slack.faults().plan(Fault::DoneButLost, 1);
    let card = outgoing(Channel::Slack, &Notice::Card, &incident);
    assert!(matches!(notifier.send(&card).await, Err(SendError::Later { after: None, .. })));
    let again = Outgoing { unsure: true, slack_channel: Some(SlackStandin::CHANNEL), ..card };
    let root = send_slack(&notifier, again).await;
    assert_eq!((slack.messages().len(), &root.ts), (8, &slack.messages()[7].ts), "found, and posted no more");

    let said = Notice::Message { severity: Severity::Info, text: "well again".into() };
    let said = Outgoing { thread: Some(&root), mark: "notice-2", ..outgoing(Channel::Slack, &said, &incident) };
    let unsure = Outgoing { unsure: true, ..said };
    send_slack(&notifier, unsure).await;
    assert_eq!(slack.messages().len(), 9, "an earlier attempt that did not arrive is no reason to say nothing");
    send_slack(&notifier, unsure).await;
    assert_eq!(slack.messages().len(), 9);
    slack.faults().last_for("conversations.replies", Some(Fault::Status(500)));
    assert!(matches!(notifier.send(&unsure).await, Err(SendError::Later { after: None, .. })), "who cannot look now looks later");
    slack.faults().last_for("conversations.replies", None);
    slack.may_not_read();
    send_slack(&notifier, unsure).await;
    assert_eq!(slack.messages().len(), 10, "who may never look says it twice rather than never");
}

#[tokio::test]
async fn a_slack_that_is_not_there_is_tried_again() {
    let gone = SlackStandin::start().await.unwrap();
    let notifier = Notifier::build(Some(&slack_settings(&gone)), None, None).unwrap();
    drop(gone);
    let error = notifier.send(&outgoing(Channel::Slack, &Notice::Card, &latency())).await.unwrap_err();
    assert!(matches!(error, SendError::Later { .. }), "{error:?}");
}

#[tokio::test]
async fn hostile_text_neither_mentions_nor_links_nor_breaks_out_nor_grows() {
    let (slack, notifier) = slack().await;
    let unit = "<!channel> <@U1> <https://evil.example|ok> *x* ``` &lt; \u{202e}\u{0}\r\n*State:* resolved ";
    let hostile = unit.repeat(10_240 / unit.len());
    let proposal =
        Proposal { tool: hostile.clone(), arguments: json!({ &hostile: hostile }), reason: hostile.clone(), step: None, call: None };
    let denied = Entry::Denied {
        proposal: proposal.clone(),
        planner: PlannerKind::Model,
        opinions: vec![Opinion::new(Layer::Scope, Verdict::Deny, hostile.clone())],
    };
    let started = Entry::Started {
        proposal,
        planner: PlannerKind::Model,
        action: Action { reason: hostile.clone(), ..action(json!({ "service": hostile })) },
        verdict: Verdict::Allow,
        opinions: vec![],
        approval: None,
    };
    let mut entries = vec![denied; 20];
    entries.extend([started, Entry::Finished { outcome: Outcome::failed(hostile.clone()) }]);
    entries.push(Entry::Escalated { why: hostile.clone() });
    let incident = incident(&hostile, &hostile, entries);
    let short = json!({ "q": unit });
    let hostile_action = Action { tool: hostile.clone(), reason: hostile.clone(), ..action(short.clone()) };
    let asked = sealed(&Request { reasons: vec![hostile.clone(); 30], ..request(hostile_action) });
    let by = Principal { name: hostile.clone(), via: Via::Slack };
    let denied = asked.clone().vote(vote(by, Decision::Deny)).unwrap();

    let (ask, closed) = (Notice::Ask { approval: asked.id() }, Notice::AskClosed { approval: asked.id() });
    let said = Notice::Message { severity: Severity::Critical, text: hostile.clone() };
    for (notice, approval) in [(&Notice::Card, None), (&ask, Some(&asked)), (&closed, Some(&denied)), (&said, None)] {
        send_slack(&notifier, Outgoing { approval, ..outgoing(Channel::Slack, notice, &incident) }).await;
    }
    for message in slack.messages() {
        let shown = message.shown() + "\n" + &message.text;
        for tag in shown.split('<').skip(1) {
            assert!(tag.starts_with("!date^178"), "an unescaped `<` before {:?}", &tag[..tag.len().min(30)]);
        }
        assert!(!shown.contains(['\u{0}', '\r', '\u{202e}']));
        assert!(message.blocks.iter().all(|block| block["text"]["text"].as_str().unwrap_or_default().matches("```").count() % 2 == 0));
    }
    assert!(slack.messages()[1].shown().contains("… 22 more"));
    // A card's lines stay ours: the name of an alert cannot add a state.
    assert_eq!(slack.messages()[0].shown().lines().filter(|line| line.starts_with("*State:*")).count(), 1);
    let fences = slack.messages()[1].shown();
    let code = fences.split("```").nth(1).unwrap().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    assert_eq!(serde_json::from_str::<Value>(&code).unwrap(), short, "the arguments are shown exactly");
}
