//! A real Docker Engine, with a data folder and a socket of the test's own, and an image made of one busybox.

use super::{Known, need, until};
use paramedic::clients::fleet::{Limits, LogLevel, ReachError};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub struct Engine {
    dir: tempfile::TempDir,
    server: Child,
}

impl Engine {
    pub fn start() -> Self {
        need("/usr/sbin/dockerd", "docker.io");
        need("/usr/sbin/iptables", "iptables");
        need("/bin/busybox", "busybox-static");
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let log = File::create(dir.path().join("dockerd.log")).unwrap();
        fs::write(dir.path().join("none.json"), "{}").unwrap();
        let server = Command::new("/usr/sbin/dockerd")
            .args([
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("exec"),
                "--pidfile",
                &at("pid"),
                "--host",
                &format!("unix://{}", at("socket")),
            ])
            // No network needed, so nothing of the machine's own is touched; vfs works on every file system.
            .args(["--bridge=none", "--iptables=false", "--ip-forward=false", "--storage-driver=vfs", "--config-file", &at("none.json")])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Self { dir, server };
        let end = Instant::now() + Duration::from_secs(60);
        while !engine.try_docker(&["version"]).0 {
            let log = fs::read_to_string(engine.path("dockerd.log")).unwrap();
            assert!(Instant::now() < end, "dockerd does not answer: {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        engine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn try_docker(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("docker").arg("--host").arg(format!("unix://{}", self.path("socket").display())).args(arguments).output();
        let output = output.expect("docker is missing: install the Debian package docker.io");
        (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    pub fn docker(&self, arguments: &[&str]) -> String {
        let (fine, text) = self.try_docker(arguments);
        assert!(fine, "docker {arguments:?}: {text}");
        text.trim().to_owned()
    }

    fn inspect(&self, name: &str) -> Value {
        serde_json::from_str::<Value>(&self.docker(&["inspect", name])).unwrap()[0].clone()
    }

    pub fn make_image(&self) {
        let root = self.path("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let tar = self.path("root.tar").display().to_string();
        assert!(Command::new("tar").arg("-C").arg(&root).args(["-cf", &tar, "."]).status().unwrap().success());
        self.docker(&["import", &tar, "tiny"]);
    }

    fn known(&self, limits: Limits) -> Known {
        let reach = |name: &str| json!({"docker": {"container": name, "socket": self.path("socket")}});
        let inventory = json!({"services": [
            {"name": "api", "reach": reach("api")}, {"name": "gone", "reach": reach("gone")}, {"name": "taken", "reach": reach("taken")}
        ]});
        Known::new(inventory, self.dir.path(), limits)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.server.id() as i32).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end && matches!(self.server.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const SCRIPT: &str = "echo INFO up; echo \"ERROR colour $COLOUR\" >&2; trap 'exit 0' TERM; while true; do /bin/busybox sleep 0.1; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_seen_killed_restarted_read_and_scaled() {
    let engine = Engine::start();
    engine.make_image();
    let run = ["run", "-d", "--name", "api", "--env", "COLOUR=red", "--label", "team=front", "--volume", "/srv:/srv:ro", "tiny"];
    engine.docker(&[run.as_slice(), &["/bin/busybox", "sh", "-c", SCRIPT]].concat());
    let known = engine.known(Limits { stop: Duration::from_secs(2), ..Limits::default() });
    let (fleet, api) = (&known.fleet, known.service("api"));

    let up = fleet.status(api, None).await.unwrap();
    assert_eq!((up.active, up.state.as_str(), up.instances), (true, "running", 1));
    assert!((chrono::Utc::now() - up.since.unwrap()).num_seconds() < 60 && up.pid.is_some(), "{up:?}");

    engine.docker(&["kill", "api"]);
    until("the killed container is not active", async || !fleet.status(api, None).await.unwrap().active).await;
    let down = fleet.status(api, None).await.unwrap();
    assert_eq!((down.state.as_str(), down.since, down.pid), ("exited", None, None));
    assert!(down.detail.contains("exit code 137"), "{down:?}");

    let restarted = fleet.restart(api, None).await.unwrap();
    assert!(!restarted.before.active && restarted.after.active && restarted.after.since > up.since, "{restarted:?}");
    let errors = || fleet.logs(api, None, 10, LogLevel::Error);
    until("both starts are in the log", async || errors().await.unwrap() == ["ERROR colour red", "ERROR colour red"]).await;
    assert_eq!(fleet.logs(api, None, 1, LogLevel::All).await.unwrap().len(), 1);

    let scaled = fleet.scale(api, None, 2).await.unwrap();
    assert_eq!((scaled.from, scaled.to), (1, 3));
    let (first, third) = (engine.inspect("api"), engine.inspect("api-3"));
    for field in ["/Config/Env", "/Config/Cmd", "/Config/Entrypoint", "/Image", "/HostConfig/Binds"] {
        assert_eq!(first.pointer(field), third.pointer(field), "{field}");
    }
    assert_eq!(third["Config"]["Labels"], json!({"team": "front", "paramedic.copy-of": "api"}));
    assert!(matches!(fleet.scale(api, None, 1).await, Err(ReachError::Refused { .. })));
    engine.docker(&["kill", "api-2"]);
    until("two run", async || fleet.status(api, None).await.unwrap().instances_active == 2).await;
    assert!(fleet.status(api, None).await.unwrap().active, "the normal instance runs, an extra has fallen");
    assert_eq!(fleet.scale(api, None, 1).await.unwrap().to, 3, "the fallen copy is started again");

    let gone = fleet.status(known.service("gone"), None).await.unwrap();
    assert_eq!((gone.active, gone.state.as_str()), (false, "missing"));
    let error = fleet.restart(known.service("gone"), None).await.unwrap_err();
    assert!(error.to_string().contains("No such container") && !error.maybe_done(), "{error}");

    for name in ["taken", "taken-2"] {
        engine.docker(&["run", "-d", "--name", name, "tiny", "/bin/busybox", "sh", "-c", SCRIPT]);
    }
    let error = fleet.scale(known.service("taken"), None, 1).await.unwrap_err();
    assert!(error.to_string().contains("taken-2 exists that Paramedic did not make"), "{error}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let inventory = json!({"services": [{"name": "api", "reach": {"docker": {"container": "api", "socket": socket}}}]});
    let limits = Limits { connect: Duration::from_millis(300), ..Limits::default() };
    let known = Known::new(inventory, dir.path(), limits);
    let error = known.fleet.restart(known.service("api"), None).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { .. }) && !error.maybe_done(), "{error}");
    assert!(error.to_string().contains(socket.to_str().unwrap()), "{error}");
    // One that takes the connection and says nothing.
    let _mute = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = known.fleet.restart(known.service("api"), None).await.unwrap_err();
    assert!(error.to_string().contains("no answer within 0.3 s"), "{error}");
}

#[tokio::test]
async fn a_container_name_that_is_a_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let reach = json!({"docker": {"container": "../images/prune", "socket": dir.path().join("socket")}});
    let known = Known::new(json!({"services": [{"name": "api", "reach": reach}]}), dir.path(), Limits::default());
    let error = known.fleet.restart(known.service("api"), None).await.unwrap_err();
    assert!(matches!(error, ReachError::NotSupported { .. }), "{error}");
}
