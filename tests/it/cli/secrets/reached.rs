//! The ways that the first story does not go: what a diagnosis command prints, hosts over SSH, Slack over a WebSocket, and a store in
//! PostgreSQL, every table of it.

use super::doors::{ENVIRONMENT, reason};
use super::*;
use crate::postgres::{PASSWORD, Postgres};
use crate::reaching::sshd::{PARAMEDIC, Sshd};
use crate::server::until;
use sqlx::{AssertSqlSafe, Row as _};

/// A host whose units say what the test wrote down; commands are the real hand's.
const HAND: &str = r#"asked=$(cat)
case "$asked" in
*'"command"'*) printf '%s\n' "$asked" | exec PARAMEDIC hand --config DIR/hand.yaml ;;
*'"status"'*) cat DIR/status ;;
*'"logs"'*) cat DIR/journal ;;
*) cat DIR/error >&2; exit 3 ;;
esac
"#;

/// Told apart by its mark where it is seen.
fn marked(mark: &str, place: &str) -> String {
    let own = [SlackStandin::APP_TOKEN, PASSWORD].map(|secret| encoded(secret).join(" "));
    format!("seen-{mark} {} {}", planted(place), own.join(" "))
}

fn host() -> Sshd {
    let sshd = Sshd::start(|dir| {
        let script = HAND.replace("PARAMEDIC", PARAMEDIC).replace("DIR", &dir.display().to_string());
        std::fs::write(dir.join("hand.sh"), script).unwrap();
        format!("/bin/sh {}/hand.sh", dir.display())
    });
    let state = marked("state", "state of another host");
    let unit = json!({ "name": "api.service", "exists": true, "active": true, "state": state, "since": null, "pid": 7, "detail": state });
    let reply = |done: Value| json!({ "version": 1, "request": "x", "result": { "done": done } }).to_string();
    for (name, text) in [
        ("hand.yaml", "commands: LOW\n".to_owned()),
        ("status", reply(json!({ "instances": [unit] }))),
        ("journal", reply(json!({ "lines": [format!("ERROR {}", marked("journal", "log of another host"))] }))),
        ("error", marked("error", "error of another host")),
    ] {
        std::fs::write(sshd.path(name), text).unwrap();
    }
    sshd
}

/// Files that commands read lie apart: a hand hides its own folder.
fn looks(files: &Path) -> Vec<Reply> {
    let command = |host: &str, command: String| ("run_diagnosis_command".to_owned(), json!({ "host": host, "command": command }));
    let words = planted("model's words");
    vec![
        Reply::Both(
            words.clone(),
            vec![
                command("app-server-01", format!("cat {}", files.join("here").display())),
                command("web-1", format!("cat {}", files.join("there").display())),
                ("get_service_logs".into(), json!({ "service": "api", "lines": 100, "level": "all" })),
                ("check_service_status".into(), json!({ "service": "api" })),
            ],
        ),
        Reply::Both(words.clone(), vec![("restart_service".into(), json!({ "service": "api", "reason": planted("model's arguments") }))]),
        Reply::text(&words),
    ]
}

