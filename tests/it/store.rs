//! One behaviour of the store, in a SQLite file and in a real PostgreSQL alike: who may append, who decides, in which order humans are
//! told. And what only a file can be: in use, full, cut or foreign.

mod replicas;

use crate::postgres::Postgres;
use crate::server::{NO_SERVICES, Server, WITH_TOKEN, configure, until};
use chrono::{DateTime, TimeDelta};
use paramedic::app::App;
use paramedic::domain::{
    Action, Alert, AlertStatus, Approval, ApprovalId, ApprovalState, Channel, CostLimits, Decision, Effect, Entry, Fingerprint, Incident,
    IncidentId, Level, Notice, OrderKind, Outcome, PlannerKind, Principal, Proposal, Reason, Request, Sealed, Seen, ServiceName, Severity,
    Spend, SystemClock, Target, Tier, Time, Verdict, Via, Vote, day_of,
};
use paramedic::store::{
    BudgetUse, Claim, Commit, CostRow, DecideError, Duty, Freeze, Inbox, Lane, OrderError, Question, Store, StoreError, Wake,
};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// What a story's store is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    File,
    Postgres,
}

/// Each of these holds on both.
macro_rules! on_both {
    ($($story:ident)*) => {
        mod in_a_file {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::On::File).await;
            })*
        }
        mod in_postgres {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::On::Postgres).await;
            })*
        }
    };
}

on_both! {
    an_older_claim_and_a_stale_fold_append_nothing
    a_release_never_swallows_what_a_door_left_meanwhile
    the_first_decision_wins_and_every_other_is_told_why_not
    a_decision_after_the_expiry_does_not_count
    humans_are_told_in_order_and_a_waiting_card_speaks_for_the_newest_state
    a_notice_put_off_holds_up_its_own_incident_only_and_survives_a_restart
    a_budget_that_two_workers_saw_free_is_spent_once
    one_remediation_at_a_time_and_a_busy_one_writes_nothing
    budgets_and_holds_survive_a_restart_and_leases_do_not
    a_row_that_cannot_be_read_is_an_error_that_names_it_and_costs_no_other
    alerts_stored_by_many_doors_at_once_are_all_there_once
    an_action_judged_before_an_order_does_not_start_after_it
    a_strange_order_is_an_error_that_names_its_row
    the_most_urgent_is_worked_on_first_and_whoever_is_woken_often_does_not_fall_behind
    a_limit_of_the_model_is_spent_once_whoever_asks_at_the_same_time
}

/// A store in a folder of its own.
struct Story {
    store: Store,
    folder: tempfile::TempDir,
    /// Last, so that it goes when nobody uses it any more.
    postgres: Option<Postgres>,
}

fn now() -> Time {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

fn later(seconds: i64) -> Time {
    now() + TimeDelta::seconds(seconds)
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("paramedic.db").display())
}

/// As the server that raises.
async fn open(url: &str, folder: &Path) -> Store {
    let store = Store::serve(url, folder, Freeze::default()).await.unwrap();
    assert!(store.on_duty(Duty::Raise).await.unwrap());
    store
}

impl Story {
    async fn new(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = (on == On::Postgres).then(Postgres::start);
        let url = postgres.as_ref().map_or_else(|| url(folder.path()), Postgres::url);
        Self { store: open(&url, folder.path()).await, folder, postgres }
    }

    fn url(&self) -> String {
        self.postgres.as_ref().map_or_else(|| url(self.folder.path()), Postgres::url)
    }

    async fn reopened(self) -> Self {
        let url = self.url();
        let Self { store, folder, postgres } = self;
        store.close().await;
        drop(store);
        Self { store: open(&url, folder.path()).await, folder, postgres }
    }

    /// An incident about `api`, level 1, with a run begun.
    async fn incident(&self, name: &str) -> Incident {
        let entries = vec![
            Entry::Raised { alert: alert(name, AlertStatus::Firing), target: Target { service: Some(api()), host: None } },
            Entry::Classified { level: Level::One, rule: Some("crash".into()), why: "a test".into(), runbook: None, mode: None },
            Entry::RunStarted { run: 1, planner: PlannerKind::Runbook, runbook: None },
        ];
        self.store.open(entries, name, &[], &|_| Vec::new(), now()).await.unwrap()
    }

    async fn claim(&self, at: Time) -> Claim {
        self.store.claim(Lane::Any, at, at + TimeDelta::minutes(5)).await.unwrap().unwrap()
    }

    /// Changes the file behind the store's back.
    async fn tamper(&self, sql: &'static str) {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&self.url()).await.unwrap();
        assert_eq!(sqlx::query(sql).execute(&pool).await.unwrap().rows_affected(), 1, "{sql}");
        pool.close().await;
    }
}

