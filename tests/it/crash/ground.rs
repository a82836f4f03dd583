//! What servers act on, for real: children, a host behind a real sshd, containers of a real Docker Engine. How each tool of the registry is
//! tried there, and what was really done, counted where it happens and not where it is written down.

use super::story::Case;
use crate::reaching::docker::Engine;
use crate::reaching::need;
use crate::reaching::sshd::{PARAMEDIC, Sshd};
use crate::server::until;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// `shop` has a pool, `mail` has a consumer; `web` alone is scaled, and never restarted.
pub const SERVICES: [&str; 6] = ["api", "web", "shop", "shop-pool", "mail", "mail-worker"];
const HOST: &str = "box";
const CHILD: &str = "echo started; exec sleep 1000";
const CONTAINER: &str = "echo started; trap 'exit 0' TERM; while true; do /bin/busybox sleep 0.1; done";

/// How often something was done, by its name.
pub type Counts = BTreeMap<String, usize>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Children of the server, and this machine's own files and commands.
    Here,
    Ssh,
    Docker,
}

pub enum Ground {
    Here {
        prometheus: Option<Arc<Prometheus>>,
        children: Children,
    },
    /// Units are files there, because not every machine that tests has a systemd; files and commands are the real hand's.
    Ssh {
        units: Box<Sshd>,
        files: Box<Sshd>,
    },
    Docker(Engine),
}

