//! A store with a history: incidents that are over, or open and waiting to be worked on.

use chrono::{TimeDelta, Utc};
use paramedic::domain::{Alert, AlertStatus, Entry, Fingerprint, Level, PlannerKind, ServiceName, Target, Time};
use paramedic::store::{Freeze, Inbox, Store};
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
    let at = |number: u64| begun + TimeDelta::milliseconds(number as i64);
    let (inbox, storing) = Inbox::open(store.clone(), || {});
    let storing = tokio::spawn(storing);
    for first in (from..to).step_by(500) {
        let some = first..(first + 500).min(to);
        inbox.accept(some.clone().map(|number| firing(number, at(number))).collect(), begun).await.unwrap();
        let waiting = store.waiting_alerts(500).await.unwrap();
        for (number, waiting) in some.zip(waiting) {
            let (at, entries) = (at(number), entries(waiting.alert, open));
            store.open(entries, &format!("bench-{number}"), &[waiting.id], &|_| Vec::new(), at).await.unwrap();
        }
    }
    drop(inbox);
    storing.await.unwrap();
    store.close().await;
    drop(store);
    std::fs::copy(&file, into).unwrap();
}

fn firing(number: u64, at: Time) -> Alert {
    let fingerprint = Fingerprint(format!("{number:016x}"));
    let labels = [("alertname", "ServiceDown".to_owned()), ("service", "api".to_owned()), ("instance", format!("web-{number}:9100"))];
    Alert {
        status: AlertStatus::Firing,
        labels: labels.map(|(name, value)| (name.to_owned(), value)).into(),
        annotations: [("summary".to_owned(), "api does not answer".to_owned())].into(),
        starts_at: at,
        ends_at: None,
        generator_url: String::new(),
        fingerprint,
        group_key: format!("group-{number}"),
        origin: Default::default(),
    }
}

fn entries(alert: Alert, open: bool) -> Vec<Entry> {
    let fingerprint = alert.fingerprint.clone();
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
