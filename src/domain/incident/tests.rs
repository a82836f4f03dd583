//! The fold: what entries come to, which cannot follow which, and that one entry at a time comes to the same as all at once.

use super::*;
use crate::domain::{AlertStatus, Effect, Entry, Layer, Opinion, Recorded, Signal, Tier, Verdict, Via};
use serde_json::json;

pub(crate) const START: Time = Time::UNIX_EPOCH;

/// An incident's entries, one second apart; for the tests of this floor and of the engine.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(pub(crate) Vec<Recorded>);

pub(crate) fn alert(name: &str, status: AlertStatus) -> Alert {
    Alert {
        status,
        labels: [("alertname".to_owned(), name.to_owned())].into(),
        annotations: BTreeMap::new(),
        starts_at: START,
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint(format!("fp-{name}")),
        group_key: String::new(),
        origin: Default::default(),
    }
}

pub(crate) fn proposal(tool: &str) -> Proposal {
    Proposal { tool: tool.into(), arguments: json!({ "service": "api" }), reason: "a test".into(), step: None, call: None }
}

pub(crate) fn ana() -> Principal {
    Principal { name: "ana".into(), via: Via::Cli }
}

fn action(tool: &str) -> Action {
    let service = crate::domain::ServiceName::parse("api").unwrap();
    let acts = tool == "restart_service";
    Action {
        tool: tool.into(),
        tier: if acts { Tier::Disruptive } else { Tier::Observe },
        target: Target { service: Some(service.clone()), host: None },
        arguments: json!({ "service": "api" }),
        effect: if acts { Effect::Restart { services: vec![service] } } else { Effect::Observe },
        reason: "a test".into(),
    }
}

impl Ledger {
    /// About `api`.
    pub(crate) fn of(level: Level) -> Self {
        let target = Target { service: Some(crate::domain::ServiceName::parse("api").unwrap()), host: None };
        Self::about(target, level)
    }

    pub(crate) fn about(target: Target, level: Level) -> Self {
        let entries = [
            Entry::Raised { alert: alert("ServiceDown", AlertStatus::Firing), target },
            Entry::Classified { level, rule: Some("rule".into()), why: "a rule says so".into(), runbook: Some("book".into()), mode: None },
        ];
        entries.into_iter().fold(Self(Vec::new()), Self::then)
    }

    pub(crate) fn then(mut self, entry: Entry) -> Self {
        let seq = self.0.len() as Seq + 1;
        self.0.push(Recorded { seq, at: START + chrono::Duration::seconds(seq), entry });
        self
    }

    pub(crate) fn run(self, planner: PlannerKind) -> Self {
        let number = self.0.iter().filter(|r| matches!(r.entry, Entry::RunStarted { .. })).count() as u32 + 1;
        self.then(Entry::RunStarted { run: number, planner, runbook: None })
    }

    fn planner(&self) -> PlannerKind {
        let last = self.0.iter().rev().find_map(|r| match r.entry {
            Entry::RunStarted { planner, .. } => Some(planner),
            _ => None,
        });
        last.unwrap_or(PlannerKind::Runbook)
    }

    pub(crate) fn denied(self, tool: &str) -> Self {
        let planner = self.planner();
        let opinions = vec![Opinion::new(Layer::Scope, Verdict::Deny, "out of scope")];
        self.then(Entry::Denied { proposal: proposal(tool), planner, opinions })
    }

    pub(crate) fn started(self, tool: &str) -> Self {
        self.started_under(tool, None)
    }

    pub(crate) fn started_under(self, tool: &str, approval: Option<ApprovalId>) -> Self {
        let planner = self.planner();
        let (proposal, action) = (proposal(tool), action(tool));
        self.then(Entry::Started { proposal, planner, action, verdict: Verdict::Allow, opinions: Vec::new(), approval })
    }

    pub(crate) fn finished(self, ok: bool) -> Self {
        let outcome = if ok { Outcome::ok("done", json!({})) } else { Outcome::failed("broken") };
        self.then(Entry::Finished { outcome })
    }

    pub(crate) fn did(self, tool: &str, ok: bool) -> Self {
        self.started(tool).finished(ok)
    }

    pub(crate) fn asked(self, approval: i64) -> Self {
        let (planner, tool, expires_at) = (self.planner(), "restart_service", START + chrono::Duration::seconds(300));
        let (proposal, action, approval) = (proposal(tool), action(tool), ApprovalId(approval));
        self.then(Entry::Asked { approval, proposal, planner, action, opinions: Vec::new(), expires_at, request: None })
    }

    pub(crate) fn run_ended(self) -> Self {
        let planner = self.planner();
        self.then(Entry::RunEnded { planner, summary: "the book is at its end".into() })
    }

