//! Where an alert happens: its service and its host, as far as the inventory knows them. Only labels count, and only as keys to
//! look up: what comes out is always the inventory's own name, never the alert's text. Annotations are not read at all.

use super::matcher::{self, Matcher};
use crate::domain::{Alert, HostName, HostReach, InventoryFile, Problem, Reach, Service, ServiceName, Target};

/// Labels that may name a service, the most telling first: `job` is often the exporter that measured, not what it measured.
const SERVICE_LABELS: [&str; 7] = ["service", "app", "deployment", "container", "unit", "name", "job"];
const HOST_LABELS: [&str; 5] = ["instance", "host", "hostname", "node", "nodename"];

#[derive(Debug, Clone)]
struct KnownService {
    name: ServiceName,
    /// What labels may call it: its name, its unit with and without `.service`, its container.
    aliases: Vec<String>,
    /// Around the instance's number of a scaled unit: `worker@` and `.service`.
    template: Option<(String, String)>,
    hosts: Vec<HostName>,
    matchers: Vec<Matcher>,
}

#[derive(Debug, Clone)]
struct KnownHost {
    name: HostName,
    aliases: Vec<String>,
}

/// The inventory, made ready for look-ups.
#[derive(Debug, Clone)]
pub struct Targets {
    services: Vec<KnownService>,
    hosts: Vec<KnownHost>,
}

impl Targets {
    /// Of the file, not of the built inventory: only the file keeps the order, by which ties are decided and places are named.
    pub fn build(file: &InventoryFile) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let services = file.services.iter().enumerate();
        let services = services.map(|(index, service)| known_service(service, index, &mut problems)).collect();
        let hosts = file.hosts.iter().map(|host| {
            let mut aliases = vec![host.name.to_string()];
            aliases.extend(host.instances.iter().map(|text| without_port(text).to_owned()));
            if let HostReach::Ssh { address, .. } = &host.reach {
                aliases.push(without_port(address).to_owned());
            }
            KnownHost { name: host.name.clone(), aliases }
        });
        let hosts = hosts.collect();
        if problems.is_empty() { Ok(Self { services, hosts }) } else { Err(problems) }
    }

    pub fn target(&self, alert: &Alert) -> Target {
        let seen = self.host(alert);
        let service = self.by_matchers(alert).or_else(|| self.by_labels(alert, seen));
        let Some(service) = service else {
            return Target { service: None, host: seen.cloned() };
        };
        // An alert about a service is often measured elsewhere (a probe, a federation): such a host is not where to act.
        let host = match (seen.filter(|host| service.hosts.contains(host)), service.hosts.as_slice()) {
            (Some(host), _) => Some(host.clone()),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        Target { service: Some(service.name.clone()), host }
    }

    /// Of the services whose matchers all fit, the one with most matchers, then the first listed.
    fn by_matchers(&self, alert: &Alert) -> Option<&KnownService> {
        let fits = |service: &&KnownService| !service.matchers.is_empty() && service.matchers.iter().all(|m| m.matches(&alert.labels));
        let more = |best, next| if matchers(next) > matchers(best) { next } else { best };
        self.services.iter().filter(fits).reduce(more)
    }

    /// By the first label that names one. Two services may share a unit's name on different hosts; the host tells them apart, and
    /// where it does not, neither is meant.
    fn by_labels(&self, alert: &Alert, host: Option<&HostName>) -> Option<&KnownService> {
        SERVICE_LABELS.iter().filter_map(|label| alert.label(label)).find_map(|text| {
            if let Some(exact) = self.services.iter().find(|service| service.name.as_str() == text) {
                return Some(exact);
            }
            let mut called: Vec<_> = self.services.iter().filter(|service| service.is_called(text)).collect();
            if called.len() > 1 {
                called.retain(|service| host.is_some_and(|host| service.hosts.contains(host)));
            }
            match called.as_slice() {
                [one] => Some(*one),
                _ => None,
            }
        })
    }

    fn host(&self, alert: &Alert) -> Option<&HostName> {
        HOST_LABELS.iter().filter_map(|label| alert.label(label)).find_map(|text| {
            let bare = without_port(text);
            let known = self.hosts.iter().find(|host| host.aliases.iter().any(|alias| alias == bare));
            known.map(|host| &host.name)
        })
    }
}

