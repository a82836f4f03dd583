//! One incident from its alert to its end, whoever has to be started again on the way, and what must be true of it then.

use super::ground::Counts;
use super::stage::{LOOK, PATIENCE, Stage};
use paramedic::domain::Fingerprint;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// A tool, tried by a runbook of one step, for an alert with this label.
#[derive(Debug, Clone)]
pub struct Case {
    pub tool: &'static str,
    pub label: (String, String),
    pub arguments: Value,
    /// What is counted of what it does; nothing if it only looks or talks.
    pub counted: Vec<String>,
}

impl Case {
    pub fn alertname(&self) -> String {
        format!("Try_{}", self.tool)
    }

    pub fn acts(&self) -> bool {
        !self.counted.is_empty()
    }

    pub fn body(&self, firing: bool) -> Value {
        let labels = BTreeMap::from([("alertname".to_owned(), self.alertname()), self.label.clone()]);
        let (status, ends_at) = if firing { ("firing", "0001-01-01T00:00:00Z") } else { ("resolved", "2026-03-01T03:30:00Z") };
        json!({
            "version": "4", "groupKey": "{}:{}", "status": status, "receiver": "paramedic", "externalURL": "http://am.example:9093",
            "alerts": [{ "status": status, "labels": labels, "annotations": { "summary": "a story" }, "startsAt": "2026-03-01T03:00:00Z",
                "endsAt": ends_at, "generatorURL": "", "fingerprint": Fingerprint::of(&labels).0 }],
        })
    }
}

/// What a story came to.
pub struct Told {
    pub incident: Value,
    /// Times that a server died in it.
    pub deaths: u32,
    before: Counts,
    after: Counts,
    slack_from: usize,
}

/// It is over, or a human's and nothing fires any more.
pub fn is_over(incident: &Value) -> bool {
    let firing = || incident["alerts"].as_array().into_iter().flatten().any(|alert| alert["status"] == "firing");
    match incident["state"].as_str() {
        Some("resolved" | "closed") => true,
        Some("escalated") => !firing(),
        _ => false,
    }
}

/// Kinds of entries after which the alert may end: it was handled.
pub const HANDLED: [&str; 5] = ["run_ended", "planner_failed", "verify_started", "escalated", "in_doubt"];

pub fn kinds(incident: &Value) -> Vec<&str> {
    incident["transcript"].as_array().into_iter().flatten().map(|line| line["kind"].as_str().unwrap()).collect()
}

/// Every notice was taken, or has come to nothing because the incident was over before.
pub fn is_told(incident: &Value) -> bool {
    let done = |notice: &Value| notice["state"] == "sent" || notice["state"] == "overtaken";
    incident["notices"].as_array().is_some_and(|all| all.iter().all(done))
}

pub fn texts(incident: &Value) -> String {
    let lines = incident["transcript"].as_array().into_iter().flatten();
    lines.map(|line| format!("{} {}", line["seq"], line["text"].as_str().unwrap())).collect::<Vec<_>>().join("\n")
}

impl Stage {
    /// On a fresh store, by a server that was started with this environment; those after it have none.
    pub async fn tell(&mut self, case: &Case, environment: &[(&str, String)]) -> Told {
        self.fresh().await;
        if case.tool.starts_with("restart_") {
            self.ground.come_of_age(self.root()).await;
        }
        let begun = self.begin(case);
        self.start(environment).await;
        self.go_on(case, begun).await
    }

    /// What there was before.
    pub fn begin(&self, case: &Case) -> (Counts, usize) {
        (self.ground.counts(case, self.root()), self.slack.messages().len())
    }

    /// From wherever it stands to its end.
    pub async fn go_on(&mut self, case: &Case, (before, slack_from): (Counts, usize)) -> Told {
        self.deliver(&case.body(true)).await;
        let incident = self.until_over(case).await;
        self.stop().await;
        let after = self.ground.counts(case, self.root());
        Told { incident, deaths: self.deaths, before, after, slack_from }
    }