    pub(crate) fn planner_failed(self) -> Self {
        let planner = self.planner();
        self.then(Entry::PlannerFailed { planner, why: "it cannot go on".into() })
    }

    pub(crate) fn verifying(self) -> Self {
        self.then(Entry::VerifyStarted { deadline: START + chrono::Duration::minutes(10), independent: Some("the unit".into()) })
    }

    pub(crate) fn alert_resolved(self) -> Self {
        self.then(Entry::AlertResolved { fingerprint: Fingerprint("fp-ServiceDown".into()), alertname: "ServiceDown".into(), asked: None })
    }

    pub(crate) fn escalated(self) -> Self {
        self.then(Entry::Escalated { why: "a human is needed".into() })
    }

    pub(crate) fn replay(&self) -> Result<Incident, FoldError> {
        Incident::replay(IncidentId(7), &self.0)
    }

    #[track_caller]
    pub(crate) fn incident(&self) -> Incident {
        self.replay().unwrap()
    }
}

use Level::{One, Three, Two};
use PlannerKind::{Model, Runbook};

fn closed_by() -> Entry {
    Entry::ClosedBy { order: crate::domain::OrderId(1), by: ana(), reason: crate::domain::Reason::parse("restored").unwrap() }
}

/// Whole lives of incidents.
fn stories() -> Vec<(&'static str, Ledger, State)> {
    let granted = |id| Entry::Granted { approval: ApprovalId(id), by: ana(), votes: Vec::new() };
    let signal = |signal, holds| Entry::Signalled { signal, holds, said: "seen".into() };
    let fixed = Ledger::of(One)
        .run(Runbook)
        .then(Entry::Skipped { step: "logs".into(), why: "not now".into() })
        .did("check_service_status", true)
        .did("restart_service", true)
        .run_ended()
        .verifying()
        .then(signal(Signal::Alert, false))
        .then(signal(Signal::Independent, true))
        .alert_resolved()
        .then(signal(Signal::Alert, true));
    let asked = Ledger::of(Two).run(Runbook).asked(3);
    let thought = |calls: &[&str]| Entry::Thought { text: "hm".into(), calls: calls.iter().map(|t| proposal(t)).collect(), tokens: 100 };
    vec![
        ("only raised", Ledger::of(One), State::Open),
        ("verifying", fixed.clone(), State::Verifying),
        ("fixed", fixed.then(Entry::Resolved { summary: "fixed".into() }), State::Resolved),
        ("asked", asked.clone(), State::AwaitingApproval),
        ("granted", asked.clone().then(granted(3)), State::AwaitingApproval),
        ("under way", asked.clone().then(granted(3)).started_under("restart_service", Some(ApprovalId(3))), State::Mitigating),
        ("refused", asked.clone().then(Entry::Refused { approval: ApprovalId(3), by: ana() }), State::Diagnosing),
        ("void", asked.clone().then(Entry::Void { approval: ApprovalId(3), why: "resolved".into() }), State::Diagnosing),
        ("expired", asked.then(Entry::Expired { approval: ApprovalId(3), granted: false }).escalated(), State::Escalated),
        ("in doubt", Ledger::of(One).run(Runbook).started("restart_service").then(Entry::InDoubt { found: None }), State::Mitigating),
        ("put off", Ledger::of(One).run(Runbook).then(Entry::Waiting { why: "INC-2 is at it".into() }), State::Diagnosing),
        ("observed", Ledger::of(Three).escalated().run(Runbook).did("get_metrics", true).run_ended(), State::Escalated),
        ("model", Ledger::of(Two).run(Model).then(thought(&["get_metrics", "drop_table"])).did("get_metrics", true), State::Diagnosing),
        ("closed by a human", Ledger::of(Two).run(Runbook).asked(3).then(closed_by()), State::Closed),
        (
            "closed",
            Ledger::of(Two)
                .run(Model)
                .then(thought(&["drop_table"]))
                .denied("drop_table")
                .planner_failed()
                .escalated()
                .alert_resolved()
                .then(Entry::Closed { outcome: "the alert resolved".into() }),
            State::Closed,
        ),
    ]
}

