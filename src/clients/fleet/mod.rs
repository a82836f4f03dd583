//! Services and hosts, however they are reached: children of Paramedic, units of this or another host, containers. Says what it
//! saw and what it did; never judges whether it should (that is the SafetyChecker's), and never goes to a host or service that
//! the inventory does not list.

mod answer;
mod children;
mod docker;
mod docker_clone;
mod error;
pub mod grant;
pub mod hand;
mod kernel;
pub mod local;
mod log_text;
mod process;
mod scaling;
mod ssh;
mod units;

pub use answer::{
    Cleaned, Cpu, Disk, InstanceStatus, LogLevel, Memory, RefusedPath, RemovedFile, ResourceCheck, Resources, Restarted, Scaled,
    ServiceStatus,
};
pub use error::{Limits, ReachError};
pub use log_text::MAX_LINES;
pub use scaling::MOST_EXTRA;

use crate::clients::sandbox::{Sandbox, Told};
use crate::domain::{Host, HostName, HostReach, Inventory, Reach, Service, ServiceName, Time};
use docker::Containers;
use hand::{Answer, Op};
use process::Processes;
use ssh::Ssh;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
    request: Arc<str>,
}

#[derive(Debug)]
struct Shared {
    inventory: Arc<Inventory>,
    processes: Processes,
    ssh: Ssh,
    limits: Limits,
    sandbox: Sandbox,
}

impl Fleet {
    /// `run_dir` holds pid files and logs of process services and the log of certificates, `ssh_dir` (at most 59 bytes long) control sockets. Both are made when needed.
    pub fn new(inventory: Arc<Inventory>, run_dir: PathBuf, ssh_dir: PathBuf, limits: Limits) -> Self {
        Self::confined(inventory, run_dir, ssh_dir, limits, Sandbox::default())
    }

    /// The same, with another sandbox for commands on this machine than the usual one.
    pub fn confined(inventory: Arc<Inventory>, run_dir: PathBuf, ssh_dir: PathBuf, limits: Limits, sandbox: Sandbox) -> Self {
        let ssh = Ssh::new(ssh_dir, limits, inventory.ssh_ca().cloned(), run_dir.join("grants.log"));
        let processes = Processes::new(run_dir, limits);
        Self { shared: Arc::new(Shared { inventory, processes, ssh, limits, sandbox }), request: "unnamed".into() }
    }