fn api() -> ServiceName {
    ServiceName::parse("api").unwrap()
}

fn alert(name: &str, status: AlertStatus) -> Alert {
    Alert {
        status,
        labels: [("alertname".to_owned(), name.to_owned())].into(),
        annotations: [].into(),
        starts_at: now(),
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint(format!("fp-{name}")),
        group_key: String::new(),
        origin: Default::default(),
    }
}

fn restart() -> Action {
    Action {
        tool: "restart_service".into(),
        tier: Tier::Disruptive,
        target: Target { service: Some(api()), host: None },
        arguments: json!({ "service": "api" }),
        effect: Effect::Restart { services: vec![api()] },
        reason: "a test".into(),
    }
}

fn begun() -> Entry {
    Entry::Started {
        proposal: proposal(),
        planner: PlannerKind::Runbook,
        action: restart(),
        verdict: Verdict::Allow,
        opinions: Vec::new(),
        approval: None,
    }
}

fn proposal() -> Proposal {
    Proposal { tool: "restart_service".into(), arguments: json!({ "service": "api" }), reason: "a test".into(), step: None, call: None }
}

fn skipped() -> Commit {
    Commit::of(vec![Entry::Skipped { step: "logs".into(), why: "a test".into() }])
}

fn principal(name: &str) -> Principal {
    Principal { name: name.into(), via: Via::Cli }
}

fn request(id: ApprovalId, incident: IncidentId) -> Request {
    let Action { tool, tier, target, arguments, effect, reason } = restart();
    Request {
        approval: id,
        incident,
        requester: "agent".into(),
        tool,
        tier,
        target,
        arguments,
        effect,
        reasons: Vec::new(),
        words: reason,
        seen: Seen::default(),
        policy_version: "p".into(),
        quorum: 1,
        signature: false,
        asked_at: now(),
        decide_by: later(300),
        execute_by: later(900),
        nonce: "n".into(),
    }
}

async fn ask(story: &Story, claim: &Claim, incident: &mut Incident) -> Approval {
    let id = story.store.next_approval().await.unwrap();
    let approval = Approval::asked(Sealed::seal(&request(id, incident.id)).unwrap());
    let (planner, text) = (PlannerKind::Runbook, Some(approval.request.text().to_owned()));
    let (opinions, expires_at) = (Vec::new(), later(300));
    let entry = Entry::Asked { approval: id, proposal: proposal(), planner, action: restart(), opinions, expires_at, request: text };
    let commit = Commit { entries: vec![entry], asked: Some(approval.clone()), ..Commit::default() };
    story.store.commit(claim, incident, commit, now()).await.unwrap();
    approval
}

fn vote(name: &str, decision: Decision, at: Time) -> Vote {
    Vote { by: principal(name), decision, at, signature: None }
}

async fn an_older_claim_and_a_stale_fold_append_nothing(on: On) {
    let story = Story::new(on).await;
    let mut slow = story.incident("ServiceDown").await;
    let first = story.claim(now()).await;
    assert!(story.store.claim(Lane::Any, later(60), later(360)).await.unwrap().is_none(), "leased");
    let second = story.claim(later(301)).await;
    let mut quick = story.store.incident(slow.id).await.unwrap().unwrap();
    assert!(matches!(story.store.commit(&first, &mut slow, skipped(), later(302)).await, Err(StoreError::Fenced(id)) if id == slow.id));
    story.store.commit(&second, &mut quick, skipped(), later(302)).await.unwrap();
    // The right lease, but a fold from before.
    assert!(matches!(story.store.commit(&second, &mut slow, skipped(), later(303)).await, Err(StoreError::Fenced(_))));
    assert_eq!((slow.seq, quick.seq), (3, 4), "what was not written is not folded either");
    assert_eq!(story.store.incident(slow.id).await.unwrap().unwrap(), quick);
    // The older claim's release gives nothing back.
    story.store.release(&first, Wake::Now, later(304)).await.unwrap();
    assert!(story.store.claim(Lane::Any, later(305), later(600)).await.unwrap().is_none());
}

async fn a_release_never_swallows_what_a_door_left_meanwhile(on: On) {
    let story = Story::new(on).await;
    let incident = story.incident("ServiceDown").await;
    let claim = story.claim(now()).await;
    story.store.release(&claim, Wake::Never, now()).await.unwrap();
    assert!(!story.store.any_due(Lane::Any, later(9_999)).await.unwrap(), "nothing to do until poked");
    assert!(story.store.assign(incident.id, &[], &[], later(1)).await.unwrap());
    let claim = story.claim(later(1)).await;
    assert!(story.store.assign(incident.id, &[], &[], later(2)).await.unwrap(), "poked while it is being worked on");
    story.store.release(&claim, Wake::At(later(500)), later(3)).await.unwrap();
    assert!(story.store.any_due(Lane::Any, later(3)).await.unwrap());
    let claim = story.claim(later(3)).await;
    story.store.release(&claim, Wake::At(later(500)), later(3)).await.unwrap();
    assert!(!story.store.any_due(Lane::Any, later(499)).await.unwrap() && story.store.any_due(Lane::Any, later(500)).await.unwrap());
}

