//! Alertmanager's webhook body: every alert is taken or its refusal is told; what is taken survives the store and gets a level.

use super::Target;
use paramedic::classifier::Rules;
use paramedic::config::{load_rules, services_of};
use paramedic::domain::{Alert, AlertStatus, Level, Time};
use paramedic::http::alertmanager::{Delivery, parse};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;

pub const TARGET: Target = Target {
    name: "webhook",
    check,
    seeds,
    words: &[
        "\"alerts\":[",
        "\"labels\":{",
        "\"annotations\":{",
        "\"alertname\":\"",
        "\"status\":\"resolved\"",
        "\"status\":\"firing\"",
        "\"startsAt\":\"",
        "\"endsAt\":\"2026-11-20T10:00:00.123456789+23:59\"",
        "\"0001-01-01T00:00:00Z\"",
        "\"fingerprint\":\"",
        "\"groupKey\":",
        "\"groupLabels\":{",
        "\"truncatedAlerts\":18446744073709551615",
        "\"paramedic_level\":\"3\"",
        "\\ud83d\\ude00",
        "\\u0000",
        "null",
        "1e308",
        "},{",
    ],
    longest: 8192,
};

static RULES: LazyLock<Rules> = LazyLock::new(|| load_rules(&super::root().join("config")).unwrap().0);

fn now() -> Time {
    Time::from_timestamp(1_780_000_000, 0).unwrap()
}

fn check(body: &[u8]) {
    let read = parse(body, now());
    assert_eq!(read, parse(body, now()), "the same body was read in two ways");
    match read {
        Err(why) => assert!(why.contains("expected"), "says nothing of what was expected: {why}"),
        Ok(delivery) => every_item_counts(body, &delivery),
    }
}

fn every_item_counts(body: &[u8], delivery: &Delivery) {
    let value: Value = serde_json::from_slice(body).unwrap();
    let items = value["alerts"].as_array().unwrap();
    assert_eq!(delivery.alerts.len() + delivery.broken.len(), items.len(), "an alert is neither taken nor told");
    assert!(!delivery.alerts.is_empty() || items.is_empty(), "nothing was taken, and the sender is told that all is well");
    for why in &delivery.broken {
        assert!(why.starts_with("alerts[") && why.contains("expected"), "{why}");
    }
    delivery.alerts.iter().for_each(one);
}

fn one(alert: &Alert) {
    assert!(!alert.labels.is_empty() && !alert.fingerprint.0.is_empty() && alert.fingerprint.0.len() <= 128, "{alert:?}");
    assert!(alert.ends_at.is_none() || alert.status == AlertStatus::Resolved, "{alert:?}");
    let stored = serde_json::to_string(alert).unwrap();
    assert_eq!(&serde_json::from_str::<Alert>(&stored).unwrap(), alert, "the store would give back another alert");
    let found = RULES.classify(alert);
    let mut tame = alert.clone();
    tame.labels.remove("paramedic_level");
    assert!(found.level >= RULES.classify(&tame).level, "a label lowered the level: {alert:?}");
    assert!(found.rule.is_some() || found.level >= Level::Two, "{alert:?}");
    let (inventory, targets) = &*PLACES;
    let target = targets.target(alert);
    assert!(target.service.is_none_or(|name| inventory.service(&name).is_some()), "a service that nobody listed: {alert:?}");
    assert!(target.host.is_none_or(|name| inventory.host(&name).is_some()), "a host that nobody listed: {alert:?}");
}

static PLACES: LazyLock<(paramedic::domain::Inventory, paramedic::classifier::Targets)> =
    LazyLock::new(|| services_of(Path::new("services.yaml"), super::services::EXAMPLE).unwrap());

fn seeds() -> Vec<Vec<u8>> {
    let alert = |more: Value| {
        let mut alert = json!({
            "status": "firing", "labels": { "alertname": "ServiceDown", "service": "api", "instance": "10.0.0.11:9100" },
            "annotations": { "summary": "api is down" }, "startsAt": "2026-11-20T10:00:00.123Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph", "fingerprint": "c0ffee00c0ffee00",
        });
        alert.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        alert
    };
    let body = |alerts: &[Value]| {
        json!({
            "version": "4", "groupKey": "{}:{alertname=\"ServiceDown\"}", "truncatedAlerts": 0, "status": "firing", "receiver": "paramedic",
            "groupLabels": { "alertname": "ServiceDown" }, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager:9093", "notification_reason": "first notification", "alerts": alerts,
        })
    };
    let bodies = [
        body(&[alert(json!({}))]),
        body(&[
            alert(json!({ "status": "resolved", "endsAt": "2026-11-20T11:00:00+01:00" })),
            json!(7),
            alert(json!({ "fingerprint": "" })),
        ]),
        body(&[]),
        json!({ "status": "resolved", "groupLabels": { "a": 1 }, "truncatedAlerts": 3,
            "alerts": [{ "labels": { "alertname": true, "n": 1.5, "none": null, "paramedic_level": "3" } }] }),
        json!({ "alerts": [{ "labels": { "alertname": { "is": "odd" } } }] }),
        json!({ "alerts": [{ "labels": { "a": "b" }, "startsAt": "9999-12-31T23:59:59Z", "annotations": ["x"] }] }),
        json!([1, 2]),
    ];
    bodies.iter().map(|body| body.to_string().into_bytes()).collect()
}
