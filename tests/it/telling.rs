//! Telling humans: what Slack, PagerDuty and a mailbox get, and what comes back from a button; against stand-ins that check what they
//! get as strictly as the real ones. Here: the incident that is told of.

mod clicks;
mod pages;
mod slack;

use chrono::{DateTime, TimeDelta};
use paramedic::clients::slack::Posted;
use paramedic::domain::{
    Action, Alert, AlertStatus, Approval, ApprovalId, Channel, Decision, Effect, Entry, Fingerprint, Incident, IncidentId, Level, Notice,
    PlannerKind, Principal, Recorded, Request, Sealed, Seen, SeenService, ServiceName, Target, Tier, Time, Via, Vote,
};
use paramedic::notify::{Notifier, Outgoing, SlackSettings};
use paramedic::standins::SlackStandin;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn now() -> Time {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

fn slack_settings(slack: &SlackStandin) -> SlackSettings {
    SlackSettings {
        bot_token: SecretString::from(SlackStandin::BOT_TOKEN),
        channel: SlackStandin::CHANNEL_NAME.into(),
        api_url: slack.api_url(),
        approvers: vec!["U0ANA".into()],
        signing_secret: Some(SecretString::from(SlackStandin::SIGNING_SECRET)),
        app_token: Some(SecretString::from(SlackStandin::APP_TOKEN)),
        team_id: Some(SlackStandin::TEAM.into()),
        app_id: Some(SlackStandin::APP.into()),
    }
}

async fn slack() -> (SlackStandin, Notifier) {
    let slack = SlackStandin::start().await.unwrap();
    let notifier = Notifier::build(Some(&slack_settings(&slack)), None, None).unwrap();
    (slack, notifier)
}

fn alert(name: &str, summary: &str) -> Alert {
    let labels = [("alertname", name), ("severity", "critical")];
    Alert {
        status: AlertStatus::Firing,
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        annotations: [("summary".to_owned(), summary.to_owned())].into(),
        starts_at: now(),
        ends_at: None,
        generator_url: String::new(),
        fingerprint: Fingerprint("f1".into()),
        group_key: "g".into(),
        origin: Default::default(),
    }
}

fn target() -> Target {
    Target { service: Some(ServiceName::parse("api").unwrap()), host: None }
}

fn action(arguments: Value) -> Action {
    let effect = Effect::Scale { service: ServiceName::parse("api").unwrap(), add: 1 };
    Action {
        tool: "scale_service".into(),
        tier: Tier::Disruptive,
        target: target(),
        arguments,
        effect,
        reason: "more load than usual".into(),
    }
}

fn request(action: Action) -> Request {
    let Action { tool, tier, target, arguments, effect, reason } = action;
    let service = SeenService {
        service: ServiceName::parse("api").unwrap(),
        host: None,
        active: true,
        state: "running".into(),
        since: Some(now() - TimeDelta::hours(2)),
        pid: Some(4711),
        instances: 1,
        instances_active: 1,
    };
    Request {
        approval: ApprovalId(3),
        incident: IncidentId(7),
        requester: "agent".into(),
        tool,
        tier,
        target,
        arguments,
        effect,
        reasons: vec!["level 2 confirms each change".into()],
        words: reason,
        seen: Seen { services: vec![service], disks: vec![] },
        policy_version: "p".into(),
        quorum: 1,
        signature: false,
        asked_at: now(),
        decide_by: now() + TimeDelta::seconds(300),
        execute_by: now() + TimeDelta::seconds(900),
        nonce: "00112233445566778899aabbccddeeff".into(),
    }
}

fn approval(action: Action) -> Approval {
    sealed(&request(action))
}

fn sealed(request: &Request) -> Approval {
    Approval::asked(Sealed::seal(request).unwrap())
}

fn vote(by: Principal, decision: Decision) -> Vote {
    Vote { by, decision, at: now(), signature: None }
}

fn ana() -> Principal {
    Principal { name: "U0ANA".into(), via: Via::Slack }
}

/// INC-7 as far as these entries go.
fn incident(name: &str, text: &str, more: Vec<Entry>) -> Incident {
    let mut entries = vec![
        Entry::Raised { alert: alert(name, text), target: target() },
        Entry::Classified { level: Level::Two, rule: Some("latency".into()), why: text.into(), runbook: None, mode: None },
        Entry::RunStarted { run: 1, planner: PlannerKind::Runbook, runbook: None },
    ];
    entries.extend(more);
    let recorded: Vec<_> = entries.into_iter().zip(1..).map(|(entry, seq)| Recorded { seq, at: now(), entry }).collect();
    Incident::replay(IncidentId(7), &recorded).unwrap()
}

fn latency() -> Incident {
    incident("HighLatency", "p99 above 2 s", vec![])
}

fn outgoing<'a>(channel: Channel, notice: &'a Notice, incident: &'a Incident) -> Outgoing<'a> {
    Outgoing {
        channel,
        notice,
        incident,
        approval: None,
        thread: None,
        message_ts: None,
        dedup_key: "paramedic/INC-7",
        mark: "notice-1",
        unsure: false,
        slack_channel: None,
        console_hint: Some("paramedic incidents INC-7"),
    }
}

async fn send_slack(notifier: &Notifier, message: Outgoing<'_>) -> Posted {
    notifier.send(&message).await.unwrap().slack.unwrap()
}