    /// The same fleet, asking on behalf of this incident and action (`INC-7/12 restart_service`): a host's own log will name it.
    pub fn on_behalf(&self, request: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), request: request.chars().filter(|c| !c.is_control()).take(120).collect::<String>().into() }
    }

    /// Of a service on several hosts: on `host`, or on all of them and active only if it is on each.
    pub async fn status(&self, service: &Service, host: Option<&HostName>) -> Result<ServiceStatus, ReachError> {
        match &service.reach {
            Reach::Process { .. } => self.shared.processes.status(service).await,
            Reach::Docker { container, socket } => self.containers(service, container, socket).await?.status().await,
            Reach::Systemd { unit, template } => {
                let mut seen = Vec::new();
                for host in self.hosts(service, host)? {
                    let instances = self.instances(host, service, unit, template.as_deref()).await?;
                    seen.push((host.name.to_string(), ServiceStatus::of(&instances, self.base_of(service, template.as_deref()))));
                }
                Ok(ServiceStatus::across(seen))
            }
        }
    }

    /// At most 2,000 lines and 256 KB a host; cuts are marked.
    pub async fn logs(&self, service: &Service, host: Option<&HostName>, lines: u32, level: LogLevel) -> Result<Vec<String>, ReachError> {
        match &service.reach {
            Reach::Process { .. } => self.shared.processes.logs(service, lines, level).await,
            Reach::Docker { container, socket } => self.containers(service, container, socket).await?.logs(lines, level).await,
            Reach::Systemd { unit, template } => {
                let hosts = self.hosts(service, host)?;
                let mut all = Vec::new();
                for host in &hosts {
                    if hosts.len() > 1 {
                        all.push(format!("== {}", host.name));
                    }
                    let units = units::normal(unit, template.as_deref(), service.scale.base);
                    match self.ask(host, Op::Logs { units, lines, level }).await? {
                        Answer::Lines(lines) => all.extend(lines),
                        other => return Err(self.unexpected(host, &other, false)),
                    }
                }
                Ok(all)
            }
        }
    }

    /// Every instance of a process or container; of systemd the normal units, on `host` or on every host in turn.
    pub async fn restart(&self, service: &Service, host: Option<&HostName>) -> Result<Restarted, ReachError> {
        match &service.reach {
            Reach::Process { .. } => self.shared.processes.restart(service).await,
            Reach::Docker { container, socket } => self.containers(service, container, socket).await?.restart().await,
            Reach::Systemd { unit, template } => self.restart_units(service, host, unit, template.as_deref()).await,
        }
    }

    /// Starts `add` more instances: never more than two above the service's normal number, counted on what really runs.
    pub async fn scale(&self, service: &Service, host: Option<&HostName>, add: u32) -> Result<Scaled, ReachError> {
        match &service.reach {
            Reach::Process { .. } => self.shared.processes.scale(service, add).await,
            Reach::Docker { container, socket } => self.containers(service, container, socket).await?.scale(add).await,
            Reach::Systemd { unit, template } => self.scale_units(service, host, unit, template.as_deref(), add).await,
        }
    }

    pub async fn resources(&self, host: &HostName, checks: &[ResourceCheck]) -> Result<Resources, ReachError> {
        let host = self.host(host)?;
        let checks = checks.iter().copied().collect();
        match self.ask(host, Op::Resources { checks }).await? {
            Answer::Resources(resources) => Ok(resources),
            other => Err(self.unexpected(host, &other, false)),
        }
    }

    /// A diagnosis command, as plain programs in a sandbox. The host reads it again and judges for itself.
    pub async fn command(&self, host: &HostName, command: &str) -> Result<Told, ReachError> {
        let host = self.host(host)?;
        let op = Op::Command { command: command.to_owned() };
        let acts = op.acts();
        match self.ask(host, op).await? {
            Answer::Told(told) => Ok(told),
            other => Err(self.unexpected(host, &other, acts)),
        }
    }

    /// Removes files not changed for `min_age_days` (7 at least) below `paths`, which must lie below the log roots that the
    /// inventory declares for this host or for a service on it. A remote host judges age by its own clock and roots by its own list too.
    pub async fn clean(&self, host: &HostName, paths: &[PathBuf], min_age_days: u32, now: Time) -> Result<Cleaned, ReachError> {
        let host = self.host(host)?;
        let roots = self.log_roots(host);
        if let Some(path) = paths.iter().find(|path| !roots.iter().any(|root| path.starts_with(root))) {
            return Err(ReachError::Refused {
                by: format!("the inventory's log roots of {}", host.name),
                why: format!("{} is not below one of them: {roots:?}", path.display()),
            });
        }
        let op = Op::Clean { paths: paths.to_vec(), min_age_days };
        let answer = match &host.reach {
            HostReach::Local {} => local::perform(&op, roots, now, &self.shared.limits, &self.shared.sandbox).await?,
            HostReach::Ssh { .. } => self.shared.ssh.ask(host, &self.request, &op).await?,
        };
        match answer {
            Answer::Cleaned(cleaned) => Ok(cleaned),
            other => Err(self.unexpected(host, &other, true)),
        }
    }

    /// The log roots that the inventory declares for a host: its own and those of its services.
    pub fn log_roots(&self, host: &Host) -> Vec<PathBuf> {
        let services = self.shared.inventory.services().filter(|service| service.hosts.contains(&host.name));
        let roots: BTreeSet<_> = host.log_roots.iter().chain(services.flat_map(|service| &service.log_roots)).collect();
        roots.into_iter().cloned().collect()
    }

    /// At the server's start: starts the process services that have not run since this machine booted. A dead one is left to its alert.
    pub async fn start_missing(&self) -> Result<Vec<ServiceName>, ReachError> {
        let mut started = Vec::new();
        for service in self.process_services() {
            if self.shared.processes.start_missing(service).await? > 0 {
                started.push(service.name.clone());
            }
        }
        Ok(started)
    }

    /// Ends and forgets all process services, for the end of a demo or test.
    pub async fn stop_all(&self) -> Result<(), ReachError> {
        for service in self.process_services() {
            self.shared.processes.stop_all(service).await?;
        }
        Ok(())
    }

    fn process_services(&self) -> impl Iterator<Item = &Service> {
        self.shared.inventory.services().filter(|service| matches!(service.reach, Reach::Process { .. }))
    }

    async fn containers<'a>(&'a self, service: &Service, container: &'a str, socket: &Path) -> Result<Containers<'a>, ReachError> {
        Containers::connect(socket, container, service.scale.base, &self.shared.limits).await
    }

    async fn ask(&self, host: &Host, op: Op) -> Result<Answer, ReachError> {
        match &host.reach {
            // Only what reads or names a unit comes this way: no log roots, and no clock that matters.
            HostReach::Local {} => local::perform(&op, Vec::new(), Time::UNIX_EPOCH, &self.shared.limits, &self.shared.sandbox).await,
            HostReach::Ssh { .. } => self.shared.ssh.ask(host, &self.request, &op).await,
        }
    }

    fn host(&self, name: &HostName) -> Result<&Host, ReachError> {
        self.shared
            .inventory
            .host(name)
            .ok_or_else(|| ReachError::Refused { by: "the inventory".to_owned(), why: format!("host `{name}` is not listed under hosts") })
    }

    fn hosts(&self, service: &Service, host: Option<&HostName>) -> Result<Vec<&Host>, ReachError> {
        match host {
            None => service.hosts.iter().map(|name| self.host(name)).collect(),
            Some(name) if service.hosts.contains(name) => Ok(vec![self.host(name)?]),
            Some(name) => Err(ReachError::Refused {
                by: "the inventory".to_owned(),
                why: format!("service `{}` does not run on host `{name}`", service.name),
            }),
        }
    }

    fn unexpected(&self, host: &Host, answer: &Answer, maybe_done: bool) -> ReachError {
        let kind = match answer {
            Answer::Instances(_) => "instances",
            Answer::Lines(_) => "lines",
            Answer::Resources(_) => "resources",
            Answer::Cleaned(_) => "cleaned",
            Answer::Acted { .. } => "acted",
            Answer::Told(_) => "told",
        };
        ReachError::Protocol {
            place: host.name.to_string(),
            why: format!("the answer is of the kind `{kind}`, which was not asked for"),
            maybe_done,
        }
    }
}
