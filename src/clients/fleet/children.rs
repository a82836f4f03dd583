//! The children as the kernel and the run folder show them: pid files, marks, groups. Every call here blocks (it reads /proc, the disk
//! or starts a process), so only `Processes` calls it, on a thread where that holds nobody up.

use super::kernel::{self, Identity};
use super::{InstanceStatus, LogLevel, ReachError, ServiceStatus, log_text};
use crate::domain::{Reach, Service};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::task::TaskTracker;

const READ_BACK: u64 = 1024 * 1024;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// In each child's environment, so that what is left of its group can be told from strangers.
const MARK: &str = "PARAMEDIC_INSTANCE";

#[derive(Debug)]
pub(super) struct Children {
    run_dir: PathBuf,
    /// How each child of ours ended; adopted ones end unseen.
    ends: Arc<Mutex<BTreeMap<String, String>>>,
    watchers: TaskTracker,
}

impl Children {
    pub fn new(run_dir: PathBuf) -> Self {
        Self { run_dir, ends: Arc::default(), watchers: TaskTracker::new() }
    }

    pub fn place(&self) -> String {
        self.run_dir.display().to_string()
    }

    /// Starts the normal instances that have never been started since this machine booted; how many.
    pub fn start_missing(&self, service: &Service) -> Result<u32, ReachError> {
        let mut started = 0;
        for n in 1..=service.scale.base {
            let fresh = match self.identity(service, n)? {
                None => true,
                Some(identity) => identity.boot != kernel::boot_id().map_err(|e| self.failed("reading the boot id", &e, false))?,
            };
            if fresh {
                self.spawn(service, n)?;
                started += 1;
            }
        }
        Ok(started)
    }

    pub fn status(&self, service: &Service) -> Result<ServiceStatus, ReachError> {
        let known = self.known(service)?;
        let instances: Result<Vec<_>, _> = known.iter().map(|n| self.instance(service, *n)).collect();
        Ok(ServiceStatus::of(&instances?, service.scale.base))
    }

