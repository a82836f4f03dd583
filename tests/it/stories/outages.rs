//! Slack and PagerDuty away for an hour, busy, or silent about what they took: each notice arrives once and in order, and nobody is called
//! for what is over.

use super::{ANA, Setup, TestApp, firing, tales};
use paramedic::domain::{Decision, IncidentId, OrderKind, ServiceName};
use paramedic::standins::{Fault, SlackMessage, SlackStandin};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn minutes(n: i64) -> chrono::Duration {
    chrono::Duration::minutes(n)
}

fn orders_down() -> super::Hook {
    firing("ServiceDown", &[("service", "orders"), ("severity", "critical")]).in_group("{}:{service=\"orders\"}")
}

fn odd(name: &str) -> super::Hook {
    firing(name, &[("severity", "warning")]).in_group(&format!("{{}}:{{alertname=\"{name}\"}}"))
}

/// Until so many notices of an incident have been tried once more than before.
async fn tried(app: &mut TestApp, id: i64, times: i64) {
    let often = |incident: &Value| {
        let attempts = incident["notices"].as_array()?.iter().filter_map(|notice| notice["attempts"].as_i64()).max()?;
        (attempts >= times).then_some(())
    };
    app.wait_for(id, "notices that were tried in vain", often).await;
}

/// A whole life of each kind: one is fixed, one asks and is approved from the command line, one ends with a human, one is closed by one.
async fn four_lives(app: &mut TestApp) {
    app.place.crash("orders");
    app.alertmanager(&orders_down()).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&orders_down().resolved()).await;
    app.until(1, &["resolved"]).await;

    app.alertmanager(&tales::gateway_slow()).await;
    app.until(2, &["awaiting_approval"]).await;
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    app.until_line(2, "signal independent good").await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(2, &["resolved"]).await;

    app.alertmanager(&odd("SomethingOdd")).await;
    app.until(3, &["escalated"]).await;
    app.alertmanager(&odd("SomethingOdd").resolved()).await;
    app.until(3, &["closed"]).await;

    app.alertmanager(&odd("SomethingElse")).await;
    app.until(4, &["escalated"]).await;
    app.order(OrderKind::CloseIncident { incident: IncidentId(4) }, "ben", "it was a drill").await.unwrap();
    app.until(4, &["closed"]).await;
}

fn roots(app: &TestApp) -> Vec<SlackMessage> {
    app.slack.messages().into_iter().filter(|message| message.thread_ts.is_none()).collect()
}

/// A root for each incident, no button that is too late, and no thread that says anything twice.
fn each_thread_tells_its_story_once(app: &TestApp, incidents: usize) {
    let messages = app.slack.messages();
    assert_eq!(roots(app).len(), incidents, "{messages:#?}");
    let said: BTreeSet<(Option<&str>, &str)> =
        messages.iter().map(|message| (message.thread_ts.as_deref(), message.text.as_str())).collect();
    assert_eq!(said.len(), messages.len(), "{messages:#?}");
    assert!(messages.iter().all(|message| message.buttons().is_empty()), "{messages:#?}");
    for (root, answer) in messages.iter().filter_map(|message| Some((message.thread_ts.as_ref()?, message))) {
        assert!(*root < answer.ts && messages.iter().any(|message| message.ts == *root), "{answer:#?}");
    }
}

async fn everything_was_told(app: &mut TestApp, incidents: i64) -> Vec<String> {
    let mut told = Vec::new();
    for id in 1..=incidents {
        told.push(app.told(id).await);
    }
    told
}