fn matchers(service: &KnownService) -> usize {
    service.matchers.len()
}

impl KnownService {
    fn is_called(&self, text: &str) -> bool {
        self.aliases.iter().any(|alias| alias == text) || self.template.as_ref().is_some_and(|template| is_instance(template, text))
    }
}

/// `worker@2.service`, and `worker@2`, of the template `worker@{n}.service`.
fn is_instance((before, after): &(String, String), text: &str) -> bool {
    let Some(rest) = text.strip_prefix(before.as_str()) else {
        return false;
    };
    let bare = after.strip_suffix(".service").unwrap_or(after);
    let number = rest.strip_suffix(after.as_str()).or_else(|| rest.strip_suffix(bare));
    number.is_some_and(|number| !number.is_empty() && number.len() <= 4 && number.bytes().all(|b| b.is_ascii_digit()))
}

fn known_service(service: &Service, index: usize, problems: &mut Vec<Problem>) -> KnownService {
    let mut aliases = vec![service.name.to_string()];
    let mut template = None;
    match &service.reach {
        Reach::Systemd { unit, template: instances } => {
            let bare = unit.strip_suffix(".service").unwrap_or(unit);
            aliases.extend([bare.to_owned(), format!("{bare}.service")]);
            template = instances.as_ref().and_then(|text| text.split_once("{n}"));
        }
        Reach::Docker { container, .. } => aliases.push(container.clone()),
        Reach::Process { .. } => {}
    }
    let mut matchers = Vec::new();
    for (number, text) in service.alerts.iter().enumerate() {
        match matcher::parse(text) {
            Ok(read) => matchers.extend(read),
            Err(error) => problems.push(Problem::new(format!("services[{index}].alerts[{number}]"), error.to_string())),
        }
    }
    KnownService {
        name: service.name.clone(),
        aliases,
        template: template.map(|(before, after)| (before.to_owned(), after.to_owned())),
        hosts: service.hosts.clone(),
        matchers,
    }
}

