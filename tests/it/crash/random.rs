//! Random kills: several servers side by side, each on a folder of its own, killed from outside at any moment (its start included) or at any
//! point, and started again at once, while alerts come in and a human decides. Now and then everything is looked at.

use super::ground::{Counts, Ground};
use super::stage::{LOOK, Stage};
use super::story::{Case, HANDLED, is_over, is_told, kinds, texts};
use crate::adversary::dice::Dice;
use paramedic::domain::Fingerprint;
use paramedic::store::Point;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Kills between two looks at everything.
const EPOCH: usize = 40;
/// Alerts between two looks: Slack takes one message a second.
const ALERTS: usize = 12;
/// The longest that a server lives after its start; on a slow machine, twice as long as that start took.
const LIFE: Duration = Duration::from_millis(400);
/// What is tried; each does something else, so that what was done can be told apart.
const TOOLS: [&str; 8] = [
    "restart_service",
    "restart_connection_pool",
    "restart_consumers",
    "scale_service",
    "run_diagnosis_command",
    "check_service_status",
    "send_notification",
    "request_human_confirmation",
];

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

#[derive(Default)]
struct Tally {
    kills: AtomicUsize,
    acknowledged: AtomicUsize,
    decided: AtomicUsize,
    incidents: AtomicUsize,
    actions: AtomicUsize,
    done: AtomicUsize,
    doubted: AtomicUsize,
    probed: AtomicUsize,
    escalated: AtomicUsize,
    over: AtomicBool,
}

impl Tally {
    fn add(counter: &AtomicUsize, n: usize) {
        counter.fetch_add(n, Ordering::SeqCst);
    }

    fn told(&self) -> String {
        let of = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        format!(
            "{} kills, {} acknowledged alerts (0 lost), {} acknowledged decisions (0 lost), {} incidents, {} actions written down, {} done (0 twice), \
             {} in doubt ({} probed), {} incidents in front of a human",
            of(&self.kills),
            of(&self.acknowledged),
            of(&self.decided),
            of(&self.incidents),
            of(&self.actions),
            of(&self.done),
            of(&self.doubted),
            of(&self.probed),
            of(&self.escalated)
        )
    }
}

/// One server after another on one folder.
struct Lane {
    stage: Stage,
    cases: Vec<Case>,
    dice: Dice,
    /// Fingerprints of alerts that were answered 200, and bodies that end all that were ever sent.
    acknowledged: BTreeSet<String>,
    ends: Vec<Value>,
    decided: BTreeSet<String>,
    before: Counts,
    /// How long a start takes, about.
    start: Duration,
    sent: usize,
}

impl Lane {
    async fn new(seed: u64, lane: u64) -> Self {
        let stage = Stage::new(Ground::here(None)).await;
        let cases = TOOLS.iter().map(|tool| stage.case(tool).unwrap()).collect();
        let dice = Dice::of(seed, &[lane]);
        let (acknowledged, decided, ends) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        Self { stage, cases, dice, acknowledged, ends, decided, before: Counts::new(), start: Duration::from_millis(200), sent: 0 }
    }

    fn counts(&self) -> Counts {
        self.cases.iter().flat_map(|case| self.stage.ground.counts(case, self.stage.root())).collect()
    }

    /// A firing that there never was before, of one of the cases.
    fn alert(&mut self) -> (Value, Value, String) {
        let case = self.dice.pick(&self.cases).clone();
        self.sent += 1;
        let labels =
            BTreeMap::from([("alertname".to_owned(), case.alertname()), case.label.clone(), ("n".to_owned(), self.sent.to_string())]);
        let print = Fingerprint::of(&labels).0;
        // A group each, or one for several: alone, or joining what is there.
        let group = if self.dice.percent(50) { format!("group {}", self.sent) } else { "one group".to_owned() };
        let body = |status: &str| {
            let ends_at = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-03-01T03:30:00Z" };
            json!({ "version": "4", "groupKey": group, "status": status, "receiver": "paramedic", "alerts": [{
                "status": status, "labels": labels, "annotations": {}, "startsAt": "2026-03-01T03:00:00Z", "endsAt": ends_at,
                "fingerprint": print }] })
        };
        (body("firing"), body("resolved"), print)
    }

    fn environment(&mut self) -> Vec<(&'static str, String)> {
        if self.dice.percent(50) {
            return Vec::new();
        }
        let (point, nth) = (*self.dice.pick(&Point::ALL), self.dice.between(1, 5));
        vec![("PARAMEDIC_FAILPOINT", format!("{}:{nth}", point.name()))]
    }

