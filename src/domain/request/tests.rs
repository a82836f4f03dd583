//! The sealed text: its spelling, what it binds, and what opens nothing.

use super::*;
use crate::domain::ServiceName;
use serde_json::json;

pub(crate) fn request() -> Request {
    let api = ServiceName::parse("api").unwrap();
    Request {
        approval: ApprovalId(3),
        incident: IncidentId(7),
        requester: "agent".into(),
        tool: "scale_service".into(),
        tier: Tier::Reversible,
        target: Target { service: Some(api.clone()), host: None },
        arguments: json!({ "service": "api", "add": 1, "reason": "it is <b>slow</b>" }),
        effect: Effect::Scale { service: api, add: 1 },
        reasons: vec!["level 2: a human confirms each change".into()],
        words: "more load € than usual".into(),
        seen: Seen::default(),
        policy_version: "p1".into(),
        quorum: 1,
        signature: false,
        asked_at: Time::UNIX_EPOCH,
        decide_by: Time::UNIX_EPOCH + chrono::Duration::seconds(300),
        execute_by: Time::UNIX_EPOCH + chrono::Duration::seconds(900),
        nonce: "00112233445566778899aabbccddeeff".into(),
    }
}

#[test]
fn a_request_is_one_text_in_rfc_8785_s_spelling_with_one_digest() {
    let sealed = Sealed::seal(&request()).unwrap();
    insta::assert_snapshot!(sealed.text(), @r#"{"approval":"APR-3","arguments":{"add":1,"reason":"it is <b>slow</b>","service":"api"},"asked_at":"1970-01-01T00:00:00Z","decide_by":"1970-01-01T00:05:00Z","effect":{"add":1,"effect":"scale","service":"api"},"execute_by":"1970-01-01T00:15:00Z","incident":"INC-7","nonce":"00112233445566778899aabbccddeeff","policy_version":"p1","quorum":1,"reasons":["level 2: a human confirms each change"],"requester":"agent","seen":{"disks":[],"services":[]},"signature":false,"target":{"service":"api"},"tier":"reversible","tool":"scale_service","words":"more load € than usual"}"#);
    assert_eq!(Sealed::open(sealed.text().to_owned(), &sealed.digest().0).unwrap(), sealed);
}

#[test]
fn every_field_is_bound() {
    let plain = Sealed::seal(&request()).unwrap();
    let Value::Object(fields) = serde_json::to_value(request()).unwrap() else { panic!("no object") };
    let changed = |key: &str| match (key, &fields[key]) {
        ("approval", _) => json!("APR-4"),
        ("incident", _) => json!("INC-8"),
        ("tier", _) => json!("destructive"),
        ("effect", _) => json!({ "effect": "scale", "service": "api", "add": 2 }),
        ("target", _) => json!({ "service": "db" }),
        ("seen", _) => json!({ "services": [], "disks": [{ "host": "h", "mount": "/", "used_percent": 3 }] }),
        ("reasons", _) => json!([]),
        ("arguments", _) => json!({}),
        (_, Value::Bool(b)) => json!(!b),
        (_, Value::Number(_)) => json!(2),
        ("asked_at" | "decide_by" | "execute_by", _) => json!("1971-01-01T00:00:00Z"),
        _ => json!("other"),
    };
    for key in fields.keys() {
        let mut other = fields.clone();
        other[key] = changed(key);
        let other: Request = serde_json::from_value(Value::Object(other)).unwrap();
        assert_ne!(Sealed::seal(&other).unwrap().digest(), plain.digest(), "{key} is not bound");
    }
}

#[test]
fn a_text_that_was_touched_or_spelled_otherwise_opens_nothing() {
    let sealed = Sealed::seal(&request()).unwrap();
    let touched = sealed.text().replace("\"add\":1", "\"add\":2");
    assert!(matches!(Sealed::open(touched.clone(), &sealed.digest().0), Err(SealError::Changed { .. })));
    let spelled = sealed.text().replace("\"add\":1", "\"add\": 1");
    let theirs = digest(&spelled).0;
    assert!(matches!(Sealed::open(spelled, &theirs), Err(SealError::OtherSpelling)));
    let twice = sealed.text().replace("\"quorum\":1", "\"quorum\":1,\"quorum\":1");
    let theirs = digest(&twice).0;
    assert!(matches!(Sealed::open(twice, &theirs), Err(SealError::Unreadable(_))));
    let theirs = digest("{}").0;
    assert!(matches!(Sealed::open("{}".into(), &theirs), Err(SealError::Unreadable(_))));
}

#[test]
fn the_planners_words_stand_apart_from_what_has_an_effect() {
    let request = Sealed::seal(&request()).unwrap();
    assert_eq!(request.facts(), json!({ "service": "api", "add": 1 }));
    assert_eq!(request.said(), [("reason", "more load € than usual"), ("reason", "it is <b>slow</b>")]);
    assert_eq!(request.summary(), r#"scale_service {"add":1,"service":"api"}"#);
}
