//! Services that are children of Paramedic itself, for the demo and tests: argv, a process group each, a pid file that tells a
//! process from a later one with the same number. Children outlive Paramedic and are found again. Never signals a process that
//! it did not start, and never hands a child its own environment (there are secrets in it).

use super::children::{Children, instance_name};
use super::{Limits, LogLevel, ReachError, Restarted, Scaled, ServiceStatus, kernel, scaling};
use crate::domain::Service;
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often a process that is to end is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// A child that ends within this was not started.
const SETTLE: Duration = Duration::from_millis(200);
/// SIGKILL needs no more, unless the kernel itself is stuck.
const AFTER_KILL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Processes {
    children: Arc<Children>,
    limits: Limits,
}

impl Processes {
    pub fn new(run_dir: PathBuf, limits: Limits) -> Self {
        Self { children: Arc::new(Children::new(run_dir)), limits }
    }

    /// Starts what has never been started since this machine booted. One that has died since is a crash: an alert's business.
    pub async fn start_missing(&self, service: &Service) -> Result<u32, ReachError> {
        self.aside("starting what is missing", true, service, Children::start_missing).await
    }

    pub async fn status(&self, service: &Service) -> Result<ServiceStatus, ReachError> {
        self.aside("reading the status", false, service, Children::status).await
    }

    pub async fn logs(&self, service: &Service, lines: u32, level: LogLevel) -> Result<Vec<String>, ReachError> {
        self.aside("reading the log", false, service, move |children, service| children.logs(service, lines, level)).await
    }

    pub async fn restart(&self, service: &Service) -> Result<Restarted, ReachError> {
        let before = self.status(service).await?;
        for n in self.aside("listing instances", false, service, Children::known).await? {
            // Once one instance has been touched, nothing is "surely not done".
            self.stop(service, n).await.map_err(ReachError::after_an_effect)?;
            self.spawn(service, n).await.map_err(ReachError::after_an_effect)?;
        }
        let after = self.settled(service).await.map_err(ReachError::after_an_effect)?;
        Ok(Restarted { before, after })
    }

    pub async fn scale(&self, service: &Service, add: u32) -> Result<Scaled, ReachError> {
        let running = self.aside("listing instances", false, service, Children::running).await?;
        let base = service.scale.base;
        for n in scaling::plan(service.name.as_str(), base, base, &running, 0, add)? {
            self.spawn(service, n).await.map_err(ReachError::after_an_effect)?;
        }
        let after = self.settled(service).await.map_err(ReachError::after_an_effect)?;
        Ok(Scaled { from: running.len() as u32, to: after.instances_active })
    }

    /// Ends every instance and forgets it.
    pub async fn stop_all(&self, service: &Service) -> Result<(), ReachError> {
        for n in self.aside("listing instances", false, service, Children::known).await? {
            self.stop(service, n).await?;
            self.aside("removing a pid file", true, service, move |children, service| children.forget(service, n)).await?;
        }
        Ok(())
    }

    /// The status, once a child that cannot live has had time to die.
    async fn settled(&self, service: &Service) -> Result<ServiceStatus, ReachError> {
        let until = Instant::now() + SETTLE;
        loop {
            let status = self.status(service).await?;
            if Instant::now() >= until || status.instances_active < status.instances {
                return Ok(status);
            }
            sleep(LOOK).await;
        }
    }

    async fn spawn(&self, service: &Service, n: u32) -> Result<(), ReachError> {
        self.aside("starting a process", true, service, move |children, service| children.spawn(service, n)).await
    }

    /// SIGTERM to its group and to what carries its mark, SIGKILL to what is left after the limit.
    async fn stop(&self, service: &Service, n: u32) -> Result<(), ReachError> {
        for (signal, limit) in [(Signal::TERM, self.limits.stop), (Signal::KILL, AFTER_KILL)] {
            let signalled = move |children: &Children, service: &Service| {
                let groups = children.groups(service, n)?;
                children.signal(&instance_name(service, n), &groups, signal)?;
                Ok(groups)
            };
            let groups = Arc::new(self.aside("stopping a process", true, service, signalled).await?);
            let until = Instant::now() + limit;
            while Instant::now() < until {
                let left = Arc::clone(&groups);
                let lives = move |_: &Children, _: &Service| Ok(left.iter().any(|group| kernel::group_lives(*group)));
                if !self.aside("looking for what is left", true, service, lives).await? {
                    return Ok(());
                }
                sleep(LOOK).await;
            }
        }
        Err(ReachError::TimedOut {
            what: format!("stopping {} with SIGKILL", instance_name(service, n)),
            place: self.children.place(),
            after: self.limits.stop + AFTER_KILL,
            maybe_done: true,
        })
    }

    /// Does it on a thread where blocking holds nobody up, and waits no longer than an observation may take. What has begun goes on.
    async fn aside<T, F>(&self, what: &str, acts: bool, service: &Service, work: F) -> Result<T, ReachError>
    where
        T: Send + 'static,
        F: FnOnce(&Children, &Service) -> Result<T, ReachError> + Send + 'static,
    {
        let (children, about) = (Arc::clone(&self.children), service.clone());
        let what = || format!("{what} ({})", service.name);
        match timeout(self.limits.observe, tokio::task::spawn_blocking(move || work(&children, &about))).await {
            Ok(Ok(done)) => done,
            Ok(Err(join)) => {
                Err(ReachError::Failed { what: what(), place: self.children.place(), why: join.to_string(), maybe_done: acts })
            }
            Err(_) => {
                Err(ReachError::TimedOut { what: what(), place: self.children.place(), after: self.limits.observe, maybe_done: acts })
            }
        }
    }
}