    /// A server from its start to its death. `new`: alerts come in.
    async fn life(&mut self, new: bool, tally: &Tally) {
        let environment = self.environment();
        let begun = Instant::now();
        self.stage.spawn(&environment);
        let part = self.dice.below(1_000) as f64 / 1_000.0;
        if self.dice.percent(25) {
            let _ = tokio::time::timeout(self.start.mul_f64(part), self.stage.listens()).await;
        } else if self.stage.listens().await {
            self.start = (self.start * 3 + begun.elapsed()) / 4;
            let _ = tokio::time::timeout(LIFE.max(self.start * 2).mul_f64(part), self.live(new, tally)).await;
        }
        self.stage.kill().await;
        Tally::add(&tally.kills, 1);
    }

    async fn live(&mut self, new: bool, tally: &Tally) {
        while self.stage.is_alive() {
            match self.dice.below(10) {
                0 | 1 if new && self.ends.len() < ALERTS => self.send(tally).await,
                4 | 5 => {
                    if let Some(id) = self.stage.approve().await
                        && self.decided.insert(id)
                    {
                        Tally::add(&tally.decided, 1);
                    }
                }
                6 if !self.ends.is_empty() => {
                    let end = self.dice.pick(&self.ends).to_string();
                    self.stage.post("/webhooks/alertmanager", "", end).await;
                }
                _ => tokio::time::sleep(Duration::from_millis(self.dice.next() % 30)).await,
            }
        }
    }

    async fn send(&mut self, tally: &Tally) {
        let (firing, end, print) = self.alert();
        self.ends.push(end);
        if self.stage.post("/webhooks/alertmanager", "", firing.to_string()).await == Some(200) {
            self.acknowledged.insert(print);
            Tally::add(&tally.acknowledged, 1);
        }
    }

    /// Kills, and then a look at everything. What is wrong is said with where it lies.
    async fn epoch(&mut self, kills: usize, tally: &Tally) -> Result<(), String> {
        self.stage.fresh().await;
        (self.before, self.acknowledged, self.decided) = (self.counts(), BTreeSet::new(), BTreeSet::new());
        self.ends.clear();
        for _ in 0..kills {
            self.life(true, tally).await;
        }
        let incidents = self.quiet(tally).await?;
        self.stage.stop().await;
        self.check(&incidents, tally)
    }

    /// Everything ends, though servers still die: what had begun is brought to its end by one that lives.
    async fn quiet(&mut self, tally: &Tally) -> Result<Vec<Value>, String> {
        let end = Instant::now() + Duration::from_secs(180);
        let mut ends = std::mem::take(&mut self.ends);
        loop {
            self.stage.spawn(&[]);
            if self.stage.listens().await {
                for body in ends.drain(..) {
                    self.stage.deliver(&body).await;
                }
                // A server that is started again may post a burst again.
                let patience = Instant::now() + Duration::from_secs(3);
                while Instant::now() < patience && self.stage.is_alive() {
                    self.stage.approve().await;
                    if let Some(incidents) = self.all_over().await {
                        return Ok(incidents);
                    }
                    tokio::time::sleep(LOOK * 5).await;
                }
            }
            if Instant::now() > end {
                return Err(format!("it does not come to an end: {:?}\n{}", self.open().await, self.stage.log()));
            }
            self.stage.kill().await;
            Tally::add(&tally.kills, 1);
        }
    }

    async fn incidents(&self) -> Option<Vec<Value>> {
        let listed = self.stage.get("/api/incidents?limit=1000").await?;
        let mut incidents = Vec::new();
        for id in listed.as_array()?.iter().map(|incident| incident["id"].as_str()) {
            incidents.push(self.stage.get(&format!("/api/incidents/{}", id?)).await?);
        }
        Some(incidents)
    }

    async fn open(&self) -> Vec<String> {
        let incidents = self.incidents().await.unwrap_or_default();
        let open = incidents.iter().filter(|incident| !is_over(incident));
        open.map(|incident| format!("{} {}\n{}", incident["id"], incident["state"], texts(incident))).collect()
    }

    /// All incidents, if all are over, everybody was told of all of them, and each alert has one.
    async fn all_over(&self) -> Option<Vec<Value>> {
        let listed = self.stage.get("/api/incidents?limit=1000").await?;
        let ended = |incident: &Value| ["resolved", "closed", "escalated"].iter().any(|state| incident["state"] == *state);
        if !listed.as_array()?.iter().all(ended) {
            return None;
        }
        let incidents = self.incidents().await?;
        (incidents.iter().all(|incident| is_over(incident) && is_told(incident)) && self.missing(&incidents).is_empty())
            .then_some(incidents)
    }

    fn missing(&self, incidents: &[Value]) -> Vec<String> {
        let alerts = incidents.iter().filter_map(|incident| incident["alerts"].as_array()).flatten();
        let there: BTreeSet<&str> = alerts.filter_map(|alert| alert["fingerprint"].as_str()).collect();
        self.acknowledged.iter().filter(|print| !there.contains(print.as_str())).cloned().collect()
    }

