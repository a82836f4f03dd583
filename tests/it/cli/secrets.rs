//! Canaries: secrets of every kind are planted wherever text comes in, plain and encoded, and a whole incident runs over them. None may
//! be seen anywhere: not in the store's bytes, what is shown, what is told, what a model is asked, or a log that leaves nothing out.

mod doors;
mod reached;

use super::{Serving, configured, run};
use axum::{Json, Router, routing::any};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use paramedic::clients::http::client;
use paramedic::domain::{Clock as _, SystemClock};
use paramedic::standins::model::{ModelStandin, Reply};
use paramedic::standins::{AlertmanagerStandin, Fault, PagerDutyStandin, Sample, SlackStandin, SmtpStandin};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Of the configuration: known by value, wherever they are.
const HOOK: &str = "canary/hook+7F3a&x=1";
const MODEL: &str = "canary.model.kQ9-2";
const APPROVER: &str = "canary.Approver+88Zq/tok";
const CONFIGURED: [(&str, &str); 8] = [
    ("webhook token", HOOK),
    ("model key", MODEL),
    ("slack bot token", SlackStandin::BOT_TOKEN),
    ("slack signing secret", SlackStandin::SIGNING_SECRET),
    ("pagerduty routing key", PagerDutyStandin::ROUTING_KEY),
    ("prometheus password", "canary~prom 5"),
    ("approver's token", APPROVER),
    ("service's environment", "canary Given=42 to a child"),
];
/// Of others: known by a name beside them or by their looks. One for each place where text comes in.
const FOREIGN: [(&str, &str); 22] = [
    ("log line", "canaryLog8841xyz"),
    ("process environment", "canaryEnv5512xyz"),
    ("metric label", "canaryMetric77xyz"),
    ("annotation", "canaryNote3390xyz"),
    ("label", "ghp_canaryLabelA1b2C3d4E5f6G7h8I9j0K1l2"),
    ("file name", "canaryFile6620xyz"),
    ("model's words", "canaryWords118xyz"),
    ("model's arguments", "canaryArgs9014xyz"),
    ("model's error", "canaryFail2207xyz"),
    ("pagerduty's error", "canaryPager401xyz"),
    ("mail server's error", "canaryMail7703xyz"),
    ("unreadable delivery", "canaryBroken66xyz"),
    ("decision", "canaryDecided31xyz"),
    ("order's reason", "canaryOrder6613xyz"),
    ("slash command", "canarySlash2290xyz"),
    ("halt file", "canaryHalted90xyz"),
    ("command's output", "canaryCommand41xyz"),
    ("command on another host", "canaryRemote8812xyz"),
    ("log of another host", "canaryJournal50xyz"),
    ("state of another host", "canaryState2077xyz"),
    ("error of another host", "canarySshErr7355xyz"),
    ("command over a socket", "canarySocket6644xyz"),
];
/// No secret, and planted in the same places: where it is not seen, nothing was looked at.
const OPEN: &str = "plainly-visible";

fn foreign(place: &str) -> &'static str {
    FOREIGN.iter().find(|(name, _)| *name == place).unwrap().1
}

fn percent(text: &str, all: bool) -> String {
    text.bytes().map(|b| if all || !b.is_ascii_alphanumeric() { format!("%{b:02X}") } else { char::from(b).to_string() }).collect()
}

