//! The inventory: a file that is refused says where; what is taken knows its own services and hosts.

use super::Target;
use paramedic::config::services_of;
use paramedic::domain::{Alert, AlertStatus, Fingerprint, Time};
use std::path::Path;

pub const TARGET: Target = Target {
    name: "services",
    check,
    seeds,
    words: &[
        "hosts:\n",
        "services:\n",
        "  - name: ",
        "    instances: [",
        "    reach:\n",
        "      ssh:\n",
        "      local: {}\n",
        "systemd: { unit: ",
        "template: ",
        "worker@{n}.service",
        "docker: { container: ",
        "process: { command: [",
        "    log_roots: [",
        "    depends_on: [",
        "    alerts: ['",
        "    scale: { base: ",
        "    pool: ",
        "    consumers: [",
        "    mode: review\n",
        "    tags: [",
        "[::1]:22",
        "4294967296",
        "&a ",
        "*a",
        "<<: ",
        "/var/log/../..",
    ],
    longest: 2048,
};

/// One of everything.
pub const EXAMPLE: &str = r#"
hosts:
  - name: web-1
    instances: ["10.0.0.11", "web-1.example:9100"]
    reach: { ssh: { address: "10.0.0.11", user: paramedic, key_file: /etc/k, known_hosts_file: /etc/h } }
    log_roots: [/var/log/app]
    environment: production
    tags: [edge]
  - { name: here, reach: { local: {} } }
services:
  - name: api
    environment: production
    owner: web
    hosts: [web-1]
    reach: { systemd: { unit: api.service } }
    alerts: ['alertname="ApiDown"', 'instance=~"10\\..*"']
    depends_on: [db]
    pool: pooler
    consumers: [worker]
    mode: review
    log_roots: [/var/log/app/api]
  - { name: db, hosts: [web-1], reach: { docker: { container: db } } }
  - { name: pooler, hosts: [web-1], reach: { systemd: { unit: pgbouncer.service } } }
  - { name: worker, hosts: [web-1], reach: { systemd: { unit: worker.service, template: "worker@{n}.service" } }, scale: { base: 2 } }
  - { name: child, reach: { process: { command: ["/bin/sleep", "1"], environment: { A: b } } } }
"#;

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match services_of(Path::new("services.yaml"), &text) {
        Err(complaints) => super::complaints_have_places(&text, &complaints),
        Ok((inventory, targets)) => {
            for service in inventory.services() {
                assert!(inventory.service(&service.name).is_some() && inventory.reach_of(&service.name).contains(&service.name));
                assert!(service.hosts.iter().all(|host| inventory.host(host).is_some()), "a host that is not listed: {service:?}");
                let target = targets.target(&about(service.name.as_str()));
                assert!(target.service.is_none_or(|name| inventory.service(&name).is_some()));
            }
        }
    }
}

fn about(service: &str) -> Alert {
    Alert {
        status: AlertStatus::Firing,
        labels: [("service", service), ("instance", "10.0.0.11:9100"), ("alertname", "ApiDown")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        annotations: std::collections::BTreeMap::new(),
        starts_at: Time::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint("c0ffee".into()),
        group_key: String::new(),
        origin: Default::default(),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let shipped = super::file("config/services.yaml");
    let commented: String = shipped.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect();
    let odd =
        ["hosts: []\nservices: []\n", "services:\n  - { name: a, reach: { docker: { container: a, socket: /x } }, depends_on: [a] }\n"];
    [EXAMPLE.to_owned(), shipped, commented].into_iter().chain(odd.map(str::to_owned)).map(String::into_bytes).collect()
}
