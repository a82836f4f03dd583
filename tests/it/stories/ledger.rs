//! The log and what is done: an entry precedes each effect, and where it cannot be written the effect does not happen. Checkpoints
//! reach Slack, and a witness, while the story goes on.

use super::{Setup, TestApp, tales};
use crate::server::until;
use paramedic::domain::SystemClock;
use paramedic::http::serve_witness;
use paramedic::ledger::{CosignerKey, LogKey, PublicLogKey, Signed, find, new_private_key};
use paramedic::store::{FreezePoint, Store};
use paramedic::witness::Witness;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

async fn pool(app: &TestApp) -> sqlx::AnyPool {
    sqlx::any::install_default_drivers();
    sqlx::AnyPool::connect(&format!("{}?mode=rw", app.place.store_url())).await.unwrap()
}

/// Behind the server's back.
async fn sql(app: &TestApp, statement: &str) {
    let pool = pool(app).await;
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&pool).await.unwrap();
    pool.close().await;
}

/// Waits until the incident was taken up again and again: the first time, everything was done that could be.
async fn until_taken_up(app: &TestApp, times: i64) {
    let pool = pool(app).await;
    until("its step was tried again", async || {
        let row = sqlx::query("SELECT lease FROM incidents WHERE id = 1").fetch_optional(&pool).await.unwrap();
        row.is_some_and(|row| row.get::<i64, _>(0) >= times)
    })
    .await;
    pool.close().await;
}

/// As the command line opens it.
async fn beside(app: &TestApp) -> Store {
    Store::open_beside(&app.place.store_url()).await.unwrap()
}

/// Waits until the newest checkpoint covers everything, and is as it should be.
async fn until_checkpoint(app: &TestApp, what: &str, holds: impl Fn(&str) -> bool) {
    let store = beside(app).await;
    until(what, async || {
        let kept = store.newest_checkpoint().await.unwrap();
        let size = store.log_size().await.unwrap();
        kept.is_some_and(|kept| kept.size == size && holds(&kept.note))
    })
    .await;
    store.close().await;
}

/// The log is full from its nth entry on: for every n, nothing is done that is not in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_log_cannot_be_written_nothing_is_done_and_it_goes_on_when_it_can() {
    // The restart is the eighth entry; before and behind it are others.
    for room in [6, 7, 8] {
        let mut app = TestApp::start().await;
        let full = "CREATE TRIGGER full BEFORE UPDATE ON log_head WHEN NEW.size > {} BEGIN SELECT RAISE(ABORT, 'the log is full'); END";
        sql(&app, &full.replace("{}", &room.to_string())).await;
        app.place.crash("api-gateway");
        app.alertmanager(&tales::gateway_down()).await;
        until_taken_up(&app, 3).await;
        let written = app.transcript(1).await.lines().count();
        let restarts = app.transcript(1).await.matches("started restart_service").count();
        assert!(written <= room, "{written} of {room}:\n{}", app.transcript(1).await);
        assert_eq!((restarts, app.place.starts("api-gateway") - 1), (usize::from(room >= 8), restarts), "with room for {room}");

        sql(&app, "DROP TRIGGER full").await;
        app.until_line(1, "signal independent good").await;
        app.alertmanager(&tales::gateway_down().resolved()).await;
        app.until(1, &["resolved"]).await;
        assert_eq!(app.place.starts("api-gateway"), 2, "done once, when it could be written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_many_deaths_is_signed_to_its_last_entry() {
    let mut app = Setup::default().dies(3, FreezePoint::After).again_and_again().start().await;
    assert!(["resolved", "closed"].contains(&tales::crash(&mut app).await.as_str()));
    assert!(app.deaths > 3, "{} deaths", app.deaths);
    until_checkpoint(&app, "all of it is signed", |_| true).await;
    let store = beside(&app).await;
    let all = store.logged(0, 1_000).await.unwrap();
    let entries = all.iter().filter(|entry| entry.incident.0 == 1).count();
    assert_eq!(entries, app.transcript(1).await.lines().count());
    assert!(all.iter().enumerate().all(|(n, entry)| entry.index == n as u64 && entry.leaf == Some(entry.leaf().hash())));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_lies_in_the_thread_of_the_incident_and_verifies_as_it_was_read_there() {
    let ledger = json!({ "anchors": { "slack": true }, "anchor_every_seconds": 10, "origin": "paramedic.example/story" });
    let mut app = Setup::default().with("ledger", ledger).start().await;
    assert_eq!(tales::latency(&mut app, "approve").await, "resolved");
    until_checkpoint(&app, "all of it is signed", |_| true).await;
    app.advance(chrono::Duration::seconds(11)).await;
    let key = LogKey::parse(&std::fs::read_to_string(app.place.path("state/ledger.key")).unwrap()).unwrap();
    let key = PublicLogKey::parse(key.public()).unwrap();
    let posted = app.slack.until(PATIENCE, |messages| {
        let shown = messages.iter().map(|message| (message.shown(), message.thread_ts.clone()));
        shown.filter_map(|(text, thread)| Some((find(&text, key.name()).pop()?, thread))).next_back()
    });
    let (note, thread) = posted.await.expect("no checkpoint was posted");
    let signed = Signed::open(note.as_bytes(), &key, &[]).unwrap();
    assert!(signed.checkpoint.size > 0 && thread.is_some(), "{note}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_cosigns_what_grows_and_refuses_a_fork() {
    let state = tempfile::tempdir().unwrap();
    let log_key = new_private_key("paramedic.example/story", &[8; 32]);
    let log = PublicLogKey::parse(LogKey::parse(&log_key).unwrap().public()).unwrap();
    let cosigner = CosignerKey::parse(&new_private_key("witness.example/w1", &[9; 32])).unwrap();
    let witness_key = cosigner.public();
    let witness = Arc::new(Witness::open(state.path(), cosigner, vec![log.clone()]).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_witness(listener, witness, Arc::new(SystemClock), stop.clone()));

    let key_file = state.path().join("ledger.key");
    std::fs::write(&key_file, &log_key).unwrap();
    std::fs::set_permissions(&key_file, PermissionsExt::from_mode(0o600)).unwrap();
    let witnesses = json!([{ "url": url, "key": witness_key }]);
    let ledger = || json!({ "origin": "paramedic.example/story", "key_file": key_file, "witnesses": witnesses });
    let known = [paramedic::ledger::PublicWitnessKey::parse(&witness_key).unwrap()];
    let mut app = Setup::default().with("ledger", ledger()).start().await;
    assert_eq!(tales::crash(&mut app).await, "resolved");
    until_checkpoint(&app, "all of it is signed", |_| true).await;
    until_checkpoint(&app, "it is co-signed", |note| !Signed::open(note.as_bytes(), &log, &known).unwrap().witnesses.is_empty()).await;

    // Another store under the same key: what the witness has seen of this log is not its beginning.
    let mut other = Setup::default().with("ledger", ledger()).start().await;
    assert_eq!(tales::crash(&mut other).await, "resolved");
    until_checkpoint(&other, "all of it is signed", |_| true).await;
    until("it is refused", async || other.metrics().await.contains("paramedic_ledger_witness_refusals_total 1")).await;
    until_checkpoint(&other, "it is not co-signed", |note| Signed::open(note.as_bytes(), &log, &known).unwrap().witnesses.is_empty()).await;
    stop.cancel();
    serving.await.unwrap().unwrap();
}