/// Every row of every table, and the one column of bytes that somebody else's text is in.
async fn tables(url: &str) -> String {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    let names = "SELECT CAST(table_name AS TEXT) AS text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
    let names: Vec<String> = sqlx::query(names).fetch_all(&pool).await.unwrap().iter().map(|row| row.get("text")).collect();
    assert!(["entries", "orders", "outbox", "alerts", "unreadable"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
    let mut reads: Vec<String> = names.iter().map(|name| format!("SELECT CAST(row_to_json(t) AS TEXT) AS text FROM {name} t")).collect();
    reads.push("SELECT encode(body, 'escape') AS text FROM unreadable".to_owned());
    let mut dump = String::new();
    for read in reads {
        for row in sqlx::query(AssertSqlSafe(read)).fetch_all(&pool).await.unwrap() {
            dump.push_str(row.get::<&str, _>("text"));
            dump.push('\n');
        }
    }
    pool.close().await;
    dump
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_seen_by_way_of_commands_other_hosts_a_socket_or_a_shared_store() {
    let (postgres, sshd, outside) = (Postgres::start(), host(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("here"), marked("command", "command's output")).unwrap();
    std::fs::write(outside.path().join("there"), marked("remote", "command on another host")).unwrap();
    let (slack, pagerduty) = (SlackStandin::start().await.unwrap(), PagerDutyStandin::start().await.unwrap());
    let model = ModelStandin::with_key(looks(outside.path()), Some(MODEL)).await.unwrap();
    let main = json!({
        "store": { "url": postgres.url(), "dir": "data" },
        "server": { "webhook_token": "${HOOK}" },
        "approvers": [{ "name": "ana", "slack": "U0ANA", "token": "${APPROVER}" }],
        "planner": { "first": "model" },
        "llm": { "base_url": model.url(), "model": "scripted", "api_key_file": "model_key" },
        "slack": {
            "bot_token": SlackStandin::BOT_TOKEN, "channel": SlackStandin::CHANNEL_NAME, "api_url": slack.api_url(),
            "app_token": SlackStandin::APP_TOKEN, "signing_secret": SlackStandin::SIGNING_SECRET,
        },
        "pagerduty": { "routing_key": PagerDutyStandin::ROUTING_KEY, "api_url": pagerduty.api_url() },
        "prometheus": { "url": prometheus().await },
    });
    let mut inventory = sshd.inventory(sshd.port, &sshd.path("known_hosts"), "api.service", Value::Null);
    let here = json!({ "name": "app-server-01", "reach": { "local": {} } });
    inventory["hosts"].as_array_mut().unwrap().push(here);
    let child = json!({ "name": "cart", "hosts": ["app-server-01"], "reach": { "process": {
        "command": ["/bin/sleep", "1000"], "environment": { "LICENCE_TOKEN": "canary Given=42 to a child" },
    } } });
    inventory["services"].as_array_mut().unwrap().push(child);
    inventory["services"][0]["depends_on"] = json!(["cart"]);
    let keys = main.as_object().unwrap().iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>();
    let folder = configured(&keys, &inventory.to_string());
    std::fs::write(folder.path().join("config/model_key"), format!("{MODEL}\n")).unwrap();
    let environment = [&[("RUST_LOG", "trace")][..], &ENVIRONMENT].concat();
    let mut server = Serving::start_with(folder.path(), &["--listen", "127.0.0.1:0"], &environment).await;
    assert!(slack.linked(Duration::from_secs(20)).await, "Paramedic opened no WebSocket");

    let mut seen = Surfaces::default();
    let api = client(Duration::from_secs(20)).unwrap();
    let get = async |path: &str| {
        let answer = api.get(format!("{}{path}", server.url)).bearer_auth(HOOK).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let incident = async || serde_json::from_str::<Value>(&get("/api/incidents/INC-1").await).unwrap_or(Value::Null);
    let sender = AlertmanagerStandin::new(server.url.trim_start_matches("http://").parse().unwrap(), HOOK);
    sender.post(&alert("HighRequestLatency", "api").body()).await.unwrap();
    until("it asks", async || incident().await["state"] == "awaiting_approval").await;
    let asking = || slack.messages().iter().rev().find(|message| message.buttons().contains(&"approve")).map(|message| message.ts.clone());
    until("Slack shows the question", async || asking().is_some()).await;
    slack.socket_click(&asking().unwrap(), "approve", "U0MALLORY").await.unwrap();
    slack.socket_click(&asking().unwrap(), "approve", "U0ANA").await.unwrap();
    until("the host was asked to restart it", async || incident().await["transcript"].to_string().contains("seen-error")).await;
    for text in ["halt", "orders", "resume", "no-such-thing"] {
        for user in ["U0ANA", "U0MALLORY"] {
            let said = slack.socket_command(&format!("{text} {}", reason("command over a socket")), user).await.unwrap();
            seen.add("socket command", said.to_string());
        }
    }
    let broken = api.post(format!("{}/webhooks/alertmanager", server.url)).bearer_auth(HOOK);
    let broken = broken.body(format!("no JSON: {}", planted("unreadable delivery"))).send().await.unwrap();
    seen.add("answer to a delivery", broken.text().await.unwrap());
    until("all is told", async || {
        incident().await["notices"].as_array().is_some_and(|notices| notices.iter().all(|notice| notice["state"] != "waiting"))
    })
    .await;

    for path in ["/api/incidents", "/api/incidents/INC-1", "/api/approvals?state=all", "/api/orders", "/metrics"] {
        seen.add(path, get(path).await);
    }
    for args in [
        &["incidents", "1"][..],
        &["incidents", "1", "--json"],
        &["incidents", "--unreadable"],
        &["approvals", "--all"],
        &["orders", "--all"],
        &["ledger", "export", "--jsonl", "--all"],
        &["policy", "replay", "--json"],
    ] {
        let ran = crate::cli::run_with(folder.path(), args, &ENVIRONMENT);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        seen.add(&format!("paramedic {}", args.join(" ")), format!("{}\n{}", ran.out, ran.err));
    }
    seen.add("tables", tables(&postgres.url()).await);
    server.signal(Signal::TERM);
    server.ended().await;
    seen.add("tables after its end", tables(&postgres.url()).await);
    look_at_files(&mut seen, "files", &folder.path().join("data"));
    seen.add("log", server.log());
    seen.add("slack", format!("{:?}{:?}", slack.messages(), slack.answers()));
    seen.add("pagerduty", format!("{:?}", pagerduty.events()));
    seen.add("prompts", json!(model.requests()).to_string());

    // A surface that shows nothing proves nothing.
    for surface in ["tables", "tables after its end", "prompts", "paramedic ledger export --jsonl --all"] {
        for mark in ["command", "remote", "journal", "state"] {
            let told = || String::from_utf8_lossy(&seen.0["/api/incidents/INC-1"]).into_owned();
            assert!(seen.sees(surface, &format!("seen-{mark}")), "{surface} does not show the {mark}: {}", told());
        }
    }
    for surface in
        ["tables", "/api/incidents/INC-1", "slack", "log", "socket command", "paramedic orders --all", "paramedic incidents --unreadable"]
    {
        let whole = || String::from_utf8_lossy(&seen.0[surface]).into_owned();
        assert!(seen.sees(surface, "[redacted: ") && seen.sees(surface, OPEN), "{surface} was not looked at: {}", whole());
    }
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    let leaks = seen.leaks(&[
        ("ledger's key", &own_key(folder.path())),
        ("database's password", PASSWORD),
        ("slack app token", SlackStandin::APP_TOKEN),
    ]);
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}
