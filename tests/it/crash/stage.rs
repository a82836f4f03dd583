//! Where servers die: a folder with a configuration, Slack and PagerDuty on loopback, and the one process that serves them. The store lies
//! in memory where the machine has room there: what a killed process wrote survives it there as it would on a disk.

use super::ground::Ground;
use super::server::{Began, PARAMEDIC, Serving};
use super::story::Case;
use paramedic::standins::{AlertmanagerApiStandin, PagerDutyStandin, SlackStandin};
use paramedic::tools;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const TOKEN: &str = "the-token-of-ana-who-approves";
/// Nothing here takes so long, whatever else the machine does.
pub const PATIENCE: Duration = Duration::from_secs(120);
pub const LOOK: Duration = Duration::from_millis(10);

pub struct Stage {
    pub slack: SlackStandin,
    pub pagerduty: PagerDutyStandin,
    _alertmanager: AlertmanagerApiStandin,
    http: reqwest::Client,
    server: Option<Serving>,
    /// How often a server was found dead, or killed.
    pub deaths: u32,
    pub ground: Ground,
    memory: TempDir,
    folder: TempDir,
}

impl Stage {
    pub async fn new(ground: Ground) -> Self {
        let folder = tempfile::Builder::new().prefix("pmc-").tempdir().unwrap();
        let memory = tempfile::Builder::new().prefix("pmc-").tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        std::os::unix::fs::symlink(memory.path(), folder.path().join("state")).unwrap();
        let (slack, pagerduty) = (SlackStandin::start().await.unwrap(), PagerDutyStandin::start().await.unwrap());
        let alertmanager = AlertmanagerApiStandin::start(chrono::Utc::now()).await.unwrap();
        let http = paramedic::clients::http::client(Duration::from_secs(10)).unwrap();
        let mut stage = Self { slack, pagerduty, _alertmanager: alertmanager, http, server: None, deaths: 0, ground, memory, folder };
        stage.furnish();
        stage
    }

