//! `paramedic ledger`: what a server leaves behind is verified here and elsewhere, by this implementation and by another one; whatever
//! was changed behind its back is found and named.

use super::{BY_TOKEN, Ran, Serving, TOKEN, configured, run};
use crate::ledger::python::python;
use crate::server::until;
use paramedic::domain::IncidentId;
use paramedic::ledger::Leaf;
use rustix::process::Signal;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// Published in a folder and anchored in a file, every ten seconds.
const LEDGER: &str = "ledger: { origin: paramedic.example/test, dir: tiles, anchors: { file: anchors }, anchor_every_seconds: 10 }";

fn with_ledger() -> tempfile::TempDir {
    configured(&format!("{BY_TOKEN}\n{LEDGER}"), "services: []")
}

/// A server has met two alerts and was stopped in order: all of it is signed, published and on the disk.
async fn lived() -> tempfile::TempDir {
    let folder = with_ledger();
    let mut server = Serving::start(folder.path(), &ANY_PORT).await;
    for (n, alertname) in ["DBCorruption", "SomethingOdd"].into_iter().enumerate() {
        server.fire(alertname, "orders").await;
        server.until_incident(&format!("INC-{}", n + 1), "is with a human", |incident| incident["state"] == "escalated").await;
    }
    until("it is anchored", async || folder.path().join("anchors").exists()).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    folder
}

fn ledger(folder: &Path, args: &[&str]) -> Ran {
    run(folder, &[&["ledger"], args].concat())
}

/// What a command prints when all is well.
fn good(folder: &Path, args: &[&str]) -> String {
    let ran = ledger(folder, args);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}: {ran:?}");
    ran.out.trim_end().to_owned()
}

/// What `verify` complains of.
fn bad(folder: &Path, args: &[&str]) -> String {
    let ran = ledger(folder, &[&["verify"], args].concat());
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{args:?}: {ran:?}");
    ran.err.trim().trim_start_matches("paramedic: ").to_owned()
}

async fn sql(folder: &Path, statements: &[&str]) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}?mode=rw", folder.join("data/paramedic.db").display())).await.unwrap();
    for statement in statements {
        let changed = sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&pool).await.unwrap().rows_affected();
        assert!(changed > 0, "{statement}");
    }
    pool.close().await;
}

/// The number of entries, and the index and name of each.
async fn entries(folder: &Path) -> Vec<(i64, String)> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}?mode=ro", folder.join("data/paramedic.db").display())).await.unwrap();
    let rows = sqlx::query("SELECT log_index, incident_id, seq FROM entries ORDER BY log_index").fetch_all(&pool).await.unwrap();
    pool.close().await;
    rows.iter().map(|row| (row.get(0), format!("INC-{}/{}", row.get::<i64, _>(1), row.get::<i64, _>(2)))).collect()
}

