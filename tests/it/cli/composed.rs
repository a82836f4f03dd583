//! docker-compose.yml in both its forms: what it names is there, and every configuration in it is one.

use super::{copy, run};
use crate::reaching::need;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// `NAME=value` lines.
fn replicated() -> BTreeMap<String, String> {
    let text = read("deploy/compose/replicated.env");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

/// The file with its variables filled in, and the services that run in this form.
fn form(variables: &BTreeMap<String, String>) -> (Value, BTreeMap<String, Value>) {
    let text = read("docker-compose.yml");
    let variable = regex::Regex::new(r"\$\{([A-Z_]+):-([^}]*)\}").unwrap();
    let filled =
        variable.replace_all(&text, |found: &regex::Captures<'_>| variables.get(&found[1]).unwrap_or(&found[2].to_owned()).clone());
    let file = yaml(&filled);
    let profile = variables.get("COMPOSE_PROFILES");
    let runs = |service: &Value| {
        service["profiles"].as_array().is_none_or(|names| names.iter().any(|name| name.as_str() == profile.map(String::as_str)))
    };
    let mut services: BTreeMap<String, Value> = BTreeMap::new();
    for (name, service) in file["services"].as_object().unwrap() {
        // What a YAML library may leave to its reader.
        let mut whole = service["<<"].as_object().cloned().unwrap_or_default();
        whole.extend(service.as_object().unwrap().clone());
        let whole = Value::Object(whole);
        if runs(&whole) {
            services.insert(name.clone(), whole);
        }
    }
    (file, services)
}

/// What is mounted, and where.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let mounts = service["volumes"].as_array().into_iter().flatten();
    mounts
        .map(|mount| mount.as_str().unwrap().split(':').map(str::to_owned).collect::<Vec<_>>())
        .map(|m| (m[0].clone(), m[1].clone()))
        .collect()
}

fn mounted(services: &BTreeMap<String, Value>, service: &str, at: &str) -> String {
    mounts(&services[service]).into_iter().find(|(_, target)| target == at).unwrap_or_else(|| panic!("{service} mounts nothing at {at}")).0
}

fn paramedics(services: &BTreeMap<String, Value>) -> BTreeSet<String> {
    services.keys().filter(|name| name.starts_with("paramedic")).cloned().collect()
}

/// Services, volumes and files that something names are there.
fn holds_together(file: &Value, services: &BTreeMap<String, Value>) {
    for (name, service) in services {
        for needed in service["depends_on"].as_object().into_iter().flat_map(|needs| needs.keys()) {
            assert!(services.contains_key(needed), "{name} depends on {needed}, which does not run");
        }
        for (source, target) in mounts(service) {
            match source.strip_prefix("./") {
                Some(path) => assert!(root().join(path).is_file(), "{name}: {source} is not there"),
                None => assert!(file["volumes"].as_object().unwrap().contains_key(&source), "{name}: no volume {source} for {target}"),
            }
        }
    }
    let own: BTreeSet<String> = paramedics(services).iter().map(|name| mounted(services, name, "/var/lib/paramedic")).collect();
    assert_eq!(own.len(), paramedics(services).len(), "each has a folder of its own");
}

/// `paramedic check` of what each Paramedic finds in its container, with what the token service makes.
fn is_a_configuration(services: &BTreeMap<String, Value>, at: &Path) {
    copy(&root().join("config"), &at.join("config"));
    std::fs::create_dir(at.join("run")).unwrap();
    for (name, text) in [
        ("webhook_token", "0123456789abcdef0123456789abcdef"),
        ("store_url", "postgres://paramedic:0123456789abcdef@postgres:5432/paramedic\n"),
    ] {
        std::fs::write(at.join("run").join(name), text).unwrap();
    }
    let secrets = at.join("run").display().to_string();
    for name in paramedics(services) {
        for (source, target) in mounts(&services[&name]) {
            if let (Some(source), Some(target)) = (source.strip_prefix("./"), target.strip_prefix("/etc/paramedic/")) {
                std::fs::write(at.join(target), read(source).replace("/run/paramedic/", &format!("{secrets}/"))).unwrap();
            }
        }
        let ran = run(at, &["check", "--listen", "0.0.0.0:9911"]);
        assert!(ran.code == Some(0) && ran.out.contains("listens on 0.0.0.0:9911"), "{name}: {ran:?}");
    }
}

fn is_right(program: &str, arguments: &[&str], at: &Path) {
    let ran = Command::new(program).args(arguments).current_dir(at).output().unwrap();
    assert!(
        ran.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// Alertmanager and Prometheus take their files, and every Paramedic is told of everything.
fn its_neighbours_are_configured(services: &BTreeMap<String, Value>, at: &Path) {
    need("/usr/bin/amtool", "prometheus-alertmanager");
    need("/usr/bin/promtool", "prometheus");
    let alertmanager = mounted(services, "alertmanager", "/etc/alertmanager/alertmanager.yml");
    is_right("amtool", &["check-config", &alertmanager], root());
    let hooks = yaml(&read(&alertmanager))["receivers"][0]["webhook_configs"].as_array().unwrap().clone();
    let urls: BTreeSet<String> = hooks.iter().map(|hook| hook["url"].as_str().unwrap().to_owned()).collect();
    let expected = paramedics(services).iter().map(|name| format!("http://{name}:9911/webhooks/alertmanager")).collect();
    assert_eq!(urls, expected, "Alertmanager posts to every one");
    for (source, target) in mounts(&services["prometheus"]) {
        if let (Some(source), Some(target)) = (source.strip_prefix("./"), target.strip_prefix("/etc/prometheus/")) {
            std::fs::write(at.join(target), read(source)).unwrap();
        }
    }
    is_right("promtool", &["check", "config", "prometheus.yml"], at);
}

fn stands(variables: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().unwrap();
    let (file, services) = form(variables);
    holds_together(&file, &services);
    is_a_configuration(&services, folder.path());
    its_neighbours_are_configured(&services, folder.path());
    services
}

#[test]
fn one_server_is_composed_of_what_is_there() {
    let services = stands(&BTreeMap::new());
    assert_eq!(services.keys().collect::<Vec<_>>(), ["alertmanager", "paramedic", "prometheus", "token"]);
}

#[test]
fn three_replicas_are_composed_of_what_is_there() {
    let services = stands(&replicated());
    assert_eq!(paramedics(&services).len(), 3);
    let secret = mounted(&services, "postgres", "/run/paramedic");
    assert_eq!((secret.as_str(), &services["postgres"]["environment"]["POSTGRES_USER"]), ("token", &"paramedic".into()));
}

/// A command beside a server finds the store where the server finds it.
#[test]
fn a_stores_address_in_a_file_is_found_by_every_command() {
    let folder = super::configured("store: { url_file: address }", "services: []");
    let at = folder.path();
    std::fs::write(at.join("config/address"), "sqlite://elsewhere/paramedic.db\n").unwrap();
    let said = run(at, &["incidents"]);
    assert!(said.code == Some(1) && said.err.contains("elsewhere/paramedic.db: there is no such file"), "{said:?}");
    std::fs::remove_file(at.join("config/address")).unwrap();
    let said = run(at, &["incidents"]);
    assert!(said.code == Some(64) && said.err.contains("store.url_file: address cannot be read"), "{said:?}");
}
