//! The server is killed, and another one started on its folder: just before and just after each single write to the ledger.
//! Nothing is lost, and nothing is done twice.

use super::{ANA, Setup, TestApp, approvals, level_three, tales};
use insta::assert_snapshot;
use paramedic::domain::Decision;
use paramedic::store::FreezePoint::{self, After, Before};
use serde_json::{Value, json};

/// How a tale may end: as if nothing had happened, or, where an action was in doubt, with a human who was told why.
fn check(transcript: &str, end: &str, undisturbed: &str) {
    let doubted = transcript.contains("in doubt");
    assert!(end == undisturbed || doubted, "ended {end} instead of {undisturbed}:\n{transcript}");
    if end != undisturbed {
        assert!(transcript.contains("escalated: "), "nobody was told:\n{transcript}");
    }
    let (started, ended) =
        (count(transcript, "started "), count(transcript, "ok: ") + count(transcript, "failed: ") + count(transcript, "in doubt"));
    assert_eq!(started, ended, "an action without an end:\n{transcript}");
}

fn count(transcript: &str, start: &str) -> usize {
    transcript.lines().filter(|line| line.starts_with(start)).count()
}

/// How many tales are told at a time in one process. One: a server has its process to itself.
const TOGETHER: usize = 1;

/// Tells a tale once for each write, until the server gets to the end alive.
async fn at_each_write(at: FreezePoint, undisturbed: &str, setup: impl Fn() -> Setup, tale: impl AsyncFn(&mut TestApp) -> String) {
    for first in (1..).step_by(TOGETHER) {
        let told = (first..).take(TOGETHER).map(|nth| dying_once(setup().dies(nth, at), undisturbed, &tale));
        let deaths: u32 = futures::future::join_all(told).await.into_iter().sum();
        println!("killed {at:?} write {first} and on: {deaths} times");
        if deaths < TOGETHER as u32 {
            assert!(first > 5, "it hardly ever died");
            return;
        }
    }
}

async fn dying_once(setup: Setup, undisturbed: &str, tale: &impl AsyncFn(&mut TestApp) -> String) -> u32 {
    let mut app = setup.start().await;
    let end = tale(&mut app).await;
    let transcript = app.transcript(1).await;
    check(&transcript, &end, undisturbed);
    assert_eq!(app.incidents().await.len(), 1, "{transcript}");
    app.deaths
}

/// Restarts or scale-ups in the ledger against processes really started.
fn no_more_than_decided(app: &TestApp, transcript: &str, line: &str) {
    let (decided, done) = (count(transcript, line), app.place.starts("api-gateway") - 1);
    assert!(decided <= 1 && done <= decided, "{decided} decided, {done} done:\n{transcript}");
    let probed_ok = transcript.contains("came up after the restart was started");
    assert!(done == 1 || !probed_ok, "believed, and not done:\n{transcript}");
    assert!(done == 0 || !transcript.contains("it was not restarted"), "done, and not believed:\n{transcript}");
}

async fn crash(app: &mut TestApp) -> String {
    let end = tales::crash(app).await;
    let transcript = app.transcript(1).await;
    no_more_than_decided(app, &transcript, "started restart_service");
    end
}

async fn scaled(app: &mut TestApp) -> String {
    let end = tales::latency(app, "approve").await;
    let transcript = app.transcript(1).await;
    no_more_than_decided(app, &transcript, "started scale_service");
    end
}

async fn scaled_by_two(app: &mut TestApp) -> String {
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.click("approve", ANA).await;
    // A number that a crash left unused is not given out again.
    let number = |line: String| line.strip_suffix(" approved by ana via slack, 1 more to come")?.strip_prefix("APR-")?.parse().ok();
    let first_vote = |incident: &Value| super::app::lines(incident).into_iter().find_map(number);
    let approval = app.wait_for(1, "the first of two approvals", first_vote).await;
    app.decide_cli(approval, Decision::Grant, "ben.l").await.unwrap();
    app.until(1, &["verifying", "escalated"]).await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    let end = app.until(1, &["resolved", "closed"]).await;
    let transcript = app.transcript(1).await;
    no_more_than_decided(app, &transcript, "started scale_service");
    assert_eq!(transcript.matches(" granted by ana via slack and ben via cli").count(), 1, "{transcript}");
    end
}

fn two_people() -> Setup {
    Setup::default().with("approvals", json!({ "quorum": 2 })).with("approvers", approvals::people())
}

async fn denied(app: &mut TestApp) -> String {
    let end = tales::latency(app, "deny").await;
    assert_eq!(app.place.starts("api-gateway"), 1);
    end
}

async fn disk(app: &mut TestApp) -> String {
    let end = tales::disk(app).await;
    let there = |name: &str| app.place.path("logs").join(name).symlink_metadata().is_ok();
    assert!(there("young.log") && there("link.log") && there("../outside.log"));
    end
}

async fn begging(app: &mut TestApp) -> String {
    let end = tales::begging(app).await;
    let transcript = app.transcript(1).await;
    assert!(transcript.contains("DENIED (critical attempt) delete_database"), "{transcript}");
    app.paged(1).await;
    assert_eq!(app.place.starts("orders"), 1);
    end
}

