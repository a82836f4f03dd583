//! The binary as an operator runs it, on a folder of its own, with Slack and PagerDuty on loopback.

use paramedic::standins::{PagerDutyStandin, SlackStandin};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

/// Where one server runs: its configuration, its store, the peers that it tells.
pub struct Ground {
    pub slack: SlackStandin,
    pub pagerduty: PagerDutyStandin,
    main: Value,
    folder: TempDir,
}

impl Ground {
    /// Without Slack and PagerDuty unless `told` adds them.
    pub async fn new(services: &[Value]) -> Self {
        let folder = tempfile::Builder::new().prefix("paramedic-figures-").tempdir().unwrap();
        let (slack, pagerduty) = (SlackStandin::start().await.unwrap(), PagerDutyStandin::start().await.unwrap());
        let main = json!({ "run_dir": folder.path().join("run") });
        let ground = Self { slack, pagerduty, main, folder };
        for name in ["config", "run", "state"] {
            std::fs::create_dir(ground.path(name)).unwrap();
        }
        paramedic::config::unpack(&ground.path("config")).unwrap();
        ground.write("services.yaml", &json!({ "hosts": [], "services": services }));
        ground
    }

    pub fn told(self) -> Self {
        let slack = json!({
            "bot_token": SlackStandin::BOT_TOKEN, "channel": SlackStandin::CHANNEL_NAME, "api_url": self.slack.api_url(),
            "approvers": ["U0ANA"], "signing_secret": SlackStandin::SIGNING_SECRET,
        });
        let pagerduty = json!({ "routing_key": PagerDutyStandin::ROUTING_KEY, "api_url": self.pagerduty.api_url() });
        self.with("slack", slack).with("pagerduty", pagerduty)
    }

    /// A key of `paramedic.yaml`.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.main[key] = value;
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn store_url(&self) -> String {
        format!("sqlite://{}", self.path("state/paramedic.db").display())
    }

    fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.path("config").join(name), value.to_string()).unwrap();
    }
}

/// A service that says in a pipe when it starts.
pub fn service(name: &str, pipe: Option<&Path>) -> Value {
    let said = pipe.map_or_else(String::new, |pipe| format!("echo {name} > {}; ", pipe.display()));
    json!({ "name": name, "reach": { "process": { "command": ["/bin/sh", "-c", format!("{said}exec sleep 100000")] } } })
}

pub fn http() -> reqwest::Client {
    paramedic::clients::http::client(Duration::from_secs(10)).unwrap()
}

/// Dies with its variable.
pub struct Server {
    child: Child,
    pub base: String,
    /// From its start until it said that it is ready: alerts are taken, looked into and told.
    pub ready: Duration,
}

impl Server {
    pub async fn start(ground: &Ground) -> Self {
        Self::start_at(ground, &json!({ "url": ground.store_url() }), "paramedic.yaml").await
    }

    /// With this store; several servers of one ground need names of their own.
    pub async fn start_at(ground: &Ground, store: &Value, name: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut main = ground.main.clone();
        main["server"] = json!({ "listen": format!("127.0.0.1:{port}") });
        main["store"] = store.clone();
        ground.write(name, &main);
        let log = std::fs::File::create(ground.path(&format!("{name}.log"))).unwrap();
        let begun = Instant::now();
        let mut server = Self {
            base: format!("http://127.0.0.1:{port}"),
            ready: Duration::ZERO,
            child: Command::new(env!("CARGO_BIN_EXE_paramedic"))
                .args(["serve", "--config"])
                .arg(ground.path("config").join(name))
                .current_dir(ground.folder.path())
                .env("RUST_LOG", "warn")
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        };
        let http = http();
        loop {
            let answer = http.get(format!("{}/readyz", server.base)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                server.ready = begun.elapsed();
                return server;
            }
            let log = || std::fs::read_to_string(ground.path(&format!("{name}.log"))).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "the server does not get ready: {}", log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// From now until its store is looked over: something may be changed.
    pub async fn until_looked_over(&self) -> Duration {
        let (begun, http) = (Instant::now(), http());
        loop {
            let answer = http.get(format!("{}/readyz", self.base)).send().await.unwrap();
            if answer.text().await.unwrap() == "ready\n" {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < PATIENCE, "the store is not looked over");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// As a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Resident now, and at the most so far; in MB.
    pub fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    pub fn webhook(&self) -> String {
        format!("{}/webhooks/alertmanager", self.base)
    }

    pub async fn get(&self, http: &reqwest::Client, path: &str) -> Value {
        http.get(format!("{}{path}", self.base)).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Ground {
    /// Children of a server outlive it.
    fn drop(&mut self) {
        for file in std::fs::read_dir(self.path("run")).into_iter().flatten().flatten() {
            let Ok(identity) = std::fs::read(file.path()) else { continue };
            let pid = serde_json::from_slice::<Value>(&identity).ok().and_then(|identity| identity["pid"].as_i64());
            if let Some(pid) = pid.and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