    pub fn logs(&self, service: &Service, lines: u32, level: LogLevel) -> Result<Vec<String>, ReachError> {
        let path = self.log_path(service);
        let read = || {
            let mut file = File::open(&path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(READ_BACK)))?;
            let mut text = Vec::new();
            file.take(READ_BACK).read_to_end(&mut text)?;
            Ok::<_, std::io::Error>((text, length > READ_BACK))
        };
        let (text, cut) = read().map_err(|e| self.failed(&format!("reading {}", path.display()), &e, false))?;
        Ok(log_text::tail(&text, lines, level, cut))
    }

    /// The numbers of the normal instances and of those that have a pid file.
    pub fn known(&self, service: &Service) -> Result<BTreeSet<u32>, ReachError> {
        let mut known: BTreeSet<u32> = (1..=service.scale.base).collect();
        let listed = match fs::read_dir(&self.run_dir) {
            Ok(listed) => listed,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(known),
            Err(e) => return Err(self.failed("listing the run folder", &e, false)),
        };
        for entry in listed {
            let name = entry.map_err(|e| self.failed("listing the run folder", &e, false))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(service.name.as_str())?.strip_prefix('.')?.strip_suffix(".pid"));
            known.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        Ok(known)
    }

    pub fn running(&self, service: &Service) -> Result<BTreeSet<u32>, ReachError> {
        let mut running = BTreeSet::new();
        for n in self.known(service)? {
            if self.instance(service, n)?.active {
                running.insert(n);
            }
        }
        Ok(running)
    }

    pub fn spawn(&self, service: &Service, n: u32) -> Result<(), ReachError> {
        let Reach::Process { command, environment } = &service.reach else {
            return Err(ReachError::NotSupported {
                what: format!("starting {} as a process", service.name),
                why: "the inventory does not say `reach: process`".to_owned(),
            });
        };
        let [program, arguments @ ..] = command.as_slice() else {
            return Err(ReachError::NotSupported { what: format!("starting {}", service.name), why: "its command is empty".to_owned() });
        };
        let name = instance_name(service, n);
        let what = format!("starting {name} ({program})");
        fs::create_dir_all(&self.run_dir).map_err(|e| self.failed(&what, &e, false))?;
        // We may have been killed between starting it and writing that down: then it runs already.
        if let Some(there) = kernel::marked(&self.mark(&name)).iter().find(|one| one.leads()) {
            return self.write_pid(service, n, Some(there.pid)).map_err(|e| self.failed(&what, &e, false));
        }
        let log = OpenOptions::new().create(true).append(true).open(self.log_path(service));
        let log = log.map_err(|e| self.failed(&what, &e, false))?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .envs(environment)
            .env(MARK, self.run_dir.join(&name))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|e| self.failed(&what, &e, false))?)
            .stderr(log)
            // Of its own, so that a signal reaches all of it and a Ctrl-C at our terminal none.
            .process_group(0)
            .spawn()
            .map_err(|e| self.failed(&what, &e, false))?;
        if let Err(e) = self.write_pid(service, n, child.id()) {
            // Without a pid file nobody would ever find it again.
            let ended = child.start_kill();
            return Err(self.failed(&what, &e, ended.is_err()));
        }
        self.watch(name, child);
        Ok(())
    }

    /// Everything that belongs to an instance: the group it leads and what carries its mark.
    pub fn groups(&self, service: &Service, n: u32) -> Result<HashSet<Pid>, ReachError> {
        let led = self.identity(service, n)?.and_then(|identity| kernel::led_group(&identity));
        let marked = kernel::marked(&self.mark(&instance_name(service, n)));
        Ok(led.into_iter().chain(marked.into_iter().map(|one| one.group)).collect())
    }

    /// A group that has ended meanwhile has got what it was to get.
    pub fn signal(&self, name: &str, groups: &HashSet<Pid>, signal: Signal) -> Result<(), ReachError> {
        for group in groups {
            match kill_process_group(*group, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(e) => return Err(self.failed(&format!("stopping {name}"), &e.into(), true)),
            }
        }
        Ok(())
    }

    /// Removes the pid file: the instance is not known any more.
    pub fn forget(&self, service: &Service, n: u32) -> Result<(), ReachError> {
        match fs::remove_file(self.pid_path(service, n)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(self.failed("removing a pid file", &e, true)),
            _ => Ok(()),
        }
    }

    fn instance(&self, service: &Service, n: u32) -> Result<InstanceStatus, ReachError> {
        let name = instance_name(service, n);
        let Some(identity) = self.identity(service, n)? else {
            return Ok(InstanceStatus::missing(name, "never started", "no pid file"));
        };
        let alive = kernel::is_alive(&identity);
        let end = self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        Ok(InstanceStatus {
            name,
            exists: true,
            active: alive,
            state: if alive { "running" } else { "dead" }.to_owned(),
            since: if alive { kernel::started_at(&identity) } else { None },
            pid: alive.then_some(identity.pid),
            detail: match (alive, end) {
                (true, _) => format!("process {}", identity.pid),
                (false, Some(end)) => end,
                (false, None) => format!("process {} is gone", identity.pid),
            },
        })
    }

    fn write_pid(&self, service: &Service, n: u32, pid: Option<u32>) -> std::io::Result<()> {
        let pid = pid.ok_or_else(|| std::io::Error::other("the child has no process number"))?;
        let identity = Identity::of(pid)?;
        let path = self.pid_path(service, n);
        let new = path.with_extension("pid.new");
        fs::write(&new, serde_json::to_vec(&identity)?)?;
        fs::rename(new, path)
    }

    /// Reaps the child and keeps how it ended.
    fn watch(&self, name: String, mut child: tokio::process::Child) {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        let (pid, ends) = (child.id(), Arc::clone(&self.ends));
        self.watchers.spawn(async move {
            let end = match child.wait().await {
                Ok(status) => format!("process {} ended: {status}", pid.unwrap_or(0)),
                Err(e) => format!("process {} cannot be watched: {e}", pid.unwrap_or(0)),
            };
            tracing::info!(instance = name, end, "a child ended");
            ends.lock().unwrap_or_else(PoisonError::into_inner).insert(name, end);
        });
    }

    fn identity(&self, service: &Service, n: u32) -> Result<Option<Identity>, ReachError> {
        let path = self.pid_path(service, n);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed(&format!("reading {}", path.display()), &e, false)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| ReachError::Protocol {
            place: path.display().to_string(),
            why: format!("not a pid file: {e}"),
            maybe_done: false,
        })
    }

    fn pid_path(&self, service: &Service, n: u32) -> PathBuf {
        self.run_dir.join(format!("{}.pid", instance_name(service, n)))
    }

    fn log_path(&self, service: &Service) -> PathBuf {
        self.run_dir.join(format!("{}.log", service.name))
    }

    fn mark(&self, name: &str) -> String {
        format!("{MARK}={}", self.run_dir.join(name).display())
    }

    fn failed(&self, what: &str, error: &std::io::Error, maybe_done: bool) -> ReachError {
        ReachError::Failed { what: what.to_owned(), place: self.run_dir.display().to_string(), why: error.to_string(), maybe_done }
    }
}

pub(super) fn instance_name(service: &Service, n: u32) -> String {
    format!("{}.{n}", service.name)
}
