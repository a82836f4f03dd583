//! A whole server on a loopback port of its own, in a folder of its own, with the shipped classifier and runbooks.

use paramedic::app::App;
use paramedic::clients::http::client;
use paramedic::config::{Config, Overrides, unpack};
use paramedic::domain::{IncidentId, Inventory, SystemClock};
use paramedic::store::Freeze;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const TOKEN: &str = "t0ken-of-the-tests";

pub struct Server {
    pub app: App,
    pub folder: tempfile::TempDir,
    pub inventory: Inventory,
    client: reqwest::Client,
}

/// Writes a configuration into the folder and reads it: `more` are further lines of `paramedic.yaml`.
pub fn configure(folder: &Path, more: &str, services: &str) -> Config {
    unpack(folder).unwrap();
    let shown = folder.display();
    let main = format!("store: {{ url: \"sqlite://{shown}/data/paramedic.db\" }}\nrun_dir: {shown}/run\n{more}\n");
    std::fs::write(folder.join("paramedic.yaml"), main).unwrap();
    std::fs::write(folder.join("services.yaml"), services).unwrap();
    Config::load(&folder.join("paramedic.yaml"), &Overrides::default(), &|_| None).unwrap()
}

pub const WITH_TOKEN: &str = "server: { listen: \"127.0.0.1:0\", webhook_token: \"t0ken-of-the-tests\" }";
pub const NO_SERVICES: &str = "services: []";
pub const WITHOUT_TOKEN: &str = "server: { listen: \"127.0.0.1:0\" }";

impl Server {
    pub async fn start(more: &str, services: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more, services).await
    }

    pub async fn start_in(folder: tempfile::TempDir, more: &str, services: &str) -> Self {
        let config = configure(folder.path(), more, services);
        let inventory = config.inventory.clone();
        let app = App::start(config, Arc::new(SystemClock), Freeze::default()).await.unwrap();
        Self { app, folder, inventory, client: client(Duration::from_secs(60)).unwrap() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address)
    }

    /// With the token; status and body as text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(self.url(path)).bearer_auth(TOKEN).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.get(path).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path} answered `{text}`: {e}")))
    }

    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        self.post_with(body, &format!("Bearer {TOKEN}")).await
    }

    /// The webhook, with these credentials; none if empty.
    pub async fn post_with(&self, body: impl Into<reqwest::Body>, authorization: &str) -> (u16, Value) {
        let mut request = self.client.post(self.url("/webhooks/alertmanager")).body(body);
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The transcript as humans read it.
    pub async fn transcript(&self, id: IncidentId) -> String {
        let entries = self.app.engine.store().entries(id).await.unwrap();
        entries.iter().map(|recorded| format!("{}\n", recorded.entry)).collect()
    }

    pub async fn state(&self, id: IncidentId) -> Option<String> {
        self.app.engine.store().incident(id).await.unwrap().map(|incident| incident.state.to_string())
    }
}

impl Drop for Server {
    /// The services that it started end with it.
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.folder.path().join("run")).into_iter().flatten().flatten() {
            let seen = std::fs::read_to_string(entry.path()).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(pid) = seen.and_then(|seen| seen["pid"].as_i64()).and_then(|pid| Pid::from_raw(pid as i32)) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
    }
}

/// Waits until the condition holds; `what` is said if it never does.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !condition().await {
        assert!(Instant::now() < end, "waited 40 s in vain: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
