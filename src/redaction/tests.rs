//! What is hidden and what is not, case by case; then over random texts: nothing of a secret is left, and twice is once.

use super::{Redactor, Secret, beginning};
use crate::domain::{Entry, PlannerKind, Proposal};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

const SECRET: &str = "s3cr&t/V4lue+ö\"x";

fn shapes(text: &str) -> String {
    Redactor::default().text(text).into_owned()
}

fn configured() -> Redactor {
    static ONE: LazyLock<Redactor> = LazyLock::new(build);
    ONE.clone()
}

fn build() -> Redactor {
    let secrets = [("slack.bot_token", SECRET), ("llm.api_key", "kA9-plain-enough"), ("server.webhook_token", "hook")];
    let secrets: Vec<_> = secrets.iter().map(|(name, value)| Secret { name: (*name).into(), value: (*value).into() }).collect();
    Redactor::new(&secrets, &[r"ticket-(\d{4})".to_owned(), "CUSTOMER[A-Z]+".to_owned()]).unwrap()
}

/// Every byte as `%XX`, some of them as they are.
fn percent(text: &str, which: impl Fn(u8) -> bool) -> String {
    text.bytes().map(|b| if which(b) && b.is_ascii() { char::from(b).to_string() } else { format!("%{b:02x}") }).collect()
}

