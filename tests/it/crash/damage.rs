//! Somebody, or the disk, changes what lies stored: cut off anywhere, a bit turned anywhere. A start finds it, or refuses, or it was where
//! nobody reads: then everything that can be read is as it was. Never another history without a word.

use super::ground::Ground;
use super::stage::{PATIENCE, Stage};
use super::story::{kinds, texts};
use crate::adversary::dice::Dice;
use crate::server::until;
use paramedic::domain::SystemClock;
use paramedic::publish::{LedgerKeys, Publisher};
use paramedic::store::{Freeze, Soundness, Store};
use sqlx::Row as _;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Each table's rows as texts, in order.
type Dump = BTreeMap<String, Vec<String>>;

/// What is not held to: hints that cost a look or a message at worst (docs/crash-safety.md names them), and what each start writes anew.
const NOT_HELD: [&str; 13] = [
    "pulse",
    "outages",
    "known_names",
    "heartbeats",
    "unreadable",
    "duties",
    "log_tiles",
    "log_checkpoints",
    "_sqlx_migrations",
    "sqlite_sequence",
    "model_costs",
    "model_questions",
    "model_limits_told",
];
const NOT_HELD_COLUMNS: [&str; 11] =
    ["lease", "lease_until", "lease_by", "wake_at", "poke", "attempts", "next_at", "sent_at", "error", "slack_ts", "unsure"];

/// A store as a server left it: the files by name.
#[derive(Clone)]
struct Stored(BTreeMap<String, Vec<u8>>);

impl Stored {
    fn of(folder: &Path) -> Self {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
        Self(files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect())
    }

