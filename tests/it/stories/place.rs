//! Where a story takes place: a folder with the shipped rules and runbooks, an inventory of real children and a real disk. Gone with
//! everything that runs in it when dropped.

use crate::postgres::Postgres;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The disk runbook verifies that the disk is less than 90 % full.
const FULL: f64 = 88.0;

/// A service that says when it starts, so that its starts can be counted.
const SERVICE: &str = "echo started; exec sleep 1000";

/// The host that the disk's alerts name.
pub const HOST: &str = "app-server-01";

pub struct Place {
    folder: TempDir,
    /// Where the store is kept in memory.
    _memory: Option<TempDir>,
    /// Keeps the store, instead of a file.
    postgres: Option<Postgres>,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: Self::folder(), _memory: None, postgres: None };
        fs::create_dir(place.path("state")).unwrap();
        place.furnished()
    }

    /// The store's folder is a link into /dev/shm where there is one; everything else stays on a disk, because what lies below /dev is
    /// never cleaned.
    pub fn in_memory() -> Self {
        let Ok(memory) = tempfile::Builder::new().prefix("paramedic-story-").tempdir_in("/dev/shm") else { return Self::new() };
        let folder = Self::folder();
        std::os::unix::fs::symlink(memory.path(), folder.path().join("state")).unwrap();
        Self { folder, _memory: Some(memory), postgres: None }.furnished()
    }

    /// The store is a PostgreSQL of the story's own.
    pub fn with_postgres() -> Self {
        let mut place = Self::new();
        place.postgres = Some(Postgres::start());
        place
    }

    /// A PostgreSQL to move into: from here on it is the place's store.
    pub fn gets_postgres(&mut self) {
        self.postgres = Some(Postgres::start());
    }

    fn folder() -> TempDir {
        let candidates = [std::env::temp_dir(), PathBuf::from(env!("CARGO_TARGET_TMPDIR"))];
        let Some(root) = candidates.iter().find(|root| used_percent(root) < FULL) else {
            panic!("{candidates:?} are all more than {FULL} % full: free some space, the disk stories need a disk that is not full");
        };
        tempfile::Builder::new().prefix("paramedic-story-").tempdir_in(root).unwrap()
    }

    fn furnished(self) -> Self {
        for name in ["config", "run", "logs"] {
            fs::create_dir(self.path(name)).unwrap();
        }
        paramedic::config::unpack(&self.path("config")).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// YAML is a superset of JSON.
    pub fn write_config(&self, name: &str, value: &Value) {
        fs::write(self.path("config").join(name), serde_json::to_string_pretty(value).unwrap()).unwrap();
    }

    /// Rules that name no runbook, and no runbooks.
    pub fn forget_runbooks(&self) {
        let rules = self.path("config/classifier.yaml");
        let text = fs::read_to_string(&rules).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("runbook:")).collect();
        fs::write(&rules, kept.join("\n")).unwrap();
        for file in fs::read_dir(self.path("config/runbooks")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    pub fn store_url(&self) -> String {
        let file = || format!("sqlite://{}", self.path("state/paramedic.db").display());
        self.postgres.as_ref().map_or_else(file, Postgres::url)
    }

    /// `store:` of a server with this folder of its own; a file lies where it lies.
    pub fn store(&self, folder: &str) -> Value {
        match &self.postgres {
            Some(postgres) => json!({ "url": postgres.url(), "dir": self.path(folder) }),
            None => json!({ "url": self.store_url() }),
        }
    }

    pub fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().unwrap()
    }

    /// Ends a service's first instance as a crash would.
    pub fn crash(&self, service: &str) {
        let pid = pid(&self.path("run").join(format!("{service}.1.pid"))).unwrap();
        kill_process_group(pid, Signal::KILL).unwrap();
    }

    /// The same, where it may be down already.
    pub fn crash_if_running(&self, service: &str) {
        let pid = pid(&self.path("run").join(format!("{service}.1.pid"))).unwrap();
        let _ = kill_process_group(pid, Signal::KILL);
    }

    /// How often instances of a service were started: the effects that were really had.
    pub fn starts(&self, service: &str) -> usize {
        self.said(service).lines().filter(|line| *line == "started").count()
    }

    pub fn said(&self, service: &str) -> String {
        fs::read_to_string(self.path("run").join(format!("{service}.log"))).unwrap_or_default()
    }

    pub fn inventory(&self) -> Value {
        let service = |name: &str, more: Value| {
            let mut service = json!({ "name": name, "reach": { "process": { "command": ["/bin/sh", "-c", SERVICE] } } });
            service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            service
        };
        json!({
            "hosts": [{ "name": HOST, "reach": { "local": {} }, "log_roots": [self.path("logs")] }],
            "services": [
                service("api-gateway", json!({})),
                service("orders", json!({ "pool": "orders-pool" })),
                service("orders-pool", json!({})),
                service("mailer", json!({ "consumers": ["mailer-worker-1", "mailer-worker-2"] })),
                service("mailer-worker-1", json!({})),
                service("mailer-worker-2", json!({})),
            ],
        })
    }

    /// The text without what differs from run to run.
    pub fn redact(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().display().to_string(), "[folder]");
        // Whether a child was reaped before it was looked at is a matter of milliseconds.
        let process = regex::Regex::new(r"process \d+( is gone| ended: exit status: \d+)?").unwrap();
        // Which disk is the fullest one is this machine's business, and so is the length of its name.
        let fullest = regex::Regex::new(r"resources of (\S+): [^;\n]*").unwrap();
        let summary = regex::Regex::new(r"runbook done: disk_space_low; .*").unwrap();
        let text = summary.replace_all(&text, "runbook done: disk_space_low; [what it saw]");
        let text = fullest.replace_all(&text, "resources of $1: [disk]");
        process.replace_all(&text, "process [pid]").into_owned()
    }
}

impl Drop for Place {
    /// Children outlive their server: nothing else would end them.
    fn drop(&mut self) {
        let Ok(files) = fs::read_dir(self.path("run")) else { return };
        let pid_files =
            files.filter_map(|file| file.ok().map(|file| file.path())).filter(|path| path.extension().is_some_and(|e| e == "pid"));
        for pid in pid_files.filter_map(|path| pid(&path)) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

fn pid(path: &Path) -> Option<Pid> {
    let identity: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Pid::from_raw(identity["pid"].as_i64()?.try_into().ok()?)
}

/// As `df` counts: what is left for others than root.
fn used_percent(path: &Path) -> f64 {
    let Ok(space) = rustix::fs::statvfs(path) else { return 100.0 };
    let used = space.f_blocks.saturating_sub(space.f_bfree) as f64;
    used * 100.0 / (used + space.f_bavail as f64).max(1.0)
}