async fn the_first_decision_wins_and_every_other_is_told_why_not(on: On) {
    let story = Story::new(on).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = story.claim(now()).await;
    let approval = ask(&story, &claim, &mut incident).await;
    story.store.release(&claim, Wake::At(later(300)), now()).await.unwrap();
    let decide = async |id, decision, who: &str, digest: Option<&str>, at| story.store.decide(id, vote(who, decision, at), digest).await;

    let other = decide(approval.id(), Decision::Grant, "eve", Some("another digest"), later(1)).await.unwrap_err();
    assert_eq!(other.to_string(), "APR-1 is for another request than the one shown: nothing was decided");
    let unknown = decide(ApprovalId(99), Decision::Grant, "eve", None, later(1)).await.unwrap_err();
    assert!(matches!(unknown, DecideError::Unknown(ApprovalId(99))));
    assert!(!story.store.any_due(Lane::Any, later(10)).await.unwrap(), "nobody was woken for nothing");

    let racers = ["ana", "ben", "cy", "dee", "eli", "fay"];
    let race = racers.map(|who| {
        let decision = if who < "d" { Decision::Grant } else { Decision::Deny };
        decide(approval.id(), decision, who, Some(&approval.digest().0), later(10))
    });
    let results = futures::future::join_all(race).await;
    let winner = results.iter().filter_map(|r| r.as_ref().ok()).map(|a| a.state.clone()).collect::<Vec<_>>();
    assert_eq!((results.len(), winner.len()), (6, 1));
    assert_eq!(story.store.approval(approval.id()).await.unwrap().unwrap().state, winner[0], "and nobody overwrites who decided");
    let losers = results.iter().filter_map(|r| r.as_ref().err()).map(ToString::to_string);
    assert!(losers.into_iter().all(|text| text.starts_with("APR-1 is already ") && text.ends_with("the first decision stands")));
    assert!(story.store.any_due(Lane::Any, later(10)).await.unwrap(), "the incident is woken");
    assert!(story.store.open_approvals().await.unwrap().is_empty());
}

async fn a_decision_after_the_expiry_does_not_count(on: On) {
    let story = Story::new(on).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = story.claim(now()).await;
    let approval = ask(&story, &claim, &mut incident).await;
    let late = story.store.decide(approval.id(), vote("ana", Decision::Grant, later(300)), None).await.unwrap_err();
    assert!(late.to_string().starts_with("APR-1 expired at "), "{late}");
    // The worker writes the expiry; a click that was faster than the worker fences it.
    let story_in_time = story.store.decide(approval.id(), vote("ana", Decision::Grant, later(299)), None).await;
    assert!(story_in_time.is_ok());
    let expired = Approval { state: ApprovalState::Expired { at: later(300), granted: false }, ..approval.clone() };
    let entries = vec![Entry::Expired { approval: approval.id(), granted: false }];
    let commit = Commit { entries, moved: Some((expired, "asked")), ..Commit::default() };
    assert!(matches!(story.store.commit(&claim, &mut incident, commit, later(300)).await, Err(StoreError::Fenced(_))));
    assert!(matches!(story.store.approval(approval.id()).await.unwrap().unwrap().state, ApprovalState::Granted { .. }));
    assert_eq!(story.store.entries(incident.id).await.unwrap().len(), 4, "the expiry was not half written");
}

async fn tell(story: &Story, claim: &Claim, incident: &mut Incident, notices: Vec<(Channel, Notice)>) {
    let commit = Commit { notices, ..skipped() };
    story.store.commit(claim, incident, commit, now()).await.unwrap();
}

fn message(text: &str) -> Notice {
    Notice::Message { severity: Severity::Info, text: text.into() }
}

fn page() -> Notice {
    Notice::Page { severity: Severity::Critical, summary: "help".into() }
}

/// Sends everything that is due on a channel, in order.
async fn sent(story: &Story, channel: Channel) -> Vec<(IncidentId, Notice)> {
    let mut told = Vec::new();
    loop {
        let due = story.store.due_letters(channel, now(), 20).await.unwrap();
        if due.is_empty() {
            return told;
        }
        for letter in due {
            let seq = story.store.incident(letter.incident).await.unwrap().unwrap().seq;
            story.store.sent(&letter, seq, now()).await.unwrap();
            told.push((letter.incident, letter.notice));
        }
    }
}