#[test]
fn a_value_goes_and_the_name_that_calls_it_secret_stays() {
    let cases = [
        ("DB_PASSWORD=hunter2,;&x y", "DB_PASSWORD=[redacted: password] y"),
        ("user=bob password=hunter2, host=db1", "user=bob password=[redacted: password], host=db1"),
        ("https://api/x?id=7&access_token=abc.def&page=2", "https://api/x?id=7&access_token=[redacted: token]&page=2"),
        (r#"{"user":"bob","password":"hun\"ter2","host":"db1"}"#, r#"{"user":"bob","password":"[redacted: password]","host":"db1"}"#),
        (r#"{"msg":"{\"api_key\": \"k\\\"1\", \"n\": 1}"}"#, r#"{"msg":"{\"api_key\": \"[redacted: key]\", \"n\": 1}"}"#),
        ("db:\n  password: hunter2 # old\n  name: x", "db:\n  password: [redacted: password] # old\n  name: x"),
        ("client_secret: 'a b c'", "client_secret: '[redacted: secret]'"),
        ("curl --token abc123 --verbose", "curl --token [redacted: token] --verbose"),
        ("mysql --password hunter2 shop", "mysql --password [redacted: password] shop"),
        ("curl -s -u bob:hunter2 http://x/", "curl -s -u bob:[redacted: password] http://x/"),
        ("ALTER USER bob PASSWORD 'hunter2';", "ALTER USER bob PASSWORD '[redacted: password]';"),
        ("<Password>hunter2</Password>", "<Password>[redacted: password]</Password>"),
        ("params[password]=hunter2", "params[password]=[redacted: password]"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer [redacted: bearer token]"),
        ("authorization: Basic Ym9iOng= ok", "authorization: Basic [redacted: authorization] ok"),
        ("-H 'Authorization: token abc' -v", "-H 'Authorization: token [redacted: authorization]' -v"),
        ("Cookie: sid=1; theme=dark\nHost: x", "Cookie: [redacted: cookie]\nHost: x"),
        ("got bearer 0123456789abcdef from x", "got bearer [redacted: bearer token] from x"),
        ("spring.datasource.password=x1", "spring.datasource.password=[redacted: password]"),
        ("DB_PASS=x1 SMTP_PASS2=x2", "DB_PASS=[redacted: password] SMTP_PASS2=[redacted: password]"),
    ];
    for (text, wanted) in cases {
        assert_eq!(shapes(text), wanted, "{text}");
    }
}

#[test]
fn well_known_secrets_are_known_by_their_looks() {
    let long = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0";
    let cases = [
        ("id AKIAIOSFODNN7EXAMPLE here".to_owned(), "id [redacted: AWS access key] here"),
        (format!("push with ghp_{long}."), "push with [redacted: GitHub token]."),
        (format!("glpat-{long}"), "[redacted: GitLab token]"),
        ("xoxb-1234567890-abc".to_owned(), "[redacted: Slack token]"),
        ("see https://hooks.slack.com/services/T0/B0/abcdef".to_owned(), "see https://[redacted: Slack webhook]"),
        ("eyJhbGciOiJub25l.eyJzdWIiOiJib2Ii.c2ln".to_owned(), "[redacted: JSON web token]"),
        (format!("sk-proj-{long}"), "[redacted: model API key]"),
        ("postgres://app:p%40ss@db1:5432/shop".to_owned(), "postgres://app:[redacted: password]@db1:5432/shop"),
        (format!("PRIVATE+KEY+example.org/log+0a1b2c3d+{long}"), "[redacted: note signing key]"),
        ("amqp://app:pa/ss@mq".to_owned(), "amqp://app:[redacted: password]@mq"),
        (format!("a\n-----BEGIN RSA PRIVATE KEY-----\n{long}\n-----END RSA PRIVATE KEY-----\nb"), "a\n[redacted: private key]\nb"),
        (format!("-----BEGIN OPENSSH PRIVATE KEY-----\\n{long}"), "[redacted: private key]"),
    ];
    for (text, wanted) in cases {
        assert_eq!(shapes(&text), wanted, "{text}");
        let hidden = [
            STANDARD.encode(format!("x {text}")),
            URL_SAFE_NO_PAD.encode(&text),
            hex::encode(&text),
            percent(&text, |b| b.is_ascii_alphanumeric()),
        ];
        for encoded in hidden {
            let shown = shapes(&format!("before {encoded} after"));
            assert!(shown.contains("[redacted: ") && !shown.contains(&encoded), "{encoded} shows as {shown}");
            // A key that was cut off ends nobody knows where.
            assert!(shown.starts_with("before ") && (shown.ends_with(" after") || !text.contains("-----END")), "{shown}");
        }
    }
}

#[test]
fn what_only_looks_a_little_like_it_stays_readable() {
    for text in [
        "PWD=/srv/app OLDPWD=/root",
        "unexpected token in line 3",
        "the token expired; token: expired",
        "max_tokens=4096 tokens: 17",
        "secretName: db-login",
        "passwordFile=/etc/x",
        "token_type=bearer",
        "bearer authentication is on",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "http://db1:5432/shop?q=a@b",
        "commit 3eb72410aa /usr/lib/x86_64-linux-gnu/security/pam_unix.so",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "password=[redacted: password] token: ****",
        "Grüße, 100 % CPU \\o/ C:\\temp",
    ] {
        assert_eq!(shapes(text), text);
    }
}

#[test]
fn a_configured_secret_is_found_in_every_dress() {
    let redactor = configured();
    let dressed = [
        SECRET.to_owned(),
        json!(SECRET).to_string(),
        json!(json!(SECRET).to_string()).to_string(),
        STANDARD.encode(SECRET),
        STANDARD_NO_PAD.encode(format!("a{SECRET}b")),
        URL_SAFE.encode(format!("ab{SECRET}")),
        STANDARD.encode(format!("user:{SECRET}\n")),
        STANDARD.encode(STANDARD.encode(format!("user:{SECRET}"))),
        STANDARD
            .encode(format!("{:52}{SECRET}", "x"))
            .chars()
            .collect::<Vec<_>>()
            .chunks(76)
            .map(String::from_iter)
            .collect::<Vec<_>>()
            .join("\n"),
        hex::encode(SECRET),
        hex::encode_upper(format!("x{SECRET}y")),
        percent(SECRET, |_| false),
        percent(SECRET, |b| b.is_ascii_alphanumeric()),
        percent(SECRET, |b| b.is_ascii_graphic()),
        percent(&percent(SECRET, |b| b.is_ascii_alphanumeric()), |b| b != b'%'),
        percent(&STANDARD.encode(SECRET), |b| b.is_ascii_alphanumeric()),
        SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        SECRET.replace('&', "&amp;"),
    ];
    for text in dressed {
        let shown = redactor.text(&format!("<{text}>")).into_owned();
        assert!(shown.contains("[redacted: slack.bot_token]"), "{text} shows as {shown}");
        assert!(shown.starts_with('<') && shown.ends_with('>') && shown.len() < 45, "{text} shows as {shown}");
    }
    assert_eq!(redactor.text("see ticket-1234, CUSTOMERX"), "see ticket-[redacted: by pattern], [redacted: by pattern]");
    assert_eq!(redactor.text("cut off: kA9-plain…"), "cut off: [redacted: llm.api_key]…");
    assert_eq!(redactor.text("the hook stays: a short word is everywhere"), "the hook stays: a short word is everywhere");
    assert!(!format!("{redactor:?}").contains("kA9"));
}

#[test]
fn a_mark_behind_a_name_is_as_final_as_any() {
    for text in ["Authorization:a[redacted: private key]", "Authorization:a-----BEGIN PRIVATE KEY-----b", "password=x[redacted: token] y"] {
        let once = shapes(text);
        assert_eq!(shapes(&once), once, "{text}");
    }
}

#[test]
fn json_is_redacted_piece_by_piece() {
    let mut value = json!({
        "env": [{ "name": "DB_PASSWORD", "value": "hunter2" }, { "name": "HOME", "value": "/root" }],
        "argv": ["mysql", "--password", "hunter2", "--host", "db1"],
        "lines": ["x -----BEGIN PRIVATE KEY-----", "MIIabc", "-----END PRIVATE KEY-----", "after"],
        "login": { "user": "bob", "password": "hunter2", "pin_token": 1234, "has_password": true },
        "kA9-plain-enough": 1,
    });
    configured().value(&mut value);
    let wanted = json!({
        "env": [{ "name": "DB_PASSWORD", "value": "[redacted: password]" }, { "name": "HOME", "value": "/root" }],
        "argv": ["mysql", "--password", "[redacted: password]", "--host", "db1"],
        "lines": ["x [redacted: private key]", "[redacted: private key]", "[redacted: private key]", "after"],
        "login": { "user": "bob", "password": "[redacted: password]", "pin_token": "[redacted: token]", "has_password": true },
        "[redacted: llm.api_key]": 1,
    });
    assert_eq!(value, wanted);
}

#[test]
fn a_pattern_that_is_none_is_named() {
    let error = Redactor::new(&[], &["(".to_owned()]).unwrap_err().to_string();
    assert!(error.starts_with("`(` is no regular expression"), "{error}");
}

/// Pieces that texts with secrets are made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "(password|token|api_key|Authorization|PASSWORD|cookie|--secret)",
        "[=: \"'\\\\,;&\n\\[\\]%]{1,3}",
        Just("[redacted: password]".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("https://a:b@c/".to_owned()),
        Just(SECRET.to_owned()),
        Just(STANDARD.encode(SECRET)),
        Just(percent(SECRET, |b| b.is_ascii_alphanumeric())),
        "\\PC{0,4}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..6).prop_map(|pieces| pieces.concat())
}

/// Arguments as a model may write them, with names and lists that say of their neighbours that they are secret.
fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        "--(password|token|verbose)".prop_map(Value::from),
        "x?-----(BEGIN|END) PRIVATE KEY-----".prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof!["name|key|value|Name", text()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn proposal() -> impl Strategy<Value = Proposal> {
    (text(), arguments(), text(), prop::option::of(text())).prop_map(|(tool, arguments, reason, call)| Proposal {
        tool,
        arguments,
        reason,
        step: None,
        call,
    })
}

/// Through the store, as an entry.
fn stored(entry: Entry) -> Entry {
    configured().record(entry).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_a_secret_is_left_and_twice_is_once(pieces in prop::collection::vec(piece(), 0..12)) {
        let (redactor, text) = (configured(), pieces.concat());
        let once = redactor.text(&text).into_owned();
        prop_assert!(!once.contains(SECRET) && !once.contains(&STANDARD.encode(SECRET)), "{once}");
        prop_assert_eq!(redactor.text(&once), &*once, "{:?}", text);
    }

    /// A call waits in the queue as its thought was stored, and leaves it when a step with an equal proposal is stored. Were one of them
    /// redacted otherwise, the same call would be made again and again.
    #[test]
    fn a_proposal_is_the_same_however_often_it_is_redacted(wish in proposal()) {
        let thought = stored(Entry::Thought { text: String::new(), calls: vec![wish], tokens: 0 });
        let Entry::Thought { calls, .. } = &thought else { panic!("{thought:?}") };
        // The gate's way with it.
        let mut proposal = calls[0].clone();
        configured().proposal(&mut proposal);
        proposal.arguments.sort_all_objects();
        let step = stored(Entry::Denied { proposal, planner: PlannerKind::Model, opinions: Vec::new() });
        let Entry::Denied { proposal, .. } = &step else { panic!("{step:?}") };
        prop_assert_eq!(proposal, &calls[0]);
        prop_assert_eq!(&stored(thought.clone()), &thought);
    }

    #[test]
    fn a_secret_behind_anything_in_base64_is_found(before in prop::collection::vec(any::<u8>(), 0..40), after in prop::collection::vec(any::<u8>(), 0..9)) {
        let bytes = [&before[..], SECRET.as_bytes(), &after[..]].concat();
        for encoded in [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes), hex::encode(&bytes)] {
            let shown = configured().text(&encoded).into_owned();
            prop_assert!(shown.starts_with("[redacted: slack.bot_token]") && shown.trim_end_matches('=').ends_with(']'), "{encoded}: {shown}");
        }
    }
}

#[test]
fn a_text_is_cut_in_front_of_a_word_so_that_no_half_of_a_secret_stays() {
    let line = "seen mysql://app:a-long-password@db1/x and more";
    for most in 0..line.len() {
        let cut = beginning(line, most);
        assert!(cut.chars().count() <= most + 1 && (!cut.contains("a-l") || cut.contains("@db1/x")), "{most}: {cut}");
    }
    assert_eq!(
        (beginning(line, 200).as_str(), beginning("über-alles", 5).as_str(), beginning("ein Übel mehr", 9).as_str()),
        (line, "…", "ein Übel…")
    );
}
