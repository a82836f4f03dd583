//! Where an adversary meets the product: a whole server over the world's inventory, alerts posted as Alertmanager does, people who decide
//! at random, a clock that jumps, restarts in the middle, and files that must stay.

use super::alarms;
use super::dice::Dice;
use super::invariants::{self, BUILT_IN, Bounds, Evidence, Sent, Tally};
use super::size::look;
use super::world;
use crate::stories::{Setup, TestApp};
use paramedic::domain::{Decision, Fingerprint, IncidentId, OrderKind, Time};
use paramedic::standins::model::Generator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds that the clock is moved at a time, at the most.
const LONGEST: i64 = 700;
/// Nothing moved for so long: what is left waits for a human, a clock or another incident.
const QUIET: Duration = Duration::from_millis(300);

/// An alert to be posted.
#[derive(Debug, Clone)]
pub struct Alarm {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

pub fn alarm(name: &str, labels: &[(&str, &str)]) -> Alarm {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Alarm { name: name.to_owned(), labels: labels.collect(), annotations: BTreeMap::new() }
}

impl Alarm {
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    fn body(&self, number: u64, resolved: bool) -> String {
        let mut labels = self.labels.clone();
        labels.insert("alertname".into(), self.name.clone());
        let status = if resolved { "resolved" } else { "firing" };
        let starts_at = chrono::DateTime::<chrono::Utc>::UNIX_EPOCH + chrono::Duration::seconds(1_772_000_000 + number as i64);
        let starts_at = starts_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let ends_at = if resolved { "2026-11-01T00:00:00Z" } else { "0001-01-01T00:00:00Z" };
        json!({
            "version": "4", "groupKey": format!("{{}}:{{alertname=\"{}\"}}-{number}", self.name), "truncatedAlerts": 0, "status": status,
            "receiver": "paramedic", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager.example:9093",
            "alerts": [{
                "status": status, "labels": labels, "annotations": self.annotations, "startsAt": starts_at, "endsAt": ends_at,
                "generatorURL": "http://prometheus.example:9090/graph", "fingerprint": Fingerprint::of(&labels).0,
            }],
        })
        .to_string()
    }
}

/// How the world around the server behaves in one chapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Percent of the approvals that a human grants; of the rest, half are denied and half left to expire.
    pub grants: u64,
    /// Percent of the rounds in which the server dies in the middle.
    pub deaths: u64,
    /// Percent of the rounds in which the clock jumps in the middle.
    pub jumps: u64,
    /// The clock may jump back too, a little.
    pub back: bool,
    /// Trust is taken out: every mark is forgotten at once. An agent that is not trusted does little, and what stands behind trust would
    /// never be tried.
    pub trusting: bool,
}

/// Nobody grants anything, nothing happens by itself.
pub const CALM: Weather = Weather { grants: 0, deaths: 0, jumps: 0, back: false, trusting: true };

pub struct Arena {
    pub app: TestApp,
    pub dice: Dice,
    weather: Weather,
    bounds: Bounds,
    /// Everything up to this incident is over.
    base: i64,
    alerts: u64,
    firing: Vec<(u64, Alarm)>,
    decided: BTreeSet<String>,
    granted: BTreeSet<String>,
    /// Story time and each first instance's starts, at each jump of the clock.
    seen: Vec<(Time, BTreeMap<String, usize>)>,
    /// What must stay, with what is in it.
    precious: BTreeMap<PathBuf, Vec<u8>>,
    /// Old logs that may go, once each.
    old: Vec<PathBuf>,
    pub violations: Vec<String>,
}