#[test]
fn each_story_comes_to_its_state_at_once_and_entry_by_entry_and_through_its_stored_form() {
    for (name, ledger, state) in stories() {
        let at_once = ledger.incident();
        assert_eq!(at_once.state, state, "{name}");
        assert_eq!(at_once.seq, ledger.0.len() as Seq, "{name}");
        let mut one_by_one = Incident::replay(IncidentId(7), &ledger.0[..1]).unwrap();
        for (index, recorded) in ledger.0.iter().enumerate().skip(1) {
            one_by_one.apply(recorded).unwrap();
            assert_eq!(one_by_one, Incident::replay(IncidentId(7), &ledger.0[..=index]).unwrap(), "{name} up to {}", index + 1);
        }
        assert_eq!(one_by_one, at_once, "{name}");
        let stored: Vec<Recorded> = serde_json::from_str(&serde_json::to_string(&ledger.0).unwrap()).unwrap();
        assert_eq!(Incident::replay(IncidentId(7), &stored).unwrap(), at_once, "{name}");
    }
}

#[test]
fn what_follows_the_end_or_leaves_a_gap_is_refused() {
    for (name, ledger, state) in stories() {
        let next = ledger.clone().alert_resolved().replay();
        if state.is_final() {
            let seq = ledger.0.len() as Seq + 1;
            assert_eq!(next, Err(FoldError::Illegal(IncidentId(7), seq, state, "the incident is over")), "{name}");
        } else {
            assert!(next.is_ok(), "{name}");
        }
        for missing in 1..ledger.0.len() - 1 {
            let mut entries = ledger.0.clone();
            entries.remove(missing);
            let (here, before) = (missing as Seq + 2, missing as Seq);
            assert_eq!(Incident::replay(IncidentId(7), &entries), Err(FoldError::Gap(IncidentId(7), here, before)), "{name}");
        }
    }
    assert_eq!(Incident::replay(IncidentId(7), &[]), Err(FoldError::Empty(IncidentId(7))));
    let headless = Ledger(Vec::new()).escalated().replay().unwrap_err();
    assert_eq!(headless.to_string(), "INC-7 begins with `escalated: a human is needed`, not with `raised`");
}

#[test]
fn a_sequence_that_cannot_be_is_an_error_that_names_the_entry() {
    let run = || Ledger::of(One).run(Runbook);
    let raised = Entry::Raised { alert: alert("Again", AlertStatus::Firing), target: Target::default() };
    let lower = Entry::Classified { level: One, rule: Some("loose".into()), why: String::new(), runbook: None, mode: None };
    let by = ana();
    let signal = Entry::Signalled { signal: Signal::Alert, holds: true, said: String::new() };
    let illegal = [
        (run().then(raised), "raised twice"),
        (Ledger::of(Two).then(lower), "a level is never lowered"),
        (Ledger::of(One).then(Entry::Skipped { step: "x".into(), why: String::new() }), "skipped outside a run"),
        (run().finished(true), "finished, but nothing was started"),
        (run().did("get_metrics", true).finished(true), "finished, but nothing was started"),
        (run().then(Entry::InDoubt { found: None }), "finished, but nothing was started"),
        (run().started("get_metrics").started("get_metrics"), "started while another action is under way"),
        (run().started("get_metrics").asked(3), "asked while another action is open"),
        (run().asked(3).asked(4), "asked while another action is open"),
        (run().then(Entry::Granted { approval: ApprovalId(3), by: by.clone(), votes: Vec::new() }), "granted, but nothing was asked"),
        (run().then(Entry::Refused { approval: ApprovalId(3), by }), "decided, but nothing was asked"),
        (run().then(Entry::Expired { approval: ApprovalId(3), granted: false }), "decided, but nothing was asked"),
        (run().then(Entry::Void { approval: ApprovalId(3), why: String::new() }), "decided, but nothing was asked"),
        (run().started_under("restart_service", Some(ApprovalId(3))), "started under an approval that was not asked"),
        (run().asked(3).started_under("restart_service", Some(ApprovalId(4))), "started under an approval that was not asked"),
        (run().asked(3).started("restart_service"), "started while a human is asked"),
        (
            run().asked(3).then(Entry::Granted { approval: ApprovalId(4), by: ana(), votes: Vec::new() }),
            "granted, but something else was asked",
        ),
        (run().asked(3).then(Entry::Expired { approval: ApprovalId(4), granted: false }), "decided, but something else was asked"),
        (run().then(signal), "a signal outside verification"),
        (run().started("restart_service").then(closed_by()), "closed while an action is under way"),
    ];
    for (ledger, why) in illegal {
        let error = ledger.replay().unwrap_err();
        let seq = ledger.0.len();
        assert!(matches!(&error, FoldError::Illegal(_, at, _, what) if *at as usize == seq && *what == why), "expected {why}: {error}");
        assert!(error.to_string().starts_with(&format!("INC-7: entry {seq} cannot follow in state ")), "{error}");
    }
}

