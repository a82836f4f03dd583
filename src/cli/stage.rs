//! A stage for the demo and for chaos scenarios: a whole server in a temporary folder, on loopback, with Slack, PagerDuty and
//! a model as stand-ins that speak the real protocols. Nothing outside the folder is touched.

use crate::app::App;
use crate::config::{self, Config, Overrides};
use crate::domain::{ApprovalId, Clock as _, Decision, Incident, IncidentId, Service, ServiceName, SystemClock, Time};
use crate::standins::model::{ModelStandin, Reply};
use crate::standins::{AlertmanagerStandin, PagerDutyStandin, Sample, SlackStandin};
use crate::store::{Freeze, Store};
use anyhow::{Context as _, anyhow, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const TOKEN: &str = "stage-token";
/// The Slack user on the stage who may decide.
pub const ON_CALL: &str = "U0ONCALL";
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Above this the disk runbook could not tell that cleaning helped.
const TOO_FULL: f64 = 85.0;

pub struct Stage {
    pub app: App,
    pub slack: SlackStandin,
    pub pagerduty: PagerDutyStandin,
    /// Answers for as long as it is held.
    _model: Option<ModelStandin>,
    pub config: PathBuf,
    alertmanager: AlertmanagerStandin,
    folder: TempDir,
}

impl Stage {
    /// `services` is a services.yaml in which `${SANDBOX}` stands for the stage's folder.
    pub async fn open(folder: TempDir, services: &str, model: Option<Vec<Reply>>) -> anyhow::Result<Self> {
        let (slack, pagerduty) = (SlackStandin::start().await?, PagerDutyStandin::start().await?);
        let model = match model {
            Some(replies) => Some(ModelStandin::start(replies).await?),
            None => None,
        };
        let home = folder.path().join("paramedic");
        config::unpack(&home)?;
        std::fs::write(home.join("services.yaml"), services)?;
        let path = home.join("paramedic.yaml");
        std::fs::write(&path, main_file(&home, &slack, &pagerduty, model.as_ref()))?;
        let sandbox = folder.path().display().to_string();
        let environment = |name: &str| (name == "SANDBOX").then(|| sandbox.clone());
        let config = Config::load(&path, &Overrides::default(), &environment).map_err(|complaints| {
            let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            anyhow!("the stage's configuration: {}", lines.join("\n"))
        })?;
        let app = App::start(config, Arc::new(SystemClock), Freeze::default()).await?;
        let alertmanager = AlertmanagerStandin::new(app.address, TOKEN);
        Ok(Self { app, slack, pagerduty, _model: model, config: path, alertmanager, folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn store(&self) -> &Store {
        self.app.engine.store()
    }

    /// Sends an alert and finds the incident it opened.
    pub async fn raise(&self, sample: &Sample, patience: Duration) -> anyhow::Result<IncidentId> {
        let before = self.store().list(None, 1).await?.first().map_or(0, |listed| listed.id.0);
        self.alertmanager.post(&sample.body()).await?;
        let newest = async || {
            let listed = self.store().list(None, 1).await?;
            Ok(listed.first().map(|listed| listed.id).filter(|id| id.0 > before))
        };
        until(patience, newest).await?.ok_or_else(|| anyhow!("no incident was opened for the alert"))
    }

    pub async fn resolve(&self, sample: &Sample) -> anyhow::Result<()> {
        Ok(self.alertmanager.post(&sample.clone().resolved(SystemClock.now()).body()).await?)
    }

    pub async fn incident(&self, id: IncidentId) -> anyhow::Result<Incident> {
        self.store().incident(id).await?.ok_or_else(|| anyhow!("{id} is not in the ledger"))
    }

    /// Looks at the incident until `holds`, for as long as `patience`. False if it never did.
    pub async fn wait(&self, id: IncidentId, patience: Duration, mut holds: impl FnMut(&Incident) -> bool) -> anyhow::Result<bool> {
        let look = async || Ok(Some(self.incident(id).await?).filter(|incident| holds(incident)));
        Ok(until(patience, look).await?.is_some())
    }

    /// A signed click of the on-call engineer on an approval's message, once that is there.
    pub async fn click(&self, approval: ApprovalId, decision: Decision, patience: Duration) -> anyhow::Result<()> {
        let action = match decision {
            Decision::Grant => "approve",
            Decision::Deny => "deny",
        };
        let wait = async || self.store().ask_message(approval).await.map_err(anyhow::Error::from);
        let ts = until(patience, wait).await?.ok_or_else(|| anyhow!("{approval} was never asked in Slack"))?;
        let base = format!("http://{}", self.app.address);
        match self.slack.click(&base, &ts, action, ON_CALL, SystemClock.now()).await? {
            200 => Ok(()),
            status => bail!("the click was answered with {status}"),
        }
    }

    /// kill -9 of a process service.
    pub async fn crash(&self, name: &str) -> anyhow::Result<()> {
        let service = self.service(name)?;
        let status = self.app.fleet.status(&service, None).await?;
        let pid = status.pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| anyhow!("{name} does not run: {}", status.detail))?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        let dead = async || Ok((!self.app.fleet.status(&service, None).await?.active).then_some(()));
        until(Duration::from_secs(5), dead).await?.ok_or_else(|| anyhow!("{name} would not die"))
    }

    pub fn service(&self, name: &str) -> anyhow::Result<Service> {
        let name = ServiceName::parse(name)?;
        let service = self.app.engine.inventory().service(&name).cloned();
        service.ok_or_else(|| anyhow!("{name} is not in the stage's inventory"))
    }

    /// Writes a file below the stage's folder, `age_days` old.
    pub fn file(&self, path: &str, bytes: usize, age_days: u64) -> anyhow::Result<PathBuf> {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(self.path()))?;
        std::fs::write(&path, vec![b'.'; bytes])?;
        let changed = std::time::SystemTime::now() - Duration::from_secs(age_days * 86_400);
        std::fs::File::options().write(true).open(&path)?.set_modified(changed).with_context(|| format!("age {}", path.display()))?;
        Ok(path)
    }

    /// Stops the server and its children; the folder goes with it.
    pub async fn close(self) -> anyhow::Result<()> {
        let fleet = self.app.fleet.clone();
        self.app.stop().await;
        fleet.stop_all().await?;
        Ok(())
    }
}

/// A folder on a file system with room: the usual one, else one in memory.
pub fn roomy_folder() -> anyhow::Result<TempDir> {
    let usual = std::env::temp_dir();
    let mine = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = [Some(usual.clone()), mine, Some("/dev/shm".into()), Some(".".into())];
    let writable = |place: &PathBuf| rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok();
    let roomy = |place: &PathBuf| used_percent(place).is_some_and(|used| used < TOO_FULL);
    let place = places.into_iter().flatten().find(|place| writable(place) && roomy(place));
    let place = place.ok_or_else(|| anyhow!("no file system with room for the stage: {} is too full", usual.display()))?;
    Ok(tempfile::Builder::new().prefix("paramedic-").tempdir_in(place)?)
}

fn used_percent(path: &Path) -> Option<f64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let used = stat.f_blocks.checked_sub(stat.f_bfree)?;
    let usable = used + stat.f_bavail;
    (usable > 0).then(|| used as f64 * 100.0 / usable as f64)
}

/// Looks again and again until there is something.
async fn until<T>(patience: Duration, mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<Option<T>> {
    let end = std::time::Instant::now() + patience;
    loop {
        if let Some(found) = look().await? {
            return Ok(Some(found));
        }
        if std::time::Instant::now() >= end {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn main_file(home: &Path, slack: &SlackStandin, pagerduty: &PagerDutyStandin, model: Option<&ModelStandin>) -> String {
    let llm = model.map(|model| serde_json::json!({ "base_url": model.url(), "model": "scripted" }));
    // JSON is YAML.
    let value = serde_json::json!({
        "server": { "listen": "127.0.0.1:0", "webhook_token": TOKEN },
        "store": { "url": format!("sqlite://{}", home.join("ledger/paramedic.db").display()) },
        "run_dir": home.join("run"),
        "slack": {
            "bot_token": SlackStandin::BOT_TOKEN, "signing_secret": SlackStandin::SIGNING_SECRET, "channel": SlackStandin::CHANNEL,
            "approvers": [ON_CALL], "api_url": slack.api_url(),
        },
        "pagerduty": { "routing_key": PagerDutyStandin::ROUTING_KEY, "api_url": pagerduty.api_url() },
        "llm": llm,
    });
    format!("{value:#}\n")
}

/// When the stage says "now".
pub fn now() -> Time {
    SystemClock.now()
}
