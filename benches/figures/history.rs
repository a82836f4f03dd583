//! A store with a history: incidents that are over, or open and waiting to be worked on.

use chrono::{TimeDelta, Utc};
use paramedic::domain::{Alert, AlertStatus, Entry, Fingerprint, Level, PlannerKind, ServiceName, Target, Time};
use paramedic::store::{Freeze, Store};
use std::path::Path;

/// Written where nothing waits for a disk, then moved to its place: a million commits would take an hour elsewhere.
pub async fn write(into: &Path, from: u64, to: u64, open: bool) {
    let memory = tempfile::Builder::new().prefix("paramedic-history-").tempdir_in("/dev/shm").unwrap();
    let file = memory.path().join("paramedic.db");
    if into.exists() {
        std::fs::copy(into, &file).unwrap();
    }
    let store = Store::open_server(&format!("sqlite://{}", file.display()), Freeze::default()).await.unwrap();
    let begun = Utc::now() - TimeDelta::days(30);
    for number in from..to {
        let at = begun + TimeDelta::milliseconds(number as i64);
        store.open(entries(number, at, open), &format!("bench-{number}"), &[], &|_| Vec::new(), at).await.unwrap();
    }
    store.close().await;
    drop(store);
    std::fs::copy(&file, into).unwrap();
}

fn entries(number: u64, at: Time, open: bool) -> Vec<Entry> {
    let fingerprint = Fingerprint(format!("{number:016x}"));
    let labels = [("alertname", "ServiceDown".to_owned()), ("service", "api".to_owned()), ("instance", format!("web-{number}:9100"))];
    let alert = Alert {
        status: AlertStatus::Firing,
        labels: labels.map(|(name, value)| (name.to_owned(), value)).into(),
        annotations: [("summary".to_owned(), "api does not answer".to_owned())].into(),
        starts_at: at,
        ends_at: None,
        generator_url: String::new(),
        fingerprint: fingerprint.clone(),
        group_key: format!("group-{number}"),
        origin: Default::default(),
    };
    let target = Target { service: ServiceName::parse("api").ok(), host: None };
    let mut entries = vec![
        Entry::Raised { alert, target },
        Entry::Classified { level: Level::One, rule: Some("service_crash".into()), why: "a benchmark".into(), runbook: None, mode: None },
    ];
    if !open {
        let why = || "looked into, and handed over".to_owned();
        entries.extend([
            Entry::RunStarted { run: 1, planner: PlannerKind::Runbook, runbook: None },
            Entry::RunEnded { planner: PlannerKind::Runbook, summary: why() },
            Entry::Escalated { why: why() },
            Entry::AlertResolved { fingerprint, alertname: "ServiceDown".into(), asked: None },
            Entry::Closed { outcome: why() },
        ]);
    }
    entries
}