async fn humans_are_told_in_order_and_a_waiting_card_speaks_for_the_newest_state(on: On) {
    use Channel::{Pagerduty, Slack};
    let story = Story::new(on).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = story.claim(now()).await;
    let id = incident.id;
    for text in ["one", "two"] {
        tell(&story, &claim, &mut incident, vec![(Slack, Notice::Card), (Slack, message(text))]).await;
    }
    let only_first = story.store.due_letters(Slack, now(), 20).await.unwrap();
    assert_eq!(only_first.iter().map(|l| l.notice.clone()).collect::<Vec<_>>(), [Notice::Card], "the next waits for the one before it");
    assert_eq!(sent(&story, Slack).await, [(id, Notice::Card), (id, message("one")), (id, message("two"))]);
    tell(&story, &claim, &mut incident, vec![(Slack, Notice::Card)]).await;
    assert_eq!(sent(&story, Slack).await, [(id, Notice::Card)], "a card that was sent does not stand in for news");

    // PagerDuty hears of an acknowledge or a resolve only for what it was told to trigger.
    tell(&story, &claim, &mut incident, vec![(Pagerduty, Notice::Acknowledge), (Pagerduty, Notice::Resolve)]).await;
    assert_eq!(sent(&story, Pagerduty).await, []);
    let all = vec![(Pagerduty, page()), (Pagerduty, Notice::Acknowledge), (Pagerduty, Notice::Resolve)];
    tell(&story, &claim, &mut incident, all).await;
    assert_eq!(sent(&story, Pagerduty).await, [(id, page()), (id, Notice::Acknowledge), (id, Notice::Resolve)]);
}

async fn a_notice_put_off_holds_up_its_own_incident_only_and_survives_a_restart(on: On) {
    use Channel::Slack;
    let story = Story::new(on).await;
    let mut first = story.incident("First").await;
    let claim = story.claim(now()).await;
    tell(&story, &claim, &mut first, vec![(Slack, message("one")), (Slack, message("two"))]).await;
    let mut second = story.incident("Second").await;
    let claim = story.claim(now()).await;
    tell(&story, &claim, &mut second, vec![(Slack, message("three"))]).await;
    let due = story.store.due_letters(Slack, now(), 20).await.unwrap();
    story.store.postpone(&due[0], later(60), "slack answered 500", true).await.unwrap();
    assert_eq!(sent(&story, Slack).await, [(second.id, message("three"))]);
    let story = story.reopened().await;
    assert_eq!(story.store.waiting_letters().await.unwrap(), 2);
    assert!(story.store.due_letters(Slack, later(59), 20).await.unwrap().is_empty());
    let due = story.store.due_letters(Slack, later(60), 20).await.unwrap();
    assert_eq!((due.len(), &due[0].notice, due[0].attempts, due[0].unsure), (1, &message("one"), 1, true));
    // What can be put right waits until it is; what can never be sent does not hold up the rest for ever. Others are told of it once.
    let others = [(Channel::Email, message("slack refuses"))];
    story.store.refuse(&due[0], Some(later(3_600)), "invalid_auth", &others, now()).await.unwrap();
    assert!(story.store.due_letters(Slack, later(3_599), 20).await.unwrap().is_empty());
    story.store.hurry_refused(Slack, later(61)).await.unwrap();
    let due = story.store.due_letters(Slack, later(61), 20).await.unwrap();
    assert_eq!((due.len(), &due[0].notice, due[0].attempts), (1, &message("one"), 2));
    story.store.refuse(&due[0], None, "no such channel", &others, now()).await.unwrap();
    assert_eq!(sent(&story, Slack).await, [(first.id, message("two"))]);
    assert_eq!(sent(&story, Channel::Email).await, [(first.id, message("slack refuses"))]);
    let rows = story.store.notices(first.id).await.unwrap();
    assert_eq!((rows[0].state.as_str(), rows[0].error.as_deref()), ("failed", Some("no such channel")));
}

fn started(hold: &[&str]) -> Commit {
    let entry = begun();
    let budget = vec![BudgetUse { kind: "restart", service: Some(api()), amount: 1, most: None }];
    Commit { entries: vec![entry], budget, hold: hold.iter().map(|thing| (*thing).to_owned()).collect(), ..Commit::default() }
}

