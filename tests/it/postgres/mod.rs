//! A real PostgreSQL of a test's own, on a loopback port, with a password. Ends with the test, however that ends.

mod proxy;

pub use proxy::{COMMITTED, LOCK, Proxy, Way};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PASSWORD: &str = "s3cret-of-the-tests";
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Postgres {
    server: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    /// Killed servers are what tests are about, lost power of the database's machine is not: it does not wait for its disk.
    pub fn start() -> Self {
        Self::start_with("fsync=off")
    }

    /// `fsync=on`: as in production.
    pub fn start_with(fsync: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("paramedic-postgres-").tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        give_to_postgres(folder.path());
        let data = folder.path().join("data");
        let made = program("initdb")
            .args(["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C"])
            .arg("--pwfile")
            .arg(folder.path().join("password"))
            .arg("-D")
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let end = Instant::now() + PATIENCE;
        // A port found free may be another's a moment later.
        loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut server = serve(folder.path(), &data, port, fsync);
            if is_ready(&mut server, folder.path(), end) {
                return Self { server, port, _folder: folder };
            }
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "postgres does not start: {log}");
        }
    }

    pub fn url(&self) -> String {
        at(self.port)
    }

    /// A network of one replica's own to it, and its URL there.
    pub async fn proxied(&self) -> (Proxy, String) {
        let proxy = Proxy::to(self.port).await;
        let url = at(proxy.port);
        (proxy, url)
    }

    /// Looks or changes something behind every store's back.
    pub async fn sql(&self, sql: &'static str) -> u64 {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&self.url()).await.unwrap();
        let changed = sqlx::query(sql).execute(&pool).await.unwrap().rows_affected();
        pool.close().await;
        changed
    }
}

fn at(port: u16) -> String {
    format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres")
}

impl Drop for Postgres {
    /// At once, with every process of it and its shared memory.
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = self.server.wait();
    }
}

fn serve(folder: &Path, data: &Path, port: u16, fsync: &str) -> Child {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = program("postgres");
    command.arg("-D").arg(data).arg("-p").arg(port.to_string());
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", fsync, "shared_buffers=16MB", "max_connections=60"] {
        command.arg("-c").arg(setting);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// False if it ended: it says in its log when it takes connections.
fn is_ready(server: &mut Child, folder: &Path, end: Instant) -> bool {
    loop {
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        if log.contains("database system is ready to accept connections") {
            return true;
        }
        assert!(Instant::now() < end, "postgres is not ready: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// PostgreSQL does not run as root: as the user that its package makes, then.
fn program(name: &str) -> Command {
    let path = newest(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=QUIT"].map(OsStr::new)).arg(path);
    command
}

/// Debian keeps each version's programs in a folder of their own.
fn newest(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(version);
    let path = newest.map(|folder| folder.join("bin").join(name)).filter(|path| path.exists());
    path.unwrap_or_else(|| panic!("{name} is missing: install the Debian package postgresql"))
}

fn give_to_postgres(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("-R").arg("postgres").arg(folder).output().unwrap();
        assert!(given.status.success(), "{}: install the Debian package postgresql", String::from_utf8_lossy(&given.stderr));
    }
}