#[test]
fn a_refused_entry_leaves_the_incident_as_it_was() {
    let mut incident = Ledger::of(One).run(Runbook).incident();
    let before = incident.clone();
    let bad = Ledger::of(One).run(Runbook).finished(true).0.pop().unwrap();
    incident.apply(&bad).unwrap_err();
    assert_eq!(incident, before);
}

#[test]
fn a_human_keeps_an_escalated_incident_whatever_is_observed_after() {
    let ledger = Ledger::of(Three).escalated().run(Runbook).did("get_metrics", true).run_ended();
    assert_eq!((ledger.incident().state, ledger.incident().tried), (State::Escalated, vec![Runbook]));
    assert_eq!(ledger.alert_resolved().incident().state, State::Escalated, "only closing ends it");
}

#[test]
fn a_models_calls_wait_in_their_order_and_steps_remember_what_was_said() {
    let calls = vec![proposal("get_metrics"), proposal("restart_service")];
    let ledger = Ledger::of(Two).run(Model).then(Entry::Thought { text: "two calls".into(), calls, tokens: 70 });
    assert_eq!(ledger.incident().queue.iter().map(|p| p.tool.as_str()).collect::<Vec<_>>(), ["get_metrics", "restart_service"]);
    let incident = ledger.did("get_metrics", false).denied("restart_service").incident();
    assert!(incident.queue.is_empty() && incident.tokens == 70 && incident.turns() == 3);
    assert_eq!(incident.steps[0].outcome().unwrap().said, "broken");
    assert_eq!((incident.steps[1].end.clone(), incident.changed_something()), (StepEnd::Denied, false));
}

/// Of the alerts `0` to `7`: joined, or resolved.
fn told(news: &[(u8, bool)], brief: bool) -> Incident {
    let one = |(n, joins): &(u8, bool)| {
        let alert = alert(&format!("Alert{n}"), AlertStatus::Firing);
        let mut crowd = crate::domain::Crowd::default();
        match (joins, brief) {
            (true, false) => return Entry::AlertJoined { alert },
            (false, false) => {
                return Entry::AlertResolved { fingerprint: alert.fingerprint.clone(), alertname: alert.name().into(), asked: None };
            }
            (true, true) => crowd.join(&alert),
            (false, true) => drop(crowd.resolved.insert(alert.fingerprint)),
        }
        Entry::ManyAlerts(crowd)
    };
    news.iter().map(one).fold(Ledger::of(One), Ledger::then).incident()
}

proptest::proptest! {
    /// An alert in brief fires, ends and is counted as a whole one; and many entries come to the same as one for all of them.
    #[test]
    fn alerts_in_brief_are_alerts(news in proptest::collection::vec((0_u8..8, proptest::prelude::any::<bool>()), 0..20)) {
        let (whole, brief) = (told(&news, false), told(&news, true));
        proptest::prop_assert_eq!(whole.counts(), brief.counts());
        proptest::prop_assert_eq!((whole.still_firing(), whole.severity()), (brief.still_firing(), brief.severity()));
        let mut together = crate::domain::Crowd::default();
        for (n, joins) in &news {
            let (alert, mut one) = (alert(&format!("Alert{n}"), AlertStatus::Firing), crate::domain::Crowd::default());
            if *joins { one.join(&alert) } else { one.resolved.insert(alert.fingerprint.clone()); }
            together.follow(one);
        }
        let at_once = Ledger::of(One).then(Entry::ManyAlerts(together)).incident();
        for n in 0..8 {
            let fingerprint = Fingerprint(format!("fp-Alert{n}"));
            proptest::prop_assert_eq!(whole.known(&fingerprint), brief.known(&fingerprint));
            proptest::prop_assert_eq!(at_once.known(&fingerprint), brief.known(&fingerprint), "{:?}", news);
        }
    }
}

#[test]
fn time_that_an_incident_was_held_is_no_fault_of_its_run() {
    let held = |ledger: Ledger| ledger.then(Entry::Held { behind: IncidentId(3), why: "a cause".into(), until: START });
    let running = Ledger::of(One).run(Runbook);
    let began = running.incident().run.unwrap().started_at;
    let waits = held(running);
    assert_eq!(waits.incident().held.map(|held| held.behind), Some(IncidentId(3)));
    let on = held(waits).then(Entry::Released { why: "it ended".into() });
    let incident = on.incident();
    assert_eq!((incident.held, incident.waited), (None, chrono::Duration::seconds(2)));
    assert_eq!(incident.run.unwrap().started_at - began, chrono::Duration::seconds(2));
    let error = on.then(Entry::Released { why: "again".into() }).replay().unwrap_err();
    assert!(error.to_string().ends_with("released, but it was not held"), "{error}");
}
