//! `paramedic store migrate` with everything that can be wrong: nothing is moved, the source stays, and what was expected is said.

use super::{BY_TOKEN, Ran, Serving, configured, finish, paramedic, run};
use crate::postgres::{COMMITTED, Postgres, Way};
use crate::server::until;
use paramedic::store::Store;
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// A server has met three alerts and was stopped in order.
async fn lived() -> tempfile::TempDir {
    let folder = configured(BY_TOKEN, "services: []");
    let mut server = Serving::start(folder.path(), &ANY_PORT).await;
    for (n, alertname) in ["DBCorruption", "SomethingOdd", "SomethingElse"].into_iter().enumerate() {
        server.fire(alertname, "orders").await;
        server.until_incident(&format!("INC-{}", n + 1), "is with a human", |incident| incident["state"] == "escalated").await;
    }
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    folder
}

fn file(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("data/paramedic.db").display())
}

fn migrate(folder: &Path, from: &str, to: &str) -> Ran {
    run(folder, &["store", "migrate", "--from", from, "--to", to])
}

/// What is complained of, with this exit code.
fn refused(folder: &Path, from: &str, to: &str, code: i32) -> String {
    let ran = migrate(folder, from, to);
    assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{from} to {to}: {ran:?}");
    let said = ran.err.trim().trim_start_matches("paramedic: ").to_owned();
    assert!(!said.contains("s3cret-of-the-tests"), "{said}");
    said
}

