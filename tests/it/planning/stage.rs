//! An incident to plan for: entries written the way the engine writes them, folded the way the engine folds them.

use chrono::{DateTime, Duration};
use paramedic::domain::{
    Action, Alert, AlertStatus, Effect, Entry, Fingerprint, Incident, IncidentId, Layer, Level, Opinion, Outcome, PlannerKind, Proposal,
    Recorded, Target, Tier, Time, Verdict,
};
use serde_json::{Value, json};

pub struct Stage {
    pub entries: Vec<Recorded>,
}

pub fn start() -> Time {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

impl Stage {
    pub fn new(labels: Value, annotations: Value, target: Value, level: u8) -> Self {
        let labels = serde_json::from_value(labels).unwrap();
        let alert = Alert {
            status: AlertStatus::Firing,
            fingerprint: Fingerprint::of(&labels),
            labels,
            annotations: serde_json::from_value(annotations).unwrap(),
            starts_at: start(),
            ends_at: None,
            generator_url: String::new(),
            group_key: String::new(),
            origin: Default::default(),
        };
        let target: Target = serde_json::from_value(target).unwrap();
        let mut stage = Self { entries: Vec::new() };
        stage.push(Entry::Raised { alert, target });
        stage.push(Entry::Classified {
            level: Level::try_from(level).unwrap(),
            rule: Some("test".to_owned()),
            why: "a test says so".to_owned(),
            runbook: None,
            mode: None,
        });
        stage
    }

    pub fn service_down() -> Self {
        Self::new(
            json!({ "alertname": "ServiceDown", "service": "api", "instance": "web-1", "severity": "critical" }),
            json!({ "summary": "api does not answer" }),
            json!({ "service": "api", "host": "web-1" }),
            1,
        )
    }

    pub fn push(&mut self, entry: Entry) {
        let seq = self.entries.len() as i64 + 1;
        let at = start() + Duration::seconds(seq);
        self.entries.push(Recorded { seq, at, entry });
    }

    pub fn run(mut self, planner: PlannerKind) -> Self {
        self.push(Entry::RunStarted { run: 1, planner, runbook: None });
        self
    }

    /// Always from the entries, through their stored form: what a restarted server would see.
    pub fn incident(&self) -> Incident {
        let stored = serde_json::to_string(&self.entries).unwrap();
        Incident::replay(IncidentId(7), &serde_json::from_str::<Vec<Recorded>>(&stored).unwrap()).unwrap()
    }

    pub fn finish(&mut self, planner: PlannerKind, proposal: &Proposal, outcome: Outcome) {
        let acts = paramedic_acts(&proposal.tool);
        let action = Action {
            tool: proposal.tool.clone(),
            tier: if acts { Tier::Disruptive } else { Tier::Observe },
            target: Target::default(),
            arguments: proposal.arguments.clone(),
            effect: if acts { Effect::Restart { services: Vec::new() } } else { Effect::Observe },
            reason: proposal.reason.clone(),
        };
        self.push(Entry::Started {
            proposal: proposal.clone(),
            planner,
            action,
            verdict: Verdict::Allow,
            opinions: Vec::new(),
            approval: None,
        });
        self.push(Entry::Finished { outcome });
    }

    pub fn deny(&mut self, planner: PlannerKind, proposal: &Proposal, reason: &str) {
        self.push(Entry::Denied { proposal: proposal.clone(), planner, opinions: vec![Opinion::new(Layer::Scope, Verdict::Deny, reason)] });
    }
}

pub fn paramedic_acts(tool: &str) -> bool {
    ["restart_service", "clean_disk_space", "scale_service", "restart_connection_pool", "restart_consumers"].contains(&tool)
}