    fn furnish(&mut self) {
        for name in ["config", "config/policies", "config/runbooks", "run", "logs", "made"] {
            fs::create_dir_all(self.path(name)).unwrap();
        }
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
        for file in fs::read_dir(shipped).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), self.path("config/policies").join(file.file_name())).unwrap();
        }
        let mut main = json!({
            "server": { "listen": "127.0.0.1:0" },
            "store": { "url": format!("sqlite://{}", self.path("state/paramedic.db").display()) },
            "run_dir": self.path("run"),
            "slack": {
                "bot_token": SlackStandin::BOT_TOKEN, "channel": SlackStandin::CHANNEL_NAME, "api_url": self.slack.api_url(),
                "signing_secret": SlackStandin::SIGNING_SECRET, "team_id": SlackStandin::TEAM, "app_id": SlackStandin::APP,
            },
            "pagerduty": { "routing_key": PagerDutyStandin::ROUTING_KEY, "api_url": self.pagerduty.api_url() },
            "approvers": [{ "name": "ana", "slack": "U0ANA", "login": "ana.k", "token": TOKEN }],
            "alertmanager": { "url": self._alertmanager.url() },
        });
        if let Some(url) = self.ground.prometheus() {
            main["prometheus"] = json!({ "url": url });
        }
        self.write("paramedic.yaml", &main);
        let inventory = self.ground.inventory(self.folder.path());
        self.write("services.yaml", &inventory);
        self.write_rules();
    }

    /// A rule and a runbook for each way to try each tool.
    fn write_rules(&self) {
        let mut rules = Vec::new();
        for tool in tools::all().iter().map(|tool| tool.name()) {
            let Some(case) = self.case(tool) else { continue };
            let name = format!("try_{tool}");
            let alertname = case.alertname();
            rules.push(json!({
                "name": name, "level": 1, "why": "to try it", "match": [format!("alertname=\"{alertname}\"")],
                "examples": [{ "alertname": alertname }], "runbook": name,
            }));
            let step = json!({ "id": "try", "tool": tool, "args": case.arguments, "reason": "to try it" });
            let mut runbook = json!({ "name": name, "why": "to try it", "steps": [step] });
            if case.label.0 == "service" {
                // A service that a death left stopped stays so: nobody waits long for it.
                let verify = json!({ "tool": "check_service_status", "args": { "service": case.label.1 }, "expect": "output.active", "within": "5s" });
                runbook["verify"] = verify;
            }
            self.write(&format!("runbooks/{name}.yaml"), &runbook);
        }
        self.write("classifier.yaml", &json!({ "rules": rules }));
    }

    /// How this tool is tried here; None where it cannot be.
    pub fn case(&self, tool: &'static str) -> Option<Case> {
        self.ground.case(tool, self.folder.path())
    }

    /// Another value of a key of `paramedic.yaml`, in a configuration of this name.
    pub fn configure(&self, name: &str, key: &str, value: Value) {
        let text = fs::read_to_string(self.path("config/paramedic.yaml")).unwrap();
        let mut main: Value = serde_json::from_str(&text).unwrap();
        main[key] = value;
        self.write(name, &main);
    }

    fn write(&self, name: &str, value: &Value) {
        fs::write(self.path("config").join(name), serde_json::to_string_pretty(value).unwrap()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Nothing has happened yet: no store, and the ground as it was.
    pub async fn fresh(&mut self) {
        self.kill().await;
        for file in fs::read_dir(self.memory.path()).unwrap().map(Result::unwrap) {
            let path = file.path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        if self.ground.reset(self.folder.path()) {
            // Services are started by a server, and counted from then on.
            self.start(&[]).await;
            self.ground.settle(self.folder.path()).await;
            self.kill().await;
        }
        self.deaths = 0;
    }

    /// A server, which must come up, or die at the point that it was given.
    pub async fn start(&mut self, environment: &[(&str, String)]) {
        match Serving::start(self.folder.path(), environment).await {
            Began::Listens(server) => self.server = Some(*server),
            Began::Ended(status, _) if status.signal() == Some(9) => self.deaths += 1,
            Began::Ended(status, said) => panic!("the server did not start ({status}): {said}"),
        }
    }

    /// Tries to start one; what it said if it would not.
    pub async fn try_start(&mut self, environment: &[(&str, String)]) -> Result<(), (std::process::ExitStatus, String)> {
        match Serving::start(self.folder.path(), environment).await {
            Began::Listens(server) => self.server = Some(*server),
            Began::Ended(status, said) => return Err((status, said)),
        }
        Ok(())
    }

    pub async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().await;
            self.deaths += 1;
        }
    }

    /// As an administrator stops it: it must end well. One that dies while it stops is started and stopped again.
    pub async fn stop(&mut self) {
        while let Some(mut server) = self.server.take() {
            let status = server.signal(Signal::TERM).await;
            if status.signal() == Some(9) {
                self.deaths += 1;
                self.start(&[]).await;
                continue;
            }
            assert_eq!(status.code(), Some(0), "a stop ended in {status}: {}", server.log());
        }
    }

    /// The same on a disk that fails: whatever it says, it ends.
    pub async fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            let status = server.signal(Signal::TERM).await;
            assert_eq!(status.signal(), None, "a stop ended in {status}: {}", server.log());
        }
    }

    /// A process that has only just begun, instead of the one before.
    pub fn spawn(&mut self, environment: &[(&str, String)]) {
        self.server = Some(Serving::spawn(self.folder.path(), environment));
    }

    /// False if it died before.
    pub async fn listens(&mut self) -> bool {
        match self.server.as_mut() {
            Some(server) => server.listens().await,
            None => false,
        }
    }

    /// Is it alive? One that died at its point is noted, one that died of something else is a failure.
    pub fn is_alive(&mut self) -> bool {
        let Some(server) = self.server.as_mut() else { return false };
        let Some(status) = server.ended() else { return true };
        assert_eq!(status.signal(), Some(9), "the server ended by itself ({status}): {}", server.log());
        self.server = None;
        self.deaths += 1;
        false
    }

    /// Somebody starts it again if it died.
    pub async fn revive(&mut self) {
        if !self.is_alive() {
            self.ground.after_death(self.folder.path());
            self.start(&[]).await;
        }
    }

    /// Whoever serves so far is the caller's from now on.
    pub fn hand_over(&mut self) -> Serving {
        self.server.take().unwrap()
    }

    /// One that runs already serves from now on.
    pub fn keep_on(&mut self, server: Serving) {
        self.server = Some(server);
    }

    pub fn is_paused(&self) -> bool {
        self.server.as_ref().is_some_and(Serving::is_paused)
    }

    pub fn log(&self) -> String {
        self.server.as_ref().map_or_else(String::new, Serving::log)
    }

    /// The status, if it answered at all.
    pub async fn post(&self, path: &str, token: &str, body: String) -> Option<u16> {
        let url = format!("{}{path}", self.server.as_ref()?.url);
        let request = self.http.post(url).header("authorization", format!("Bearer {token}")).body(body);
        let answer = request.send().await.ok()?;
        Some(answer.status().as_u16())
    }

    pub async fn get(&self, path: &str) -> Option<Value> {
        self.get_text(path).await.filter(|(status, _)| *status == 200).and_then(|(_, text)| serde_json::from_str(&text).ok())
    }

    pub async fn get_text(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("{}{path}", self.server.as_ref()?.url);
        let answer = self.http.get(url).header("authorization", format!("Bearer {TOKEN}")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// As Alertmanager does it: again and again until a 2xx, whoever has to be started again for that.
    pub async fn deliver(&mut self, body: &Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.revive().await;
            match self.post("/webhooks/alertmanager", "", body.to_string()).await {
                Some(200) => return,
                None | Some(500..) => assert!(Instant::now() < end, "a delivery is not taken: {}", self.log()),
                Some(other) => panic!("a delivery was answered {other}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Votes for what is asked; what it was, if the vote was taken.
    pub async fn approve(&self) -> Option<String> {
        let open = self.get("/api/approvals").await?;
        let asked = open.as_array()?.first()?;
        let (id, digest) = (asked["id"].as_str().unwrap().to_owned(), asked["digest"].clone());
        let body = json!({ "decision": "approve", "digest": digest }).to_string();
        let taken = self.post(&format!("/api/approvals/{id}/decide"), TOKEN, body).await == Some(200);
        taken.then_some(id)
    }

    /// A command line in the folder; its exit code, and all that it said.
    pub fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(PARAMEDIC);
        command.args(args).current_dir(self.folder.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let ran = command.output().unwrap();
        (ran.status.code(), format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The store's own folder.
    pub fn state(&self) -> &Path {
        self.memory.path()
    }

    /// Leaves everything where it lies, for whoever looks into a failure.
    pub fn keep(self) -> (PathBuf, PathBuf) {
        let Self { memory, folder, .. } = self;
        (folder.keep(), memory.keep())
    }
}