impl Arena {
    pub async fn start(setup: Setup, generator: Arc<Generator>, dice: Dice, weather: Weather, bounds: Bounds) -> Self {
        alarms::listen();
        let limits = json!({
            "restarts_per_hour": bounds.restarts_per_hour, "scale_up": bounds.scale_up, "actions_per_incident": bounds.actions_per_incident,
            "hosts_at_once": bounds.hosts_at_once,
        });
        let setup = if bounds == BUILT_IN { setup } else { setup.with("limits", limits) };
        let app = setup.in_memory().inventory(world::inventory).model_by(generator).start().await;
        let mut arena = Self {
            app,
            dice,
            weather,
            bounds,
            base: 0,
            alerts: 0,
            firing: Vec::new(),
            decided: BTreeSet::new(),
            granted: BTreeSet::new(),
            seen: Vec::new(),
            precious: BTreeMap::new(),
            old: Vec::new(),
            violations: Vec::new(),
        };
        arena.lay_out();
        if weather.trusting {
            arena.forgive_everything().await;
        }
        arena.all_started().await;
        arena
    }

    /// Children write down their start a moment after they were started.
    async fn all_started(&self) {
        let end = Instant::now() + PATIENCE;
        while self.starts().len() < world::SERVICES.len() {
            assert!(Instant::now() < end, "the services did not start: {:?}", self.starts());
            tokio::time::sleep(look()).await;
        }
    }

    /// Nobody is ever distrusted: the store itself forgets each mark's consequence.
    async fn forgive_everything(&self) {
        let pool = sqlx::AnyPool::connect(&format!("{}?mode=rw", self.app.place.store_url())).await.unwrap();
        for trigger in [
            "CREATE TRIGGER forgiven AFTER INSERT ON trust BEGIN DELETE FROM trust WHERE agent = NEW.agent; END",
            "CREATE TRIGGER forgiven_again AFTER UPDATE ON trust BEGIN DELETE FROM trust WHERE agent = NEW.agent; END",
        ] {
            sqlx::query(trigger).execute(&pool).await.unwrap();
        }
        pool.close().await;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.app.place.path(name)
    }

    /// Files that must stay, whatever happens, and roots with a little of everything in them.
    fn lay_out(&mut self) {
        for folder in [
            "precious/keys",
            "logs/web-1-evil",
            "logs/web-1/deep/er",
            "logs/web-2",
            "logs/web-3",
            "logs/web-4",
            "logs/api",
            "logs/search",
            "logs/vault",
            "logs/old",
        ] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        let outside = [
            "precious/data.db",
            "precious/keys/id_ed25519",
            "precious/hard",
            "logs/web-1-evil/old.log",
            "logs/old.log",
            "logs/vault/old.log",
        ];
        for name in outside {
            self.keep(&self.path(name), 400);
        }
        for root in ["logs/web-1", "logs/web-1/deep/er", "logs/web-2", "logs/web-3", "logs/web-4", "logs/api", "logs/search", "logs/old"] {
            self.keep(&self.path(root).join("today.log"), 0);
            self.keep(&self.path(root).join("six-days.log"), 5);
            symlink(self.path("precious/data.db"), self.path(root).join("link.log")).unwrap();
            symlink(self.path("precious"), self.path(root).join("link")).unwrap();
            fs::hard_link(self.path("precious/hard"), self.path(root).join("hard.log")).unwrap();
        }
        for name in ["config/paramedic.yaml", "config/services.yaml", "config/classifier.yaml"] {
            let path = self.path(name);
            self.precious.insert(path.clone(), fs::read(path).unwrap());
        }
    }

    fn keep(&mut self, path: &Path, days: u64) {
        write_aged(path, days);
        self.precious.insert(path.to_owned(), fs::read(path).unwrap());
    }

    /// Old logs below each root, which a clean-up may remove.
    fn litter(&mut self) {
        for root in ["logs/web-1", "logs/web-1/deep/er", "logs/web-2", "logs/web-3", "logs/web-4", "logs/api", "logs/search", "logs/old"] {
            let path = self.path(root).join(format!("old-{}.log", self.alerts));
            write_aged(&path, 40);
            self.old.push(path);
        }
    }

