//! The inventory: which services and hosts there are and how each is reached. Planners name services, never commands or
//! addresses; what is not listed here is never acted upon.

use super::action::{Action, Effect};
use super::level::Mode;
use super::problem::Problem;
use super::ssh_ca::SshCa;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, collections::BTreeSet, fmt, path::Path, path::PathBuf};

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a name: expected 1 to 128 letters, digits, `.`, `_`, `-`, `@`, the first a letter or digit")]
pub struct NameError(String);

fn check_name(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    let good = text.len() <= 128 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed);
    if good { Ok(()) } else { Err(NameError(text.chars().take(60).collect::<String>().escape_debug().to_string())) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check_name(text).map(|()| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A service's name in the inventory.
    ServiceName
);
name!(
    /// A host's name in the inventory.
    HostName
);

/// How a host is reached for its resources, its disk and its systemd units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HostReach {
    /// The machine Paramedic itself runs on.
    Local {},
    /// `paramedic hand` behind a forced command of the host's sshd.
    Ssh {
        address: String,
        #[serde(default = "port_22")]
        port: u16,
        user: String,
        /// A key of long standing. Without it each request runs under a certificate of `ssh_ca`.
        #[serde(default)]
        key_file: Option<PathBuf>,
        known_hosts_file: PathBuf,
    },
}

fn port_22() -> u16 {
    22
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub name: HostName,
    /// Values of the `instance` label that mean this host, besides its name and its SSH address (a port is ignored).
    #[serde(default)]
    pub instances: Vec<String>,
    pub reach: HostReach,
    /// Folders below which `clean_disk_space` may remove old files.
    #[serde(default)]
    pub log_roots: Vec<PathBuf>,
    #[serde(default)]
    pub environment: String,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// How a service is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reach {
    /// A unit on each of the service's hosts. `template` (`worker@{n}.service`) names further instances for scaling.
    Systemd {
        unit: String,
        #[serde(default)]
        template: Option<String>,
    },
    /// A container of the Docker Engine at `socket`.
    Docker {
        container: String,
        #[serde(default = "docker_socket")]
        socket: PathBuf,
    },
    /// A child of Paramedic itself, for the demo and tests: argv, no shell.
    Process {
        command: Vec<String>,
        #[serde(default)]
        environment: BTreeMap<String, String>,
    },
}

fn docker_socket() -> PathBuf {
    PathBuf::from("/var/run/docker.sock")
}

/// How many instances a service normally has; scaling adds at most two to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub base: u32,
}

impl Default for Scale {
    fn default() -> Self {
        Self { base: 1 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub name: ServiceName,
    #[serde(default)]
    pub environment: String,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub tags: Vec<String>,
    /// Stricter than the configuration's mode, never looser.
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub hosts: Vec<HostName>,
    pub reach: Reach,
    /// Alertmanager matchers; an alert that fits all of them is this service's. Besides, the labels `service`, `app`,
    /// `job`, `name`, `container` and `unit` are compared with the service's name, unit and container.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// Services that this one needs; its incidents may act on them too.
    #[serde(default)]
    pub depends_on: Vec<ServiceName>,
    /// Folders on each host below which `clean_disk_space` may remove old files.
    #[serde(default)]
    pub log_roots: Vec<PathBuf>,
    #[serde(default)]
    pub scale: Scale,
    /// The service that `restart_connection_pool` restarts (a PgBouncer, a sidecar).
    #[serde(default)]
    pub pool: Option<ServiceName>,
    /// The services that `restart_consumers` restarts.
    #[serde(default)]
    pub consumers: Vec<ServiceName>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    hosts: BTreeMap<HostName, Host>,
    services: BTreeMap<ServiceName, Service>,
    ssh_ca: Option<SshCa>,
}

/// The file's shape.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryFile {
    #[serde(default)]
    pub hosts: Vec<Host>,
    #[serde(default)]
    pub services: Vec<Service>,
    /// Who signs certificates for SSH hosts.
    #[serde(default)]
    pub ssh_ca: Option<SshCa>,
}

impl Inventory {
    /// Refuses duplicate names, references to nothing, and roots that are protected or relative.
    pub fn build(file: InventoryFile) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut inventory = Self { ssh_ca: file.ssh_ca, ..Self::default() };
        if let Some(ca) = &inventory.ssh_ca {
            ca.check(&mut problems);
        }
        for (index, host) in file.hosts.into_iter().enumerate() {
            let at = format!("hosts[{index}]");
            check_roots(&host.log_roots, &at, &mut problems);
            if matches!(host.reach, HostReach::Ssh { key_file: None, .. }) && inventory.ssh_ca.is_none() {
                let message = "expected key_file here, or ssh_ca for certificates (docs/grants.md)";
                problems.push(Problem::new(format!("{at}.reach.ssh"), message));
            }
            if let Some(first) = inventory.hosts.insert(host.name.clone(), host) {
                problems.push(Problem::new(format!("{at}.name"), format!("host `{}` is listed twice", first.name)));
            }
        }
        let mut listed = Vec::new();
        for (index, service) in file.services.into_iter().enumerate() {
            let at = format!("services[{index}]");
            check_roots(&service.log_roots, &at, &mut problems);
            listed.push((at.clone(), service.name.clone()));
            if let Some(first) = inventory.services.insert(service.name.clone(), service) {
                problems.push(Problem::new(format!("{at}.name"), format!("service `{}` is listed twice", first.name)));
            }
        }
        for (at, name) in listed {
            inventory.check_references(&at, &name, &mut problems);
        }
        if problems.is_empty() { Ok(inventory) } else { Err(problems) }
    }

