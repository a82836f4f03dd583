//! The main job on real parts: Prometheus and Alertmanager of Debian watch a real service, which is killed.

use crate::reaching::need;
use crate::server::{Server, TOKEN, WITH_TOKEN, until};
use insta::assert_snapshot;
use paramedic::clients::alertmanager::Alertmanager;
use paramedic::clients::prometheus::Prometheus;
use paramedic::domain::{
    InForce, IncidentId, Inventory, Level, Mode, Outcome, Proposal, Proposer, ServiceName, SystemClock, Target, Trust,
};
use paramedic::safety::{Limits, OwnGround, Ruling, SafetyChecker, Situation, Usage};
use paramedic::tools::{self, About, Bench};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, Command};

/// Prometheus and Alertmanager on loopback ports; they end with the test.
struct Watch {
    prometheus: String,
    alertmanager: String,
    _peers: [Child; 2],
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(program: &str, dir: &Path, arguments: &[String]) -> Child {
    let log = std::fs::File::create(dir.join(format!("{}.log", program.rsplit('/').next().unwrap()))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap()
}

impl Watch {
    /// `ports`: Prometheus', Alertmanager's, and that of the service it scrapes as job `api`.
    fn start(dir: &Path, ports: (u16, u16, u16), webhook: &str) -> Self {
        need("/usr/bin/prometheus", "prometheus");
        need("/usr/bin/prometheus-alertmanager", "prometheus-alertmanager");
        let (own, alerting, api) = ports;
        let prometheus = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [rules.yml]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['127.0.0.1:{alerting}'] }}] }}] }}\n\
             scrape_configs: [{{ job_name: api, static_configs: [{{ targets: ['127.0.0.1:{api}'] }}] }}]\n"
        );
        let rules = "groups: [{ name: it, rules: [{ alert: ServiceDown, expr: 'up{job=\"api\"} == 0', \
             labels: { severity: critical, service: api }, annotations: { summary: 'api does not answer' } }] }]\n";
        let alertmanager = format!(
            "route: {{ receiver: paramedic, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 4h }}\n\
             receivers: [{{ name: paramedic, webhook_configs: [{{ url: '{webhook}', send_resolved: true, \
             http_config: {{ authorization: {{ type: Bearer, credentials: '{TOKEN}' }} }} }}] }}]\n"
        );
        std::fs::write(dir.join("prometheus.yml"), prometheus).unwrap();
        std::fs::write(dir.join("rules.yml"), rules).unwrap();
        std::fs::write(dir.join("alertmanager.yml"), alertmanager).unwrap();
        let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
        let first = ["--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="].map(str::to_owned);
        let second = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"].map(str::to_owned);
        let peers = [
            spawn("/usr/bin/prometheus-alertmanager", dir, &[first.as_slice(), &[listen(alerting)]].concat()),
            spawn("/usr/bin/prometheus", dir, &[second.as_slice(), &[listen(own)]].concat()),
        ];
        Self { prometheus: format!("http://127.0.0.1:{own}"), alertmanager: format!("http://127.0.0.1:{alerting}"), _peers: peers }
    }

    /// The samples of an instant query, once Prometheus answers at all.
    async fn value(&self, query: &str) -> Option<String> {
        let answer = Prometheus::new(&self.prometheus).unwrap().instant(query).await.ok()?;
        answer.result.first().map(|series| series["value"][1].as_str().unwrap().to_owned())
    }

    fn bench(&self, server: &Server) -> Bench {
        bench(server, &self.prometheus, &self.alertmanager)
    }
}

fn bench(server: &Server, prometheus: &str, alertmanager: &str) -> Bench {
    Bench {
        inventory: Arc::new(Inventory::default()),
        fleet: server.app.fleet.clone(),
        prometheus: Some(Prometheus::new(prometheus).unwrap()),
        alertmanager: Some(Alertmanager::new(alertmanager).unwrap()),
        channels: Vec::new(),
        clock: Arc::new(SystemClock),
    }
}

/// Runs an observing tool the way the engine's gate does.
async fn observe(bench: &Bench, tool: &str, arguments: Value) -> Outcome {
    let (target, own) = (Target::default(), OwnGround::default());
    let proposal = Proposal { tool: tool.into(), arguments, reason: "a test".into(), step: None, call: None };
    let tool = tools::find(tool).unwrap();
    let action = tools::understand(tool, &proposal, About { inventory: &bench.inventory, target: &target }).unwrap();
    let (agent, trust, in_force) = (Proposer::Model, Trust::default(), InForce::default());
    let situation = Situation {
        now: bench.clock.now(),
        incident: IncidentId(1),
        level: Level::Two,
        mode: Mode::Auto,
        escalated: false,
        target: &target,
        inventory: &bench.inventory,
        usage: Usage::default(),
        own: &own,
        approval: None,
        proposer: &agent,
        trust: Some(&trust),
        in_force: Some(&in_force),
    };
    let policies = Arc::new(paramedic::config::shipped_policies().unwrap());
    match SafetyChecker::new(Limits::default(), policies).rule(action, &situation) {
        Ruling::Allowed(permit, _) => tool.run(permit, bench).await.outcome,
        other => panic!("an observing action was not allowed: {other:?}"),
    }
}

