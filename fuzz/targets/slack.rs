//! Slack's interactions: only what is signed passes, and a click is what Slack's payload says and nothing else.

use super::Target;
use http::{HeaderMap, HeaderValue};
use paramedic::clients::slack::Click;
use paramedic::domain::Time;
use paramedic::http::slack::{DoorError, SIGNATURE, TIMESTAMP, receive, signature, verify};
use secrecy::SecretString;
use serde_json::{Value, json};

pub const TARGET: Target = Target {
    name: "slack",
    check,
    seeds,
    words: &[
        "payload=",
        "&",
        "%22",
        "%7B",
        "%C3%A9",
        "%",
        "+",
        "\"type\":\"block_actions\"",
        "\"actions\":[",
        "\"action_id\":\"approve\"",
        "\"action_id\":\"deny\"",
        "\"value\":\"{\\\"approval\\\":\\\"APR-3\\\",\\\"digest\\\":\\\"ab\\\"}\"",
        "\"user\":{\"id\":\"U1\"}",
        "\"container\":{",
        "\"message_ts\":\"1.2\"",
        "\"channel_id\":\"C1\"",
        "\"response_url\":\"",
        "APR-9223372036854775807",
        "v0=",
        "1780000000",
    ],
    longest: 4096,
};

const NOW: i64 = 1_780_000_000;

fn secret() -> SecretString {
    SecretString::from("8f742231b10e8888abcd99yyyzzz85a5")
}

fn now() -> Time {
    Time::from_timestamp(NOW, 0).unwrap()
}

fn headers(timestamp: &[u8], signed: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(TIMESTAMP, HeaderValue::from_bytes(timestamp).ok()?);
    headers.insert(SIGNATURE, HeaderValue::from_bytes(signed).ok()?);
    Some(headers)
}

fn signed(body: &[u8]) -> HeaderMap {
    let timestamp = NOW.to_string();
    let signature = signature(&secret(), &timestamp, body).unwrap();
    headers(timestamp.as_bytes(), signature.as_bytes()).unwrap()
}

fn check(bytes: &[u8]) {
    as_body(bytes);
    as_headers(bytes);
    if let Ok(payload) = std::str::from_utf8(bytes) {
        as_payload(payload);
    }
}

fn as_body(body: &[u8]) {
    let good = signed(body);
    verify(&secret(), &good, body, now()).expect("what was signed passes");
    match receive(&secret(), &good, body, now()) {
        Ok(click) => {
            let payload = form_urlencoded::parse(body).find(|(name, _)| name == "payload").unwrap().1;
            is_what_it_says(&click, &payload);
        }
        Err(DoorError::Signature(e)) => panic!("the signature is right: {e}"),
        Err(told) => assert!(!told.to_string().is_empty()),
    }
    let mut other = body.to_vec();
    match other.last_mut() {
        Some(byte) => *byte ^= 1,
        None => other.push(b'x'),
    }
    assert!(verify(&secret(), &good, &other, now()).is_err(), "another body passes under the same signature");
    assert!(verify(&SecretString::from("another"), &good, body, now()).is_err(), "another secret's signature passes");
}

/// The first two lines are what the headers say, the rest is the body.
fn as_headers(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let (Some(timestamp), Some(claimed), Some(body)) = (lines.next(), lines.next(), lines.next()) else { return };
    let Some(headers) = headers(timestamp, claimed) else { return };
    if verify(&secret(), &headers, body, now()).is_ok() {
        let timestamp = std::str::from_utf8(timestamp).unwrap();
        let right = signature(&secret(), timestamp, body).unwrap();
        assert!(right.as_bytes().eq_ignore_ascii_case(claimed), "a forged signature passes");
        assert!(timestamp.parse::<i64>().unwrap().abs_diff(NOW) <= 300, "{timestamp} passes");
    }
}

fn as_payload(payload: &str) {
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish();
    let by_form = receive(&secret(), &signed(form.as_bytes()), form.as_bytes(), now());
    match (Click::parse(payload), by_form) {
        (Ok(click), Ok(same)) => {
            assert_eq!(click, same);
            is_what_it_says(&click, payload);
        }
        (Err(why), Err(DoorError::Click(same))) => assert_eq!(why.to_string(), same.to_string()),
        (alone, in_a_form) => panic!("{alone:?} alone, {in_a_form:?} in a form"),
    }
}

fn is_what_it_says(click: &Click, payload: &str) {
    let value: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(value["type"], "block_actions");
    assert_eq!(value["actions"].as_array().unwrap().len(), 1, "one of several actions was taken");
    assert_eq!(value["user"]["id"], click.user_id.as_str());
    let spoken: Value = serde_json::from_str(value["actions"][0]["value"].as_str().unwrap()).unwrap();
    assert_eq!(spoken["digest"], click.digest.0.as_str());
    assert_eq!(spoken["approval"].as_str().unwrap().parse::<paramedic::domain::ApprovalId>().unwrap(), click.approval);
    assert!(!click.user_id.is_empty() && !click.digest.0.is_empty() && click.approval.0 > 0, "{click:?}");
}

fn seeds() -> Vec<Vec<u8>> {
    let payload = |value: Value| {
        json!({
            "type": "block_actions", "user": { "id": "U1", "username": "ana", "team_id": "T1" }, "team": { "id": "T1" }, "api_app_id": "A1",
            "container": { "type": "message", "message_ts": "1.2", "channel_id": "C1" }, "response_url": "https://hooks.slack.com/actions/x",
            "actions": [{ "type": "button", "action_id": "approve", "value": value }],
        })
    };
    let good = payload(json!(r#"{"approval":"APR-3","digest":"ab"}"#));
    let mut two = good.clone();
    let again = two["actions"][0].clone();
    two["actions"].as_array_mut().unwrap().push(again);
    let payloads = [good, two, payload(json!(null)), payload(json!("{}")), json!({ "type": "view_submission" })];
    let mut seeds = Vec::new();
    for payload in payloads {
        let text = payload.to_string();
        let form = form_urlencoded::Serializer::new(String::new()).append_pair("payload", &text).finish();
        let header = format!("{NOW}\n{}\n{form}", signature(&secret(), &NOW.to_string(), form.as_bytes()).unwrap());
        seeds.extend([text.into_bytes(), form.into_bytes(), header.into_bytes()]);
    }
    seeds.extend([b"payload={}&payload={}".to_vec(), b"other=1".to_vec(), b"-1\nv0=\n".to_vec()]);
    seeds
}