/// Both workers have judged by the same counts; the one that comes second finds out when it begins.
async fn a_budget_that_two_workers_saw_free_is_spent_once(on: On) {
    let story = Story::new(on).await;
    let mut first = story.incident("First").await;
    let one = story.claim(now()).await;
    let mut second = story.incident("Second").await;
    let two = story.claim(now()).await;
    let at_most = |hold: &[&str], hosts| {
        let mut commit = started(hold);
        commit.budget[0].most = Some((1, chrono::Duration::hours(1)));
        Commit { hosts_at_once: Some(hosts), ..commit }
    };
    story.store.commit(&one, &mut first, at_most(&["on:web-1#INC-1"], 1), now()).await.unwrap();
    let hosts = story.store.commit(&two, &mut second, at_most(&["on:web-2#INC-2"], 1), now()).await.unwrap_err();
    assert_eq!(hosts.to_string(), "used up meanwhile: 2 hosts would be worked on at once (limit 1)");
    let restarts = story.store.commit(&two, &mut second, at_most(&["on:web-2#INC-2"], 2), later(3_599)).await.unwrap_err();
    assert_eq!(restarts.to_string(), "used up meanwhile: restart of api: 1 of 1 are used");
    assert_eq!(story.store.entries(second.id).await.unwrap().len(), 3, "nothing of it was written");
    story.store.commit(&two, &mut second, at_most(&["on:web-2#INC-2"], 2), later(3_600)).await.unwrap();
}

async fn one_remediation_at_a_time_and_a_busy_one_writes_nothing(on: On) {
    let story = Story::new(on).await;
    let mut first = story.incident("First").await;
    let one = story.claim(now()).await;
    let mut second = story.incident("Second").await;
    let two = story.claim(now()).await;
    story.store.commit(&one, &mut first, started(&["on:web-1#INC-1", "service:api"]), now()).await.unwrap();
    let busy = story.store.commit(&two, &mut second, started(&["on:web-2#INC-2", "service:api"]), now()).await.unwrap_err();
    assert_eq!(busy.to_string(), "service:api is being remediated by INC-1");
    assert_eq!((second.in_flight.is_none(), story.store.entries(second.id).await.unwrap().len()), (true, 3));
    assert_eq!(story.store.used(&api(), "restart", later(-60)).await.unwrap(), 1, "what did not start is not counted");
    let held: Vec<String> = story.store.hosts_held().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(held, ["web-1"], "a part of what did not start was kept");
    let end =
        vec![Entry::Finished { outcome: paramedic::domain::Outcome::ok("done", json!({})) }, Entry::Escalated { why: "a test".into() }];
    story.store.commit(&one, &mut first, Commit::of(end), now()).await.unwrap();
    story.store.commit(&two, &mut second, started(&["service:api"]), now()).await.unwrap();
}

async fn budgets_and_holds_survive_a_restart_and_leases_do_not(on: On) {
    let story = Story::new(on).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = story.claim(now()).await;
    story.store.commit(&claim, &mut incident, started(&["service:api"]), now()).await.unwrap();
    let story = story.reopened().await;
    assert_eq!(story.store.used(&api(), "restart", later(-3_600)).await.unwrap(), 1);
    assert_eq!(story.store.used(&api(), "restart", now()).await.unwrap(), 0, "an hour later it is not counted any more");
    assert_eq!((story.store.used(&api(), "scale", later(-1)).await.unwrap(), story.store.actions_of(incident.id).await.unwrap()), (0, 1));
    // The dead server's lease is void at once, and its worker fenced.
    story.claim(later(1)).await;
    assert!(matches!(story.store.commit(&claim, &mut incident, skipped(), later(2)).await, Err(StoreError::Fenced(_))));
    let instance = story.store.instance().to_owned();
    assert_eq!(story.reopened().await.store.instance(), instance);
}

#[tokio::test]
async fn a_file_has_one_server_and_room_for_a_command_line_beside_it() {
    let story = Story::new(On::File).await;
    story.incident("ServiceDown").await;
    let refused = Store::open_server(&url(story.folder.path()), Freeze::default()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::InUse(path) if path.ends_with("paramedic.db")));
    assert!(
        refused.to_string().ends_with("is used by another paramedic server: one server a SQLite file, and one a replica's folder"),
        "{refused}"
    );
    let beside = Store::open_beside(&url(story.folder.path())).await.unwrap();
    assert_eq!(beside.list(None, 10).await.unwrap().len(), 1);
    beside.close().await;
    story.reopened().await;
    let nothing = tempfile::tempdir().unwrap();
    let missing = Store::open_beside(&url(nothing.path())).await.unwrap_err();
    assert!(missing.to_string().contains("there is no such file"), "{missing}");
    assert!(!nothing.path().join("paramedic.db").exists(), "looking makes no file");
}

