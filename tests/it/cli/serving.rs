//! `paramedic serve` and what `paramedic incidents` shows beside it: the address, the store's one server, a stop while something is
//! being done, and a death.

use super::{BY_TOKEN, Serving, TOKEN, configured, kinds, run};
use paramedic::clients::http::client;
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// A service that goes when it is told to, and one that only SIGKILL ends, which takes ten seconds.
const SERVICES: &str = r#"services:
  - { name: cart, reach: { process: { command: [/bin/sleep, "100000"] } } }
  - name: stubborn
    reach: { process: { command: [/bin/sh, -c, "trap '' TERM; echo deaf now; exec /bin/sleep 100000"] } }
"#;

fn incidents(folder: &Path, args: &[&str]) -> String {
    let ran = run(folder, &[&["incidents"], args].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}: {ran:?}");
    ran.out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_from_elsewhere_reaches_it() {
    let folder = configured("", "services: []");
    let server = Serving::start(folder.path(), &["--listen", "0.0.0.0:0"]).await;
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    assert!(server.log().contains("server.webhook_token is not set: listening on 127.0.0.1:0 only, not on 0.0.0.0:0"), "{}", server.log());
    assert!(!server.log().contains('\u{1b}'), "colours in a log that no terminal shows: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_json_where_that_is_wanted() {
    let flag = ["--listen", "127.0.0.1:0", "--log-json"];
    for (args, variable, wanted) in [(&flag[..], "", true), (&ANY_PORT, "1", true), (&ANY_PORT, "true", true), (&ANY_PORT, "0", false)] {
        let folder = configured("", "services: []");
        let server = Serving::start_with(folder.path(), args, &[("PARAMEDIC_LOG_JSON", variable)]).await;
        for line in server.log().lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            assert_eq!(line["level"].is_string() && line["timestamp"].is_string(), wanted, "{args:?} {variable}: {}", server.log());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_is_listed_shown_and_kept_even_when_nobody_can_read_it() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &ANY_PORT).await;
    assert_eq!(incidents(folder.path(), &[]), "no incidents");
    assert_eq!(incidents(folder.path(), &["--unreadable"]), "no unreadable deliveries");
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    server.fire("DBCorruption", "orders").await;
    server.until_incident("INC-2", "is with a human", |incident| incident["state"] == "escalated").await;

    let list = incidents(folder.path(), &[]);
    let rows: Vec<&str> = list.lines().collect();
    assert!(rows.len() == 3 && rows[0].starts_with("INCIDENT") && rows[1].starts_with("INC-2") && rows[2].starts_with("INC-1"), "{list}");
    let waiting = incidents(folder.path(), &["--state", "awaiting_approval"]);
    assert!(waiting.lines().count() == 2 && waiting.lines().nth(1) == Some(rows[2]), "{waiting}");
    assert_eq!(incidents(folder.path(), &["--state", "closed"]), "no incidents");
    let listed: Value = serde_json::from_str(&incidents(folder.path(), &["--json", "--limit", "1"])).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"], &listed[0]["level"]), (1, &"INC-2".into(), &3.into()));

    let story = incidents(folder.path(), &["1"]);
    assert!(story.starts_with("INC-1 HighRequestLatency (cart), level 2, awaiting approval\n"), "{story}");
    assert!(story.contains("  asked APR-1 for scale_service {\"add\":1,"), "{story}");
    assert_eq!(kinds(&server.incident("INC-1")).first(), Some(&"raised"));

    let post = client(Duration::from_secs(20)).unwrap().post(format!("{}/webhooks/alertmanager", server.url));
    let refused = post.bearer_auth(TOKEN).body("no alert\u{1b}[2J at all").send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    let kept = incidents(folder.path(), &["--unreadable"]);
    assert!(kept.contains("19 bytes  expected Alertmanager's JSON") && kept.ends_with("no alert [2J at all"), "{kept:?}");
    let kept: Value = serde_json::from_str(&incidents(folder.path(), &["--unreadable", "--json"])).unwrap();
    assert_eq!(kept[0]["body"], "no alert\u{1b}[2J at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_said_and_a_word_that_means_nothing_is_a_usage_error() {
    let folder = configured(BY_TOKEN, "services: []");
    let before = run(folder.path(), &["incidents"]);
    assert!(before.code == Some(1) && before.err.contains("has `paramedic serve` run with this store?"), "{before:?}");
    let _server = Serving::start(folder.path(), &ANY_PORT).await;
    let cases = [
        (&["INC-9"][..], 1, "paramedic: there is no INC-9"),
        (&["nine"], 64, "paramedic: `nine` is not an id: expected INC-NUMBER, such as INC-7"),
        (&["--state", "lost"], 64, "paramedic: state: expected one of open, diagnosing, awaiting_approval,"),
    ];
    for (args, code, message) in cases {
        let ran = run(folder.path(), &[&["incidents"], args].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{args:?}: {ran:?}");
        assert!(ran.err.starts_with(message), "{args:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_has_one_server() {
    let folder = configured(BY_TOKEN, "services: []");
    let mut first = Serving::start(folder.path(), &ANY_PORT).await;
    let second = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("store data/paramedic.db is used by another paramedic server"), "{}", second.err);
    assert!(!second.err.contains("listening on http://"), "{}", second.err);
    for name in ["paramedic.db", "paramedic.db-wal", "paramedic.db-shm"] {
        let mode = std::fs::metadata(folder.path().join("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name} is its owner's alone");
    }
    first.signal(Signal::INT);
    assert_eq!(first.ended().await.code(), Some(0), "{}", first.log());
    Serving::start(folder.path(), &ANY_PORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_being_done_and_begins_nothing() {
    let folder = configured(&format!("{BY_TOKEN}\nplanner: {{ workers: 1 }}"), SERVICES);
    let mut server = Serving::start(folder.path(), &ANY_PORT).await;
    let log = folder.path().join("data/run/stubborn.log");
    crate::server::until("the child is deaf", async || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("deaf now"))).await;
    server.fire("ServiceDown", "stubborn").await;
    server.until_incident("INC-1", "is being restarted", |incident| incident["state"] == "mitigating").await;
    server.fire("ServiceDown", "cart").await;
    server.until_incident("INC-2", "is there", |incident| incident["state"] == "open").await;
    let (before, waiting) = (server.incident("INC-1"), server.incident("INC-2"));
    assert_eq!(kinds(&before).last(), Some(&"started"), "the restart is over too early for this test");

    server.signal(Signal::TERM);
    let status = server.ended().await;
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", server.log());
    let after = server.incident("INC-1");
    let more = &kinds(&after)[kinds(&before).len()..];
    assert_eq!(more.first(), Some(&"finished"), "{after}");
    assert!(!more.contains(&"started"), "something began after the stop: {more:?}");
    let restart = after["actions"].as_array().unwrap().last().unwrap();
    assert_eq!((&restart["tool"], &restart["outcome"]), (&"restart_service".into(), &"succeeded".into()), "{restart}");
    assert_eq!(server.incident("INC-2")["transcript"], waiting["transcript"]);
    assert!(server.log().contains("stopping: no new steps, running effects finish"), "{}", server.log());

    let server = Serving::start(folder.path(), &ANY_PORT).await;
    server.until_incident("INC-2", "is taken up after the start", |incident| kinds(incident).contains(&"finished")).await;
    assert_eq!(kinds(&server.incident("INC-1")).iter().filter(|kind| **kind == "finished").count(), 3, "a second restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_loses_no_incident() {
    let folder = configured(BY_TOKEN, SERVICES);
    let mut server = Serving::start(folder.path(), &ANY_PORT).await;
    server.fire("HighRequestLatency", "cart").await;
    server.signal(Signal::KILL);
    assert_eq!(server.ended().await.signal(), Some(9));
    let server = Serving::start(folder.path(), &ANY_PORT).await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    assert_eq!(kinds(&server.incident("INC-1")).iter().filter(|kind| **kind == "raised").count(), 1);
}