async fn sql(folder: &Path, statement: &'static str) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("{}?mode=rw", file(folder))).await.unwrap();
    let changed = sqlx::query(statement).execute(&pool).await.unwrap().rows_affected();
    assert!(changed > 0, "{statement}");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_is_said_and_nothing_is_touched() {
    let folder = configured(BY_TOKEN, "services: []");
    let at = folder.path();
    let nowhere = "postgres://paramedic@127.0.0.1:1/paramedic";
    let said = refused(at, "mysql://db/x", nowhere, 64);
    assert!(said.starts_with("store url `mysql://db/x`: expected sqlite:///absolute/file.db"), "{said}");
    let said = refused(at, &file(at), "sqlite://other.db", 64);
    assert_eq!(said, "expected one sqlite:// and one postgres:// URL, to move from one to the other; both are sqlite://");
    let said = refused(at, nowhere, nowhere, 64);
    assert!(said.ends_with("both are postgres://"), "{said}");
    let said = refused(at, &file(at), "postgres://p:${NOT_SET}@db/x", 64);
    assert_eq!(said, "--to: the environment has no NOT_SET: expected it to be set");
    let said = refused(at, &file(at), nowhere, 1);
    assert!(said.ends_with("data/paramedic.db: there is no such file") && !at.join("data").exists(), "{said}");
    std::fs::create_dir(at.join("data")).unwrap();
    std::fs::write(at.join("data/paramedic.db"), "").unwrap();
    let said = refused(at, &file(at), nowhere, 1);
    assert!(said.ends_with("data/paramedic.db is not a store of paramedic: it has no tables"), "{said}");
    std::fs::write(at.join("data/paramedic.db"), "no database at all, but long enough to look like one ".repeat(100)).unwrap();
    let said = refused(at, &file(at), nowhere, 1);
    assert!(said.contains("file is not a database"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_or_of_another_version_or_damaged_is_not_moved() {
    let folder = lived().await;
    let (at, from) = (folder.path(), file(folder.path()));
    let postgres = Postgres::start();
    let to = postgres.url();

    let said = refused(at, &from, "postgres://postgres:wrong-s3cret@127.0.0.1:1/paramedic", 1);
    assert!(said.contains("postgres://127.0.0.1:1/paramedic: ") && said.contains("refused") && !said.contains("wrong"), "{said}");
    let server = Serving::start(at, &ANY_PORT).await;
    let said = refused(at, &from, &to, 1);
    assert!(said.contains("is used by another paramedic server"), "{said}");
    drop(server);

    sql(at, "INSERT INTO _sqlx_migrations SELECT 9999, 'tomorrow', installed_on, 1, checksum, 1 FROM _sqlx_migrations WHERE version = 1")
        .await;
    let said = refused(at, &from, &to, 1);
    assert!(said.ends_with("is of a newer version of paramedic than this one: move it with that version"), "{said}");
    sql(at, "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    sql(at, "UPDATE _sqlx_migrations SET success = 0 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)").await;
    let said = refused(at, &from, &to, 1);
    assert!(said.ends_with("is of an older version of paramedic than this one: start and stop this version's server on it once"), "{said}");
    sql(at, "UPDATE _sqlx_migrations SET success = 1").await;

    // What somebody changed behind the server's back does not get a new home that looks whole.
    sql(at, "UPDATE entries SET at = at + 1 WHERE log_index = 3").await;
    let said = refused(at, &from, &to, 1);
    assert!(said.contains("the ledger in ") && said.contains("(entry 3 of the log) is not what was logged"), "{said}");
    sql(at, "UPDATE entries SET at = at - 1 WHERE log_index = 3").await;
    sql(at, "UPDATE log_head SET size = size + 1").await;
    let said = refused(at, &from, &to, 1);
    assert!(said.contains("its end was cut off"), "{said}");
    sql(at, "UPDATE log_head SET size = size - 1").await;

    // Nobody was moved so far.
    let moved = migrate(at, &from, &to);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    postgres.sql("UPDATE incidents SET level = 1 WHERE id = 2").await;
    let said = refused(at, &from, &to, 1);
    assert!(said.contains("is not empty (table alerts has 3 rows), and holds something else: expected an empty database"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_a_server_uses_takes_no_other_store() {
    let folder = lived().await;
    let postgres = Postgres::start();
    let main = format!("{BY_TOKEN}\nstore: {{ url: \"{}\" }}", postgres.url());
    let other = configured(&main, "services: []");
    let mut server = Serving::start(other.path(), &ANY_PORT).await;
    let said = refused(folder.path(), &file(folder.path()), &postgres.url(), 1);
    assert!(said.ends_with("another paramedic is connected to it: stop every server and command that uses it"), "{said}");
    let said = refused(folder.path(), &postgres.url(), "sqlite://back/paramedic.db", 1);
    assert!(said.contains("another paramedic is connected to it"), "{said}");
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    let said = refused(folder.path(), &file(folder.path()), &postgres.url(), 1);
    assert!(said.contains("is not empty (table "), "{said}");
}

/// Killed at any place, the target is empty or whole, and the next run makes it so or says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_killed_in_the_middle_has_moved_nothing_or_everything() {
    let folder = lived().await;
    let from = file(folder.path());
    // What the database hears or says last, and whether everything is there then.
    let asked = ["CREATE TABLE", "LOCK TABLE", "INSERT INTO alerts", "INSERT INTO pulse", "setval", "ANALYZE", "COMMIT"];
    let places = asked.map(|word| (Way::DeafFrom(word), false)).into_iter().chain([(Way::LosesFrom(COMMITTED), true)]);
    for (way, whole) in places {
        let postgres = Postgres::start();
        if way != Way::DeafFrom("CREATE TABLE") {
            with_tables(&postgres).await;
        }
        let (proxy, url) = postgres.proxied().await;
        proxy.turn(way);
        let mut command = paramedic(folder.path(), &["store", "migrate", "--from", &from, "--to", &url]);
        let mut moving = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until(&format!("{way:?}: it waits for an answer"), async || proxy.deafened() > 0).await;
        moving.kill().unwrap();
        moving.wait().unwrap();
        proxy.cut().await;
        let mut said = String::new();
        until("the database has noticed", async || {
            let ran = migrate(folder.path(), &from, &postgres.url());
            said = ran.out + &ran.err;
            !said.contains("another paramedic is connected")
        })
        .await;
        let expected = if whole { " already; nothing was copied" } else { "moved sqlite://" };
        assert!(said.contains(expected), "{way:?}: {said}");
    }
}

/// Migrations commit too; what is looked for is the copy's own commit.
async fn with_tables(postgres: &Postgres) {
    Store::open_beside(&postgres.url()).await.unwrap().close().await;
}

/// The last answer of all is lost: nobody knows, and the command says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_last_answer_is_lost_says_so_and_the_next_run_knows() {
    let folder = lived().await;
    let from = file(folder.path());
    let postgres = Postgres::start();
    with_tables(&postgres).await;
    let (proxy, url) = postgres.proxied().await;
    proxy.turn(Way::LosesFrom(COMMITTED));
    let command = paramedic(folder.path(), &["store", "migrate", "--from", &from, "--to", &url]);
    let moving = tokio::task::spawn_blocking(move || finish(command, ""));
    until("it has committed", async || proxy.deafened() > 0).await;
    proxy.cut().await;
    let ran = moving.await.unwrap();
    assert!(ran.code == Some(1) && ran.err.contains("run the same command again, it says whether everything is there"), "{ran:?}");
    let again = migrate(folder.path(), &from, &postgres.url());
    assert!(again.code == Some(0) && again.out.contains(" already; nothing was copied"), "{again:?}");
}
