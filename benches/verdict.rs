//! How long the SafetyChecker takes for a verdict with the shipped policies: the median over many runs of each case, in microseconds.
//! `cargo bench --bench verdict`.

use paramedic::config::shipped_policies;
use paramedic::domain::{
    Action, Clock as _, Effect, HostName, InForce, IncidentId, Inventory, InventoryFile, Level, Mode, Proposer, ServiceName, SystemClock,
    Target, Tier, Trust,
};
use paramedic::safety::command::{LONGEST, classify};
use paramedic::safety::{Limits, OwnGround, SafetyChecker, Situation, Usage};
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Services of the inventory; one in ten depends on another.
const SERVICES: usize = 200;
const RUNS: usize = 20_000;

fn main() {
    let inventory = inventory();
    let policies = Arc::new(shipped_policies().expect("the shipped policies are fine"));
    println!("{} policies, {SERVICES} services, {RUNS} verdicts each", policies.count());
    let checker = SafetyChecker::new(Limits::default(), policies);
    let service = ServiceName::parse("service-7").expect("a name");
    let target = Target { service: Some(service.clone()), host: None };
    let arguments = json!({ "service": "service-7", "reason": "ServiceDown: service-7 does not serve" });
    let act = |tool: &str, tier, effect| Action {
        tool: tool.into(),
        tier,
        target: target.clone(),
        arguments: arguments.clone(),
        effect,
        reason: String::new(),
    };
    let restart = || Effect::Restart { services: vec![service.clone()] };
    let clean = Effect::Clean { paths: vec!["/var/log/app".into()], min_age_days: 7 };
    let cases = [
        ("look (allow)", act("get_service_logs", Tier::Observe, Effect::Observe)),
        ("restart (allow)", act("restart_service", Tier::Disruptive, restart())),
        ("change configuration (confirm)", act("update_config", Tier::Disruptive, restart())),
        ("delete a database (deny)", act("delete_database", Tier::Destructive, restart())),
        ("clean a host's logs (allow)", Action { target: on_host(), ..act("clean_disk_space", Tier::Disruptive, clean) }),
    ];
    for (name, action) in cases {
        let about = if action.target.host.is_some() { &action.target } else { &target };
        let usage = Usage {
            restarts: [(service.clone(), 0)].into(),
            actions: Some(0),
            hosts: Some(Vec::new()),
            degraded: Some(1),
            ..Usage::default()
        };
        let (own, proposer, trust, in_force) = (OwnGround::default(), Proposer::Model, Trust::default(), InForce::default());
        let situation = Situation {
            now: SystemClock.now(),
            incident: IncidentId(1),
            level: Level::One,
            mode: Mode::Auto,
            escalated: false,
            target: about,
            inventory: &inventory,
            usage,
            own: &own,
            approval: None,
            proposer: &proposer,
            trust: Some(&trust),
            in_force: Some(&in_force),
        };
        let (median, worst) = measure(|| drop(black_box(checker.rule(black_box(action.clone()), &situation))));
        println!("{name:<38} median {:>7.1} us, p99 {:>7.1} us", micros(median), micros(worst));
    }
    commands();
}

/// Of a shell command: everyday ones, the longest that is read, a megabyte. Medians of each shape.
fn commands() {
    let everyday = "journalctl -u nginx --since '1 hour ago' | grep -c error";
    let (timed, slowest) = measure(|| drop(black_box(classify(black_box(everyday)))));
    println!("{:<38} median {:>7.1} us, p99 {:>7.1} us", "an everyday command", micros(timed), micros(slowest));
    let shapes = ["ls; ", "df -h | ", "$(", "'", "a ", "\"${x:-", "sh -c 'ls' && ", "\u{fffd}"];
    for (what, bytes) in [("the longest command that is read", LONGEST), ("a megabyte of command", 1 << 20)] {
        let of = |shape: &str| {
            let text = shape.repeat(bytes / shape.len());
            let mut taken: Vec<Duration> = (0..9)
                .map(|_| {
                    let start = Instant::now();
                    black_box(classify(black_box(&text)));
                    start.elapsed()
                })
                .collect();
            taken.sort();
            taken[4]
        };
        let slowest = shapes.iter().map(|shape| of(shape)).max().unwrap_or_default();
        println!("{what:<38} median {:>7.1} us, the slowest of {} shapes", micros(slowest), shapes.len());
    }
}

fn on_host() -> Target {
    Target { service: None, host: Some(HostName::parse("host-0").expect("a name")) }
}

fn inventory() -> Inventory {
    let reach = json!({ "process": { "command": ["/bin/true"] } });
    let services: Vec<_> = (0..SERVICES)
        .map(|n| {
            let needs: Vec<String> = if n % 10 == 7 { vec![format!("service-{}", n - 1)] } else { Vec::new() };
            json!({ "name": format!("service-{n}"), "reach": reach, "hosts": [format!("host-{}", n % 10)], "environment": "production",
                    "owner": "platform", "tags": ["web", "tier-1"], "depends_on": needs })
        })
        .collect();
    let hosts: Vec<_> =
        (0..10).map(|n| json!({ "name": format!("host-{n}"), "reach": { "local": {} }, "log_roots": ["/var/log/app"] })).collect();
    let file: InventoryFile = serde_json::from_value(json!({ "hosts": hosts, "services": services })).expect("an inventory");
    Inventory::build(file).expect("an inventory")
}

/// The median and the 99th percentile.
fn measure(mut run: impl FnMut()) -> (Duration, Duration) {
    for _ in 0..RUNS / 10 {
        run();
    }
    let mut taken: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    taken.sort();
    (taken[RUNS / 2], taken[RUNS * 99 / 100])
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
