//! Containers of a Docker Engine on its UNIX socket. Never publishes a port, never removes a container, and counts as its own
//! only the copies that it made itself (they carry a label).

use super::{InstanceStatus, Limits, LogLevel, ReachError, Restarted, Scaled, ServiceStatus, docker_clone, log_text, scaling};
use crate::domain::Time;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerState};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RestartContainerOptionsBuilder, StartContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

/// A service's containers: `NAME`, and `NAME-2` and on for further instances.
pub struct Containers<'a> {
    docker: Docker,
    name: &'a str,
    base: u32,
    limits: &'a Limits,
}

impl<'a> Containers<'a> {
    /// Connects now: the engine may have been restarted, or not been there, since last time.
    pub async fn connect(socket: &Path, name: &'a str, base: u32, limits: &'a Limits) -> Result<Self, ReachError> {
        let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if !fine {
            return Err(ReachError::NotSupported {
                what: format!("the container name `{}`", name.escape_debug()),
                why: "expected letters, digits and `_ . -`, the first a letter or digit".to_owned(),
            });
        }
        let unreachable = |why: String| ReachError::Unreachable { place: format!("docker at {}", socket.display()), why };
        let path = socket.to_str().ok_or_else(|| unreachable("expected a path in UTF-8".to_owned()))?;
        // Requests have limits of their own below; this one of the client's must not come before them.
        let seconds = (limits.restart + limits.observe).as_secs() + 1;
        let docker = Docker::connect_with_unix(path, seconds, API_DEFAULT_VERSION).map_err(|e| unreachable(e.to_string()))?;
        let docker = match tokio::time::timeout(limits.connect, docker.negotiate_version()).await {
            Ok(negotiated) => negotiated.map_err(|e| unreachable(e.to_string()))?,
            Err(_) => return Err(unreachable(format!("no answer within {} s", limits.connect.as_secs_f32()))),
        };
        Ok(Self { docker, name, base, limits })
    }

    pub async fn status(&self) -> Result<ServiceStatus, ReachError> {
        let seen = self.inspect_all().await?;
        let instances: Vec<_> = seen.iter().map(|(n, seen)| self.instance(*n, seen.as_ref())).collect();
        Ok(ServiceStatus::of(&instances, self.base))
    }

    /// Of all instances, one after the other.
    pub async fn logs(&self, lines: u32, level: LogLevel) -> Result<Vec<String>, ReachError> {
        let there: Vec<_> = self.inspect_all().await?.into_iter().filter_map(|(n, seen)| seen.map(|_| n)).collect();
        if there.is_empty() {
            return Err(self.failed("logs", "there is no such container".to_owned(), false));
        }
        let mut all = Vec::new();
        for n in &there {
            if there.len() > 1 {
                all.push(format!("== {}", self.nth(*n)));
            }
            all.extend(self.logs_of(*n, lines, level).await?);
        }
        Ok(all)
    }

    /// Every instance, one after the other.
    pub async fn restart(&self) -> Result<Restarted, ReachError> {
        let before = self.status().await?;
        let options = RestartContainerOptionsBuilder::new().t(self.limits.stop.as_secs() as i32).build();
        let mut touched = false;
        let in_turn = |error: ReachError, touched: bool| if touched { error.after_an_effect() } else { error };
        for (n, seen) in self.inspect_all().await? {
            // A copy that was never made is not missing unless it is a normal instance, and that cannot be made here.
            if seen.is_none() && n > self.base {
                continue;
            }
            let name = self.nth(n);
            let work = self.docker.restart_container(&name, Some(options.clone()));
            self.call(&format!("restart of {name}"), self.limits.restart, true, work).await.map_err(|e| in_turn(e, touched))?;
            touched = true;
        }
        let after = self.status().await.map_err(ReachError::after_an_effect)?;
        Ok(Restarted { before, after })
    }

    pub async fn scale(&self, add: u32) -> Result<Scaled, ReachError> {
        let seen = self.inspect_all().await?;
        let running: BTreeSet<u32> = seen.iter().filter(|(n, seen)| self.instance(**n, seen.as_ref()).active).map(|(n, _)| *n).collect();
        let numbers = scaling::plan(self.name, self.base, self.base, &running, 0, add)?;
        let Some(original) = seen.get(&1).and_then(Option::as_ref) else {
            return Err(self.failed("scale", "there is no such container to copy".to_owned(), false));
        };
        let mut touched = false;
        for n in numbers {
            self.bring_up(original, n).await.map_err(|e| if touched { e.after_an_effect() } else { e })?;
            touched = true;
        }
        let after = self.status().await.map_err(ReachError::after_an_effect)?;
        Ok(Scaled { from: running.len() as u32, to: after.instances_active })
    }

    /// Starts instance `n`; makes it first if it is not there.
    async fn bring_up(&self, original: &ContainerInspectResponse, n: u32) -> Result<(), ReachError> {
        let name = self.nth(n);
        match self.inspect(&name).await? {
            Some(there) if n > self.base && !docker_clone::is_of(&there, self.name) => {
                return Err(ReachError::Refused {
                    by: format!("docker client for {}", self.name),
                    why: format!("a container {name} exists that Paramedic did not make"),
                });
            }
            Some(_) => {}
            None => self.create(original, &name).await?,
        }
        let work = self.docker.start_container(&name, None::<StartContainerOptions>);
        self.call(&format!("start of {name}"), self.limits.restart, true, work).await
    }