/// A server that runs the Debian node_exporter as its service `api`, and the two that watch it.
async fn story() -> (Server, Watch) {
    need("/usr/bin/prometheus-node-exporter", "prometheus-node-exporter");
    let ports = (free_port(), free_port(), free_port());
    let services = format!(
        "services: [{{ name: api, reach: {{ process: {{ command: [/usr/bin/prometheus-node-exporter, \
         '--web.listen-address=127.0.0.1:{}', --collector.disable-defaults] }} }} }}]",
        ports.2
    );
    let peers = format!(
        "{WITH_TOKEN}\nprometheus: {{ url: 'http://127.0.0.1:{}' }}\nalertmanager: {{ url: 'http://127.0.0.1:{}' }}",
        ports.0, ports.1
    );
    let server = Server::start(&peers, &services).await;
    let watch = Watch::start(server.folder.path(), ports, &server.url("/webhooks/alertmanager"));
    until("Prometheus sees api up", async || watch.value("up{job=\"api\"}").await.as_deref() == Some("1")).await;
    (server, watch)
}

async fn kill_api(server: &Server) -> u32 {
    let api = server.inventory.service(&ServiceName::parse("api").unwrap()).unwrap();
    let pid = server.app.fleet.status(api, None).await.unwrap().pid.unwrap();
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
    pid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_is_seen_by_prometheus_restarted_verified_and_its_incident_closed() {
    let (server, watch) = story().await;
    let first = kill_api(&server).await;
    until("the incident is resolved", async || server.state(IncidentId(1)).await.as_deref() == Some("resolved")).await;

    assert_snapshot!(server.transcript(IncidentId(1)).await, @r#"
    raised ServiceDown (api): api does not answer
    level 1 by rule service_crash: a service that is down serves nobody; restarting it is quick, harmless and counted
    run 1 by runbook service_crash
    started check_service_status {"host":null,"service":"api"}
    ok: api is dead
    started get_service_logs {"host":null,"level":"error","lines":100,"service":"api"}
    ok: 0 lines of api
    started restart_service {"host":null,"reason":"ServiceDown: api does not serve","service":"api"}
    ok: api restarted and active
    runbook done: service_crash; status: api is dead; logs: 0 lines of api; restart: api restarted and active
    verifying: the alert, and check_service_status: output.active
    signal alert bad: still firing
    signal independent good: api is running
    alert ServiceDown resolved
    signal alert good: Alertmanager told that it resolved
    resolved: fixed; the alert resolved and the independent check holds
    "#);
    assert_eq!(watch.value("up{job=\"api\"}").await.as_deref(), Some("1"));
    assert_ne!(kill_api(&server).await, first, "another process serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_observing_tools_read_the_real_prometheus_and_alertmanager() {
    let (server, watch) = story().await;
    let bench = watch.bench(&server);
    let now = observe(&bench, "get_metrics", json!({ "query": "up{job=\"api\"}" })).await;
    assert_eq!((now.ok, now.said.as_str()), (true, "1 series"));
    assert_eq!((&now.output["series"][0]["labels"]["job"], &now.output["series"][0]["value"][1]), (&json!("api"), &json!("1")));

    until("there are two samples of the past", async || {
        let range = observe(&bench, "get_metrics", json!({ "query": "up{job=\"api\"}", "duration": "5s" })).await;
        range.output["series"][0]["values"].as_array().is_some_and(|samples| samples.len() >= 2)
    })
    .await;
    let none = observe(&bench, "get_metrics", json!({ "query": "no_such_metric" })).await;
    assert_eq!((none.ok, none.said.as_str()), (true, "0 series"));
    let scalar = observe(&bench, "get_metrics", json!({ "query": "1 + 1" })).await;
    assert_eq!((scalar.said.as_str(), &scalar.output["series"][0]["value"][1]), ("1 series", &json!("2")));
    let broken = observe(&bench, "get_metrics", json!({ "query": "up{" })).await;
    assert!(
        !broken.ok && broken.said.starts_with("prometheus refused the query: ") && broken.said.contains("parse error"),
        "{}",
        broken.said
    );

    assert_eq!(observe(&bench, "get_alerts", json!({})).await.said, "0 alerts are active");
    kill_api(&server).await;
    let of_api = json!({ "service": "api" });
    until("Alertmanager has the alert", async || observe(&bench, "get_alerts", of_api.clone()).await.output["count"] == 1).await;
    until("and forgets it", async || observe(&bench, "get_alerts", of_api.clone()).await.output["count"] == 0).await;
}

#[tokio::test]
async fn a_prometheus_or_alertmanager_that_is_not_there_fails_the_step_and_says_so() {
    let server = Server::start(WITH_TOKEN, "services: []").await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let bench = bench(&server, &nobody, &nobody);
    let metrics = observe(&bench, "get_metrics", json!({ "query": "up" })).await;
    assert!(!metrics.ok && metrics.said.starts_with("prometheus did not answer") && metrics.said.contains("refused"), "{}", metrics.said);
    let alerts = observe(&bench, "get_alerts", json!({ "host": "web-1" })).await;
    assert!(!alerts.ok && alerts.said.starts_with("alertmanager did not answer") && alerts.said.contains("refused"), "{}", alerts.said);
}

/// Alertmanager alone, with these lines for its webhook.
async fn alertmanager_alone(dir: &Path, webhook: &str) -> (String, Child) {
    need("/usr/bin/prometheus-alertmanager", "prometheus-alertmanager");
    let config = format!(
        "route: {{ receiver: paramedic, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 4h }}\n\
         receivers: [{{ name: paramedic, webhook_configs: [{{ {webhook}, \
         http_config: {{ authorization: {{ type: Bearer, credentials: '{TOKEN}' }} }} }}] }}]\n"
    );
    std::fs::write(dir.join("alertmanager.yml"), config).unwrap();
    let port = free_port();
    let arguments = ["--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="].map(str::to_owned);
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let child = spawn("/usr/bin/prometheus-alertmanager", dir, &[arguments.as_slice(), &[listen]].concat());
    let url = format!("http://127.0.0.1:{port}");
    until("Alertmanager answers", async || Alertmanager::new(&url).unwrap().listing().await.is_ok()).await;
    (url, child)
}

async fn post(url: &str, body: &Value) {
    let client = paramedic::clients::http::client(std::time::Duration::from_secs(10)).unwrap();
    let answer = client.post(url).json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap());
}

/// An alert that fires since ten minutes ago.
fn alert_of(name: &str, instance: &str) -> Value {
    let since = (chrono::Utc::now() - chrono::Duration::minutes(10)).to_rfc3339();
    let labels = json!({ "alertname": name, "instance": instance, "severity": "warning" });
    json!({ "labels": labels, "annotations": { "summary": "a test" }, "startsAt": since })
}

async fn all_joined(server: &Server, count: usize) -> bool {
    let incident = server.app.engine.store().incident(IncidentId(1)).await.unwrap();
    incident.is_some_and(|incident| incident.alerts.len() == count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_alertmanager_could_not_send_is_found_and_what_is_silenced_there_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = free_port();
    let (url, _child) = alertmanager_alone(folder.path(), &format!("url: 'http://127.0.0.1:{nobody}/'")).await;
    let (from, to) = (chrono::Utc::now(), chrono::Utc::now() + chrono::Duration::hours(1));
    let matchers = json!([{ "name": "alertname", "value": "Quiet", "isRegex": false, "isEqual": true }]);
    let silence =
        json!({ "matchers": matchers, "startsAt": from.to_rfc3339(), "endsAt": to.to_rfc3339(), "createdBy": "ana", "comment": "known" });
    post(&format!("{url}/api/v2/silences"), &silence).await;
    post(&format!("{url}/api/v2/alerts"), &json!([alert_of("Quiet", "a"), alert_of("Loud", "a"), alert_of("Loud", "b")])).await;
    let suppressed = async || {
        let listing = Alertmanager::new(&url).unwrap().listing().await.unwrap();
        listing.alerts.iter().filter(|alert| alert.status.state == "suppressed").count() == 1
            && listing.alerts.iter().filter(|alert| alert.status.state == "active").count() == 2
    };
    until("Alertmanager has looked at all three", suppressed).await;

    let server = Server::start(&format!("{WITH_TOKEN}\nalertmanager: {{ url: '{url}' }}"), "services: []").await;
    until("both are found", async || all_joined(&server, 2).await).await;
    assert!(server.transcript(IncidentId(1)).await.contains("[found by asking Alertmanager: nobody sent it]"));
    let names: Vec<String> = server.app.engine.store().list(None, 10).await.unwrap().into_iter().map(|one| one.alertname).collect();
    assert_eq!(names, ["Loud"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_alertmanager_cuts_from_a_body_is_asked_for() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let webhook = format!("url: 'http://127.0.0.1:{port}/webhooks/alertmanager', send_resolved: true, max_alerts: 1");
    let (url, _child) = alertmanager_alone(folder.path(), &webhook).await;
    let listen = format!("server: {{ listen: '127.0.0.1:{port}', webhook_token: '{TOKEN}' }}\nalertmanager: {{ url: '{url}' }}");
    let server = Server::start(&listen, "services: []").await;
    post(&format!("{url}/api/v2/alerts"), &json!([alert_of("Loud", "a"), alert_of("Loud", "b"), alert_of("Loud", "c")])).await;
    until("all three are one incident's", async || all_joined(&server, 3).await).await;
    assert!(server.transcript(IncidentId(1)).await.starts_with("raised Loud"));
    assert_eq!(server.app.engine.store().list(None, 10).await.unwrap().len(), 1);
    assert!(server.app.engine.store().unreadable(10).await.unwrap().is_empty());
}