async fn a_row_that_cannot_be_read_is_an_error_that_names_it_and_costs_no_other(on: On) {
    let story = Story::new(on).await;
    let broken = story.incident("First").await.id;
    let whole = story.incident("Second").await.id;
    story.tamper("UPDATE entries SET body = substr(body, 1, 40) WHERE incident_id = 1 AND seq = 2").await;
    let error = story.store.incident(broken).await.unwrap_err();
    assert!(matches!(&error, StoreError::StrangeRow { row, .. } if row == "entries INC-1 2"), "{error}");
    assert!(error.to_string().starts_with("store: row entries INC-1 2 is not readable: EOF while parsing"), "{error}");
    assert!(story.store.incident(whole).await.unwrap().is_some());
    story.tamper("UPDATE entries SET body = '{\"kind\":\"invented\"}' WHERE incident_id = 1 AND seq = 2").await;
    assert!(story.store.incident(broken).await.unwrap_err().to_string().contains("unknown variant `invented`"));
    story.tamper("DELETE FROM entries WHERE incident_id = 1 AND seq = 2").await;
    assert_eq!(story.store.incident(broken).await.unwrap_err().to_string(), "INC-1: entry 3 follows entry 1: the ledger has a gap");
    story.tamper("UPDATE incidents SET level = 9 WHERE id = 2").await;
    let listed = story.store.list(None, 10).await.unwrap_err().to_string();
    assert_eq!(listed, "store: row incidents INC-2 is not readable: level 9 does not exist: expected 1 (fix), 2 (confirm) or 3 (escalate)");
}

async fn alerts_stored_by_many_doors_at_once_are_all_there_once(on: On) {
    let story = Story::new(on).await;
    let (inbox, storing) = Inbox::open(story.store.clone(), || {});
    let storing = tokio::spawn(storing);
    let deliveries = (0..40).map(|n| {
        let alerts: Vec<Alert> = (0..10).map(|i| alert(&format!("{}", (n / 2) * 10 + i), AlertStatus::Firing)).collect();
        inbox.accept(alerts, now())
    });
    for result in futures::future::join_all(deliveries).await {
        result.unwrap();
    }
    assert_eq!(story.store.waiting_alerts(1_000).await.unwrap().len(), 200, "each twice delivered, once stored");
    drop(inbox);
    storing.await.unwrap();
    let story = story.reopened().await;
    assert_eq!(story.store.waiting_alerts(1_000).await.unwrap().len(), 200);
}

async fn refused(folder: &Path) -> String {
    let config = configure(folder, WITH_TOKEN, NO_SERVICES);
    match App::start(config, Arc::new(SystemClock), Freeze::default()).await {
        Ok(_) => panic!("it started"),
        Err(e) => format!("{e:#}"),
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_or_a_broken_one_stops_the_start_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/paramedic.db");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(&file, "this is no database, and it is longer than a header of one hundred bytes would be ".repeat(4)).unwrap();
    let said = refused(folder.path()).await;
    assert!(said.contains("paramedic.db") && said.contains("file is not a database"), "{said}");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is no database"), "it is left as it is");

    let story = Story::new(On::File).await;
    story.incident("ServiceDown").await;
    story.store.close().await;
    let bytes = std::fs::read(story.folder.path().join("paramedic.db")).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 3]).unwrap();
    let said = refused(folder.path()).await;
    assert!(said.contains("paramedic.db") && said.contains("malformed"), "{said}");
}