    async fn create(&self, original: &ContainerInspectResponse, name: &str) -> Result<(), ReachError> {
        let copy = docker_clone::of(original, self.name).map_err(|why| self.failed("scale", why, false))?;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let work = self.docker.create_container(Some(options), copy.body);
        self.call(&format!("making {name}"), self.limits.observe, true, work).await?;
        for (network, request) in docker_clone::further_networks(copy.networks, name) {
            let work = self.docker.connect_network(&network, request);
            self.call(&format!("connecting {name} to {network}"), self.limits.observe, true, work).await?;
        }
        Ok(())
    }

    async fn logs_of(&self, n: u32, lines: u32, level: LogLevel) -> Result<Vec<String>, ReachError> {
        // A level is filtered here, so more lines than wanted are read.
        let read = if matches!(level, LogLevel::Error | LogLevel::Warn) { log_text::MAX_LINES } else { lines.min(log_text::MAX_LINES) };
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&read.to_string()).build();
        let name = self.nth(n);
        let mut stream = self.docker.logs(&name, Some(options));
        let collect = async {
            let mut text = Vec::new();
            let mut cut = false;
            while let Some(part) = stream.next().await {
                text.extend_from_slice(part?.as_ref());
                if text.len() > 4 * log_text::MAX_BYTES {
                    text.drain(..2 * log_text::MAX_BYTES);
                    cut = true;
                }
            }
            Ok((text, cut))
        };
        let (text, cut) = self.call(&format!("logs of {name}"), self.limits.observe, false, collect).await?;
        Ok(log_text::tail(&text, lines, level, cut))
    }

    /// The normal instances, there or not, and the copies that were made.
    async fn inspect_all(&self) -> Result<BTreeMap<u32, Option<ContainerInspectResponse>>, ReachError> {
        let label = format!("{}={}", docker_clone::LABEL, self.name);
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let copies = self.call("listing containers", self.limits.observe, false, self.docker.list_containers(Some(options))).await?;
        let named = copies.iter().flat_map(|copy| copy.names.iter().flatten());
        let number = |name: &String| name.trim_start_matches('/').strip_prefix(self.name)?.strip_prefix('-')?.parse::<u32>().ok();
        let numbers: BTreeSet<u32> = (1..=self.base).chain(named.filter_map(number)).collect();
        let mut seen = BTreeMap::new();
        for n in numbers {
            seen.insert(n, self.inspect(&self.nth(n)).await?);
        }
        Ok(seen)
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, ReachError> {
        let work = async {
            match self.docker.inspect_container(name, None::<InspectContainerOptions>).await {
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                other => other.map(Some),
            }
        };
        self.call(&format!("inspection of {name}"), self.limits.observe, false, work).await
    }

    fn instance(&self, n: u32, seen: Option<&ContainerInspectResponse>) -> InstanceStatus {
        let name = self.nth(n);
        let Some(seen) = seen else {
            return InstanceStatus::missing(name, "missing", "there is no such container");
        };
        let state = seen.state.clone().unwrap_or_default();
        let running = state.running == Some(true) && state.paused != Some(true) && state.restarting != Some(true);
        InstanceStatus {
            name,
            exists: true,
            active: running,
            state: state.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
            since: state.started_at.as_deref().filter(|_| running).and_then(|text| text.parse::<Time>().ok()),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
            detail: detail(&state, seen.restart_count),
        }
    }

    fn nth(&self, n: u32) -> String {
        if n == 1 { self.name.to_owned() } else { format!("{}-{n}", self.name) }
    }

    async fn call<T>(
        &self,
        what: &str,
        limit: Duration,
        acts: bool,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ReachError> {
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            // The engine said no to the request itself.
            Ok(Err(Error::DockerResponseServerError { status_code, message })) => {
                Err(self.failed(what, format!("status {status_code}: {message}"), acts && status_code >= 500))
            }
            Ok(Err(e)) => Err(self.failed(what, e.to_string(), acts)),
            Err(_) => Err(ReachError::TimedOut { what: what.to_owned(), place: "docker".to_owned(), after: limit, maybe_done: acts }),
        }
    }

    fn failed(&self, what: &str, why: String, maybe_done: bool) -> ReachError {
        ReachError::Failed { what: what.to_owned(), place: format!("docker container {}", self.name), why, maybe_done }
    }
}

fn detail(state: &ContainerState, restarts: Option<i64>) -> String {
    let mut parts = Vec::new();
    if state.running != Some(true) {
        parts.push(format!("exit code {}", state.exit_code.map_or("unknown".to_owned(), |code| code.to_string())));
    }
    if state.oom_killed == Some(true) {
        parts.push("killed for want of memory".to_owned());
    }
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        parts.push(error.to_owned());
    }
    if let Some(health) = state.health.as_ref().and_then(|health| health.status) {
        parts.push(format!("health {health}"));
    }
    parts.push(format!("restarts by docker {}", restarts.unwrap_or(0)));
    parts.join(", ")
}
