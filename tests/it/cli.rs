//! The binary as a user runs it: commands in folders of their own, their output, their exit codes. Nothing is looked at from inside.

mod checking;
mod classifying;
mod composed;
mod deciding;
mod explaining;
mod granting;
mod ledger;
mod moving;
mod ordering;
mod replaying;
mod secrets;
mod serving;
mod shows;
mod signing;

use crate::server::until;
use paramedic::domain::{Clock as _, SystemClock};
use paramedic::standins::{AlertmanagerStandin, Sample};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "t0ken-of-the-shell";
const BY_TOKEN: &str = "server: { webhook_token: t0ken-of-the-shell }";

/// What a command left behind.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The binary in a folder, with nothing of this process's environment but the way to programs.
fn paramedic(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paramedic"));
    command.args(args).current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn run(folder: &Path, args: &[&str]) -> Ran {
    finish(paramedic(folder, args), "")
}

fn run_with(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = paramedic(folder, args);
    command.envs(environment.iter().copied());
    finish(command, "")
}

/// An empty `input` is a closed stdin.
fn finish(mut command: Command, input: &str) -> Ran {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes()).unwrap();
    }
    let done = child.wait_with_output().unwrap();
    Ran { code: done.status.code(), out: String::from_utf8(done.stdout).unwrap(), err: String::from_utf8(done.stderr).unwrap() }
}

/// The shipped configuration, as an administrator would copy it.
fn shipped() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), &folder.path().join("config"));
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The shipped configuration with a main file and an inventory of its own; store and run folder below `data/`. The run folder by its
/// whole path: two servers with the same relative one take each other's children for their own.
fn configured(main: &str, services: &str) -> tempfile::TempDir {
    let folder = shipped();
    let main = format!("{main}\nrun_dir: {}/data/run\n", folder.path().display());
    std::fs::write(folder.path().join("config/paramedic.yaml"), main).unwrap();
    std::fs::write(folder.path().join("config/services.yaml"), services).unwrap();
    folder
}

/// `paramedic serve` in a folder, until it is stopped or killed.
struct Serving {
    child: Child,
    folder: std::path::PathBuf,
    url: String,
    log: Arc<Mutex<String>>,
}

impl Serving {
    async fn start(folder: &Path, args: &[&str]) -> Self {
        Self::start_with(folder, args, &[]).await
    }

    async fn start_with(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = paramedic(folder, &[&["serve"], args].concat());
        let mut child = command.envs(environment.iter().copied()).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let mut serving = Self { child, folder: folder.to_owned(), url: String::new(), log };
        until("the server says where it listens", async || {
            assert_eq!(serving.child.try_wait().unwrap(), None, "the server ended: {}", serving.log());
            serving.log().contains("listening on http://")
        })
        .await;
        let log = serving.log();
        let address = log.split("listening on http://").nth(1).unwrap().split([',', ' ', '\n']).next().unwrap();
        serving.url = format!("http://{address}");
        serving
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// As Alertmanager posts it, with the token.
    async fn fire(&self, alertname: &str, service: &str) {
        let alert = Sample::firing(alertname, &[("service", service)], "a test", SystemClock.now());
        let address = self.url.trim_start_matches("http://").parse().unwrap();
        AlertmanagerStandin::new(address, TOKEN).post(&alert.body()).await.unwrap();
    }

    /// What `paramedic incidents ID --json` gives; null where there is none.
    fn incident(&self, id: &str) -> Value {
        let ran = run(&self.folder, &["incidents", id, "--json"]);
        if ran.code == Some(0) { serde_json::from_str(&ran.out).unwrap() } else { Value::Null }
    }

    async fn until_incident(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) {
        until(&format!("{id} {what}"), async || holds(&self.incident(id))).await;
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Serving {
    /// The server, and the services that it started, end with the test.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for entry in std::fs::read_dir(self.folder.join("data/run")).into_iter().flatten().flatten() {
            let seen = std::fs::read_to_string(entry.path()).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(pid) = seen.and_then(|seen| seen["pid"].as_i64()).and_then(|pid| Pid::from_raw(pid as i32)) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
    }
}

/// The kinds of an incident's entries, in order.
fn kinds(incident: &Value) -> Vec<&str> {
    incident["transcript"].as_array().into_iter().flatten().map(|line| line["kind"].as_str().unwrap()).collect()
}