/// A file system of one megabyte or two.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let small = Self(at);
        small.run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
        small
    }

    /// To the last byte.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    fn grow(&self) {
        self.run("mount", &["-o", "remount,size=64m"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).arg(&self.0).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} failed ({said}): this test fills a file system of its own and needs root for that");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn delivery(n: usize) -> String {
    let description = "x".repeat(20_000);
    let labels = json!({ "alertname": "Odd", "n": n.to_string() });
    json!({ "alerts": [{ "labels": labels, "annotations": { "description": description }, "startsAt": "2026-11-20T10:00:00Z" }] })
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_acknowledged_is_lost_and_it_heals_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // Declared first, so that it is dropped last: the folder goes when the file system is off it.
    let server;
    let small = Small::mount(folder.path().join("data"));
    server = Server::start_in(folder, WITH_TOKEN, NO_SERVICES).await;
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for n in 0..200 {
        let (status, answer) = server.post(delivery(n)).await;
        match status {
            200 => acknowledged.push(n),
            503 => {
                assert!(answer["error"].as_str().unwrap().starts_with("not stored, send it again: "), "{answer}");
                refused += 1;
            }
            other => panic!("{other}: {answer}"),
        }
        if refused >= 20 {
            break;
        }
    }
    assert!(refused >= 20 && !acknowledged.is_empty(), "{refused} refused, {} acknowledged", acknowledged.len());
    let (status, _) = server.post("nonsense").await;
    assert!([400, 503].contains(&status), "{status}");
    assert_eq!(server.get("/healthz").await.0, 200);
    small.fill();
    until("it is not ready", async || server.get("/readyz").await.0 == 503).await;
    let told = server.get("/readyz").await.1;
    assert!(told.starts_with("the store cannot be written: "), "{told}");
    let metrics = server.get("/metrics").await.1;
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in\n{metrics}"));
        line.trim().parse::<f64>().unwrap()
    };
    assert_eq!(value("paramedic_store_writable "), 0.0);
    assert_eq!(value("paramedic_alerts_received_total "), acknowledged.len() as f64, "what was sent back was not received");
    assert!(value("paramedic_deliveries_refused_total ") >= f64::from(refused));

    small.grow();
    until("it is ready again", async || server.get("/readyz").await.0 == 200).await;
    assert!(server.get("/metrics").await.1.contains("paramedic_store_writable 1"));
    let again = 1_000;
    assert_eq!(server.post(delivery(again)).await.0, 200);
    acknowledged.push(again);
    let stored = |incident: &Incident| incident.alerts.values().map(|a| a.label("n").unwrap().parse().unwrap()).collect::<Vec<usize>>();
    until("every acknowledged alert is in the ledger", async || {
        let Ok(Some(incident)) = server.app.engine.store().incident(IncidentId(1)).await else { return false };
        let stored = stored(&incident);
        acknowledged.iter().all(|n| stored.contains(n))
    })
    .await;
    until("a human was told", async || server.state(IncidentId(1)).await.as_deref() == Some("escalated")).await;
}

#[tokio::test]
async fn what_an_earlier_version_asked_is_void_after_the_upgrade() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::tempdir().unwrap();
    let first = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite/0001_first.sql");
    std::fs::create_dir(folder.path().join("then")).unwrap();
    std::fs::copy(first, folder.path().join("then/0001_first.sql")).unwrap();
    let url = format!("sqlite://{}", folder.path().join("paramedic.db").display());
    let pool = sqlx::AnyPool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    sqlx::migrate::Migrator::new(folder.path().join("then")).await.unwrap().run(&pool).await.unwrap();
    let asked = r#"INSERT INTO approvals (id, incident_id, state, body) VALUES (1, 1, 'asked', '{"state":{"state":"asked"}}')"#;
    sqlx::query(asked).execute(&pool).await.unwrap();
    pool.close().await;

    let store = Store::open_server(&url, Freeze::default()).await.unwrap();
    let late = store.decide(ApprovalId(1), vote("ana", Decision::Grant, now()), None).await.unwrap_err();
    assert_eq!(late.to_string(), "APR-1 was asked for by an earlier version of Paramedic: it authorises nothing");
    assert!(store.open_approvals().await.unwrap().is_empty() && store.approval(ApprovalId(1)).await.unwrap().is_none());
}

/// An order that was given after an action was judged keeps it from starting.
async fn an_action_judged_before_an_order_does_not_start_after_it(on: On) {
    let story = Story::new(on).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = story.claim(now()).await;
    let seen = story.store.latest_orders().await.unwrap().count;
    let reason = Reason::parse("calm down").unwrap();
    let halt = story.store.order(OrderKind::Halt, principal("ana"), reason, now()).await.unwrap();
    let started = begun();
    let commit = |seen: i64| Commit { entries: vec![started.clone()], judged_by: Some(seen), ..Commit::default() };
    let late = story.store.commit(&claim, &mut incident, commit(seen), now()).await;
    assert!(matches!(late, Err(StoreError::Fenced(_))), "{late:?}");
    assert!(story.store.incident(incident.id).await.unwrap().unwrap().in_flight.is_none());
    story.store.commit(&claim, &mut incident, commit(halt.id.0), now()).await.unwrap();

    // What is under way is not closed over the head of the one who does it.
    let close = OrderKind::CloseIncident { incident: incident.id };
    let reason = || Reason::parse("over").unwrap();
    let refused = story.store.order(close.clone(), principal("ana"), reason(), now()).await;
    assert!(matches!(refused, Err(OrderError::UnderWay(..))), "{refused:?}");
    let done = Commit::of(vec![Entry::Finished { outcome: Outcome::ok("done", json!({})) }]);
    story.store.commit(&claim, &mut incident, done, now()).await.unwrap();
    story.store.order(close, principal("ana"), reason(), now()).await.unwrap();
    let past = OrderKind::HandsOff { service: api(), until: Some(now()) };
    assert!(matches!(story.store.order(past, principal("ana"), reason(), now()).await, Err(OrderError::Past(_))));
}