/// The server dies when the restart is in the ledger, and nowhere else yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_was_written_down_and_not_begun_is_probed_and_handed_over() {
    let mut app = Setup::default().dies(RESTART_STARTED, After).start().await;
    assert_eq!(tales::crash(&mut app).await, "closed");
    assert_snapshot!(tail(&app.transcript(1).await), @r#"
    started restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}
    in doubt, probed: api-gateway is dead: it was not restarted, or did not come up
    runbook cannot go on: step restart (restart_service) failed: api-gateway is dead: it was not restarted, or did not come up; status: api-gateway is dead; logs: 0 lines of api-gateway
    escalated: step restart (restart_service) failed: api-gateway is dead: it was not restarted, or did not come up; status: api-gateway is dead; logs: 0 lines of api-gateway
    alert ServiceDown resolved
    closed: the alert resolved after the escalation; a human owns what is left
    "#);
    assert_eq!((app.deaths, app.place.starts("api-gateway")), (1, 1));
    app.paged(1).await;
}

/// The server dies when the service runs again, before that is in the ledger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_was_done_and_not_written_down_is_probed_and_not_repeated() {
    let mut app = Setup::default().dies(RESTART_STARTED + 1, Before).start().await;
    let end = tales::crash(&mut app).await;
    assert_eq!(end, "resolved", "{}", app.transcript(1).await);
    assert_snapshot!(tail(&app.transcript(1).await), @r#"
    started restart_service {"host":null,"reason":"ServiceDown: api-gateway does not serve","service":"api-gateway"}
    in doubt, probed: api-gateway came up after the restart was started
    runbook done: service_crash; status: api-gateway is dead; logs: 0 lines of api-gateway; restart: api-gateway came up after the restart was started
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: api-gateway is running
    alert ServiceDown resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_eq!((app.deaths, app.place.starts("api-gateway")), (1, 2));
}

/// Which write of the crash's tale the restart's `started` is.
const RESTART_STARTED: i64 = 7;

fn tail(transcript: &str) -> String {
    transcript.lines().skip_while(|line| !line.starts_with("started restart_service")).collect::<Vec<_>>().join("\n")
}

/// Each server gets as far as one write and what follows from it, and dies before the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_manage_one_write_each_restart_a_service_once_and_get_to_the_end() {
    let mut app = Setup::default().dies(2, Before).again_and_again().start().await;
    assert_eq!(crash(&mut app).await, "resolved");
    assert_eq!(app.place.starts("api-gateway"), 2);
    assert!(app.deaths > 10, "{} deaths", app.deaths);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_manage_one_write_each_take_a_human_s_word_once() {
    let mut app = Setup::default().dies(2, Before).again_and_again().start().await;
    let end = scaled(&mut app).await;
    let transcript = app.transcript(1).await;
    assert_eq!((count(&transcript, "asked "), transcript.matches(" granted by ").count()), (1, 1), "{transcript}");
    // Nothing can tell who added the instance that is there: a human is told.
    assert_snapshot!(format!("{end}\n{}", transcript.lines().filter(|l| l.contains("doubt")).collect::<Vec<_>>().join("\n")), @"
    closed
    in doubt: started, and nothing can tell whether it happened
    ");
    assert_eq!(app.place.starts("api-gateway"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_survives_a_death_before_each_write() {
    at_each_write(Before, "resolved", Setup::default, crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_survives_a_death_after_each_write() {
    at_each_write(After, "resolved", Setup::default, crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_up_survives_a_death_before_each_write() {
    at_each_write(Before, "resolved", Setup::default, disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_up_survives_a_death_after_each_write() {
    at_each_write(After, "resolved", Setup::default, disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_survives_a_death_before_each_write() {
    at_each_write(Before, "resolved", Setup::default, scaled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_survives_a_death_after_each_write() {
    at_each_write(After, "resolved", Setup::default, scaled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_of_two_people_survives_a_death_before_each_write() {
    at_each_write(Before, "resolved", two_people, scaled_by_two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_survives_a_death_before_each_write() {
    at_each_write(Before, "closed", Setup::default, denied).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_survives_a_death_after_each_write() {
    at_each_write(After, "closed", Setup::default, denied).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begging_model_survives_a_death_before_each_write() {
    at_each_write(Before, "closed", level_three::beggar, begging).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begging_model_survives_a_death_after_each_write() {
    at_each_write(After, "closed", level_three::beggar, begging).await;
}

/// Told to end, it does so when there is a file.
fn slow_to_end(place: &super::place::Place) -> Value {
    let file = place.path("may-end").display().to_string();
    let script = format!("trap 'echo ending' TERM; echo started; until [ -e {file} ]; do sleep 0.05; done");
    let mut inventory = place.inventory();
    inventory["services"][0]["reach"]["process"]["command"] = json!(["/bin/sh", "-c", script]);
    inventory
}

const RESTARTS_AT_ONCE: &str = "{ name: service_crash, why: it hangs, steps: [{ id: restart, tool: restart_service, \
     args: { service: '{{ incident.service }}', reason: it hangs }, reason: it hangs }] }";

/// Between the end of the old process and the start of the new one the server's time ran out: whoever has the incident by then looks for
/// itself, and a step more would come behind its back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_of_an_action_is_taken_when_its_time_is_over() {
    let mut app = Setup::default().inventory(slow_to_end).runbook("service_crash", RESTARTS_AT_ONCE).start().await;
    app.alertmanager(&super::firing("ServiceDown", &[("service", "api-gateway"), ("severity", "critical")])).await;
    crate::server::until("the old one is told to end", async || app.place.said("api-gateway").contains("ending")).await;
    app.skip(chrono::Duration::minutes(6));
    app.until_line(1, "in doubt").await;
    let transcript = app.transcript(1).await;
    // The step after this one would start it; a stop waits for whatever is under way.
    std::fs::write(app.place.path("may-end"), "").unwrap();
    app.stop().await;
    assert_eq!(app.place.starts("api-gateway"), 1, "{transcript}");
}