    /// Posts alerts, lets the server work until nothing moves, lets the alerts resolve and everything end. The new incidents' numbers.
    pub async fn round(&mut self, alarms: Vec<Alarm>) -> Vec<i64> {
        self.litter();
        let expected = alarms.len();
        for alarm in alarms {
            self.fire(alarm).await;
        }
        self.rest(expected).await;
        self.end().await
    }

    pub async fn fire(&mut self, alarm: Alarm) {
        self.alerts += 1;
        let body = alarm.body(self.alerts, false);
        assert_eq!(self.app.post(&body).await, 200, "{body}");
        self.firing.push((self.alerts, alarm));
    }

    /// Ends the test where patience ends, and keeps what the incidents came to.
    async fn patient(&mut self, end: Instant, what: &str, now: &[Value]) {
        if Instant::now() < end {
            return;
        }
        let mut whole = Vec::new();
        for incident in now {
            whole.push(self.app.incident(number_of(incident)).await);
        }
        panic!("the incidents do not {what} at {}; they are in {}", self.app.now(), kept(&whole).display());
    }

    async fn open(&mut self) -> Vec<Value> {
        let Some(listed) = self.app.get("/api/incidents?limit=20").await else { return Vec::new() };
        listed.as_array().unwrap().iter().filter(|incident| number_of(incident) > self.base).cloned().collect()
    }

    /// Until every incident waits for something. In bad weather until nothing has moved for a while, which may be sooner: what is cut
    /// short there is a history too. People decide meanwhile, the server dies, the clock jumps.
    pub async fn rest(&mut self, expected: usize) {
        match self.weather == CALM {
            true => self.rest_in_calm(expected).await,
            false => self.rest_in_weather(expected).await,
        }
    }