fn text(path: PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_verified_here_and_elsewhere_by_two_implementations() {
    let folder = lived().await;
    let at = folder.path();
    let count = entries(at).await.len();
    let root_of = |said: &str| said.split("root ").nth(1).unwrap().split([';', ' ']).next().unwrap().to_owned();
    let said = good(at, &["verify"]);
    assert!(said.starts_with(&format!("ok: the ledger has {count} entries, root ")), "{said}");
    let root = root_of(&said);

    // Elsewhere there is the public key, and what was carried over.
    let key = good(at, &["key"]);
    assert!(key.starts_with("paramedic.example/test+"), "{key}");
    let elsewhere = tempfile::tempdir().unwrap();
    let there = |name: &str| text(elsewhere.path().join(name));
    std::fs::write(there("key"), format!("{key}\n")).unwrap();
    good(at, &["export", "--jsonl", "--out", &there("export")]);
    assert_eq!(good(at, &["export", "--jsonl"]).lines().count(), count);
    std::fs::copy(at.join("tiles/checkpoint"), there("checkpoint")).unwrap();
    let anchors = text(at.join("anchors"));
    let said =
        good(elsewhere.path(), &["verify", "--export", &there("export"), "--checkpoint", &there("checkpoint"), "--key", &there("key")]);
    assert_eq!(said, format!("ok: the export has {count} entries, root {root}; it continues 1 checkpoint"));
    assert_eq!(python(&["export", &there("export"), &there("checkpoint"), &key]), (true, format!("ok: {count} entries, root {root}")));
    let tiles = text(at.join("tiles"));
    let said = good(elsewhere.path(), &["verify", "--from", &tiles, "--key", &key, "--checkpoint", &anchors]);
    assert!(said.starts_with(&format!("ok: the published log has {count} entries, root {root}; it continues ")), "{said}");
    assert_eq!(python(&["tiles", &tiles, &key]), (true, format!("ok: {count} entries, root {root}")));

    // One entry, to somebody who has nothing but the key.
    for (index, name) in entries(at).await.into_iter().step_by(5) {
        good(at, &["prove", &name, "--out", &there("proof")]);
        let exported = std::fs::read_to_string(there("export")).unwrap();
        std::fs::write(there("line"), exported.lines().nth(usize::try_from(index).unwrap()).unwrap()).unwrap();
        let said = good(elsewhere.path(), &["verify", "--proof", &there("proof"), "--key", &key, "--entry", &there("line")]);
        let (incident, seq) = name.split_once('/').unwrap();
        let start = format!("ok: entry {index} of {count} in the log paramedic.example/test is {{\"at\":");
        assert!(
            said.starts_with(&start) && said.ends_with(&format!("\"incident\":\"{incident}\",\"index\":{index},\"seq\":{seq}}}")),
            "{said}"
        );
        assert_eq!(python(&["proof", &there("proof"), &key, &there("line")]), (true, format!("ok: entry {index} of {count}")));
        assert_eq!(python(&["proof", &there("proof"), &key]), (true, format!("ok: entry {index} of {count}")));
    }
    std::fs::write(there("line"), good(at, &["export", "--size", "1"])).unwrap();
    let said = bad(elsewhere.path(), &["--proof", &there("proof"), "--key", &key, "--entry", &there("line")]);
    assert!(said.starts_with("the proof is about {\"at\":"), "{said}");
    assert!(!python(&["proof", &there("proof"), &key, &there("line")]).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_logged_when_it_is_given_and_a_doctored_one_is_found() {
    let folder = configured(&format!("{BY_TOKEN}\n{LEDGER}"), "services: [{ name: cart, reach: { process: { command: [/bin/true] } } }]");
    let at = folder.path();
    let stop = async |mut server: Serving| {
        server.signal(Signal::TERM);
        assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    };
    let server = Serving::start(at, &ANY_PORT).await;
    for order in [&["halt"][..], &["resume"], &["hands-off", "cart"]] {
        assert_eq!(run(at, &[order, &["--reason", "a reason of ours"]].concat()).code, Some(0), "{order:?}");
    }
    stop(server).await;
    let names: Vec<String> = entries(at).await.into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["INC-0/1", "INC-0/2", "INC-0/3"]);
    let said = good(at, &["verify"]);
    assert!(said.starts_with("ok: the ledger has 3 entries, root "), "{said}");
    let exported = good(at, &["export", "--jsonl"]);
    assert!(exported.lines().next().unwrap().contains(r#""kind":"ordered","order":"ORD-1","given":{"order":"halt"}"#), "{exported}");
    assert!(!exported.contains("a reason of ours"), "reasons stay in the store: {exported}");
    let elsewhere = tempfile::tempdir().unwrap();
    let proof = text(elsewhere.path().join("proof"));
    let key = good(at, &["key"]);
    good(at, &["prove", "INC-0/1", "--out", &proof]);
    let said = good(elsewhere.path(), &["verify", "--proof", &proof, "--key", &key]);
    assert!(said.starts_with("ok: entry 0 of 3 in the log "), "{said}");
    assert!(python(&["proof", &proof, &key]).0);

    let store = std::fs::read(at.join("data/paramedic.db")).unwrap();
    let resume =
        "INSERT INTO orders (topic, kind, at, body) SELECT topic, kind, at, replace(body, 'ORD-2', 'ORD-4') FROM orders WHERE id = 2";
    let cases: [(&[&str], &str); 8] = [
        (&["DELETE FROM orders WHERE id = 1"], "an order is gone from the store, and INC-0/1 has it: ORD-1: halt by "),
        (&["DELETE FROM orders WHERE id = 3"], "an order is gone from the store, and INC-0/3 has it: ORD-3: hands off cart by "),
        (&["UPDATE orders SET topic = 'service:other' WHERE id = 3"], "ORD-3 is not what was given: its row and its text speak of"),
        (&["UPDATE orders SET body = replace(body, 'a reason', 'no reason') WHERE id = 1"], "ORD-1 is not what was given: INC-0/1 has"),
        (&["UPDATE orders SET body = '' WHERE id = 1"], "ORD-1 is not what was given: "),
        (
            &["UPDATE orders SET body = replace(body, '\"halt\"', '\"resume\"'), kind = 'resume' WHERE id = 1"],
            "ORD-1 is not what was given: INC-0/1 has another one: ORD-1: halt by ",
        ),
        (&[resume], "ORD-4 was never logged: it was put there by hand, or by an older version's command"),
        (
            &["DELETE FROM orders WHERE id = 1", "DELETE FROM entries WHERE incident_id = 0 AND seq = 1"],
            "entry 0 of the log is missing: INC-0/2 stands next",
        ),
    ];
    for (statements, expected) in cases {
        sql(at, statements).await;
        let said = bad(at, &[]);
        assert!(said.starts_with(&format!("the ledger is not what was logged: {expected}")), "{statements:?}: {said}");
        std::fs::write(at.join("data/paramedic.db"), &store).unwrap();
    }

    // An order that a version gave which logged none: logged at the next start, once.
    sql(at, &["DELETE FROM identity WHERE name = 'orders_logged'", resume]).await;
    assert!(good(at, &["verify"]).starts_with("ok: the ledger has 3 entries, "));
    for _ in 0..2 {
        stop(Serving::start(at, &ANY_PORT).await).await;
        assert!(good(at, &["verify"]).starts_with("ok: the ledger has 4 entries, "));
    }
    sql(at, &["DELETE FROM orders WHERE id = 4"]).await;
    assert!(bad(at, &[]).contains("INC-0/4 has it: ORD-4: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_log_is_verified_over_http_by_those_who_have_the_token() {
    let folder = with_ledger();
    let server = Serving::start(folder.path(), &ANY_PORT).await;
    let http = paramedic::clients::http::client(std::time::Duration::from_secs(20)).unwrap();
    let get = async |path: &str, token: &str| {
        let answer = http.get(format!("{}/ledger/{path}", server.url)).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("checkpoint", TOKEN).await, (404, "nothing is signed yet\n".into()));
    server.fire("DBCorruption", "orders").await;
    server.until_incident("INC-1", "is with a human", |incident| incident["state"] == "escalated").await;
    let (key, url) = (good(folder.path(), &["key"]), format!("{}/ledger", server.url));
    until("a checkpoint covers it", async || !ledger(folder.path(), &["verify"]).out.is_empty()).await;
    let said = good(folder.path(), &["verify", "--url", &url, "--token", TOKEN, "--key", &key]);
    assert!(said.starts_with("ok: the published log has "), "{said}");
    let said = bad(folder.path(), &["--url", &url, "--token", "wrong", "--key", &key]);
    assert!(said.ends_with("/ledger/checkpoint: answered 401 Unauthorized"), "{said}");
    let said = ledger(folder.path(), &["verify", "--url", &url]);
    assert!(said.code == Some(64) && said.err.contains("a log that vouches for itself vouches for nothing"), "{said:?}");

    assert_eq!(get("checkpoint", "wrong").await.0, 401);
    assert_eq!(get("tile/0/000.p/1", "wrong").await.0, 401);
    for (path, status) in [
        ("tile/0/000.p/1", 200),
        ("tile/entries/000.p/1", 200),
        ("tile/0/000", 404),
        ("tile/0/001.p/1", 404),
        ("tile/1/000.p/1", 404),
        ("tile/0/000.p/0", 400),
        ("tile/64/000", 400),
        ("tile/0/1", 400),
        ("tile/0/x999/x999/x999/x999/x999/x999/999", 400),
        ("tile/63/x018/x446/x744/x073/x709/x551/615", 404),
        ("tile/0/..%2f..", 400),
    ] {
        assert_eq!(get(path, TOKEN).await.0, status, "{path}");
    }
    let hidden = ["ledger.key", "paramedic.db"].map(|name| folder.path().join("data").join(name));
    assert!(hidden.iter().all(|path| path.exists()));
    assert_eq!(std::fs::metadata(&hidden[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_changed_behind_its_back_is_found_and_named() {
    let folder = lived().await;
    let at = folder.path();
    let store = std::fs::read(at.join("data/paramedic.db")).unwrap();
    let all = entries(at).await;
    let (count, (_, last)) = (all.len(), all.last().unwrap().clone());
    let middle = &all[3].1;
    let cases: [(&[&str], String); 9] = [
        (
            &["UPDATE entries SET body = replace(body, 'kind', 'kimd') WHERE log_index = 3"],
            format!("{middle} (entry 3 of the log) is not what was logged: its text, time, number or place was changed"),
        ),
        (&["UPDATE entries SET at = at + 1 WHERE log_index = 3"], format!("{middle} (entry 3 of the log) is not what was logged")),
        (&["UPDATE entries SET seq = seq + 100 WHERE log_index = 3"], "(entry 3 of the log) is not what was logged".into()),
        (
            &["DELETE FROM entries WHERE log_index = 3"],
            format!("entry 3 of the log is missing, after {}: {} stands next (gone: {middle})", all[2].1, all[4].1),
        ),
        (
            &[
                "UPDATE entries SET log_index = -1 WHERE log_index = 3",
                "UPDATE entries SET log_index = 3 WHERE log_index = 4",
                "UPDATE entries SET log_index = 4 WHERE log_index = -1",
            ],
            format!("{} (entry 3 of the log) is not what was logged", all[4].1),
        ),
        (
            &["INSERT INTO entries SELECT log_index + 1, 77, 1, at, body, leaf FROM entries ORDER BY log_index DESC LIMIT 1"],
            "INC-77/1 stands behind the log's end".into(),
        ),
        (&["DELETE FROM entries WHERE log_index = (SELECT MAX(log_index) FROM entries)"], format!("its end was cut off (gone: {last})")),
        (&["DELETE FROM entries WHERE log_index = 0"], format!("entry 0 of the log is missing: {} stands next (gone: INC-1/1)", all[1].1)),
        (&["DELETE FROM entries WHERE log_index >= 1", "UPDATE log_head SET size = 1"], "its end was cut off".into()),
    ];
    for (statements, expected) in cases {
        sql(at, statements).await;
        let said = bad(at, &[]);
        assert!(said.starts_with("the ledger is not what was logged: ") && said.contains(&expected), "{statements:?}: {said}");
        std::fs::write(at.join("data/paramedic.db"), &store).unwrap();
    }
    assert!(good(at, &["verify"]).starts_with(&format!("ok: the ledger has {count} entries")));
}

/// Whoever writes the store can make an entry and its leaf agree; not with what was signed, and not with a copy elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fits_itself_is_found_by_what_was_kept_elsewhere() {
    let folder = lived().await;
    let at = folder.path();
    let (all, anchors, tiles) = (entries(at).await, text(at.join("anchors")), text(at.join("tiles")));
    let exported = good(at, &["export"]);
    let line = exported.lines().nth(3).unwrap();
    let leaf = paramedic::ledger::read_export_line(line).unwrap();
    let forged = leaf.entry.replacen("\"kind\"", "\"kind\" ", 1);
    let hash = Leaf { entry: &forged, ..leaf }.hash();
    let update =
        format!("UPDATE entries SET body = '{}', leaf = x'{}' WHERE log_index = 3", forged.replace('\'', "''"), hex::encode(hash.0));
    sql(at, &[&update]).await;
    let said = bad(at, &[]);
    assert!(said.contains("entries are not those of the checkpoint of") && said.contains("something between entry 0 and entry"), "{said}");
    let said = bad(at, &["--copy", &tiles]);
    assert!(said.contains(&format!("{} (entry 3 of the log) is not what was logged", all[3].1)), "{said}");

    // And who forgets the checkpoints in the store as well, or has the key and signs anew, meets the ones outside.
    sql(at, &["DELETE FROM log_checkpoints"]).await;
    let said = bad(at, &[]);
    assert!(said.ends_with("no checkpoint to compare with: expected --checkpoint with one that was kept elsewhere"), "{said}");
    let said = bad(at, &["--checkpoint", &anchors]);
    assert!(said.contains("entries are not those of the checkpoint of") && said.contains("/anchors"), "{said}");
    let mut server = Serving::start(at, &ANY_PORT).await;
    until("it says so", async || server.log().contains("THE LEDGER IS NOT WHAT IT WAS")).await;
    assert!(server.log().contains("the published checkpoint") || server.log().contains("a checkpoint in anchors"), "{}", server.log());
    let before = std::fs::read(at.join("tiles/checkpoint")).unwrap();
    let called = |incident: &Value| incident["alertname"] == "StoreDamaged" && incident["state"] == "escalated";
    server.until_incident("INC-3", "calls a human", called).await;
    server.fire("AnotherOdd", "orders").await;
    server.until_incident("INC-4", "is with a human all the same", |incident| incident["state"] == "escalated").await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    assert_eq!(std::fs::read(at.join("tiles/checkpoint")).unwrap(), before, "something was signed that does not continue what was signed");
    assert_eq!(IncidentId(4), newest_incident(at).await, "the entries themselves are kept");
}

/// The newest entry's incident.
async fn newest_incident(folder: &Path) -> IncidentId {
    let all = entries(folder).await;
    all.last().unwrap().1.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_set_back_is_not_signed_again() {
    let folder = with_ledger();
    let at = folder.path();
    let mut server = Serving::start(at, &ANY_PORT).await;
    server.fire("DBCorruption", "orders").await;
    server.until_incident("INC-1", "is with a human", |incident| incident["state"] == "escalated").await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    let backup = std::fs::read(at.join("data/paramedic.db")).unwrap();
    let mut server = Serving::start(at, &ANY_PORT).await;
    server.fire("SomethingOdd", "orders").await;
    server.until_incident("INC-2", "is with a human", |incident| incident["state"] == "escalated").await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());

    std::fs::write(at.join("data/paramedic.db"), backup).unwrap();
    let server = Serving::start(at, &ANY_PORT).await;
    until("it says so", async || server.log().contains("THE LEDGER IS NOT WHAT IT WAS")).await;
    assert!(server.log().contains("the published checkpoint has ") && server.log().contains("its end was cut off"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_is_taken_when_somebody_asks_and_in_every_place() {
    let folder =
        configured(&format!("{BY_TOKEN}\nledger: {{ anchors: {{ file: kept/anchors, syslog: \"unix:{{socket}}\" }} }}"), "services: []");
    let at = folder.path();
    let main = at.join("config/paramedic.yaml");
    let socket = at.join("log.sock");
    let written = std::fs::read_to_string(&main).unwrap().replace("{socket}", socket.to_str().unwrap());
    std::fs::write(&main, written).unwrap();
    let syslog = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    syslog.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let server = Serving::start(at, &ANY_PORT).await;
    server.fire("DBCorruption", "orders").await;
    server.until_incident("INC-1", "is with a human", |incident| incident["state"] == "escalated").await;
    // The file's folder is not there: said, and the other place has it all the same.
    let mut line = [0; 2_000];
    let read = syslog.recv(&mut line).unwrap();
    let line = std::str::from_utf8(&line[..read]).unwrap();
    assert!(line.starts_with("<109>") && line.contains(" paramedic[") && line.contains("]: paramedic/"), "{line}");
    until("the file is missed", async || server.log().contains("a checkpoint of the ledger is not anchored; it is tried again")).await;
    std::fs::write(at.join("syslog"), format!("{line}\n")).unwrap();
    assert!(good(at, &["verify", "--checkpoint", "syslog"]).starts_with("ok: "));

    let ran = ledger(at, &["anchor"]);
    assert!(ran.code == Some(1) && ran.err.contains("anchor the checkpoint in kept/anchors: No such file or directory"), "{ran:?}");
    std::fs::create_dir(at.join("kept")).unwrap();
    let ran = ledger(at, &["anchor"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.err, format!("anchored in kept/anchors\nanchored in unix:{}\n", socket.display()));
    std::fs::write(at.join("printed"), &ran.out).unwrap();
    assert!(std::fs::read_to_string(at.join("kept/anchors")).unwrap().contains(ran.out.trim()));
    assert!(good(at, &["verify", "--checkpoint", "printed", "--checkpoint", "kept/anchors"]).starts_with("ok: "));
    std::fs::write(at.join("nothing"), "nothing\n").unwrap();
    assert!(bad(at, &["--checkpoint", "nothing"]).contains("no checkpoint of the log paramedic/"), "an empty file is no evidence");
    let forged = ran.out.replacen('\n', "\n1", 1);
    std::fs::write(at.join("forged"), forged).unwrap();
    assert!(bad(at, &["--checkpoint", "forged"]).contains("on the checkpoint is wrong"), "a forged one neither");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_never_replaced_in_silence() {
    let folder = lived().await;
    let at = folder.path();
    let key = at.join("data/ledger.key");
    let refused = |expected: &str| {
        let ran = run(at, &[&["serve"], &ANY_PORT[..]].concat());
        assert!(ran.code == Some(1) && ran.err.contains(expected), "{ran:?}");
    };
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    refused("key file data/ledger.key can be read by others (mode 640): chmod 600 it");
    std::fs::rename(&key, at.join("elsewhere")).unwrap();
    refused("key file data/ledger.key is not there, and this ledger was signed before: put the key back");
    let other = good(at, &["keygen", "data/ledger.key", "--name", "another.example/log"]);
    assert!(other.starts_with("another.example/log+"), "{other}");
    refused("key file data/ledger.key is the key of the log another.example/log; this log is paramedic.example/test");
    let ran = ledger(at, &["keygen", "data/ledger.key", "--name", "x"]);
    assert!(ran.code == Some(1) && ran.err.contains("File exists"), "{ran:?}");
    let ran = ledger(at, &["keygen", "new", "--name", "two words"]);
    assert!(ran.code == Some(64) && ran.err.contains("--name: expected one word"), "{ran:?}");
    std::fs::write(&key, "PRIVATE+KEY+x+00000000+AAAA\n").unwrap();
    refused("key file data/ledger.key: not a private key: expected one line");

    // A new key of the same name begins anew where the old one stopped; the old checkpoints are not believed for its sake.
    std::fs::remove_file(&key).unwrap();
    good(at, &["keygen", "data/ledger.key", "--name", "paramedic.example/test"]);
    let mut server = Serving::start(at, &ANY_PORT).await;
    until("it is signed with the new key", async || ledger(at, &["prove", "INC-1/1"]).code == Some(0)).await;
    assert!(good(at, &["verify"]).starts_with("ok: "));
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
}

#[test]
fn mistakes_in_the_ledgers_keys_are_told_with_their_lines() {
    let folder = configured(
        "ledger:\n  origin: two words\n  dri: x\n  anchors: { slack: true, syslog: /dev/log }\n  anchor_every_seconds: 1\n  witnesses:\n    - { url: nowhere, key: abc }",
        "services: []",
    );
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    for expected in [
        "paramedic.yaml:2: ledger.origin: expected one word without `+`",
        "paramedic.yaml:3: ledger.dri: unknown field `dri`",
        "paramedic.yaml:4: ledger.anchors.slack: expected a `slack` section",
        "paramedic.yaml:4: ledger.anchors.syslog: `/dev/log` is not a syslog: expected unix:/dev/log or udp://HOST:514",
        "paramedic.yaml:5: ledger.anchor_every_seconds: expected 10 to 604800",
        "paramedic.yaml:7: ledger.witnesses[0].url: `nowhere` is not a witness's address",
        "paramedic.yaml:7: ledger.witnesses[0].key: not a witness's public key: expected `NAME+HASH+BASE64` of type 4",
    ] {
        assert!(ran.err.contains(expected), "{expected}\n{}", ran.err);
    }
    // The ledger's own commands read this section and no other.
    let folder = configured("slack: 7\nledger: { origin: two words }", "services: []");
    let ran = ledger(folder.path(), &["verify"]);
    assert!(ran.code == Some(64) && ran.err.lines().count() == 1 && ran.err.contains("ledger.origin"), "{ran:?}");
}