async fn a_strange_order_is_an_error_that_names_its_row(on: On) {
    let story = Story::new(on).await;
    story.store.order(OrderKind::Halt, principal("ana"), Reason::parse("x").unwrap(), now()).await.unwrap();
    story.tamper("UPDATE orders SET body = '{\"order\":\"halt\"}'").await;
    let told = story.store.latest_orders().await.unwrap_err().to_string();
    assert!(told.starts_with("store: row orders 1 is not readable"), "{told}");
}

async fn the_most_urgent_is_worked_on_first_and_whoever_is_woken_often_does_not_fall_behind(on: On) {
    let story = Story::new(on).await;
    let of = async |name: &'static str, severity: &str, level: Level, at: Time| {
        let mut alert = alert(name, AlertStatus::Firing);
        alert.labels.insert("severity".into(), severity.into());
        let entries = vec![
            Entry::Raised { alert, target: Target { service: Some(api()), host: None } },
            Entry::Classified { level, rule: None, why: "a test".into(), runbook: None, mode: None },
        ];
        story.store.open(entries, name, &[], &|_| Vec::new(), at).await.unwrap()
    };
    of("ForInformation", "info", Level::Two, later(0)).await;
    let woken = of("FirstWarning", "warning", Level::One, later(1)).await;
    of("SecondWarning", "warning", Level::One, later(2)).await;
    of("Critical", "critical", Level::One, later(3)).await;
    of("Page", "info", Level::Three, later(4)).await;
    for second in 5..20 {
        assert!(story.store.assign(woken.id, &[], &[], later(second)).await.unwrap());
    }
    let mut order = Vec::new();
    let first = story.claim(later(30)).await;
    assert!(!story.store.any_more_urgent(&first, later(30)).await.unwrap(), "a page is what is most urgent");
    order.push(first.incident);
    while let Some(claim) = story.store.claim(Lane::Any, later(30), later(300)).await.unwrap() {
        order.push(claim.incident);
        assert!(!story.store.any_more_urgent(&claim, later(30)).await.unwrap(), "what is worked on is due for nobody");
    }
    let mut names = Vec::new();
    for id in order {
        names.push(story.store.incident(id).await.unwrap().unwrap().alertname().to_owned());
    }
    assert_eq!(names, ["Page", "Critical", "FirstWarning", "SecondWarning", "ForInformation"]);
}

async fn a_limit_of_the_model_is_spent_once_whoever_asks_at_the_same_time(on: On) {
    let story = Story::new(on).await;
    let limits = CostLimits { service_tokens_a_day: Some(500), ..CostLimits::default() };
    let expected = Spend { tokens_in: 90, tokens_out: 10, nanos: 7 };
    let ask = async |store: Store| {
        let question = Question { incident: IncidentId(1), place: "api", model: "m", expected };
        store.may_ask(question, &limits, now()).await.unwrap()
    };
    let asked = futures::future::join_all((0..8).map(|_| ask(story.store.clone()))).await;
    let (may, spent): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!((may.len(), spent.len()), (5, 3));
    let said = spent.into_iter().next().unwrap().unwrap_err().to_string();
    let day = day_of(now());
    assert_eq!(
        said,
        format!("the model's limit of api for {day} (UTC) is spent: 500 of 500 tokens, and the next question takes about 100")
    );
    let mut may = may.into_iter().map(Result::unwrap);
    // One cost less than it was counted with, one was never answered; the others nobody lived to see.
    let cheap = Spend { tokens_in: 40, tokens_out: 10, nanos: 5 };
    let (one, two) = (may.next().unwrap(), may.next().unwrap());
    story.store.settle_question(one, Some(cheap)).await.unwrap();
    story.store.settle_question(one, Some(cheap)).await.unwrap();
    story.store.settle_question(two, None).await.unwrap();
    let story = story.reopened().await;
    let rows = story.store.costs(&day).await.unwrap();
    let spend = Spend { tokens_in: 40 + 3 * 90, tokens_out: 40, nanos: 5 + 21 };
    assert_eq!(rows, [CostRow { place: "api".into(), model: "m".into(), calls: 4, spend, estimated: 3 }]);
    assert!(ask(story.store.clone()).await.is_ok(), "350 of 500");
    assert!(ask(story.store.clone()).await.is_err(), "450 of 500");
    assert_eq!(story.store.costs(&day_of(now() + TimeDelta::days(1))).await.unwrap(), []);
    let other = Question { incident: IncidentId(2), place: "db", model: "m", expected };
    assert!(story.store.may_ask(other, &limits, now()).await.unwrap().is_ok(), "another service has its own");
}
