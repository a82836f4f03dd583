//! Budgets over random histories: restarts of the server in the middle, a clock that jumps, two workers at least, and a model that wants
//! every bounded thing again and again. The bounds are as built in or stricter; they hold through the real store and engine.

use super::arena::{Arena, CALM, Weather, alarm};
use super::dice::Dice;
use super::hostile::tightened;
use super::invariants::{BUILT_IN, Bounds, Tally};
use super::size::{Progress, in_lanes, is_full, seed};
use super::{incident_of, target_of, turn_of, world};
use crate::stories::Setup;
use paramedic::standins::model::{Generator, Reply};
use serde_json::{Value, json};
use std::sync::Arc;

/// Only what could be allowed: every bounded action within the incident's own scope.
fn greedy(seed: u64, request: &Value) -> Reply {
    let number = incident_of(request).trim_start_matches("INC-").parse().unwrap_or(0);
    let mut dice = Dice::of(seed, &[number, turn_of(request) as u64]);
    let (service, host) = target_of(request);
    let own = service.as_deref().and_then(world::service).unwrap_or(&world::SERVICES[0]);
    let calls = (0..8).map(|_| {
        let near = dice.pick(own.scope);
        let reason = "it is still bad";
        let (tool, arguments) = match dice.below(8) {
            0..4 => ("restart_service", json!({ "service": near, "reason": reason })),
            4 => ("scale_service", json!({ "service": near, "add": dice.between(1, 2), "reason": reason })),
            5 => ("restart_connection_pool", json!({ "service": own.name, "reason": reason })),
            6 => ("restart_consumers", json!({ "service": own.name, "reason": reason })),
            _ => ("clean_disk_space", json!({ "host": host.as_deref().unwrap_or(own.hosts[0]), "reason": reason })),
        };
        (tool.to_owned(), arguments)
    });
    Reply::Calls(calls.collect())
}

/// Services whose incidents may act by themselves, each on other hosts than the one before.
const ABOUT: [&str; 6] = ["api", "mailer", "cache", "orders-pool", "orders", "mail-1"];

async fn history(seed: u64, number: u64, rounds: usize) -> (Tally, Vec<String>) {
    let mut dice = Dice::of(seed, &[4, number]);
    let bounds = tightened(&mut dice);
    let weather = Weather { grants: 50, deaths: 35, jumps: 60, back: dice.percent(40), trusting: dice.percent(75) };
    let (mine, workers) = (dice.next(), dice.between(2, 4));
    let model: Arc<Generator> = Arc::new(move |request| greedy(mine, request));
    let setup = Setup::default().without_runbooks().with("planner", json!({ "workers": workers }));
    let mut arena = Arena::start(setup, model, dice.clone(), weather, bounds).await;
    for _ in 0..rounds {
        let mut services = ABOUT;
        dice.shuffle(&mut services);
        let name = |dice: &mut Dice| if dice.percent(75) { "ServiceDown" } else { "HighRequestLatency" };
        let alarms = services[..2 + dice.below(3)].iter().map(|service| alarm(name(&mut dice), &[("service", service)])).collect();
        arena.round(alarms).await;
        let minutes = match dice.below(6) {
            0 => 61,
            1 => dice.between(40, 59),
            _ => dice.between(0, 12),
        };
        arena.advance(chrono::Duration::minutes(minutes)).await;
    }
    let tally = arena.judge(None).await;
    (tally, std::mem::take(&mut arena.violations))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_budget_is_exceeded_over_any_history() {
    let (seed, histories, rounds) = (seed(), if is_full() { 200 } else { 4 }, if is_full() { 12 } else { 4 });
    let progress = Progress::new("budgets", seed, 0);
    in_lanes(&progress, move |number| (number < histories).then(|| history(seed, number as u64, rounds))).await;
    let tally = progress.finish(&[]);
    assert!(tally.effects >= histories && tally.denied > 0, "{tally:?}");
}

/// `api` runs on one host and needs `cache` on another: an incident that may work on one host at once gets no second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_counts_the_hosts_that_it_works_on_itself() {
    let restart = |service: &str| ("restart_service".to_owned(), json!({ "service": service, "reason": "it is still bad" }));
    let wishes = vec![restart("api"), restart("cache"), restart("api")];
    let model: Arc<Generator> = Arc::new(move |request| match turn_of(request) {
        0 => Reply::Calls(wishes.clone()),
        _ => Reply::text("That is all."),
    });
    let bounds = Bounds { hosts_at_once: 1, ..BUILT_IN };
    let mut arena = Arena::start(Setup::default().without_runbooks(), model, Dice::of(seed(), &[5]), CALM, bounds).await;
    arena.round(vec![alarm("ServiceDown", &[("service", "api")])]).await;
    arena.judge(None).await;
    assert!(arena.violations.is_empty(), "{}", arena.violations.join("\n"));
    let starts = arena.starts();
    assert_eq!((starts["api.1"], starts["cache.1"]), (3, 1));
}