/// `host:9100`, `[::1]:9100` and `[::1]` lose port and brackets; a bare `::1` stays as it is.
fn without_port(text: &str) -> &str {
    if let Some((inside, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside;
    }
    match text.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AlertStatus, Fingerprint};
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn file() -> InventoryFile {
        let ssh = |address: &str| json!({"ssh": {"address": address, "user": "hand", "key_file": "/k", "known_hosts_file": "/h"}});
        serde_json::from_value(json!({
            "hosts": [
                {"name": "web-1", "instances": ["10.0.0.1:9100"], "reach": ssh("web1.example.com")},
                {"name": "web-2", "instances": ["2001:db8::2"], "reach": ssh("192.0.2.2")},
                {"name": "db-1", "reach": {"local": {}}},
            ],
            "services": [
                {"name": "api-gateway", "hosts": ["web-1", "web-2"], "reach": {"systemd": {"unit": "gateway.service"}}},
                {"name": "worker", "hosts": ["web-2"], "reach": {"systemd": {"unit": "worker.service", "template": "worker@{n}.service"}}},
                {"name": "cache", "reach": {"docker": {"container": "redis-cache"}}},
                {"name": "orders-a", "hosts": ["web-1"], "reach": {"systemd": {"unit": "orders"}}},
                {"name": "orders-b", "hosts": ["db-1"], "reach": {"systemd": {"unit": "orders"}}},
                {"name": "billing", "hosts": ["db-1"], "reach": {"process": {"command": ["x"]}}, "alerts": ["team=money"]},
                {"name": "billing-slow", "reach": {"process": {"command": ["x"]}}, "alerts": ["{team=money, alertname=~\".*Slow\"}"]},
                {"name": "node-exporter", "hosts": ["web-1", "web-2"], "reach": {"systemd": {"unit": "node_exporter.service"}}},
            ],
        }))
        .unwrap()
    }

    fn alert(labels: BTreeMap<String, String>, annotations: BTreeMap<String, String>) -> Alert {
        Alert {
            status: AlertStatus::Firing,
            fingerprint: Fingerprint::of(&labels),
            labels,
            annotations,
            starts_at: chrono::DateTime::UNIX_EPOCH,
            ends_at: None,
            generator_url: String::new(),
            group_key: String::new(),
            origin: Default::default(),
        }
    }

    fn told(pairs: &[(&str, &str)]) -> String {
        let labels = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Targets::build(&file()).unwrap().target(&alert(labels, BTreeMap::new())).to_string()
    }

    #[test]
    fn a_service_is_known_by_its_matchers_its_name_its_unit_or_its_container() {
        for (labels, expected) in [
            (vec![("service", "api-gateway")], "api-gateway"),
            (vec![("name", "gateway.service"), ("instance", "web-1:9100"), ("job", "node-exporter")], "api-gateway on web-1"),
            (vec![("unit", "gateway"), ("instance", "[2001:db8::2]:9100")], "api-gateway on web-2"),
            (vec![("name", "worker@12.service")], "worker on web-2"),
            (vec![("unit", "worker@2")], "worker on web-2"),
            (vec![("unit", "worker@x.service")], "no known target"),
            (vec![("container", "redis-cache")], "cache"),
            (vec![("job", "node-exporter"), ("instance", "10.0.0.1:9100")], "node-exporter on web-1"),
            (vec![("name", "orders.service")], "no known target"),
            (vec![("name", "orders.service"), ("instance", "db-1")], "orders-b on db-1"),
            (vec![("team", "money"), ("service", "api-gateway")], "billing on db-1"),
            (vec![("team", "money"), ("alertname", "PaymentSlow")], "billing-slow"),
        ] {
            assert_eq!(told(&labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn a_host_is_known_by_its_name_instances_or_address_whatever_the_port() {
        for (labels, expected) in [
            (vec![("instance", "10.0.0.1:9256")], "host web-1"),
            (vec![("instance", "web1.example.com:443")], "host web-1"),
            (vec![("instance", "[2001:db8::2]:9100")], "host web-2"),
            (vec![("instance", "2001:db8::2")], "host web-2"),
            (vec![("instance", "unknown:9100"), ("nodename", "db-1")], "host db-1"),
            (vec![("instance", "https://web-1/health")], "no known target"),
            (vec![("instance", "web-1:9100:1")], "no known target"),
        ] {
            assert_eq!(told(&labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn a_host_that_does_not_run_the_service_is_not_where_to_act() {
        assert_eq!(told(&[("service", "api-gateway"), ("instance", "db-1:9115")]), "api-gateway");
        assert_eq!(told(&[("service", "worker"), ("instance", "db-1:9115")]), "worker on web-2");
    }

    #[test]
    fn hostile_names_and_annotations_name_nothing() {
        for text in
            ["api-gateway; reboot", "-api-gateway", "api-gateway\n", " api-gateway", "api gateway", "", "../worker", "worker@", "{n}"]
        {
            assert_eq!(told(&[("service", text), ("instance", text)]), "no known target", "{text:?}");
        }
        let annotations = BTreeMap::from([("service".to_owned(), "api-gateway".to_owned()), ("instance".to_owned(), "web-1".to_owned())]);
        let target = Targets::build(&file()).unwrap().target(&alert(BTreeMap::new(), annotations));
        assert_eq!(target, Target::default());
    }

    #[test]
    fn a_matcher_that_cannot_be_read_names_its_place_in_the_file() {
        let mut file = file();
        file.services[1].alerts = vec!["a=b".to_owned(), "a==b".to_owned()];
        let problems = Targets::build(&file).unwrap_err();
        assert_eq!(problems[0].path, "services[1].alerts[1]");
    }

    proptest! {
        #[test]
        fn any_label_text_yields_only_names_of_the_inventory(labels in proptest::collection::btree_map("service|app|job|unit|instance|host", ".{0,24}", 0..5)) {
            let file = file();
            let target = Targets::build(&file).unwrap().target(&alert(labels, BTreeMap::new()));
            prop_assert!(target.service.is_none_or(|name| file.services.iter().any(|s| s.name == name)));
            prop_assert!(target.host.is_none_or(|name| file.hosts.iter().any(|h| h.name == name)));
        }
    }
}