/// What each was told after an hour of silence.
async fn after_the_hour(app: &mut TestApp) {
    let told = everything_was_told(app, 4).await;
    let of = |id: usize, channel: &str| told[id - 1].lines().filter(|line| line.starts_with(channel)).collect::<Vec<_>>().join(", ");
    assert_eq!(of(1, "slack"), "slack message sent");
    assert_eq!(of(2, "slack"), "slack ask sent, slack ask_closed sent, slack message sent");
    assert_eq!(of(3, "slack"), "slack message sent, slack message sent");
    assert_eq!((of(1, "pagerduty"), of(2, "pagerduty")), (String::new(), String::new()), "nobody was ever needed");
    // The alert went away and nothing was verified: a human owns what is left, and hears of it late rather than never.
    assert_eq!((of(3, "pagerduty").as_str(), app.pages(3)), ("pagerduty page sent", vec!["trigger".to_owned()]));
    // A human has closed it: nobody is called for it any more. In case the page did arrive, it ends.
    assert_eq!(of(4, "pagerduty"), "pagerduty page overtaken, pagerduty resolve sent");
    assert_eq!(app.pages(4), ["resolve"]);
    each_thread_tells_its_story_once(app, 4);
    let asked = app.slack.messages().into_iter().find(|message| message.shown().contains("APR-1")).unwrap();
    assert!(asked.shown().contains("ana"), "{}", asked.shown());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_in_which_slack_and_pagerduty_answer_503_costs_time_and_nothing_else() {
    let mut app = TestApp::start().await;
    for faults in [app.slack.faults(), app.pagerduty.faults()] {
        faults.last(Some(Fault::Status(503)));
    }
    four_lives(&mut app).await;
    for times in 2..=7 {
        app.advance(minutes(10)).await;
        tried(&mut app, 3, times).await;
    }
    assert!(app.slack.messages().is_empty() && app.pagerduty.events().is_empty());
    for faults in [app.slack.faults(), app.pagerduty.faults()] {
        faults.last(None);
    }
    // The first that gets through brings the others: nobody waits for his own turn.
    app.advance(minutes(5)).await;
    after_the_hour(&mut app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_in_which_nobody_listens_there_and_a_death_in_the_middle_cost_nothing_either() {
    let mut app = TestApp::start().await;
    let there = std::fs::read_to_string(app.place.path("config/paramedic.yaml")).unwrap();
    let there: Value = serde_json::from_str(&there).unwrap();
    for (peer, url) in [("slack", "http://127.0.0.1:1/api"), ("pagerduty", "http://127.0.0.1:1")] {
        let mut gone = there[peer].clone();
        gone["api_url"] = json!(url);
        app.configure(peer, gone);
    }
    app.restart().await;
    four_lives(&mut app).await;
    app.advance(minutes(30)).await;
    tried(&mut app, 3, 2).await;
    app.restart().await;
    app.advance(minutes(30)).await;
    tried(&mut app, 3, 3).await;
    app.down().await;
    for peer in ["slack", "pagerduty"] {
        app.configure(peer, there[peer].clone());
    }
    app.skip(minutes(5));
    app.up().await;
    after_the_hour(&mut app).await;
}

/// A server that knows its channel by the id, as whoever wants to look there has to.
async fn knowing_its_channel() -> TestApp {
    let mut app = TestApp::start().await;
    let main = std::fs::read_to_string(app.place.path("config/paramedic.yaml")).unwrap();
    let mut slack = serde_json::from_str::<Value>(&main).unwrap()["slack"].clone();
    slack["channel"] = json!(SlackStandin::CHANNEL);
    app.configure("slack", slack);
    app.restart().await;
    app
}

/// Every message arrives, and no answer comes back: Slack is asked for each before it is said again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_whose_answers_are_lost_are_in_the_channel_once() {
    let mut app = knowing_its_channel().await;
    app.slack.faults().last_for("chat.postMessage", Some(Fault::DoneButLost));
    four_lives(&mut app).await;
    // Each waits a little before it is looked for, one after the other.
    let end = Instant::now() + Duration::from_secs(60);
    for id in 1..=4 {
        while app.incident(id).await["notices"].as_array().unwrap().iter().any(|notice| notice["state"] == "waiting") {
            assert!(Instant::now() < end, "not told: {:#}", app.incident(id).await["notices"]);
            app.advance(chrono::Duration::seconds(5)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    each_thread_tells_its_story_once(&app, 4);
    assert!(app.slack.calls("conversations.history") >= 4 && app.slack.calls("conversations.replies") >= 4);
}

/// Answers are lost, the server dies before it can look, and the next one finds what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_arrived_just_before_a_death_is_not_said_again() {
    let mut app = knowing_its_channel().await;
    app.slack.faults().last_for("chat.postMessage", Some(Fault::DoneButLost));
    for reading in ["conversations.history", "conversations.replies"] {
        app.slack.faults().last_for(reading, Some(Fault::Status(500)));
    }
    app.alertmanager(&odd("SomethingOdd")).await;
    app.until(1, &["escalated"]).await;
    tried(&mut app, 1, 1).await;
    app.restart().await;
    app.advance(minutes(6)).await;
    tried(&mut app, 1, 2).await;
    for method in ["chat.postMessage", "conversations.history", "conversations.replies"] {
        app.slack.faults().last_for(method, None);
    }
    app.restart().await;
    app.advance(minutes(6)).await;
    app.told(1).await;
    each_thread_tells_its_story_once(&app, 1);
}

/// Without the scope to look, one answer that is lost is one message twice, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_scope_to_look_one_lost_answer_is_one_message_twice() {
    let mut app = TestApp::start().await;
    app.slack.may_not_read();
    app.slack.faults().plan(Fault::DoneButLost, 1);
    app.alertmanager(&odd("SomethingOdd")).await;
    app.until(1, &["escalated"]).await;
    tried(&mut app, 1, 1).await;
    app.advance(minutes(1)).await;
    app.told(1).await;
    let messages = app.slack.messages();
    let threads: BTreeSet<&str> = messages.iter().filter_map(|message| message.thread_ts.as_deref()).collect();
    assert_eq!((roots(&app).len(), threads.len(), messages.len()), (2, 1, 3), "{messages:#?}");
}

/// Slack limits each method by itself: while no message may be edited, new ones are said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_slack_lets_nothing_be_edited_new_messages_are_said_and_nobody_knocks() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    let before = app.slack.calls("chat.update");
    app.slack.faults().last_for("chat.update", Some(Fault::TooMany(600)));
    app.click("approve", ANA).await;
    app.until_line(1, "signal independent good").await;
    for name in ["SomethingOdd", "SomethingElse"] {
        app.alertmanager(&odd(name)).await;
    }
    app.until(2, &["escalated"]).await;
    app.until(3, &["escalated"]).await;
    let message = |app: &TestApp, text: &str| app.slack.messages().iter().any(|m| m.thread_ts.is_some() && m.text.contains(text));
    for name in ["SomethingOdd", "SomethingElse"] {
        crate::server::until(&format!("{name} is told"), async || message(&app, name)).await;
    }
    app.advance(minutes(5)).await;
    tried(&mut app, 1, 1).await;
    let knocked = app.slack.calls("chat.update") - before;
    assert_eq!(knocked, 1, "asked to wait ten minutes, it waits");
    app.slack.faults().last_for("chat.update", None);
    app.advance(minutes(6)).await;
    everything_was_told(&mut app, 3).await;
    each_thread_tells_its_story_once(&app, 3);
}

/// An answer of PagerDuty's is lost after the page was taken: it is sent again and folded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pagerduty_hears_of_each_incident_in_order_through_a_limit_and_lost_answers() {
    let mut app = Setup::default().with("slack", Value::Null).start().await;
    app.pagerduty.faults().plan(Fault::DoneButLost, 1);
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.paged(1).await;
    tried(&mut app, 1, 1).await;
    app.advance(minutes(1)).await;
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger", "trigger"], "folded by its key");
    // It is asked to wait for ten minutes, and everything else happens meanwhile.
    app.pagerduty.faults().last(Some(Fault::TooMany(600)));
    app.decide_cli(1, Decision::Grant, "ana").await.unwrap();
    app.until_line(1, "signal independent good").await;
    tried(&mut app, 1, 2).await;
    app.alertmanager(&odd("SomethingOdd")).await;
    app.until(2, &["escalated"]).await;
    app.advance(minutes(5)).await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved"]).await;
    assert_eq!((app.pages(1).len(), app.pages(2).len()), (2, 0), "it was asked to wait");
    app.pagerduty.faults().last(None);
    app.advance(minutes(6)).await;
    everything_was_told(&mut app, 2).await;
    assert_eq!(app.pages(1), ["trigger", "trigger", "resolve"], "who has approved need not be told that he has: it is over");
    assert_eq!(app.pages(2), ["trigger"]);
}

/// A human takes a service into his hands: whoever was called for it need not be called again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_acknowledged_when_a_human_takes_the_service_and_resolved_when_one_closes_the_incident() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until(1, &["escalated"]).await;
    app.alertmanager(&odd("SomethingOdd")).await;
    app.until(2, &["escalated"]).await;
    app.paged(1).await;
    app.paged(2).await;
    let service = ServiceName::parse("orders").unwrap();
    app.order(OrderKind::HandsOff { service, until: None }, "ben", "I look at it").await.unwrap();
    app.told(1).await;
    app.pagerduty.until(Duration::from_secs(20), |events| events.iter().any(|event| event.action == "acknowledge").then_some(())).await;
    assert_eq!((app.pages(1), app.pages(2)), (vec!["trigger".to_owned(), "acknowledge".to_owned()], vec!["trigger".to_owned()]));
    app.order(OrderKind::CloseIncident { incident: IncidentId(1) }, "ben", "restored from the copy").await.unwrap();
    app.until(1, &["closed"]).await;
    app.told(1).await;
    assert_eq!(app.pages(1), ["trigger", "acknowledge", "resolve"]);
}