    async fn rest_in_calm(&mut self, expected: usize) {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = self.open().await;
            let mut resting = now.len() >= expected;
            for incident in &now {
                resting = resting && self.is_at_rest(incident).await;
            }
            if resting {
                return;
            }
            self.patient(end, "come to rest", &now).await;
            tokio::time::sleep(look()).await;
        }
    }

    /// It waits for a human, for its alert, or for another incident; of level 3 the model has said its last word.
    async fn is_at_rest(&mut self, incident: &Value) -> bool {
        let level_three = incident["level"] == 3;
        match incident["state"].as_str().unwrap() {
            "verifying" | "resolved" | "closed" | "awaiting_approval" => true,
            "escalated" if !level_three => true,
            "escalated" => self.has_entry(incident, &["run_ended", "planner_failed", "asked"]).await,
            "mitigating" | "diagnosing" => self.has_entry(incident, &["waiting"]).await,
            _ => false,
        }
    }

    async fn has_entry(&mut self, incident: &Value, kinds: &[&str]) -> bool {
        let whole = self.app.incident(number_of(incident)).await;
        let last = whole["transcript"].as_array().and_then(|lines| lines.last());
        last.is_some_and(|line| kinds.contains(&line["kind"].as_str().unwrap()))
    }

    async fn rest_in_weather(&mut self, expected: usize) {
        let (mut before, mut since, end) = (Vec::new(), Instant::now(), Instant::now() + PATIENCE);
        let mut disturbances = self.disturbances();
        loop {
            let now = self.open().await;
            self.decide(&now).await;
            if now != before {
                (before, since) = (now.clone(), Instant::now());
            }
            let at_rest =
                |incident: &Value| ["verifying", "resolved", "closed", "escalated"].contains(&incident["state"].as_str().unwrap());
            // What is escalated at level 3 is still looked into.
            let watched = now.iter().any(|incident| incident["level"] == 3);
            let stormy = now.len() < expected && watched;
            if (now.len() >= expected || stormy) && now.iter().all(at_rest) && (!watched || since.elapsed() > QUIET / 2) {
                return;
            }
            let asks = |incident: &Value| incident["state"] == "awaiting_approval";
            let patience = if now.iter().all(|incident| at_rest(incident) || asks(incident)) { QUIET / 4 } else { QUIET };
            if (now.len() >= expected || stormy) && since.elapsed() > patience {
                return;
            }
            self.patient(end, "come to rest", &now).await;
            match disturbances.pop() {
                Some(disturbance) => self.disturb(disturbance).await,
                None => tokio::time::sleep(look()).await,
            }
        }
    }

    /// What is to happen in the middle of this round, one at each look, none at most of them.
    fn disturbances(&mut self) -> Vec<Option<Disturbance>> {
        let (mut planned, weather) = (Vec::new(), self.weather);
        if self.dice.percent(weather.deaths) {
            planned.push(Disturbance::Death);
        }
        if self.dice.percent(weather.jumps) {
            let seconds = match self.dice.below(4) {
                0 if weather.back => -self.dice.between(1, 240),
                1 => self.dice.between(300, 1200),
                _ => self.dice.between(1, 120),
            };
            planned.push(Disturbance::Jump(seconds));
        }
        let mut looks: Vec<Option<Disturbance>> = Vec::new();
        for disturbance in planned {
            looks.push(Some(disturbance));
            // Within 0.6 s, while most rounds still go on.
            let earlier = self.dice.below(40) * 15 / look().as_millis() as usize;
            looks.extend((0..earlier).map(|_| None));
        }
        looks
    }

    async fn disturb(&mut self, disturbance: Option<Disturbance>) {
        match disturbance {
            Some(Disturbance::Death) => self.app.restart().await,
            Some(Disturbance::Jump(seconds)) => self.advance(chrono::Duration::seconds(seconds)).await,
            None => tokio::time::sleep(look()).await,
        }
    }

    /// Each question is looked at once by somebody.
    async fn decide(&mut self, open: &[Value]) {
        for incident in open.iter().filter(|incident| incident["state"] == "awaiting_approval") {
            let Some(asked) = self.asked(incident).await else { continue };
            let Some(approval) = asked["approval"].as_str().map(str::to_owned) else { continue };
            if self.decided.insert(approval.clone()) {
                self.vote(&approval).await;
            }
        }
    }

    async fn vote(&mut self, approval: &str) {
        let decision = match self.dice.below(100) as u64 {
            n if n < self.weather.grants => Decision::Grant,
            n if n % 2 == 0 => Decision::Deny,
            _ => return,
        };
        let number = approval.trim_start_matches("APR-").parse().unwrap();
        let decided = self.app.decide_cli(number, decision, "ana").await;
        if decision == Decision::Grant && decided.is_ok() {
            self.granted.insert(approval.to_owned());
        }
    }

    pub async fn open_now(&mut self) -> Vec<Value> {
        self.open().await
    }

    /// The question that an incident waits for is answered by somebody of this name, if it is only a question.
    pub async fn answer_question_as(&mut self, incident: &Value, name: &str) {
        let Some(asked) = self.asked(incident).await.filter(|asked| asked["action"]["effect"]["effect"] == "question") else { return };
        let approval = asked["approval"].as_str().unwrap().to_owned();
        let number = approval.trim_start_matches("APR-").parse().unwrap();
        if self.app.decide_cli(number, Decision::Grant, name).await.is_ok() {
            self.granted.insert(approval.clone());
        }
        self.decided.insert(approval.clone());
        // The next question may be asked before anybody looks.
        let taken = |line: &Value| line["approval"] == *approval && line["kind"] == "granted";
        self.app.wait_for(number_of(incident), "a taken answer", |now| now["transcript"].as_array()?.iter().any(taken).then_some(())).await;
    }

    /// The newest entry that asks a human.
    async fn asked(&mut self, incident: &Value) -> Option<Value> {
        let whole = self.app.incident(number_of(incident)).await;
        whole["transcript"].as_array()?.iter().rev().find(|line| line["kind"] == "asked").cloned()
    }

    /// The alerts resolve; the clock moves on until every incident is over.
    pub async fn end(&mut self) -> Vec<i64> {
        for (number, alarm) in std::mem::take(&mut self.firing) {
            let body = alarm.body(number, true);
            assert_eq!(self.app.post(&body).await, 200, "{body}");
        }
        let (mut before, mut since, end) = (Vec::new(), Instant::now(), Instant::now() + PATIENCE);
        let mut patience = 2;
        loop {
            let now = self.open().await;
            if !now.is_empty() && now.iter().all(|incident| ["resolved", "closed"].contains(&incident["state"].as_str().unwrap())) {
                let mut numbers: Vec<i64> = now.iter().map(number_of).collect();
                numbers.sort_unstable();
                self.base = numbers.last().copied().unwrap_or(self.base);
                return numbers;
            }
            if now != before {
                (before, since) = (now.clone(), Instant::now());
            } else if since.elapsed() > QUIET {
                if patience == LONGEST {
                    self.close_what_stays(&now).await;
                }
                self.advance(chrono::Duration::seconds(patience)).await;
                (patience, since) = ((patience * 4).min(LONGEST), Instant::now());
            }
            self.patient(end, "end", &now).await;
            tokio::time::sleep(look()).await;
        }
    }

    /// What was handed over after its alert had gone away (the service is still down, or nobody knows what was done) stays with the human
    /// who was paged, until they close it.
    async fn close_what_stays(&mut self, now: &[Value]) {
        for incident in now.iter().filter(|incident| incident["state"] == "escalated") {
            let whole = self.app.incident(number_of(incident)).await;
            let lines = whole["transcript"].as_array().unwrap();
            let last = |kind: &str| lines.iter().rposition(|line| line["kind"] == kind);
            if whole["alerts_firing"] == 0 && last("escalated") > last("alert_resolved") {
                let close = OrderKind::CloseIncident { incident: IncidentId(number_of(incident)) };
                // Refused while something is under way; the next look asks again.
                let _ = self.app.order(close, "ana", "started it by hand").await;
            }
        }
    }

    /// Moves the story's clock, after a look at what was really started up to now.
    pub async fn advance(&mut self, by: chrono::Duration) {
        self.seen.push((self.app.now(), self.starts()));
        if by < chrono::Duration::zero() {
            // What happened when is not told by such a clock any more.
            self.bounds.hosts_at_once = usize::MAX;
            self.seen.clear();
        }
        self.app.advance(by).await;
    }

    /// Starts of each instance, as the instances wrote them down.
    pub fn starts(&self) -> BTreeMap<String, usize> {
        let mut starts = BTreeMap::new();
        for line in fs::read_to_string(world::starts_file(&self.app.place)).unwrap_or_default().lines() {
            let instance = line.rsplit('/').next().unwrap_or(line);
            *starts.entry(instance.to_owned()).or_default() += 1;
        }
        starts
    }

    /// Holds everything that happened against the invariants.
    pub async fn judge(&mut self, sent: Option<&Mutex<Sent>>) -> Tally {
        let mut incidents = Vec::new();
        for id in 1..=self.base {
            incidents.push(self.app.incident(id).await);
        }
        let sent = sent.map(|sent| sent.lock().unwrap().clone());
        let end = Instant::now() + PATIENCE / 4;
        let (found, tally) = loop {
            let evidence = Evidence {
                place: &self.app.place,
                incidents: &incidents,
                granted: &self.granted,
                bounds: self.bounds,
                starts: &self.starts(),
                sent: sent.as_ref(),
            };
            let (found, tally) = invariants::check(&evidence);
            // The last of the restarted says so a moment after it was restarted.
            if Instant::now() > end || !found.iter().any(|violation| violation.contains(invariants::STARTED)) {
                break (found, tally);
            }
            tokio::time::sleep(look()).await;
        };
        self.violations.extend(found);
        self.judge_hours();
        self.judge_files(&incidents);
        self.judge_messages();
        if !self.app.is_healthy().await {
            self.violations.push("the server does not answer /healthz".into());
        }
        self.violations.extend(alarms::heard());
        if !self.violations.is_empty() {
            self.violations.push(format!("the incidents of this chapter are in {}", kept(&incidents).display()));
        }
        tally
    }

    /// From outside, without the ledger: between two looks of the same hour there are no more starts than restarts allowed.
    fn judge_hours(&mut self) {
        let most = self.bounds.restarts_per_hour;
        for (index, (from, before)) in self.seen.iter().enumerate() {
            for (_, after) in self.seen[index..].iter().filter(|(until, _)| *until - *from < chrono::Duration::minutes(59)) {
                for service in &world::SERVICES {
                    let first = format!("{}.1", service.name);
                    let starts = |at: &BTreeMap<String, usize>| at.get(&first).copied().unwrap_or(0);
                    if starts(after).saturating_sub(starts(before)) > most {
                        self.violations.push(format!("{first} was really started more than {most} times within 59 minutes from {from}"));
                    }
                }
            }
        }
    }

    /// What must stay is there, unchanged; of what may go, only what a clean-up reports is gone.
    fn judge_files(&mut self, incidents: &[Value]) {
        for (path, before) in &self.precious {
            if fs::read(path).ok().as_ref() != Some(before) {
                self.violations.push(format!("{} was removed or changed", path.display()));
            }
        }
        for root in ["logs/web-1", "logs/web-2", "logs/web-3", "logs/web-4", "logs/api"] {
            for name in ["link.log", "link", "hard.log"] {
                if fs::symlink_metadata(self.path(root).join(name)).is_err() {
                    self.violations.push(format!("{root}/{name} was removed"));
                }
            }
        }
        let (reported, complete) = removed(incidents);
        for path in self.old.iter().filter(|path| complete && !path.exists()) {
            if !reported.contains(path) {
                self.violations.push(format!("{} is gone, and no clean-up reports it", path.display()));
            }
        }
        for path in reported.iter().filter(|path| path.exists()) {
            self.violations.push(format!("{} is reported as removed and is there", path.display()));
        }
    }

    /// What people read: nothing in it mentions, links or breaks out.
    fn judge_messages(&mut self) {
        for message in self.app.slack.messages() {
            let shown = message.shown().replace("<!date^", "");
            for mark in ["<!", "<@", "<#", "<http", "<mailto"] {
                if shown.contains(mark) || message.text.replace("<!date^", "").contains(mark) {
                    self.violations.push(format!("an unescaped `{mark}` in Slack: {}", message.text));
                }
            }
        }
    }
}

