//! What a model may cost a day: counted before and after each question, told when it is spent, and never forgotten.

use super::{Setup, TestApp, firing, tales};
use paramedic::standins::model::Reply;
use serde_json::{Value, json};

/// An answer that cost so much, in words.
fn answer(prompt: u64, completion: u64) -> Reply {
    let message = json!({ "role": "assistant", "content": "I looked, and found nothing." });
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    Reply::Body(json!({ "choices": [{ "message": message }], "usage": usage }).to_string())
}

/// Asks the model first; the runbook is there as well.
fn asking(replies: Vec<Reply>, limits: Value) -> Setup {
    let prices = json!({ "scripted": { "input": 2.0, "output": 10.0 } });
    let model_first = Setup::default().with("planner", json!({ "first": "model" }));
    model_first.model(replies).llm(json!({ "prices": prices, "limits": limits }))
}

async fn down_again(app: &mut TestApp, service: &str, n: i64) {
    app.place.crash_if_running(service);
    let down = firing("ServiceDown", &[("service", service), ("severity", "critical")]).again(&format!("2026-03-01T0{n}:00:00Z"));
    app.alertmanager(&down).await;
    app.until_line(n, "signal independent good").await;
    app.alertmanager(&down.resolved()).await;
    app.until(n, &["resolved"]).await;
}

fn warnings(app: &TestApp) -> usize {
    app.slack.messages().iter().filter(|message| message.shown().contains("the model's limit of")).count()
}

async fn the_limit_of_a_service_is_spent(setup: Setup) {
    let mut app = setup.start().await;
    down_again(&mut app, "api-gateway", 1).await;
    assert!(app.transcript(1).await.contains("model done: I looked, and found nothing."));
    down_again(&mut app, "api-gateway", 2).await;
    let spent = "model cannot go on: the model's limit of api-gateway for ";
    let transcript = app.transcript(2).await;
    let line = transcript.lines().find(|line| line.starts_with(spent)).unwrap_or_else(|| panic!("{transcript}"));
    assert!(line.contains("is spent: 18000 of 20000 tokens, and the next question takes about "), "{line}");
    assert!(transcript.contains("run 2 by runbook service_crash"), "the runbook does without it:\n{transcript}");
    app.told(2).await;
    assert_eq!((app.model.requests().len(), warnings(&app)), (1, 1));
    // Neither a restart nor the next incident changes that, and nobody is told twice; another service has a limit of its own.
    app.restart().await;
    down_again(&mut app, "api-gateway", 3).await;
    assert!(app.transcript(3).await.contains(spent));
    down_again(&mut app, "orders", 4).await;
    assert!(app.transcript(4).await.contains("model done: I looked, and found nothing."));
    for id in [3, 4] {
        app.told(id).await;
    }
    assert_eq!((app.model.requests().len(), warnings(&app)), (2, 1));
    let costs = app.get("/api/costs").await.unwrap();
    assert_eq!((costs["all"]["calls"].as_u64(), costs["all"]["tokens_in"].as_u64()), (Some(2), Some(18_000)));
    // 17,000 at $2 and 1,000 at $10 a million; then twice 1,000.
    assert_eq!(costs["places"][0]["dollars"], 0.044);
    assert_eq!(costs["places"][0]["tokens_left"], 2_000);
    assert_eq!((costs["places"][1]["place"].as_str(), costs["places"][1]["dollars"].as_f64()), (Some("orders"), Some(0.012)));
    let metrics = app.metrics().await;
    for line in ["paramedic_model_cost_dollars_today 0.056", "paramedic_model_tokens_left 4980000", "paramedic_model_tokens_today 20000"] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    // The next day (UTC) begins anew.
    app.advance(chrono::Duration::days(1)).await;
    down_again(&mut app, "api-gateway", 5).await;
    assert_eq!(app.model.requests().len(), 3, "{}", app.transcript(5).await);
}

fn service_limit() -> Setup {
    asking(vec![answer(17_000, 1_000), answer(1_000, 1_000), answer(1_000, 1_000)], json!({ "service_tokens_a_day": 20_000 }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_limit_of_tokens_leaves_the_service_to_its_runbooks_for_the_day() {
    the_limit_of_a_service_is_spent(service_limit()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_limit_of_tokens_on_postgres_leaves_the_service_to_its_runbooks() {
    the_limit_of_a_service_is_spent(service_limit().postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_limit_of_money_leaves_everything_to_runbooks_and_humans() {
    let mut app = asking(vec![answer(10_000, 1_000)], json!({ "dollars_a_day": 0.04 })).start().await;
    down_again(&mut app, "api-gateway", 1).await;
    down_again(&mut app, "orders", 2).await;
    let transcript = app.transcript(2).await;
    assert!(transcript.contains("model cannot go on: the model's limit of everything together for "), "{transcript}");
    assert!(transcript.contains("is spent: $0.0300 of $0.04, and the next question takes about $0.0"), "{transcript}");
    app.told(2).await;
    assert_eq!((app.model.requests().len(), warnings(&app)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_question_and_answer_forgets_nothing_that_may_have_been_spent() {
    let mut app = asking(vec![Reply::Hang, answer(1_000, 500)], json!({})).start().await;
    app.place.crash("api-gateway");
    app.alertmanager(&tales::gateway_down()).await;
    crate::server::until("the model is asked", async || app.model.requests().len() == 1).await;
    app.restart().await;
    app.until_line(1, "signal independent good").await;
    let costs = app.get("/api/costs").await.unwrap();
    assert_eq!((costs["all"]["calls"].as_u64(), costs["all"]["estimated"].as_u64()), (Some(2), Some(1)), "{costs}");
    assert!(costs["all"]["tokens_in"].as_u64() > Some(2_000), "the one that nobody saw answered counts as estimated: {costs}");
}
