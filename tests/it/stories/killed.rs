//! The server is killed, and another one started on its folder: just before and just after each single write to the ledger.
//! Nothing is lost, and nothing is done twice.

use super::{Setup, TestApp, level_three, tales};
use paramedic::store::FreezePoint::{self, After, Before};

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

/// Tells a tale once for each write, until the server gets to the end alive.
async fn at_each_write(at: FreezePoint, undisturbed: &str, setup: impl Fn() -> Setup, tale: impl AsyncFn(&mut TestApp) -> String) {
    for nth in 1.. {
        let mut app = setup().dies(nth, at).start().await;
        let end = tale(&mut app).await;
        let transcript = app.transcript(1).await;
        println!("killed {at:?} write {nth}: {end}");
        check(&transcript, &end, undisturbed);
        assert_eq!(app.incidents().await.len(), 1, "{transcript}");
        if app.deaths == 0 {
            assert!(nth > 5, "it never died");
            return;
        }
    }
}

/// Restarts or scale-ups in the ledger against processes really started.
fn no_more_than_decided(app: &TestApp, transcript: &str, line: &str) {
    let (decided, done) = (count(transcript, line), app.place.starts("api-gateway") - 1);
    assert!(decided <= 1 && done <= decided, "{decided} decided, {done} done:\n{transcript}");
    let probed_ok = transcript.contains("came up after the restart was started");
    assert!(done == 1 || !probed_ok, "believed, and not done:\n{transcript}");
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