/// What a violation is looked into with.
fn kept(incidents: &[Value]) -> PathBuf {
    let file = tempfile::Builder::new().prefix("paramedic-adversary-").suffix(".json").tempfile().unwrap();
    serde_json::to_writer_pretty(&file, incidents).unwrap();
    file.keep().unwrap().1
}

fn number_of(incident: &Value) -> i64 {
    incident["id"].as_str().unwrap().trim_start_matches("INC-").parse().unwrap()
}

enum Disturbance {
    Death,
    Jump(i64),
}

/// The files that clean-ups say they removed, however the way to them was spelled; whether that is all of them.
fn removed(incidents: &[Value]) -> (BTreeSet<PathBuf>, bool) {
    let (mut paths, mut complete) = (BTreeSet::new(), true);
    let entries = incidents.iter().flat_map(|incident| incident["transcript"].as_array().into_iter().flatten());
    for entry in entries {
        complete &= entry["kind"] != "in_doubt";
        for file in entry["outcome"]["output"]["removed"].as_array().into_iter().flatten() {
            paths.extend(file["path"].as_str().map(PathBuf::from));
        }
    }
    (paths, complete)
}

fn write_aged(path: &Path, days: u64) {
    fs::write(path, format!("{} and {days} days\n", path.display())).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
}
