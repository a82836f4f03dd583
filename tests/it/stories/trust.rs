//! Trust over several incidents: what raises it, what does not, when an agent asks again and when its breaker opens.

use super::{Hook, Setup, TestApp, firing, tales};
use paramedic::domain::{Mark, MarkKind, OrderKind, Proposer, Recorded, Time, Trust};
use paramedic::standins::model::Reply;
use paramedic::store::{RELAPSE, Store};
use serde_json::json;
use std::collections::BTreeMap;

fn crash() -> Proposer {
    Proposer::Runbook("service_crash".into())
}

fn hour(n: i64) -> String {
    format!("2026-03-01T{n:02}:00:00Z")
}

/// The service goes down, is restarted, and its alert ends.
async fn mended(app: &mut TestApp, service: &str, incident: i64) {
    app.place.crash_if_running(service);
    let down = firing("ServiceDown", &[("service", service), ("severity", "critical")]).again(&hour(incident));
    app.alertmanager(&down).await;
    app.until_line(incident, "signal independent good").await;
    app.alertmanager(&down.resolved()).await;
    app.until(incident, &["resolved"]).await;
}

/// A model that wants a restart each time, and an alert that does not care.
fn useless_restarts(incidents: usize) -> Setup {
    let each = [Reply::call("restart_service", json!({ "service": "api-gateway", "reason": "it might help" })), Reply::text("restarted")];
    Setup::default().without_runbooks().model(each.iter().cycle().take(2 * incidents).cloned().collect())
}