    fn lie_in(&self, folder: &Path) {
        for (name, bytes) in &self.0 {
            // The index beside the log is made anew from it.
            if !name.ends_with("-shm") {
                fs::write(folder.join(name), bytes).unwrap();
                fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }

    fn bytes(&self, name: &str) -> &[u8] {
        &self.0[name]
    }

    fn with(&self, name: &str, bytes: Vec<u8>) -> Self {
        let mut changed = self.clone();
        changed.0.insert(name.to_owned(), bytes);
        changed
    }

    fn flipped(&self, name: &str, bit: usize) -> Self {
        let mut bytes = self.bytes(name).to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.with(name, bytes)
    }
}

/// What a start made of it.
enum Seen {
    Refused(String),
    Damaged(String),
    Sound(Dump),
}

fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// As a server's start does: opened, audited, looked over. Then everything is read.
async fn look(stored: &Stored) -> Seen {
    let folder = memory();
    stored.lie_in(folder.path());
    let url = format!("sqlite://{}", folder.path().join("paramedic.db").display());
    let store = match Store::open_server(&url, Freeze::default()).await {
        Ok(store) => store,
        Err(e) => return Seen::Refused(e.to_string()),
    };
    let publisher = match Publisher::open(store.clone(), Arc::new(SystemClock), LedgerKeys::default()).await {
        Ok(publisher) => publisher,
        Err(e) => return Seen::Refused(e.to_string()),
    };
    let stopped = CancellationToken::new();
    stopped.cancel();
    publisher.run(stopped).await;
    let looked = store.look_over().await;
    let soundness = store.soundness();
    store.close().await;
    match (looked, soundness) {
        (_, Soundness::Damaged(why)) => Seen::Damaged(why),
        // Not known is not sound: nothing is changed, and the log says why.
        (Err(e), _) => Seen::Damaged(format!("it cannot be looked over: {e}")),
        (Ok(()), Soundness::Unknown) => Seen::Damaged("the log cannot be audited".into()),
        (Ok(()), Soundness::Sound) => match dump(&url).await {
            Ok(dump) => Seen::Sound(dump),
            Err(e) => panic!("it says that it is sound, and cannot be read: {e}"),
        },
    }
}

async fn dump(url: &str) -> sqlx::Result<Dump> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::any::AnyPoolOptions::new().max_connections(1).connect(url).await?;
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetch_all(&pool).await?;
    let mut dump = Dump::new();
    for table in tables {
        let table: String = table.try_get(0)?;
        if NOT_HELD.contains(&table.as_str()) {
            continue;
        }
        let columns = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{table}')"))).fetch_all(&pool).await?;
        let columns: Vec<String> =
            columns.iter().map(|row| row.get(0)).filter(|name: &String| !NOT_HELD_COLUMNS.contains(&name.as_str())).collect();
        let fields: Vec<String> = columns.iter().map(|name| format!("quote({name})")).collect();
        let held = if table == "identity" { "name <> 'approvals'" } else { "1 = 1" };
        let sql = format!("SELECT {} FROM {table} WHERE {held} ORDER BY rowid", fields.join(" || ' ' || "));
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await?;
        dump.insert(table, rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?);
    }
    pool.close().await;
    Ok(dump)
}

/// A stage on which something happened: a service restarted, a command approved and run, a question open. As it was when the server was
/// killed, and as it was when one was stopped after that.
async fn stored() -> (Stage, Stored, Stored) {
    let mut stage = Stage::new(Ground::here(None)).await;
    stage.fresh().await;
    stage.start(&[]).await;
    for tool in ["restart_service", "run_diagnosis_command", "scale_service"] {
        let case = stage.case(tool).unwrap();
        stage.deliver(&case.body(true)).await;
    }
    let end = Instant::now() + PATIENCE;
    while stage.approve().await.is_none() {
        assert!(Instant::now() < end, "nothing was asked: {}", stage.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for id in 1..=3 {
        until("it was handled", async || {
            let incident = stage.get(&format!("/api/incidents/INC-{id}")).await;
            incident.is_some_and(|incident| kinds(&incident).iter().any(|kind| ["verify_started", "run_ended"].contains(kind)))
        })
        .await;
    }
    let question = stage.case("request_human_confirmation").unwrap();
    stage.deliver(&question.body(true)).await;
    until("it is asked", async || stage.get("/api/incidents/INC-4").await.is_some_and(|incident| incident["state"] == "awaiting_approval"))
        .await;
    stage.kill().await;
    let killed = Stored::of(stage.state());
    stage.start(&[]).await;
    stage.stop().await;
    let stopped = Stored::of(stage.state());
    assert!(killed.0.contains_key("paramedic.db-wal") && stopped.bytes("paramedic.db").len() > 50_000);
    (stage, killed, stopped)
}

async fn sound(stored: &Stored) -> Dump {
    match look(stored).await {
        Seen::Sound(dump) => dump,
        Seen::Refused(why) | Seen::Damaged(why) => panic!("an unharmed store is not taken: {why}"),
    }
}

#[derive(Default)]
struct Tally {
    refused: usize,
    damaged: usize,
    same: usize,
    prefix: usize,
}

impl Tally {
    /// Of a changed store. `cut`: it may have lost its end.
    async fn take(&mut self, what: &str, stored: &Stored, before: &Dump, cut: bool) {
        match look(stored).await {
            Seen::Refused(why) => {
                let named = ["paramedic.db", "ledger", "store", "row"].iter().any(|word| why.contains(word));
                assert!(named, "{what}: refused, and it does not say what: {why}");
                self.refused += 1;
            }
            Seen::Damaged(_) => self.damaged += 1,
            Seen::Sound(after) if after == *before => self.same += 1,
            Seen::Sound(after) => {
                let shorter = cut && before["entries"].starts_with(&after["entries"]);
                assert!(shorter, "{what}: another history without a word:\n{}", difference(before, &after));
                self.prefix += 1;
            }
        }
    }

    fn told(&self, what: &str) {
        let Self { refused, damaged, same, prefix } = self;
        println!(
            "{what}: {refused} refused, {damaged} found damaged, {same} as before, {prefix} a consistent beginning; 0 silently different"
        );
    }
}

fn difference(before: &Dump, after: &Dump) -> String {
    let mut shown = Vec::new();
    for (table, rows) in before {
        let now = after.get(table).cloned().unwrap_or_default();
        for (place, row) in rows.iter().enumerate().filter(|(place, row)| now.get(*place) != Some(row)).take(2) {
            shown.push(format!("{table}: {row}\n   now: {:?}", now.get(place)));
        }
    }
    shown.join("\n")
}

/// From so many turned bits on everything is of full size.
const FULL: usize = 1_000;

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_damaged_is_found_out_or_read_as_it_was() {
    let (stage, killed, stopped) = stored().await;
    drop(stage);
    let (of_killed, of_stopped) = (sound(&killed).await, sound(&stopped).await);
    let seed = number("PARAMEDIC_CRASH_SEED", 20_261_121) as u64;
    let (flips, mut dice) = (number("PARAMEDIC_CRASH_FLIPS", 150), Dice::of(seed, &[77]));
    println!("PARAMEDIC_CRASH_SEED={seed}, PARAMEDIC_CRASH_FLIPS={flips}");

    let mut turned = Tally::default();
    for (stored, before, file) in [(&stopped, &of_stopped, "paramedic.db"), (&killed, &of_killed, "paramedic.db-wal")] {
        for _ in 0..flips {
            let bit = dice.below(stored.bytes(file).len() * 8);
            let what = format!("bit {bit} of {file} (seed {seed})");
            turned.take(&what, &stored.flipped(file, bit), before, file.ends_with("-wal")).await;
        }
    }
    turned.told("bits turned");
    assert!(turned.damaged + turned.refused > 0, "no turned bit was found");

    let mut cut = Tally::default();
    for (stored, before, file, page) in [(&stopped, &of_stopped, "paramedic.db", 4_096), (&killed, &of_killed, "paramedic.db-wal", 4_120)] {
        let whole = stored.bytes(file).len();
        let ends = (0..whole).step_by(page).flat_map(|end| [end, end + 1, (end + page).saturating_sub(1)]).filter(|end| *end < whole);
        let ends: Vec<usize> = ends.collect();
        // In full: at and around each page, and anywhere.
        let step = if flips >= FULL { 1 } else { (ends.len() * 100 / (flips * 2 + 100)).max(1) };
        let anywhere: Vec<usize> = (0..flips / 10).map(|_| dice.below(whole)).collect();
        for end in ends.into_iter().step_by(step).chain(anywhere) {
            let shorter = stored.with(file, stored.bytes(file)[..end].to_vec());
            cut.take(&format!("{file} cut to {end} bytes"), &shorter, before, file.ends_with("-wal") || end == 0).await;
        }
    }
    cut.told("cut off");
    assert!(cut.refused + cut.damaged > 0 && cut.prefix > 0);
}

fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap_or_else(|| panic!("`{text}` is not there"))
}

/// The real server: it takes alerts, pages, changes nothing, and says why wherever somebody looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_damaged_store_changes_nothing_and_calls_a_human() {
    let (mut stage, _, stopped) = stored().await;
    // A word of a text that is stored.
    let at = find(stopped.bytes("paramedic.db"), "\"summary\":\"a story\"");
    let damaged = stopped.flipped("paramedic.db", (at + 12) * 8);
    damaged.lie_in(stage.state());
    stage.start(&[]).await;
    until("it says so", async || stage.get_text("/readyz").await.is_some_and(|(status, text)| status == 200 && text.contains("DAMAGED")))
        .await;
    let (_, metrics) = stage.get_text("/metrics").await.unwrap();
    assert!(metrics.contains("paramedic_store_damaged 1") && metrics.contains("paramedic_halted 1"), "{metrics}");
    until("a human is called", async || {
        stage
            .get("/api/incidents/INC-5")
            .await
            .is_some_and(|incident| incident["alertname"] == "StoreDamaged" && incident["state"] == "escalated")
    })
    .await;
    let case = stage.case("restart_consumers").unwrap();
    let before = stage.ground.counts(&case, stage.root());
    stage.deliver(&case.body(true)).await;
    until("it is refused", async || stage.get("/api/incidents/INC-6").await.is_some_and(|incident| incident["state"] == "escalated")).await;
    let told = texts(&stage.get("/api/incidents/INC-6").await.unwrap());
    assert!(told.contains("denied restart_consumers") && told.contains("halted: the store is damaged: "), "{told}");
    assert_eq!(stage.ground.counts(&case, stage.root()), before, "something was done");
    stage.kill().await;
}

/// A write-ahead log with a damaged middle: SQLite itself would drop what follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_over_what_it_would_lose() {
    let (mut stage, killed, _) = stored().await;
    let damaged = killed.flipped("paramedic.db-wal", (32 + 24 + 1_000) * 8);
    for file in fs::read_dir(stage.state()).unwrap().map(Result::unwrap) {
        fs::remove_file(file.path()).unwrap();
    }
    damaged.lie_in(stage.state());
    let (status, said) = stage.try_start(&[]).await.unwrap_err();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("paramedic.db-wal: frame 1 of ") && said.contains("transactions that were on the disk follow it"), "{said}");
    assert!(damaged.bytes("paramedic.db-wal") == fs::read(stage.state().join("paramedic.db-wal")).unwrap(), "it is left as it is");
}