    fn check(&self, incidents: &[Value], tally: &Tally) -> Result<(), String> {
        let missing = self.missing(incidents);
        if !missing.is_empty() {
            return Err(format!("acknowledged and lost: {missing:?}"));
        }
        let all = || incidents.iter().flat_map(|incident| incident["transcript"].as_array().into_iter().flatten());
        let votes: BTreeSet<&str> = all().filter(|line| line["kind"] != "asked").filter_map(|line| line["approval"].as_str()).collect();
        if let Some(lost) = self.decided.iter().find(|id| !votes.contains(id.as_str())) {
            return Err(format!("the decision on {lost} was acknowledged, and nothing came of it"));
        }
        let mut started = Counts::new();
        for incident in incidents {
            one(incident).map_err(|why| format!("{}: {why}\n{}", incident["id"], texts(incident)))?;
            for line in incident["transcript"].as_array().into_iter().flatten().filter(|line| line["kind"] == "started") {
                let case = self.cases.iter().find(|case| line["action"]["tool"] == case.tool);
                for name in case.into_iter().flat_map(|case| &case.counted) {
                    *started.entry(name.clone()).or_default() += 1;
                }
            }
            tally_of(incident, tally);
        }
        for (name, after) in self.counts() {
            let done = after - self.before[&name];
            let written = started.get(&name).copied().unwrap_or(0);
            Tally::add(&tally.actions, written);
            Tally::add(&tally.done, done);
            if done > written {
                return Err(format!("{name}: done {done} times, written down {written} times"));
            }
        }
        match self.stage.run(&["ledger", "verify"]) {
            (Some(0), _) => Ok(()),
            (_, said) if incidents.is_empty() && said.contains("the ledger has 0 entries") => Ok(()),
            (code, said) => Err(format!("ledger verify ended {code:?}: {said}")),
        }
    }
}

fn tally_of(incident: &Value, tally: &Tally) {
    Tally::add(&tally.incidents, 1);
    let kinds = kinds(incident);
    Tally::add(&tally.escalated, usize::from(kinds.contains(&"escalated")));
    Tally::add(&tally.doubted, kinds.iter().filter(|kind| **kind == "in_doubt").count());
    let probed = incident["transcript"].as_array().into_iter().flatten().filter(|line| line["found"].is_object()).count();
    Tally::add(&tally.probed, probed);
}

/// What is true of each incident.
fn one(incident: &Value) -> Result<(), String> {
    super::story::ends(incident)?;
    super::story::humans(incident)?;
    let kinds = kinds(incident);
    let handled = kinds.iter().any(|kind| HANDLED.contains(kind) || ["denied", "void", "resolved", "closed"].contains(kind));
    if handled { Ok(()) } else { Err("nothing came of it".into()) }
}

async fn kill_at_random(seed: u64, kills: usize, minutes: u64, lanes: u64) {
    println!(
        "seed {seed}: PARAMEDIC_CRASH_SEED={seed} tries the same again; {kills} kills, {minutes} minutes at most, {lanes} servers side by side"
    );
    let (tally, begun) = (Arc::new(Tally::default()), Instant::now());
    let end = begun + Duration::from_secs(minutes * 60);
    let lane = async |number: u64| {
        let mut lane = Lane::new(seed, number).await;
        let mut epoch = 0;
        while tally.kills.load(Ordering::SeqCst) < kills && Instant::now() < end && !tally.over.load(Ordering::SeqCst) {
            epoch += 1;
            let left = kills.saturating_sub(tally.kills.load(Ordering::SeqCst));
            if let Err(why) = lane.epoch(EPOCH.min(left), &tally).await {
                tally.over.store(true, Ordering::SeqCst);
                let lies = lane.stage.keep();
                return Err(format!("seed {seed}, server {number}, epoch {epoch}: {why}\nkept: {lies:?}"));
            }
            println!("{:>5} s: {}", begun.elapsed().as_secs(), tally.told());
        }
        Ok(())
    };
    let ends = futures::future::join_all((0..lanes).map(lane)).await;
    let wrong: Vec<String> = ends.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let done = tally.kills.load(Ordering::SeqCst);
    println!("{}; {:.0} ms a kill", tally.told(), begun.elapsed().as_secs_f64() * 1_000.0 / done.max(1) as f64);
    let happened = tally.acknowledged.load(Ordering::SeqCst) > 0 && tally.done.load(Ordering::SeqCst) > 0;
    assert!(done < 500 || happened, "nothing happened at all");
    assert!(done >= kills, "{done} of {kills} kills in {minutes} minutes: give it more (CRASH_MINUTES)");
}

/// `make crash` asks for more (CRASH_KILLS, CRASH_MINUTES, PARAMEDIC_CRASH_SEED).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_random() {
    let (seed, kills) = (number("PARAMEDIC_CRASH_SEED", 20_261_121), number("PARAMEDIC_CRASH_KILLS", 60));
    kill_at_random(seed, kills as usize, number("PARAMEDIC_CRASH_MINUTES", 4), number("PARAMEDIC_CRASH_SERVERS", 2)).await;
}