    /// Is there an incident, without anybody sending anything again?
    pub async fn until_there(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.revive().await;
            if self.get("/api/incidents/INC-1").await.is_some() {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Goes on with whatever there is, until the incident is over and everybody was told.
    async fn until_over(&mut self, case: &Case) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut resolved = false;
        let mut incident = Value::Null;
        loop {
            self.revive().await;
            if let Some(seen) = self.get("/api/incidents/INC-1").await {
                incident = seen;
            }
            let handled = kinds(&incident).iter().any(|kind| HANDLED.contains(kind));
            if incident["state"] == "awaiting_approval" {
                self.approve().await;
            } else if handled && !resolved {
                self.deliver(&case.body(false)).await;
                resolved = true;
            }
            let over = is_over(&incident);
            let told = is_told(&incident);
            // Asked once more: a point may lie behind the last word.
            if over && told && self.is_alive() {
                return incident;
            }
            assert!(Instant::now() < end, "it does not end: {}\n{}\n{}", incident["state"], texts(&incident), self.log());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Everything that a crash must leave true.
    pub fn check(&self, case: &Case, told: &Told) -> Result<(), String> {
        ends(&told.incident)?;
        told.effects(case)?;
        humans(&told.incident)?;
        self.notices(told)?;
        match self.run(&["ledger", "verify"]) {
            (Some(0), _) => Ok(()),
            (code, said) => Err(format!("ledger verify ended {code:?}: {said}")),
        }
    }

    /// Told at least once. A death between Slack's answer and its record repeats that one message.
    fn notices(&self, told: &Told) -> Result<(), String> {
        let messages = self.slack.messages();
        let roots = messages[told.slack_from..].iter().filter(|message| message.thread_ts.is_none()).count();
        if roots == 0 || roots > 1 + told.deaths as usize {
            return Err(format!("{roots} threads for one incident, {} deaths", told.deaths));
        }
        let paged = self.pagerduty.events().iter().any(|event| event.action == "trigger" && event.dedup_key.ends_with("-INC-1"));
        let escalated = kinds(&told.incident).contains(&"escalated");
        // Nobody is called for what was over before a page could be sent.
        let overtaken = told.incident["notices"].as_array().into_iter().flatten().any(|notice| notice["state"] == "overtaken");
        if escalated && !paged && !overtaken { Err("escalated, and nobody was paged".into()) } else { Ok(()) }
    }
}

impl Told {
    pub fn started(&self, case: &Case) -> usize {
        lines(&self.incident).iter().filter(|line| line["kind"] == "started" && line["action"]["tool"] == case.tool).count()
    }

    pub fn doubted(&self) -> bool {
        kinds(&self.incident).contains(&"in_doubt")
    }

    /// No more was done than is written down, and what is believed was done.
    fn effects(&self, case: &Case) -> Result<(), String> {
        let started = self.started(case);
        if case.acts() && started > 1 {
            return Err(format!("{started} dispatches for one decision"));
        }
        for (name, after) in &self.after {
            let done = after - self.before.get(name).copied().unwrap_or(0);
            if done > started {
                return Err(format!("{name}: done {done} times, and {started} times written down"));
            }
            let believed = self.incident["actions"].as_array().into_iter().flatten();
            let believed = believed.filter(|action| action["tool"] == case.tool && action["outcome"] == "succeeded").count();
            if believed > 0 && done == 0 {
                return Err(format!("{name}: believed to be done, and not done"));
            }
        }
        Ok(())
    }
}

fn lines(incident: &Value) -> &[Value] {
    incident["transcript"].as_array().map_or(&[], Vec::as_slice)
}

/// The first entry raises, once; numbers have no gaps; each action that began has one end.
pub fn ends(incident: &Value) -> Result<(), String> {
    let kinds = kinds(incident);
    if kinds.iter().filter(|kind| **kind == "raised").count() != 1 || kinds.first() != Some(&"raised") {
        return Err("it was not raised once".into());
    }
    let numbers: Vec<i64> = lines(incident).iter().filter_map(|line| line["seq"].as_i64()).collect();
    if numbers != (1..=numbers.len() as i64).collect::<Vec<_>>() {
        return Err(format!("its entries have the numbers {numbers:?}"));
    }
    let mut open = false;
    for kind in kinds {
        match (kind, open) {
            ("started", true) => return Err("an action began before the one before had ended".into()),
            ("finished" | "in_doubt", false) => return Err("an action ended that had not begun".into()),
            ("started", false) => open = true,
            ("finished" | "in_doubt", true) => open = false,
            _ => {}
        }
    }
    if open { Err("an action has no end".into()) } else { Ok(()) }
}

/// What nobody can tell is a human's.
pub fn humans(incident: &Value) -> Result<(), String> {
    let lines = lines(incident);
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| line["kind"] == "in_doubt") {
        let later = |kind: &str| lines[place..].iter().any(|line| line["kind"] == kind);
        // A probe may find that nothing was done, and the alert may end all the same: two signals say so.
        let probed = line["found"]["ok"] == true || (line["found"].is_object() && later("resolved"));
        if !probed && !later("escalated") {
            return Err("in doubt, neither probed nor in front of a human".into());
        }
    }
    Ok(())
}
