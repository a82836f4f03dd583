//! A log that grows through restarts, upgrades and beyond its first tiles: every checkpoint continues the one before, and what is
//! published is whole at every moment.

use super::python::python;
use chrono::TimeDelta;
use paramedic::domain::{Alert, AlertStatus, Entry, Fingerprint, Incident, Level, PlannerKind, SystemClock, Target, Time};
use paramedic::ledger::{PublicLogKey, Question, Signed, check_consistency};
use paramedic::publish::{LedgerKeys, Publisher, prove};
use paramedic::store::{Claim, Commit, Freeze, Lane, Store};
use sqlx::Row as _;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("paramedic.db").display())
}

async fn open(folder: &Path) -> Store {
    Store::open_server(&url(folder), Freeze::default()).await.unwrap()
}

/// The next one may be the server.
async fn close(store: Store) {
    store.close().await;
}

fn raised(name: &str, now: Time) -> Vec<Entry> {
    let alert = Alert {
        status: AlertStatus::Firing,
        labels: [("alertname".to_owned(), name.to_owned())].into(),
        annotations: [].into(),
        starts_at: now,
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint(format!("fp-{name}")),
        group_key: String::new(),
        origin: Default::default(),
    };
    vec![
        Entry::Raised { alert, target: Target::default() },
        Entry::Classified { level: Level::One, rule: None, why: "a test".into(), runbook: None, mode: None },
        Entry::RunStarted { run: 1, planner: PlannerKind::Runbook, runbook: None },
    ]
}

async fn incident(store: &Store) -> (Claim, Incident) {
    let now = chrono::Utc::now();
    let incident = store.open(raised("Odd", now), "key", &[], &|_| Vec::new(), now).await.unwrap();
    (store.claim(Lane::Any, now, now + TimeDelta::hours(1)).await.unwrap().unwrap(), incident)
}

/// Appends so many entries, in commits of `each`.
async fn grow(store: &Store, claim: &Claim, incident: &mut Incident, entries: usize, each: usize) {
    for from in (0..entries).step_by(each) {
        let skipped = |n: usize| Entry::Skipped { step: "logs".into(), why: format!("for the {n}th time") };
        let commit = Commit::of((from..entries.min(from + each)).map(skipped).collect());
        store.commit(claim, incident, commit, chrono::Utc::now()).await.unwrap();
    }
}