/// A text with every configured secret in every encoding, and a foreign one beside names that call it secret.
fn planted(place: &str) -> String {
    let own = foreign(place);
    let line = format!("DB_PASSWORD={own}");
    let dressed = [STANDARD.encode(&line), URL_SAFE.encode(&line), hex::encode(&line), percent(&line, false), percent(&line, true)];
    let mut words = vec![OPEN.to_owned(), line, format!(r#"{{"api_key":"{own}"}}"#), format!("mysql://app:{own}@db1/x")];
    words.extend(dressed);
    words.extend(CONFIGURED.iter().flat_map(|(_, secret)| encoded(secret)));
    words.join(" ")
}

fn encoded(secret: &str) -> Vec<String> {
    let mut words = vec![secret.to_owned()];
    words.extend(["", "a", "ab"].map(|before| STANDARD.encode(format!("{before}{secret}!"))));
    let other = [URL_SAFE.encode(secret), hex::encode(secret), hex::encode_upper(secret), percent(secret, false), percent(secret, true)];
    words.extend(other);
    words
}

/// How a secret may be written, made without the product's own search.
fn dresses(secret: &str) -> Vec<(&'static str, String)> {
    let mut dresses = vec![("plain", secret.to_owned()), ("JSON", json!(secret).to_string().trim_matches('"').to_owned())];
    for before in 0..3_usize {
        let text = format!("{}{secret}", "x".repeat(before));
        for (name, encoded) in [("base64", STANDARD.encode(&text)), ("URL base64", URL_SAFE.encode(&text))] {
            // Without the characters that what stands in front and behind has a part in.
            let first = [0, 2, 3][before];
            dresses.push((name, encoded.trim_end_matches('=')[first..text.len() * 4 / 3 - 1].to_owned()));
        }
    }
    dresses.push(("hex", hex::encode(secret)));
    dresses.push(("HEX", hex::encode_upper(secret)));
    for all in [false, true] {
        dresses.push(("URL", percent(secret, all)));
        dresses.push(("url", percent(secret, all).to_ascii_lowercase()));
    }
    dresses
}

/// Everything that anybody could look at, by name.
#[derive(Default)]
struct Surfaces(BTreeMap<String, Vec<u8>>);

impl Surfaces {
    fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.entry(name.to_owned()).or_default().extend(bytes.into());
    }

    fn ran(&mut self, folder: &Path, args: &[&str]) {
        let ran = run(folder, args);
        self.add(&format!("paramedic {}", args.join(" ")), format!("{}\n{}", ran.out, ran.err));
    }

    /// Of all that is planted, and of what only this server has.
    fn leaks(&self, own: &[(&str, &str)]) -> Vec<String> {
        let mut leaks = Vec::new();
        for (name, secret) in CONFIGURED.iter().chain(&FOREIGN).chain(own) {
            for (dress, text) in dresses(secret) {
                for (surface, bytes) in &self.0 {
                    if let Some(at) = memchr::memmem::find(bytes, text.as_bytes()) {
                        let around = String::from_utf8_lossy(&bytes[at.saturating_sub(120)..bytes.len().min(at + 60)]).into_owned();
                        leaks.push(format!("{surface} shows the {name} as {dress}: …{around}…"));
                    }
                }
            }
        }
        leaks
    }

    fn sees(&self, surface: &str, text: &str) -> bool {
        String::from_utf8_lossy(&self.0[surface]).contains(text)
    }
}

/// A Prometheus whose series bear a canary.
async fn prometheus() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metric = json!({ "__name__": "up", "dsn": planted("metric label"), "token": foreign("metric label") });
    let answer = json!({ "status": "success", "data": { "resultType": "vector", "result": [{ "metric": metric, "value": [1, "1"] }] } });
    let router = Router::new().fallback(any(async move || Json(answer.clone())));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://app:{}@{address}", percent("canary~prom 5", false))
}

fn script() -> Vec<Reply> {
    let words = planted("model's words");
    let reason = planted("model's arguments");
    vec![
        Reply::Status(500, None, planted("model's error")),
        Reply::Both(
            words.clone(),
            vec![
                ("get_service_logs".into(), json!({ "service": "cart", "lines": 100, "level": "all" })),
                ("get_metrics".into(), json!({ "query": "up" })),
                ("no_such_tool".into(), json!({ "password": foreign("model's arguments"), "note": reason.clone() })),
            ],
        ),
        Reply::Both(words.clone(), vec![("restart_service".into(), json!({ "service": "cart", "reason": reason }))]),
        Reply::text(&words),
        Reply::Body(planted("model's error")),
    ]
}

