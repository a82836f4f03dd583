//! A whole Paramedic in a story: the real server, real children, a real disk; Slack, PagerDuty, a mailbox and a model on loopback.
//! A restart is an ordinary step. Where a freeze point is planned, the server dies there, another starts on the same folder, and the
//! story goes on by itself.

use super::hook::Hook;
use super::place::Place;
use futures::FutureExt as _;
use paramedic::app::App;
use paramedic::config::{Config, Overrides};
use paramedic::domain::{ApprovalId, Clock, Decision, Order, OrderKind, Proposer, Reason, Time, Trust, Via};
use paramedic::engine::{Ballot, Electorate, Wish, vote};
use paramedic::standins::model::{Generator, ModelStandin, Reply};
use paramedic::standins::{PagerDutyEvent, PagerDutyStandin, SlackMessage, SlackStandin, SmtpStandin};
use paramedic::store::{DecideError, Freeze, FreezePoint, OrderError, Store};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const ANA: &str = "U0ANA";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// Real time, which children's start times are compared with, plus what a story skips of it; and how much of that the server stood still.
#[derive(Debug, Default)]
pub struct StoryClock {
    skipped: Mutex<chrono::Duration>,
    stood_still: Mutex<chrono::Duration>,
}

impl Clock for StoryClock {
    fn now(&self) -> Time {
        chrono::Utc::now() + *self.skipped.lock().unwrap()
    }

    fn pulse(&self) -> Time {
        chrono::Utc::now() + *self.stood_still.lock().unwrap()
    }
}

/// A vote from a second process at the same store.
pub async fn vote_beside(place: &Place, approval: i64, decision: Decision, user: &str, now: Time) -> Result<(), DecideError> {
    let store = Store::open_beside(&place.store_url()).await.unwrap();
    let approvers = paramedic::config::approvers(&place.path("config/paramedic.yaml"), &|_| None).unwrap();
    let ballot = Ballot { who: user.to_owned(), via: Via::Cli, decision, shown: None, signature: None };
    let policies = paramedic::config::load_policies(&place.path("config"), &|_| None).unwrap();
    let electorate = Electorate { approvers: &approvers, policies: Some(&policies) };
    let decided = vote(&store, electorate, ApprovalId(approval), ballot, now).await;
    store.close().await;
    decided.map(|_| ())
}

