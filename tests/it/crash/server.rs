//! `paramedic serve` as a process of its own, started with this environment and no other, and killed.

use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

pub const PARAMEDIC: &str = env!("CARGO_BIN_EXE_paramedic");

pub struct Serving {
    child: Child,
    /// Empty until it listens.
    pub url: String,
    log: Arc<Mutex<String>>,
    lines: Option<Lines<BufReader<ChildStderr>>>,
}

/// What became of a start.
pub enum Began {
    Listens(Box<Serving>),
    /// It ended before it listened, and said this.
    Ended(ExitStatus, String),
}

impl Serving {
    /// In this folder, with its `config/`; until it listens or ends.
    pub async fn start(folder: &Path, environment: &[(&str, String)]) -> Began {
        let mut serving = Self::spawn(folder, environment);
        match serving.listens().await {
            true => Began::Listens(Box::new(serving)),
            false => Began::Ended(serving.child.wait().await.unwrap(), serving.log()),
        }
    }

    pub fn spawn(folder: &Path, environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(PARAMEDIC);
        command.arg("serve").current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = Some(BufReader::new(child.stderr.take().unwrap()).lines());
        Self { child, url: String::new(), log: Arc::default(), lines }
    }

    /// False if it ended before.
    pub async fn listens(&mut self) -> bool {
        let Some(lines) = self.lines.as_mut() else { return true };
        while let Ok(Some(line)) = lines.next_line().await {
            self.log.lock().unwrap().push_str(&format!("{line}\n"));
            let Some((_, rest)) = line.split_once("listening on http://") else { continue };
            self.url = format!("http://{}", rest.split([',', ' ']).next().unwrap());
            if let Some(mut lines) = self.lines.take() {
                let kept = self.log.clone();
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        kept.lock().unwrap().push_str(&format!("{line}\n"));
                    }
                });
            }
            return true;
        }
        false
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Every thread of it stands still.
    pub fn is_paused(&self) -> bool {
        let Some(pid) = self.child.id() else { return false };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    }

    pub fn go_on(&self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid as i32)).unwrap();
        kill_process(pid, Signal::CONT).unwrap();
    }

    pub async fn kill(&mut self) {
        self.signal(Signal::KILL).await;
    }

    /// Sends it, and waits for the end.
    pub async fn signal(&mut self, signal: Signal) -> ExitStatus {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, signal);
        }
        self.child.wait().await.unwrap()
    }
}