/// Signs and publishes what there is, once.
async fn publish(store: &Store, keys: &LedgerKeys) -> (Signed, String) {
    let publisher = Publisher::open(store.clone(), Arc::new(SystemClock), keys.clone()).await.unwrap();
    let vkey = publisher.public_key().to_owned();
    let stopped = CancellationToken::new();
    stopped.cancel();
    publisher.run(stopped).await;
    let kept = store.newest_checkpoint().await.unwrap().unwrap();
    (Signed::open(kept.note.as_bytes(), &PublicLogKey::parse(&vkey).unwrap(), &[]).unwrap(), vkey)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_checkpoint_continues_the_one_before_and_the_folder_is_whole_at_each() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let tiles = folder.path().join("tiles");
    let keys = LedgerKeys { dir: Some(tiles.clone()), ..LedgerKeys::default() };
    let (claim, mut incident) = incident(&store).await;
    let mut before: Option<Signed> = None;
    for more in [1, 7, 245, 1, 300, 40] {
        grow(&store, &claim, &mut incident, more, 60).await;
        let (signed, vkey) = publish(&store, &keys).await;
        assert_eq!(signed.checkpoint.size, store.log_size().await.unwrap());
        let said = format!("ok: {} entries, root {}", signed.checkpoint.size, signed.checkpoint.root);
        assert_eq!(python(&["tiles", tiles.to_str().unwrap(), &vkey]), (true, said));
        if let Some(before) = before {
            let (old, new) = (before.checkpoint, signed.checkpoint.clone());
            let proof = prove(&store, Question::Consistency { old: old.size, size: new.size }).await.unwrap();
            check_consistency(&proof, (old.size, old.root), (new.size, new.root)).unwrap();
        }
        before = Some(signed);
    }
    assert_eq!(store.log_size().await.unwrap(), 597);
    assert!(tiles.join("tile/0/001").is_file() && tiles.join("tile/1/000.p/2").is_file() && !tiles.join("tile/0/001.p").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_between_a_commit_and_its_checkpoint_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let tiles = folder.path().join("tiles");
    let keys = LedgerKeys { dir: Some(tiles.clone()), ..LedgerKeys::default() };
    let (claim, mut incident) = incident(&store).await;
    let (first, vkey) = publish(&store, &keys).await;
    let published = std::fs::read(tiles.join("checkpoint")).unwrap();
    grow(&store, &claim, &mut incident, 10, 3).await;
    close(store).await;

    // Signed and kept, and not yet in the folder: as far as the one before it came.
    let store = open(folder.path()).await;
    let (second, _) = publish(&store, &LedgerKeys::default()).await;
    assert_eq!((second.checkpoint.size, std::fs::read(tiles.join("checkpoint")).unwrap()), (13, published));
    close(store).await;
    let store = open(folder.path()).await;
    let (third, _) = publish(&store, &keys).await;
    assert_eq!((third.note == second.note, first.checkpoint.size), (true, 3), "one size, one checkpoint");
    assert!(python(&["tiles", tiles.to_str().unwrap(), &vkey]).0);
}

/// A store of the version before there was a log.
#[tokio::test(flavor = "multi_thread")]
async fn entries_from_before_the_log_get_their_places_in_the_order_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let migrations = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite/0001_first.sql");
    std::fs::copy(source, migrations.path().join("0001_first.sql")).unwrap();
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("{}?mode=rwc", url(folder.path()))).await.unwrap();
    sqlx::migrate::Migrator::new(migrations.path()).await.unwrap().run(&pool).await.unwrap();
    // Two incidents that took turns, 1,100 entries each.
    let now = chrono::Utc::now();
    let body = serde_json::to_string(&Entry::Skipped { step: "s".into(), why: "w".into() }).unwrap();
    let mut one = pool.acquire().await.unwrap();
    sqlx::query("BEGIN").execute(&mut *one).await.unwrap();
    for seq in 1..=1_100_i64 {
        for id in [2_i64, 1] {
            let sql = "INSERT INTO entries (incident_id, seq, at, body) VALUES ($1, $2, $3, $4)";
            let query = sqlx::query(sql).bind(id).bind(seq).bind(now.timestamp_millis()).bind(body.clone());
            query.execute(&mut *one).await.unwrap();
        }
    }
    sqlx::query("COMMIT").execute(&mut *one).await.unwrap();
    drop(one);
    pool.close().await;

    let store = open(folder.path()).await;
    assert_eq!(store.log_size().await.unwrap(), 2_200);
    let all = store.logged(0, 3_000).await.unwrap();
    let order: Vec<(u64, i64, i64)> = all.iter().map(|entry| (entry.index, entry.incident.0, entry.seq)).collect();
    assert_eq!(order[..4], [(0, 2, 1), (1, 1, 1), (2, 2, 2), (3, 1, 2)]);
    assert!(all.iter().all(|entry| entry.leaf == Some(entry.leaf().hash())), "a leaf is missing or another one");
    let (signed, _) = publish(&store, &LedgerKeys::default()).await;
    assert_eq!(signed.checkpoint.size, 2_200);
    close(store).await;

    // Once: an entry that lost its leaf later is a change, not an upgrade.
    let pool = sqlx::AnyPool::connect(&format!("{}?mode=rw", url(folder.path()))).await.unwrap();
    sqlx::query("UPDATE entries SET leaf = NULL, body = '{\"kind\":\"forged\"}' WHERE log_index = 5").execute(&pool).await.unwrap();
    pool.close().await;
    let store = open(folder.path()).await;
    let pool = sqlx::AnyPool::connect(&format!("{}?mode=ro", url(folder.path()))).await.unwrap();
    let row = sqlx::query("SELECT COUNT(*) FROM entries WHERE leaf IS NULL").fetch_one(&pool).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 1);
    pool.close().await;
    close(store).await;
}