/// Restarted, still firing after all the time there was, handed to a human; then the alert ends by itself.
async fn not_mended(app: &mut TestApp, incident: i64) {
    let down: Hook = tales::gateway_down().again(&hour(incident));
    app.alertmanager(&down).await;
    app.until_line(incident, "signal independent good").await;
    app.advance(chrono::Duration::minutes(25)).await;
    app.until(incident, &["escalated"]).await;
    app.alertmanager(&down.resolved()).await;
    app.until(incident, &["closed"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fix_that_lasts_earns_a_little_and_one_that_does_not_costs_more() {
    let mut app = TestApp::start().await;
    assert_eq!(app.trust(&crash()).await.score(), 500);
    mended(&mut app, "api-gateway", 1).await;
    assert_eq!(app.trust(&crash()).await.score(), 510);
    mended(&mut app, "api-gateway", 2).await;
    let trust = app.trust(&crash()).await;
    assert_eq!((trust.score(), trust.wrong_in_a_row()), (460, 1), "it came back within minutes");
    // The same again moves nothing, in either direction.
    mended(&mut app, "api-gateway", 3).await;
    assert_eq!(app.trust(&crash()).await, trust);
    mended(&mut app, "orders", 4).await;
    let trust = app.trust(&crash()).await;
    assert_eq!((trust.score(), trust.wrong_in_a_row()), (470, 0));
    recounts(&mut app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_alone_earns_nothing() {
    let mut app = TestApp::start().await;
    // Fires and ends by itself, again and again: nothing was changed, or nobody knows whether it helped.
    for n in 1..=4 {
        let slow = tales::gateway_slow().again(&hour(n));
        app.alertmanager(&slow).await;
        app.until(n, &["awaiting_approval"]).await;
        app.alertmanager(&slow.resolved()).await;
        app.until(n, &["resolved", "closed"]).await;
    }
    for agent in [crash(), Proposer::Runbook("response_time_anomaly".into()), Proposer::Model] {
        assert_eq!(app.trust(&agent).await, Trust::default(), "{agent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_wrong_in_a_row_open_the_breaker_page_once_and_only_a_human_closes_it() {
    let mut app = useless_restarts(5).start().await;
    for n in 1..=3 {
        not_mended(&mut app, n).await;
        app.advance(chrono::Duration::hours(2)).await;
    }
    let trust = app.trust(&Proposer::Model).await;
    assert_eq!((trust.score(), trust.breaker().map(|open| open.mark)), (380, Some(MarkKind::Unverified)));
    let about_it = |text: &str| text.contains("model was wrong 3 times in a row") && text.contains("paramedic trust close-breaker model");
    app.told(3).await;
    assert_eq!(app.slack.messages().iter().filter(|message| about_it(&message.text)).count(), 1);
    assert_eq!(app.pages(3), ["trigger", "trigger"]);
    assert!(app.metrics().await.contains("paramedic_breaker_open{agent=\"model\"} 1\n"));

    app.restart().await;
    let starts = app.place.starts("api-gateway");
    app.alertmanager(&tales::gateway_down().again(&hour(4))).await;
    app.until_line(4, "signal independent good").await;
    let text = app.transcript(4).await;
    assert!(text.contains("denied restart_service") && text.contains("the breaker of model is open until a human closes it"), "{text}");
    assert_eq!(app.place.starts("api-gateway"), starts);
    assert_eq!(app.trust(&Proposer::Model).await, trust, "what a breaker denies is not held against anybody");
    app.alertmanager(&tales::gateway_down().again(&hour(4)).resolved()).await;
    app.until(4, &["resolved"]).await;
    assert_eq!(app.trust(&Proposer::Model).await, trust, "it recovered by itself: that is nobody's merit");

    app.order(OrderKind::CloseBreaker { agent: Proposer::Model }, "bob", "the alert's rule was wrong").await.unwrap();
    assert!(app.order(OrderKind::CloseBreaker { agent: Proposer::Model }, "bob", "twice").await.is_err());
    app.alertmanager(&tales::gateway_down().again(&hour(5))).await;
    app.until_line(5, "signal independent good").await;
    assert_eq!(app.place.starts("api-gateway"), starts + 1);
    recounts(&mut app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_below_the_bound_asks_before_each_change() {
    let mut app = Setup::default().with("trust", json!({ "confirm_below": 501 })).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.until_line(1, "asked APR-1 for restart_service").await;
    let text = app.transcript(1).await;
    assert!(text.contains("the trust in runbook:service_crash is 500, below 501: a human confirms each change"), "{text}");
    app.click("approve", super::ANA).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_down().resolved()).await;
    app.until(1, &["resolved"]).await;
    mended(&mut app, "orders", 2).await;
    assert_eq!(app.place.starts("orders"), 2, "earned: it acts by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begging_for_the_forbidden_costs_the_model_dearly_and_nobody_else() {
    let beg = Reply::call("delete_database", json!({ "database": "orders", "reason": "it is corrupt" }));
    let mut app = Setup::default().without_runbooks().model(vec![beg, Reply::text("I was refused.")]).start().await;
    app.alertmanager(&tales::corruption()).await;
    app.until_line(1, "model done").await;
    let trust = app.trust(&Proposer::Model).await;
    assert_eq!((trust.score(), trust.wrong_in_a_row()), (350, 1));
    assert_eq!(app.trust(&crash()).await, Trust::default());
    recounts(&mut app).await;
}

/// Counts every score again from the entries alone, and compares.
async fn recounts(app: &mut TestApp) {
    let store = Store::open_beside(&app.place.store_url()).await.unwrap();
    let mut events: Vec<(Time, i64, Event)> = Vec::new();
    for listed in store.list(None, 1000).await.unwrap() {
        let entries = store.entries(listed.id).await.unwrap();
        let mut incident = paramedic::domain::Incident::replay(listed.id, &entries[..1]).unwrap();
        for recorded in &entries[1..] {
            events.push((recorded.at, listed.id.0, Event::Entry(Box::new((incident.clone(), recorded.clone())))));
            incident.apply(recorded).unwrap();
        }
    }
    for order in store.orders(1000).await.unwrap() {
        if let OrderKind::CloseBreaker { agent } = order.kind {
            events.push((order.at, 0, Event::Closed(agent)));
        }
    }
    events.sort_by_key(|(at, incident, _)| (*at, *incident));
    let (mut scores, mut marks): (BTreeMap<Proposer, Trust>, Vec<Mark>) = Default::default();
    for (_, _, event) in events {
        match event {
            Event::Closed(agent) => scores.get_mut(&agent).unwrap().close_breaker(),
            Event::Entry(entry) => {
                let (before, recorded) = *entry;
                let mut new = paramedic::safety::marks(&before, &recorded);
                new.extend(relapse(&before, &recorded, &marks));
                for mark in new {
                    scores.entry(mark.agent.clone()).or_default().take(&mark);
                    marks.push(mark);
                }
            }
        }
    }
    let kept = store.trusted().await.unwrap();
    let written = store.trust_marks(1000).await.unwrap();
    store.close().await;
    assert_eq!(kept, scores.into_iter().collect::<Vec<_>>());
    let of = |mark: &Mark| (mark.incident, mark.seq, mark.agent.clone(), mark.kind);
    let kept: Vec<_> = written.iter().rev().map(|written| of(&written.mark)).collect();
    assert!(!kept.is_empty());
    assert_eq!(kept, marks.iter().map(of).collect::<Vec<_>>());
}

enum Event {
    Entry(Box<(paramedic::domain::Incident, Recorded)>),
    Closed(Proposer),
}

fn relapse(before: &paramedic::domain::Incident, recorded: &Recorded, marks: &[Mark]) -> Option<Mark> {
    let paramedic::domain::Entry::RunStarted { run: 1, .. } = recorded.entry else { return None };
    let place = paramedic::safety::place(before);
    let same = |mark: &&Mark| mark.kind == MarkKind::Verified && mark.place == place && mark.alertname == before.alertname();
    let last = marks.iter().rev().filter(same).find(|mark| mark.at > before.opened_at - RELAPSE)?;
    Some(Mark { kind: MarkKind::Relapsed, incident: before.id, seq: recorded.seq, at: recorded.at, ..last.clone() })
}