/// What differs from the plain configuration.
#[derive(Default)]
pub struct Setup {
    model: Option<Vec<Reply>>,
    llm: Value,
    generator: Option<Arc<Generator>>,
    inventory: Option<fn(&Place) -> Value>,
    in_memory: bool,
    postgres: bool,
    more: Vec<(&'static str, Value)>,
    services: Vec<(&'static str, Value)>,
    policy: Option<&'static str>,
    runbook: Option<(&'static str, &'static str)>,
    without_runbooks: bool,
    socket_mode: bool,
    freeze: Option<(i64, FreezePoint)>,
    again: bool,
}

impl Setup {
    /// A model that answers by this script.
    pub fn model(mut self, replies: Vec<Reply>) -> Self {
        self.model = Some(replies);
        self
    }

    /// Further keys of `llm`.
    pub fn llm(mut self, keys: Value) -> Self {
        self.llm = keys;
        self
    }

    /// A model that answers by this, whatever it is asked.
    pub fn model_by(mut self, generator: Arc<Generator>) -> Self {
        self.generator = Some(generator);
        self
    }

    /// This inventory instead of the stories' own.
    pub fn inventory(mut self, inventory: fn(&Place) -> Value) -> Self {
        self.inventory = Some(inventory);
        self
    }

    /// The store's folder is in memory where the machine has room there: nothing of such a story survives it anyway.
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// The store is a PostgreSQL.
    pub fn postgres(mut self) -> Self {
        self.postgres = true;
        self
    }

    /// A key of `paramedic.yaml`.
    pub fn with(mut self, key: &'static str, value: Value) -> Self {
        self.more.push((key, value));
        self
    }

    /// Keys of one service of the inventory.
    pub fn service(mut self, name: &'static str, keys: Value) -> Self {
        self.services.push((name, keys));
        self
    }

    /// A policy file of the operator's own, beside the shipped ones.
    pub fn policy(mut self, text: &'static str) -> Self {
        self.policy = Some(text);
        self
    }

    /// Another text for a shipped runbook.
    pub fn runbook(mut self, name: &'static str, text: &'static str) -> Self {
        self.runbook = Some((name, text));
        self
    }

    /// Rules that name no runbook, and no runbooks.
    pub fn without_runbooks(mut self) -> Self {
        self.without_runbooks = true;
        self
    }

    /// Clicks come over Socket Mode, and no signing secret is there for HTTP.
    pub fn socket_mode(mut self) -> Self {
        self.socket_mode = true;
        self
    }

    /// The server dies at its `nth` ledger write.
    pub fn dies(mut self, nth: i64, at: FreezePoint) -> Self {
        self.freeze = Some((nth, at));
        self
    }

    /// And so does each one after it.
    pub fn again_and_again(mut self) -> Self {
        self.again = true;
        self
    }

    pub async fn start(self) -> TestApp {
        let place = match (self.postgres, self.in_memory) {
            (true, _) => Place::with_postgres(),
            (false, true) => Place::in_memory(),
            (false, false) => Place::new(),
        };
        let (slack, pagerduty, mail) = (SlackStandin::start().await, PagerDutyStandin::start().await, SmtpStandin::start().await);
        let (slack, pagerduty, mail) = (slack.unwrap(), pagerduty.unwrap(), mail.unwrap());
        let model = match self.generator.clone() {
            Some(generator) => ModelStandin::answering(generator).await.unwrap(),
            None => ModelStandin::start(self.model.clone().unwrap_or_default()).await.unwrap(),
        };
        let mut main = json!({
            "server": { "listen": "127.0.0.1:0" },
            "store": place.store("state"),
            "run_dir": place.path("run"),
            "slack": {
                "bot_token": SlackStandin::BOT_TOKEN, "channel": SlackStandin::CHANNEL_NAME, "api_url": slack.api_url(),
                "approvers": [ANA], "signing_secret": SlackStandin::SIGNING_SECRET,
                "team_id": SlackStandin::TEAM, "app_id": SlackStandin::APP,
            },
            "pagerduty": { "routing_key": PagerDutyStandin::ROUTING_KEY, "api_url": pagerduty.api_url() },
            "email": { "url": mail.url(), "from": "paramedic@example.org", "to": ["oncall@example.org"] },
        });
        if self.model.is_some() || self.generator.is_some() {
            main["llm"] = json!({ "base_url": model.url(), "model": "scripted" });
            main["llm"].as_object_mut().unwrap().extend(self.llm.as_object().cloned().unwrap_or_default());
        }
        if self.generator.is_some() {
            // Made-up histories fire the same alerts again and again, each in a group of its own, and want each to be asked about.
            main["flapping"] = json!({ "times": 0 });
            main["correlation"] = json!({ "across_groups": false, "wait_seconds": 0 });
            main["llm"]["limits"] = json!({ "tokens_a_day": null, "service_tokens_a_day": null });
        }
        if self.socket_mode {
            main["slack"]["app_token"] = json!(SlackStandin::APP_TOKEN);
            main["slack"].as_object_mut().unwrap().remove("signing_secret");
        }
        for (key, value) in self.more {
            main[key] = value;
        }
        let mut inventory = self.inventory.map_or_else(|| place.inventory(), |inventory| inventory(&place));
        for (name, keys) in self.services {
            let services = inventory["services"].as_array_mut().unwrap();
            let service = services.iter_mut().find(|service| service["name"] == name).unwrap();
            service.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        }
        place.write_config("paramedic.yaml", &main);
        place.write_config("services.yaml", &inventory);
        if let Some(text) = self.policy {
            std::fs::write(place.path("config/policies/own.cedar"), text).unwrap();
        }
        if let Some((name, text)) = self.runbook {
            std::fs::write(place.path(&format!("config/runbooks/{name}.yaml")), text).unwrap();
        }
        if self.without_runbooks {
            place.forget_runbooks();
        }
        let again = self.freeze.filter(|_| self.again);
        let clock = Arc::new(StoryClock::default());
        let http = paramedic::clients::http::client(Duration::from_secs(5)).unwrap();
        let freeze = Freeze::default();
        let mut app = TestApp { place, clock, slack, pagerduty, mail, model, freeze, again, deaths: 0, app: None, http };
        app.boot(self.freeze).await;
        app
    }
}

pub struct TestApp {
    pub slack: SlackStandin,
    pub pagerduty: PagerDutyStandin,
    pub mail: SmtpStandin,
    pub model: ModelStandin,
    /// How often a planned freeze point was reached.
    pub deaths: u32,
    clock: Arc<StoryClock>,
    freeze: Freeze,
    again: Option<(i64, FreezePoint)>,
    app: Option<App>,
    http: reqwest::Client,
    /// Last, so that it goes when nothing writes there any more.
    pub place: Place,
}

impl TestApp {
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    async fn boot(&mut self, dies: Option<(i64, FreezePoint)>) {
        self.freeze = dies.map_or_else(Freeze::default, |(nth, at)| Freeze::at(nth, at));
        let load = || {
            let config = Config::load(&self.place.path("config/paramedic.yaml"), &Overrides::default(), &|_| None);
            config.map(|config| Config { own_program: Some(env!("CARGO_BIN_EXE_paramedic").into()), ..config })
        };
        let end = Instant::now() + PATIENCE;
        // The one before lets go of the store when its last connection ends.
        let app = loop {
            match App::start(load().unwrap(), self.clock.clone(), self.freeze.clone()).await {
                Ok(app) => break app,
                Err(e) if format!("{e:#}").contains("another paramedic") && Instant::now() < end => tokio::time::sleep(LOOK).await,
                Err(e) => panic!("the server did not start: {e:#}"),
            }
        };
        self.app = Some(app);
    }

    /// Dies where it stands and starts again on the same folder. The children live on.
    pub async fn restart(&mut self) {
        if let Some(app) = self.app.take() {
            app.kill().await;
        }
        self.boot(self.again).await;
    }

    /// Nobody is there until `up`.
    pub async fn down(&mut self) {
        if let Some(app) = self.app.take() {
            app.kill().await;
        }
    }

    /// Told to stop, as an orchestrator does.
    pub async fn stop(&mut self) {
        if let Some(app) = self.app.take() {
            assert!(app.stop().await, "the server stops in good order");
        }
    }

    pub async fn up(&mut self) {
        self.boot(None).await;
    }

    /// Time goes on while nobody is there.
    pub fn skip(&self, by: chrono::Duration) {
        *self.clock.skipped.lock().unwrap() += by;
    }

    /// Everything stops for so long and goes on: no loop saw any of it.
    pub fn stand_still(&self, by: chrono::Duration) {
        // Both at once: nobody reads the one without the other.
        let mut skipped = self.clock.skipped.lock().unwrap();
        *self.clock.stood_still.lock().unwrap() += by;
        *skipped += by;
    }

    /// Another value of a key of `paramedic.yaml`, for the next start.
    pub fn configure(&self, key: &str, value: Value) {
        let text = std::fs::read_to_string(self.place.path("config/paramedic.yaml")).unwrap();
        let mut main: Value = serde_json::from_str(&text).unwrap();
        main[key] = value;
        self.place.write_config("paramedic.yaml", &main);
    }

    /// Another server at the same store and the same peers, with the same clock, in this folder of its own. It starts nothing twice:
    /// the children of the place are everybody's.
    pub async fn replica(&self, folder: &str) -> App {
        self.replica_at(folder, &self.place.store_url()).await
    }

    /// The same, where the database has this URL for it.
    pub async fn replica_at(&self, folder: &str, url: &str) -> App {
        let text = std::fs::read_to_string(self.place.path("config/paramedic.yaml")).unwrap();
        let mut main: Value = serde_json::from_str(&text).unwrap();
        main["store"] = self.place.store(folder);
        main["store"]["url"] = json!(url);
        main["ledger"] = json!({ "key_file": self.place.path("state/ledger.key") });
        let name = format!("{folder}.yaml");
        self.place.write_config(&name, &main);
        let config = Config::load(&self.place.path("config").join(name), &Overrides::default(), &|_| None).unwrap();
        let config = Config { own_program: Some(env!("CARGO_BIN_EXE_paramedic").into()), ..config };
        App::start(config, self.clock.clone(), Freeze::default()).await.unwrap()
    }

    /// Changes the store behind the server's back.
    pub async fn sql(&self, sql: &'static str) {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&self.place.store_url()).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// A call of the API with a token of one's own; the status and the JSON.
    pub async fn api(&mut self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        self.mend().await;
        let url = format!("{}{path}", self.base());
        let request = if method == "GET" { self.http.get(url) } else { self.http.post(url) };
        let request = request.header("connection", "close").header("authorization", format!("Bearer {token}"));
        let answer = request.body(body.map_or_else(String::new, |body| body.to_string())).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// If the planned freeze point has been reached, the server is as good as dead: another one takes over.
    async fn mend(&mut self) {
        if self.freeze.reached().now_or_never().is_some() {
            self.deaths += 1;
            self.restart().await;
        }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.app.as_ref().unwrap().address)
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub async fn advance(&mut self, by: chrono::Duration) {
        self.mend().await;
        *self.clock.skipped.lock().unwrap() += by;
    }

    /// Posts it as Alertmanager does: again and again until a 2xx, and never again after a 4xx.
    pub async fn alertmanager(&mut self, hook: &Hook) {
        let body = hook.body().to_string();
        assert_eq!(self.post(&body).await, 200, "{body}");
    }

    /// The answer's status, once it is neither 5xx nor none.
    pub async fn post(&mut self, body: &str) -> u16 {
        let end = Instant::now() + PATIENCE;
        loop {
            self.mend().await;
            let request = self.http.post(format!("{}/webhooks/alertmanager", self.base())).header("connection", "close");
            match request.body(body.to_owned()).send().await {
                Ok(answer) if answer.status().as_u16() < 500 => return answer.status().as_u16(),
                other => assert!(Instant::now() < end, "no answer to a delivery: {other:?}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Does the server answer at all?
    pub async fn is_healthy(&mut self) -> bool {
        self.mend().await;
        let answer = self.http.get(format!("{}/healthz", self.base())).header("connection", "close").send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    pub async fn get(&mut self, path: &str) -> Option<Value> {
        self.mend().await;
        let answer = self.http.get(format!("{}{path}", self.base())).header("connection", "close").send().await.ok()?;
        if answer.status() != 200 {
            return None;
        }
        answer.json().await.ok()
    }

    /// `GET /metrics`.
    pub async fn metrics(&mut self) -> String {
        self.mend().await;
        let answer = self.http.get(format!("{}/metrics", self.base())).header("connection", "close").send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// `GET /api/incidents/INC-n`; null if there is none.
    pub async fn incident(&mut self, id: i64) -> Value {
        self.get(&format!("/api/incidents/INC-{id}")).await.unwrap_or(Value::Null)
    }

    pub async fn incidents(&mut self) -> Vec<Value> {
        let mut listed = self.get("/api/incidents").await.unwrap().as_array().unwrap().clone();
        listed.reverse();
        listed
    }

    /// Waits until the incident is in one of these states; which one.
    pub async fn until(&mut self, id: i64, states: &[&str]) -> String {
        self.wait_for(id, &format!("state {states:?}"), |incident| {
            states.iter().find(|state| incident["state"] == **state).map(|state| (*state).to_owned())
        })
        .await
    }

    /// Waits until a line of the transcript begins with this.
    pub async fn until_line(&mut self, id: i64, start: &str) {
        self.wait_for(id, &format!("line `{start}`"), |incident| lines(incident).iter().any(|l| l.starts_with(start)).then_some(())).await;
    }

    pub async fn wait_for<T>(&mut self, id: i64, what: &str, mut look: impl FnMut(&Value) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let incident = self.incident(id).await;
            if let Some(found) = look(&incident) {
                return found;
            }
            if Instant::now() >= end {
                let (shown, stuck) = (lines(&incident).join("\n"), self.whereabouts(id).await);
                panic!("INC-{id}: waited in vain for {what}; it is {}:\n{shown}\n{stuck}", incident["state"]);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Where a story that does not go on has stopped: who may work on the incident, whether the server is frozen, what its threads do.
    async fn whereabouts(&self, id: i64) -> String {
        let row = async {
            let pool = sqlx::AnyPool::connect(&self.place.store_url()).await?;
            let sql =
                "SELECT seq, lease, COALESCE(lease_until, -1) AS until, COALESCE(wake_at, -1) AS wake, poke FROM incidents WHERE id = $1";
            let row: (i64, i64, i64, i64, i64) = sqlx::query_as(sql).bind(id).fetch_one(&pool).await?;
            Ok::<_, sqlx::Error>(row)
        };
        let now = self.now().timestamp_millis();
        let frozen = self.freeze.reached().now_or_never().is_some();
        format!(
            "(seq, lease, lease until, wake, poke) {:?}, now {now}, frozen {frozen}, died {} times\n{}",
            row.await,
            self.deaths,
            threads()
        )
    }

    /// The transcript without what differs from run to run.
    pub async fn transcript(&mut self, id: i64) -> String {
        let incident = self.incident(id).await;
        self.place.redact(&lines(&incident).join("\n"))
    }

    /// Waits until every notice was sent, none refused; the kinds by channel, in order, cards left out: how many edits they came to is a
    /// matter of pace.
    pub async fn told(&mut self, id: i64) -> String {
        let sent = |incident: &Value| {
            let notices = incident["notices"].as_array()?;
            notices.iter().all(|notice| notice["state"] != "waiting").then(|| notices.clone())
        };
        let notices = self.wait_for(id, "an empty outbox", sent).await;
        assert!(notices.iter().all(|notice| notice["state"] != "failed"), "INC-{id}: not told: {notices:#?}");
        let text = |notice: &Value, key: &str| notice[key].as_str().unwrap().to_owned();
        let kinds: Vec<String> = notices
            .iter()
            .filter(|notice| notice["kind"] != "card")
            .map(|notice| format!("{} {} {}", text(notice, "channel"), text(notice, "kind"), text(notice, "state")))
            .collect();
        kinds.join("\n")
    }

    /// Clicks Approve or Deny in Slack as soon as there is such a button, again if nobody acknowledged; the message's `ts`.
    pub async fn click(&mut self, button: &str, user: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            self.mend().await;
            if let Some(ts) = self.button(button) {
                match self.slack.click(&self.base(), &ts, button, user, self.now()).await {
                    Ok(200) => return ts,
                    other => assert!(Instant::now() < end, "the click was not acknowledged: {other:?}"),
                }
            }
            assert!(Instant::now() < end, "there is no button `{button}` in {:#?}", self.slack.messages());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The newest message with such a live button.
    pub fn button(&self, button: &str) -> Option<String> {
        let has = |message: &&SlackMessage| message.buttons().contains(&button);
        self.slack.messages().iter().rev().find(has).map(|message| message.ts.clone())
    }

    /// `paramedic approve APR-n` or `deny`: a second process at the same store, with the same configuration.
    pub async fn decide_cli(&mut self, approval: i64, decision: Decision, user: &str) -> Result<(), DecideError> {
        self.mend().await;
        vote_beside(&self.place, approval, decision, user, self.now()).await
    }

    /// A human's order from a second process at the same store.
    pub async fn order(&mut self, kind: OrderKind, user: &str, reason: &str) -> Result<Order, OrderError> {
        self.mend().await;
        let store = Store::open_beside(&self.place.store_url()).await.unwrap();
        let wish = Wish { kind, who: user.to_owned(), via: Via::Cli, reason: Reason::parse(reason).unwrap() };
        let approvers = self.app.as_ref().unwrap().engine.approvers().clone();
        let ordered = paramedic::engine::order(&store, &approvers, wish, self.now()).await;
        store.close().await;
        ordered
    }

    /// `/paramedic TEXT` in Slack; what Slack shows for it.
    pub async fn slash(&mut self, text: &str, user: &str) -> Value {
        self.mend().await;
        self.slack.command(&self.base(), text, user, self.now()).await.unwrap()
    }

    pub async fn trust(&mut self, agent: &Proposer) -> Trust {
        self.mend().await;
        self.app.as_ref().unwrap().engine.store().trust(agent).await.unwrap()
    }

    /// Waits for what Slack tells a clicking user alone.
    pub async fn slack_answer(&self) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.slack.answers().pop() {
                return answer;
            }
            assert!(Instant::now() < end, "the user who clicked was told nothing");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `paramedic incidents --unreadable`.
    pub async fn unreadable(&mut self) -> Vec<paramedic::store::Unreadable> {
        self.mend().await;
        self.app.as_ref().unwrap().engine.store().unreadable(100).await.unwrap()
    }

    /// `paramedic incidents --outages`.
    pub async fn outages(&mut self) -> Vec<paramedic::store::Outage> {
        self.mend().await;
        self.app.as_ref().unwrap().engine.store().outages(100).await.unwrap()
    }

    /// Waits for the first page of an incident.
    pub async fn paged(&self, id: i64) {
        let ours = format!("-INC-{id}");
        let first = |event: &PagerDutyEvent| event.action == "trigger" && event.dedup_key.ends_with(&ours);
        let seen = self.pagerduty.until(PATIENCE, |events| events.iter().any(first).then_some(())).await;
        assert!(seen.is_some(), "INC-{id} paged nobody: {:#?}", self.pagerduty.events());
    }

    /// The actions PagerDuty took for an incident, in order.
    pub fn pages(&self, id: i64) -> Vec<String> {
        let ours = format!("-INC-{id}");
        self.pagerduty.events().iter().filter(|event| event.dedup_key.ends_with(&ours)).map(|event| event.action.clone()).collect()
    }
}

/// Each thread of this process: its name, its state, what it waits for in the kernel, and the ticks it has used.
fn threads() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let shown = tasks.map(|task| {
        let (stat, waits) = (read(task.path().join("stat")), read(task.path().join("wchan")));
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        let field = |n: usize| fields.get(n).copied().unwrap_or("?");
        format!("thread {} {} in {waits}, {} + {} ticks", read(task.path().join("comm")), field(0), field(11), field(12))
    });
    shown.collect::<Vec<_>>().join("\n")
}

pub fn lines(incident: &Value) -> Vec<String> {
    let entries = incident["transcript"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
}