fn alert(name: &str, service: &str) -> Sample {
    let labels =
        [("service", service), ("pushed_by", foreign("label")), ("dsn", "postgres://app:ghp_canaryLabelA1b2C3d4E5f6G7h8I9j0K1l2@db/x")];
    Sample::firing(name, &labels, &planted("annotation"), SystemClock.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_seen_anywhere() {
    let (slack, pagerduty, mail) =
        (SlackStandin::start().await.unwrap(), PagerDutyStandin::start().await.unwrap(), SmtpStandin::start().await.unwrap());
    let model = ModelStandin::with_key(script(), Some(MODEL)).await.unwrap();
    pagerduty.faults().plan(Fault::Refused(r#"{"errors":["password=canaryPager401xyz in plainly-visible details"]}"#), 1);
    mail.refuse_next("451 password=canaryMail7703xyz for plainly-visible is wrong");
    let main = json!({
        "server": { "webhook_token": "${HOOK}" },
        "approvers": [{ "name": "ana", "slack": "U0ANA", "token": "${APPROVER}" }],
        "ledger": { "dir": "data/tiles" },
        "planner": { "first": "model" },
        "llm": { "base_url": model.url(), "model": "scripted", "api_key_file": "model_key" },
        "slack": {
            "bot_token": SlackStandin::BOT_TOKEN, "channel": SlackStandin::CHANNEL_NAME, "api_url": slack.api_url(),
            "approvers": ["U0ANA"], "signing_secret": SlackStandin::SIGNING_SECRET,
        },
        "pagerduty": { "routing_key": PagerDutyStandin::ROUTING_KEY, "api_url": pagerduty.api_url() },
        "email": { "url": mail.url(), "from": "paramedic@example.org", "to": ["oncall@example.org"] },
        "prometheus": { "url": prometheus().await },
    });
    let logs = tempfile::tempdir().unwrap();
    let inventory = json!({
        "hosts": [{ "name": "app-server-01", "reach": { "local": {} }, "log_roots": [logs.path()] }],
        "services": [{ "name": "cart", "reach": { "process": {
            "command": ["/bin/sh", "-c", "cat said; echo ERROR given $LICENCE_TOKEN; exec sleep 1000"],
            "environment": { "LICENCE_TOKEN": "canary Given=42 to a child" },
        } } }],
    });
    // JSON is YAML; the run folder follows as a line of its own.
    let keys = main.as_object().unwrap().iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>();
    let folder = configured(&keys, &inventory.to_string());
    std::fs::write(folder.path().join("config/model_key"), format!("{MODEL}\n")).unwrap();
    let environment = format!("ERROR environment: HOME=/srv SMTP_PASSWORD={}\n", foreign("process environment"));
    std::fs::write(folder.path().join("said"), format!("ERROR {}\n{environment}", planted("log line"))).unwrap();
    let old = logs.path().join(format!("plainly-visible-password={}.log", foreign("file name")));
    std::fs::write(&old, "x").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(30 * 86_400);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();

    let mut server =
        Serving::start_with(folder.path(), &["--listen", "127.0.0.1:0"], &[("RUST_LOG", "trace"), ("HOOK", HOOK), ("APPROVER", APPROVER)])
            .await;
    let address = server.url.trim_start_matches("http://").parse().unwrap();
    let sender = AlertmanagerStandin::new(address, HOOK);
    let slow = alert("HighRequestLatency", "cart");
    sender.post(&slow.body()).await.unwrap();
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    let mut seen = Surfaces::default();
    doors::Doors { folder: folder.path(), server: &server, seen: &mut seen }.approvals().await;
    server.until_incident("INC-1", "is verified but for the alert", |incident| incident["state"] == "verifying").await;
    sender.post(&slow.resolved(SystemClock.now()).body()).await.unwrap();
    server.until_incident("INC-1", "is resolved", |incident| incident["state"] == "resolved").await;
    // Its model breaks, and a human is paged: mail and page are refused once, with reasons that tell too much.
    sender.post(&alert("DBCorruption", "orders").body()).await.unwrap();
    server.until_incident("INC-2", "is with a human", |incident| incident["state"] == "escalated").await;
    let full = Sample {
        labels: BTreeMap::from([("instance".into(), "app-server-01:9100".into()), ("alertname".into(), "DiskSpaceLow".into())]),
        ..alert("", "")
    };
    sender.post(&full.body()).await.unwrap();
    server
        .until_incident("INC-3", "has cleaned up", |incident| {
            incident["actions"].as_array().into_iter().flatten().any(|a| a["tool"] == "clean_disk_space" && a["outcome"] == "succeeded")
        })
        .await;
    let http = client(Duration::from_secs(20)).unwrap();
    let broken = http
        .post(format!("{}/webhooks/alertmanager", server.url))
        .bearer_auth(HOOK)
        .body(format!("no JSON: {}", planted("unreadable delivery")));
    seen.add("answer to a delivery", broken.send().await.unwrap().text().await.unwrap());
    let labels = json!({ format!("password={}", foreign("unreadable delivery")): [] });
    let broken = http
        .post(format!("{}/webhooks/alertmanager", server.url))
        .bearer_auth(HOOK)
        .body(json!({ "alerts": [{ "labels": labels }] }).to_string());
    seen.add("answer to a delivery", broken.send().await.unwrap().text().await.unwrap());
    let told = |incident: &Value| incident["notices"].as_array().unwrap().iter().all(|n| n["state"] != "waiting" || n["error"].is_string());
    for id in ["INC-1", "INC-2"] {
        server.until_incident(id, "is told", told).await;
    }
    for path in
        ["/api/incidents", "/api/incidents/INC-1", "/api/incidents/INC-2", "/api/incidents/INC-3", "/metrics", "/healthz", "/readyz"]
    {
        let answer = http.get(format!("{}{path}", server.url)).bearer_auth(HOOK).send().await.unwrap();
        seen.add(path, answer.text().await.unwrap());
    }
    for args in [
        &["incidents"][..],
        &["incidents", "1"],
        &["incidents", "2"],
        &["incidents", "3"],
        &["incidents", "--json"],
        &["incidents", "1", "--json"],
        &["incidents", "--unreadable"],
        &["incidents", "--unreadable", "--json"],
    ] {
        seen.ran(folder.path(), args);
    }
    let mut doors = doors::Doors { folder: folder.path(), server: &server, seen: &mut seen };
    doors.ledger().await;
    doors.orders(&slack).await;
    look_at_files(&mut seen, "store while it runs", &folder.path().join("data"));
    server.signal(Signal::TERM);
    server.ended().await;
    look_at_files(&mut seen, "store after its end", &folder.path().join("data"));
    seen.add("log", server.log());
    let checked = super::run_with(folder.path(), &["check"], &[("HOOK", HOOK), ("APPROVER", APPROVER)]);
    seen.add("check", format!("{}{}", checked.out, checked.err));
    seen.add("slack", format!("{:?}{:?}", slack.messages(), slack.answers()));
    seen.add("pagerduty", format!("{:?}", pagerduty.events()));
    seen.add("mail", mail.mails().iter().map(|mail| mail.data.replace("=\n", "").replace("=3D", "=")).collect::<String>());
    seen.add("prompts", json!(model.requests()).to_string());

    for surface in [
        "store while it runs",
        "store after its end",
        "log",
        "/api/incidents/INC-1",
        "paramedic incidents 1",
        "prompts",
        "paramedic incidents --unreadable",
        "slack",
    ] {
        assert!(
            seen.sees(surface, OPEN) && seen.sees(surface, "[redacted: "),
            "{surface} was not looked at: {}",
            String::from_utf8_lossy(&seen.0[surface])
        );
    }
    assert!(seen.sees("/api/incidents/INC-2", "answered 400: "), "the pager's refusal was not heard");
    assert!(seen.sees("log", "451") && seen.sees("log", "a notice is put off"), "the mail server's refusal was not heard");
    assert!(seen.sees("/api/incidents/INC-3", "plainly-visible-password=[redacted: password]"), "no file was removed");
    assert!(seen.sees("/api/incidents/INC-1", "[redacted: slack.bot_token]"), "the mark says what stood there");
    assert!(checked.code == Some(0) && model.refused().is_empty(), "{checked:?} {:?}", model.refused());
    doors::were_looked_at(&seen);
    let leaks = seen.leaks(&[("ledger's key", &own_key(folder.path()))]);
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

/// The ledger's private key, as the server made it for itself.
fn own_key(folder: &Path) -> String {
    let line = std::fs::read_to_string(folder.join("data/ledger.key")).unwrap();
    line.trim().splitn(5, '+').nth(4).unwrap().to_owned()
}

/// The database with its journal; children's own logs are theirs, and the ledger's key has to be somewhere.
fn look_at_files(seen: &mut Surfaces, name: &str, folder: &Path) {
    for entry in
        std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file() && entry.file_name() != "ledger.key")
    {
        seen.add(name, std::fs::read(entry.path()).unwrap());
    }
}
