//! How fast the ledger's log is written and verified: `make bench`. Prints medians; asserts nothing. Goals: 20,000 entries a second
//! appended, 500,000 verified.

use chrono::{TimeDelta, Utc};
use paramedic::domain::{Alert, AlertStatus, Entry, Fingerprint, Incident, IncidentId, Level, PlannerKind, SystemClock, Target};
use paramedic::ledger::{Leaf, Tree};
use paramedic::publish::{LedgerKeys, Publisher};
use paramedic::store::{Claim, Commit, Freeze, Lane, Store};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 5;
/// Entries that are verified.
const ENTRIES: usize = 200_000;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    println!("ledger benchmark: median of {ROUNDS} rounds (slowest to fastest), entries of about 500 bytes, SQLite with synchronous=FULL");
    hashed();
    for each in [1, 10, 100] {
        appended(folder.path(), each).await;
    }
    verified(folder.path()).await;
}

fn report(what: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    println!("{what:<58} {:>10.0} /s  ({:.0} to {:.0})", rates[rates.len() / 2], rates[0], rates[rates.len() - 1]);
}

fn rates(entries: usize, mut work: impl FnMut()) -> Vec<f64> {
    let timed = |_| {
        let start = Instant::now();
        work();
        entries as f64 / start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(timed).collect()
}

/// Leaf, tree and tiles alone, in memory.
fn hashed() {
    let entry = serde_json::to_string(&skipped(1)).unwrap();
    let work = || {
        let mut tree = Tree::default();
        for index in 0..ENTRIES as u64 {
            let leaf = Leaf { index, incident: IncidentId(1), seq: 1, at: 1_780_000_000_000, entry: &entry };
            tree.push(leaf.hash(), &mut |_| {});
        }
        std::hint::black_box(tree.root());
    };
    report("hash an entry into the tree, one thread", rates(ENTRIES, work));
}

fn skipped(n: usize) -> Entry {
    Entry::Skipped { step: "logs".into(), why: format!("{n} {}", "why it was skipped ".repeat(23)) }
}

async fn store(path: &Path) -> (Store, Claim, Incident) {
    let store = Store::open_server(&format!("sqlite://{}", path.display()), Freeze::default()).await.unwrap();
    let now = Utc::now();
    let alert = Alert {
        status: AlertStatus::Firing,
        labels: [("alertname".to_owned(), "Bench".to_owned())].into(),
        annotations: [].into(),
        starts_at: now,
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint("bench".into()),
        group_key: String::new(),
        origin: Default::default(),
    };
    let entries = vec![
        Entry::Raised { alert, target: Target::default() },
        Entry::Classified { level: Level::One, rule: None, why: "a benchmark".into(), runbook: None, mode: None },
        Entry::RunStarted { run: 1, planner: PlannerKind::Runbook, runbook: None },
    ];
    let incident = store.open(entries, "bench", &[], &|_| Vec::new(), now).await.unwrap();
    let claim = store.claim(Lane::Any, now, now + TimeDelta::hours(10)).await.unwrap().unwrap();
    (store, claim, incident)
}

async fn append(store: &Store, claim: &Claim, incident: &mut Incident, entries: usize, each: usize) {
    for from in (0..entries).step_by(each) {
        let commit = Commit::of((from..from + each).map(skipped).collect());
        store.commit(claim, incident, commit, Utc::now()).await.unwrap();
    }
}

/// The way that the engine writes: entry, leaf, projection, all in one durable commit.
async fn appended(folder: &Path, each: usize) {
    let (store, claim, mut incident) = store(&folder.join(format!("append-{each}.db"))).await;
    let entries = if each == 1 { 500 } else { each * 50 };
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        append(&store, &claim, &mut incident, entries, each).await;
        rates.push(entries as f64 / start.elapsed().as_secs_f64());
    }
    report(&format!("append to the store, {each} {} a commit", if each == 1 { "entry" } else { "entries" }), rates);
    store.close().await;
}

/// The command as it is run, its start included.
async fn verified(folder: &Path) {
    let (store, claim, mut incident) = store(&folder.join("verify.db")).await;
    append(&store, &claim, &mut incident, ENTRIES - 100, 100).await;
    let tiles = folder.join("tiles");
    let keys = LedgerKeys { dir: Some(tiles.clone()), key_file: Some(folder.join("key")), ..LedgerKeys::default() };
    let publisher = Publisher::open(store.clone(), Arc::new(SystemClock), keys).await.unwrap();
    let key = publisher.public_key().to_owned();
    let stopped = CancellationToken::new();
    stopped.cancel();
    publisher.run(stopped).await;
    let entries = usize::try_from(store.log_size().await.unwrap()).unwrap();
    store.close().await;

    let config = folder.join("paramedic.yaml");
    let shown = folder.display();
    std::fs::write(&config, format!("store: {{ url: \"sqlite://{shown}/verify.db\" }}\nledger: {{ key_file: \"{shown}/key\" }}\n"))
        .unwrap();
    let (config, export, checkpoint) = (text(&config), text(&folder.join("export")), text(&tiles.join("checkpoint")));
    ledger(&["export", "--jsonl", "--out", &export, "--config", &config]);
    let cases: [(&str, &[&str]); 3] = [
        ("verify the store", &["verify", "--config", &config]),
        ("verify an export", &["verify", "--export", &export, "--checkpoint", &checkpoint, "--key", &key]),
        ("verify published tiles", &["verify", "--from", &text(&tiles), "--key", &key]),
    ];
    for (what, args) in cases {
        report(&format!("{what}, {entries} entries"), rates(entries, || ledger(args)));
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn ledger(args: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_paramedic")).arg("ledger").args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}