    fn check_references(&self, at: &str, name: &ServiceName, problems: &mut Vec<Problem>) {
        let Some(service) = self.service(name) else { return };
        for (index, host) in service.hosts.iter().enumerate() {
            if !self.hosts.contains_key(host) {
                problems.push(Problem::new(format!("{at}.hosts[{index}]"), format!("host `{host}` is not listed under hosts")));
            }
        }
        let named = [("depends_on", &service.depends_on), ("consumers", &service.consumers)];
        let lists = named.iter().flat_map(|(key, list)| list.iter().enumerate().map(move |(i, n)| (format!("{at}.{key}[{i}]"), n)));
        for (path, other) in lists.chain(service.pool.iter().map(|n| (format!("{at}.pool"), n))) {
            if !self.services.contains_key(other) {
                problems.push(Problem::new(path, format!("service `{other}` is not listed under services")));
            }
        }
        match &service.reach {
            Reach::Systemd { .. } if service.hosts.is_empty() => {
                problems.push(Problem::new(format!("{at}.hosts"), "a systemd service needs at least one host"));
            }
            Reach::Systemd { template: Some(template), .. } if !template.contains("{n}") => {
                problems.push(Problem::new(format!("{at}.reach.systemd.template"), "expected `{n}` where the instance's number goes"));
            }
            Reach::Process { command, .. } if command.is_empty() => {
                problems.push(Problem::new(format!("{at}.reach.process.command"), "expected a program and its arguments"));
            }
            _ => {}
        }
    }

    pub fn ssh_ca(&self) -> Option<&SshCa> {
        self.ssh_ca.as_ref()
    }

    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.get(name)
    }

    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name)
    }

    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// Every service an action would change: those it names, and those whose logs it would clean.
    pub fn touched(&self, action: &Action) -> BTreeSet<&ServiceName> {
        let named = match &action.effect {
            Effect::Restart { services } => services.iter().collect(),
            Effect::Scale { service, .. } => vec![service],
            // Nobody can say which service of its host a command changes.
            Effect::Command { .. } if action.effect.changes_something() => {
                let here = |service: &&Service| action.target.host.as_ref().is_some_and(|host| service.hosts.contains(host));
                self.services().filter(here).map(|service| &service.name).collect()
            }
            Effect::Clean { .. } | Effect::Command { .. } | Effect::Observe | Effect::Talk | Effect::Question => Vec::new(),
        };
        // Asked many times for one verdict: all services are gone through only where each may be meant.
        let may_be_cleaned = matches!(action.effect, Effect::Clean { .. }).then(|| self.services());
        let cleaned = may_be_cleaned.into_iter().flatten().filter(|service| cleans(action, service)).map(|service| &service.name);
        let known =
            named.into_iter().chain(&action.target.service).filter_map(|name| self.services.get_key_value(name).map(|(name, _)| name));
        known.chain(cleaned).collect()
    }

    /// Every host an action would change something on.
    pub fn hosts_of(&self, action: &Action) -> BTreeSet<HostName> {
        if !action.effect.changes_something() {
            return BTreeSet::new();
        }
        match &action.target.host {
            Some(host) => BTreeSet::from([host.clone()]),
            None => self.touched(action).into_iter().filter_map(|name| self.service(name)).flat_map(|s| s.hosts.clone()).collect(),
        }
    }

    /// The service and what it declares to depend on, its pool and its consumers; one step, not transitively.
    pub fn reach_of(&self, name: &ServiceName) -> BTreeSet<&ServiceName> {
        let Some(service) = self.service(name) else {
            return BTreeSet::new();
        };
        [&service.name].into_iter().chain(&service.depends_on).chain(&service.pool).chain(&service.consumers).collect()
    }
}

/// Would the action remove files below one of the service's log roots?
fn cleans(action: &Action, service: &Service) -> bool {
    let Effect::Clean { paths, .. } = &action.effect else { return false };
    let here = action.target.host.as_ref().is_some_and(|host| service.hosts.contains(host));
    here && paths.iter().any(|path| service.log_roots.iter().any(|root| root.starts_with(path) || Path::new(path).starts_with(root)))
}

/// Never cleaned, whatever a configuration says: the boundary table's list and their like.
const PROTECTED: [&str; 11] = ["/", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/dev", "/proc", "/sys"];

/// Is this path, or what it lies below, protected? `/` protects itself only; so do the bare `/var`, `/home` and `/root`.
pub fn protected_path(path: &Path) -> bool {
    let bare = ["/", "/var", "/home", "/root", "/opt", "/srv", "/tmp", "/dev/shm", "/mnt", "/var/lib"];
    bare.iter().any(|p| path == Path::new(p)) || system_path(path)
}

/// Does it lie in one of the system's own places? Below `/dev/shm` are no devices: it is a `/tmp` in memory.
pub fn system_path(path: &Path) -> bool {
    PROTECTED[1..].iter().any(|p| path.starts_with(p)) && !path.starts_with("/dev/shm")
}

fn check_roots(roots: &[PathBuf], at: &str, problems: &mut Vec<Problem>) {
    for (index, root) in roots.iter().enumerate() {
        let climbs = root.components().any(|c| matches!(c, std::path::Component::ParentDir));
        if !root.is_absolute() || climbs || protected_path(root) {
            let message = format!(
                "`{}` cannot be a log root: expected an absolute folder such as /var/log/app, never {}",
                root.display(),
                PROTECTED.join(", ")
            );
            problems.push(Problem::new(format!("{at}.log_roots[{index}]"), message));
        }
    }
}
