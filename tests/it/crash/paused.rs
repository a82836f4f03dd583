//! A server that stands still right before it acts: `started` is on the disk, the tool has not begun. Others go on meanwhile, and what it
//! does when it wakes must not be news to anybody.

use super::ground::Ground;
use super::stage::Stage;
use super::story::{Case, is_over, is_told, texts};
use crate::postgres::Postgres;
use crate::server::until;
use serde_json::{Value, json};
use std::time::Instant;

const RESTART: &str = "dispatch(restart_service):1";

/// Stops there, and says what it passes.
fn pauses(stage: &Stage, point: &str) -> [(&'static str, String); 3] {
    let trace = stage.path("trace").display().to_string();
    [("PARAMEDIC_FAILPOINT", point.to_owned()), ("PARAMEDIC_FAILPOINT_PAUSES", "1".into()), ("PARAMEDIC_FAILPOINT_TRACE", trace)]
}

async fn set(stage: &mut Stage) -> Case {
    let case = stage.case("restart_service").unwrap();
    stage.fresh().await;
    stage.ground.come_of_age(stage.root()).await;
    case
}

async fn transcript(stage: &Stage) -> String {
    stage.get("/api/incidents/INC-1").await.as_ref().map_or_else(String::new, texts)
}

async fn until_said(stage: &Stage, words: &str) {
    until(words, async || transcript(stage).await.contains(words)).await;
}

fn halt(stage: &Stage) {
    let (code, said) = stage.run(&["halt", "--reason", "nobody touches anything until I have looked"]);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_halted_while_the_server_stood_still_is_not_begun() {
    let mut stage = Stage::new(Ground::here(None)).await;
    let case = set(&mut stage).await;
    let before = stage.ground.counts(&case, stage.root());
    let environment = pauses(&stage, RESTART);
    stage.start(&environment).await;
    stage.deliver(&case.body(true)).await;
    until("it stands still", async || stage.is_paused()).await;
    halt(&stage);
    let server = stage.hand_over();
    server.go_on();
    stage.keep_on(server);
    until_said(&stage, "failed: not begun: an order was given meanwhile").await;
    until_said(&stage, "escalated").await;
    assert_eq!(stage.ground.counts(&case, stage.root()), before, "{}", transcript(&stage).await);
    stage.stop().await;
}

/// Two servers of one database, each with a folder of its own.
fn on_postgres(stage: &Stage, postgres: &Postgres) {
    let store = |name: &str| json!({ "url": postgres.url(), "dir": stage.path(name) });
    let key = json!({ "key_file": stage.path("ledger.key") });
    stage.configure("paramedic.yaml", "ledger", key);
    stage.configure("second.yaml", "store", store("second"));
    stage.configure("paramedic.yaml", "store", store("first"));
}

fn second(stage: &Stage) -> [(&'static str, String); 1] {
    [("PARAMEDIC_CONFIG", stage.path("config/second.yaml").display().to_string())]
}

/// The other one found that nothing had been done, and said so to a human.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_taken_for_dead_does_not_act_when_it_wakes() {
    let postgres = Postgres::start();
    let mut stage = Stage::new(Ground::here(None)).await;
    let case = set(&mut stage).await;
    on_postgres(&stage, &postgres);
    let before = stage.ground.counts(&case, stage.root());

    let environment = pauses(&stage, RESTART);
    stage.start(&environment).await;
    stage.deliver(&case.body(true)).await;
    until("it stands still", async || stage.is_paused()).await;
    let paused = stage.hand_over();
    assert_eq!(postgres.sql("UPDATE incidents SET lease_until = 0").await, 1, "its time is over");
    let environment = second(&stage);
    stage.start(&environment).await;
    until_said(&stage, "in doubt").await;
    until_said(&stage, "escalated").await;
    let told = transcript(&stage).await;

    paused.go_on();
    until("it wakes and looks", async || paused.log().contains("another one has taken the incident over")).await;
    let trace = || std::fs::read_to_string(stage.path("trace")).unwrap();
    until("it lets go", async || trace().rsplit_once("dispatch(restart_service)").unwrap().1.contains("before_release")).await;
    assert_eq!(stage.ground.counts(&case, stage.root()), before, "{told}");
    assert_eq!(transcript(&stage).await, told, "nothing is added");
    stage.stop().await;

    // And it is as good as any other from then on.
    stage.keep_on(paused);
    let resolved: Value = case.body(false);
    stage.deliver(&resolved).await;
    until_said(&stage, "closed").await;
    stage.stop().await;
}

/// It was about to tell Slack when it stood still; the other one has told it meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_slept_over_its_duty_tells_nothing_twice() {
    let postgres = Postgres::start();
    let mut stage = Stage::new(Ground::here(None)).await;
    let case = set(&mut stage).await;
    on_postgres(&stage, &postgres);
    let environment = pauses(&stage, "notify(slack):1");
    stage.start(&environment).await;
    stage.deliver(&case.body(true)).await;
    until("it stands still", async || stage.is_paused()).await;
    let (paused, since) = (stage.hand_over(), Instant::now());
    assert_eq!(stage.slack.messages().len(), 0);
    postgres.sql("UPDATE incidents SET lease_until = 0").await;
    assert!(postgres.sql("UPDATE duties SET until_at = 0").await > 0);
    let environment = second(&stage);
    stage.start(&environment).await;
    until("the other one tells it", async || !stage.slack.messages().is_empty()).await;
    stage.deliver(&case.body(false)).await;
    until("all is over and told", async || {
        stage.get("/api/incidents/INC-1").await.is_some_and(|incident| is_over(&incident) && is_told(&incident))
    })
    .await;
    let said = stage.slack.messages().len();

    // What it was told of its duties it relies on for three seconds.
    until("it has slept longer than that", async || since.elapsed().as_secs() > 3).await;
    paused.go_on();
    let other = stage.hand_over();
    stage.keep_on(paused);
    // A stop waits for whatever is under way.
    stage.stop().await;
    assert_eq!(stage.slack.messages().len(), said, "{:#?}", stage.slack.messages());
    stage.keep_on(other);
    stage.stop().await;
}