/// Real, with nothing to scrape.
pub struct Prometheus {
    port: u16,
    server: std::process::Child,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    pub fn start() -> Arc<Self> {
        need("/usr/bin/prometheus", "prometheus");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), "global: { scrape_interval: 1m }\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("/usr/bin/prometheus");
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &format!("--web.listen-address=127.0.0.1:{port}")]);
        let log = File::create(dir.path().join("log")).unwrap();
        let server = command.current_dir(dir.path()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Arc::new(Self { port, server, _dir: dir })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Children outlive their server: nothing else would end them.
#[derive(Default)]
pub struct Children(PathBuf);

impl Drop for Children {
    fn drop(&mut self) {
        for (_, pid, _) in pids(&self.0) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Ground {
    pub fn here(prometheus: Option<Arc<Prometheus>>) -> Self {
        Self::Here { prometheus, children: Children::default() }
    }

    pub fn ssh() -> Self {
        let units = Sshd::start(|dir| {
            fs::create_dir(dir.join("units")).unwrap();
            for service in SERVICES {
                fs::write(dir.join(format!("units/{service}.service")), "").unwrap();
            }
            fs::write(dir.join("hand.sh"), UNITS.replace("DIR", &dir.display().to_string())).unwrap();
            format!("/bin/sh {}/hand.sh", dir.display())
        });
        let files = Sshd::start(|dir| {
            fs::create_dir(dir.join("logs")).unwrap();
            let list = format!("resources: true\nlog_roots: [{}/logs]\ncommands: MEDIUM\n", dir.display());
            fs::write(dir.join("hand.yaml"), list).unwrap();
            fs::write(dir.join("asked"), "").unwrap();
            let hand = format!("tee -a {0}/asked | exec {PARAMEDIC} hand --config {0}/hand.yaml\n", dir.display());
            fs::write(dir.join("hand.sh"), hand).unwrap();
            format!("/bin/sh {}/hand.sh", dir.display())
        });
        fs::write(units.path("asked"), "").unwrap();
        Self::Ssh { units: Box::new(units), files: Box::new(files) }
    }

    pub fn docker() -> Self {
        let engine = Engine::start();
        engine.make_image();
        for service in SERVICES {
            engine.docker(&["run", "-d", "--name", service, "tiny", "/bin/busybox", "sh", "-c", CONTAINER]);
        }
        Self::Docker(engine)
    }

    pub fn way(&self) -> Way {
        match self {
            Self::Here { .. } => Way::Here,
            Self::Ssh { .. } => Way::Ssh,
            Self::Docker(_) => Way::Docker,
        }
    }

    pub fn prometheus(&self) -> Option<String> {
        match self {
            Self::Here { prometheus: Some(prometheus), .. } => Some(format!("http://127.0.0.1:{}", prometheus.port)),
            _ => None,
        }
    }

    pub fn inventory(&mut self, folder: &Path) -> Value {
        let mut hosts = Vec::new();
        let reach: Box<dyn Fn(&str) -> Value> = match self {
            Self::Here { children, .. } => {
                children.0 = folder.join("run");
                hosts.push(json!({ "name": HOST, "reach": { "local": {} }, "log_roots": [folder.join("logs")] }));
                Box::new(|_| json!({ "process": { "command": ["/bin/sh", "-c", CHILD] } }))
            }
            Self::Ssh { units, files } => {
                hosts.push(json!({ "name": HOST, "reach": reach(files), "log_roots": [files.path("logs")] }));
                hosts.push(json!({ "name": "web-1", "reach": reach(units) }));
                Box::new(|name| json!({ "systemd": { "unit": format!("{name}.service"), "template": format!("{name}@{{n}}.service") } }))
            }
            Self::Docker(engine) => {
                let socket = engine.path("socket");
                Box::new(move |name| json!({ "docker": { "container": name, "socket": socket } }))
            }
        };
        let on_web = hosts.len() > 1;
        let service = |name: &&str| {
            let mut service = json!({ "name": name, "reach": reach(name) });
            match *name {
                "shop" => service["pool"] = json!("shop-pool"),
                "mail" => service["consumers"] = json!(["mail-worker"]),
                _ => {}
            }
            if on_web {
                service["hosts"] = json!(["web-1"]);
            }
            service
        };
        let services: Vec<Value> = SERVICES.iter().map(service).collect();
        json!({ "hosts": hosts, "services": services })
    }

    /// How a tool is tried here; None where it is not, because it goes no such way. A tool that is not named has no crash story.
    pub fn case(&self, tool: &'static str, folder: &Path) -> Option<Case> {
        let (way, here) = (self.way(), self.way() == Way::Here);
        let about = |service: &str, more: Value| {
            let mut arguments = json!({ "service": service });
            arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            (("service".to_owned(), service.to_owned()), arguments)
        };
        let why = json!({ "reason": "to try it" });
        let on_host = |arguments: Value| (("instance".to_owned(), format!("{HOST}:9100")), arguments);
        let ((label, arguments), counted): (_, &[&str]) = match tool {
            "get_service_logs" => (about("api", json!({ "lines": 5, "level": "all" })), &[]),
            "check_service_status" => (about("api", json!({})), &[]),
            "restart_service" => (about("api", why), &["api"]),
            "scale_service" => (about("web", json!({ "add": 1, "reason": "to try it" })), &["web"]),
            "restart_connection_pool" => (about("shop", why), &["shop-pool"]),
            "restart_consumers" => (about("mail", why), &["mail-worker"]),
            // The Docker Engine has neither files nor commands.
            "check_system_resources" | "run_diagnosis_command" | "clean_disk_space" if way == Way::Docker => return None,
            "check_system_resources" => (on_host(json!({ "host": HOST, "check_types": ["memory"] })), &[]),
            "run_diagnosis_command" => {
                let command = format!("mktemp -p {}", folder.join("made").display());
                (on_host(json!({ "host": HOST, "command": command, "reason": "to try it" })), &["command"])
            }
            "clean_disk_space" => (on_host(json!({ "host": HOST, "min_age_days": 7, "reason": "to try it" })), &["clean"]),
            // These go to other systems, or to humans, whatever the services are made of.
            "get_metrics" if here => (about("api", json!({})), &[]),
            "get_alerts" if here => (about("api", json!({})), &[]),
            "send_notification" if here => {
                (on_host(json!({ "channel": "slack", "severity": "info", "message": "a message of the story" })), &[])
            }
            "request_human_confirmation" if here => {
                (on_host(json!({ "action_description": "is it so?", "reason": "to try it", "risk_level": "low" })), &[])
            }
            "get_metrics" | "get_alerts" | "send_notification" | "request_human_confirmation" => return None,
            other => panic!("{other} has no crash story: say here how it is tried, and how what it does is counted"),
        };
        let arguments = if tool == "get_metrics" { json!({ "query": "vector(1)" }) } else { arguments };
        Some(Case { tool, label, arguments, counted: counted.iter().map(|name| (*name).to_owned()).collect() })
    }

    fn logs(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Ssh { files, .. } => files.path("logs"),
            _ => folder.join("logs"),
        }
    }

    /// As before the first story, with old files to clean. True if services have to be started by a server first.
    pub fn reset(&mut self, folder: &Path) -> bool {
        let (logs, made) = (self.logs(folder), folder.join("made"));
        for file in [&logs, &made].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        old_file(&logs, "first.log");
        match self {
            Self::Here { children, .. } => {
                let mut missing = pids(&children.0).is_empty();
                for (path, pid, first) in pids(&children.0) {
                    if !first {
                        let _ = kill_process_group(pid, Signal::KILL);
                    }
                    let dead = rustix::process::test_kill_process_group(pid).is_err();
                    if !first || dead {
                        fs::remove_file(path).unwrap();
                    }
                    missing |= first && dead;
                }
                missing
            }
            Self::Ssh { units, .. } => {
                for file in fs::read_dir(units.path("units")).unwrap().map(|file| file.unwrap().path()) {
                    if file.to_str().unwrap().contains('@') {
                        fs::remove_file(file).unwrap();
                    }
                }
                false
            }
            Self::Docker(engine) => {
                let listed = engine.docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
                for (name, state) in listed.lines().filter_map(|line| line.split_once(' ')) {
                    if !SERVICES.contains(&name) {
                        engine.docker(&["rm", "-f", name]);
                    } else if state != "running" {
                        let before = engine.docker(&["logs", name]).lines().count();
                        engine.docker(&["start", name]);
                        while engine.docker(&["logs", name]).lines().count() <= before {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    }
                }
                false
            }
        }
    }

    /// Waits until each service that the server started has said so.
    pub async fn settle(&self, folder: &Path) {
        if let Self::Here { .. } = self {
            until("each service says that it started", async || SERVICES.iter().all(|service| starts(folder, service) > 0)).await;
            // One that was started again says so for the second time a moment after its process is there.
            let alive = || pids(&folder.join("run")).iter().filter(|(_, pid, _)| is_asleep(*pid)).count() == SERVICES.len();
            until("each service is what it becomes", async || alive()).await;
        }
    }

    /// Waits until nothing here came up so lately that a probe could take it for restarted: such starts are told in whole seconds.
    pub async fn come_of_age(&self, folder: &Path) {
        let (place, suffix) = match self {
            Self::Here { .. } => (folder.join("run"), ".pid"),
            Self::Ssh { units, .. } => (units.path("units"), ".service"),
            Self::Docker(_) => return,
        };
        let ages = || {
            let files = fs::read_dir(&place).unwrap().map(Result::unwrap);
            let files = files.filter(|file| file.file_name().to_str().is_some_and(|name| name.ends_with(suffix)));
            files.map(|file| file.metadata().unwrap().modified().unwrap().elapsed().unwrap_or_default()).min().unwrap_or(Duration::MAX)
        };
        until("everything is a moment old", async || ages() > Duration::from_millis(1_300)).await;
    }

    /// What was done so far of what a case counts.
    pub fn counts(&self, case: &Case, folder: &Path) -> Counts {
        case.counted.iter().map(|name| (name.clone(), self.count(case, name, folder))).collect()
    }

    fn count(&self, case: &Case, name: &str, folder: &Path) -> usize {
        match (self, name) {
            (Self::Ssh { files, .. }, "clean") => asked(files, "\"op\":{\"clean\""),
            (Self::Ssh { files, .. }, "command") => asked(files, "\"op\":{\"command\""),
            (_, "clean") => cleanings(&self.logs(folder)),
            (_, "command") => fs::read_dir(folder.join("made")).unwrap().count(),
            (Self::Here { .. }, _) => starts(folder, name),
            (Self::Ssh { units, .. }, _) if case.tool == "scale_service" => asked(units, &format!("\"start\":{{\"unit\":\"{name}@")),
            (Self::Ssh { units, .. }, _) => asked(units, &format!("\"restart\":{{\"unit\":\"{name}.service\"")),
            (Self::Docker(engine), _) if case.tool == "scale_service" => {
                let listed = engine.docker(&["ps", "-a", "--format", "{{.Names}}"]);
                listed.lines().filter(|listed| listed.starts_with(&format!("{name}-"))).count()
            }
            (Self::Docker(engine), _) => engine.docker(&["logs", name]).lines().filter(|line| *line == "started").count(),
        }
    }

    /// Nobody is there. What is put down now, only one who cleans a second time can take away.
    pub fn after_death(&self, folder: &Path) {
        let logs = self.logs(folder);
        if matches!(self, Self::Here { .. }) && !logs.join("first.log").exists() && !logs.join("second.seen").exists() {
            old_file(&logs, "second.log");
            fs::write(logs.join("second.seen"), "").unwrap();
        }
    }
}

/// Cleanings that took something: the first file, and what was put down after that.
fn cleanings(logs: &Path) -> usize {
    let first = !logs.join("first.log").exists();
    let second = logs.join("second.seen").exists() && !logs.join("second.log").exists();
    usize::from(first) + usize::from(second)
}

fn old_file(folder: &Path, name: &str) {
    fs::write(folder.join(name), "a line\n").unwrap();
    let file = File::options().write(true).open(folder.join(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(30 * 86_400)).unwrap();
}

fn starts(folder: &Path, service: &str) -> usize {
    let log = fs::read_to_string(folder.join(format!("run/{service}.log"))).unwrap_or_default();
    log.lines().filter(|line| *line == "started").count()
}

/// Pid files with their processes, and whether it is a service's first instance.
fn pids(run: &Path) -> Vec<(PathBuf, Pid, bool)> {
    let files = fs::read_dir(run).into_iter().flatten().flatten().map(|file| file.path());
    let read = |path: PathBuf| {
        let identity: Value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let pid = Pid::from_raw(identity["pid"].as_i64()?.try_into().ok()?)?;
        let first = path.to_str()?.ends_with(".1.pid");
        Some((path, pid, first))
    };
    files.filter(|path| path.extension().is_some_and(|end| end == "pid")).filter_map(read).collect()
}

/// The shell has said that it started and has become `sleep`.
fn is_asleep(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).is_ok_and(|name| name.trim() == "sleep")
}

fn asked(sshd: &Sshd, part: &str) -> usize {
    fs::read_to_string(sshd.path("asked")).unwrap().matches(part).count()
}

fn reach(sshd: &Sshd) -> Value {
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    json!({ "ssh": { "address": "127.0.0.1", "port": sshd.port, "user": user.trim(),
        "key_file": sshd.path("user"), "known_hosts_file": sshd.path("known_hosts") } })
}

/// A hand whose units are files: active if there, since they were touched.
const UNITS: &str = r#"cd DIR/units; asked=$(cat); echo "$asked" >> ../asked
one() { if [ -e $1 ]; then up=true; state=active/running; since="\"$(date -u -r $1 +%Y-%m-%dT%H:%M:%SZ)\""
  else up=false; state=inactive/dead; since=null; fi
  printf '{"name":"%s","exists":true,"active":%s,"state":"%s","since":%s,"pid":null,"detail":"a file"}' $1 $up $state "$since"; }
units=$(echo "$asked" | grep -o '[a-z0-9@-]*[.]service')
case "$asked" in
*'"status"'*) all=; for unit in $units; do all="$all${all:+,}$(one $unit)"; done; answer="{\"instances\":[$all]}" ;;
*'"logs"'*) answer='{"lines":["a line"]}' ;;
*) before=$(one $units); touch $units; answer="{\"acted\":{\"before\":$before,\"after\":$(one $units)}}" ;;
esac
echo "{\"version\":1,\"request\":\"x\",\"result\":{\"done\":$answer}}"
"#;
