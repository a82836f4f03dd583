//! PagerDuty and mail; and the settings of all three.

use super::*;
use paramedic::domain::Severity;
use paramedic::notify::{EmailSettings, PagerDutySettings, SendError};
use paramedic::standins::{Fault, PagerDutyIncident, PagerDutyStandin, SmtpStandin};
use serde_json::json;

fn pager(desk: &PagerDutyStandin) -> Notifier {
    let settings = PagerDutySettings { routing_key: SecretString::from(PagerDutyStandin::ROUTING_KEY), api_url: desk.api_url() };
    Notifier::build(None, Some(&settings), None).unwrap()
}

#[tokio::test]
async fn an_incident_is_one_page_that_is_acknowledged_and_resolved() {
    let desk = PagerDutyStandin::start().await.unwrap();
    let notifier = pager(&desk);
    assert_eq!(notifier.channels(), [Channel::Pagerduty]);
    let hostile = "x".repeat(5000) + "\r\n";
    let incident = incident("DBCorruption", &hostile, vec![]);
    let page = Notice::Page { severity: Severity::Critical, summary: hostile.clone() };
    for notice in [&Notice::Acknowledge, &page, &page, &Notice::Acknowledge, &Notice::Resolve] {
        notifier.send(&outgoing(Channel::Pagerduty, notice, &incident)).await.unwrap();
    }
    let seen: Vec<_> = desk.events().iter().map(|event| (event.action.clone(), event.effective)).collect();
    let expected = [("acknowledge", false), ("trigger", true), ("trigger", true), ("acknowledge", true), ("resolve", true)];
    assert_eq!(seen, expected.map(|(action, effective)| (action.to_owned(), effective)));
    assert_eq!(desk.incident("paramedic/INC-7"), Some(PagerDutyIncident::Resolved));
    let payload = desk.events()[1].payload.clone().unwrap();
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("critical"), &json!("api")));
    assert!(payload["summary"].as_str().unwrap().ends_with("(cut)"));
    assert_eq!(payload["custom_details"]["incident"], "INC-7");
}

#[tokio::test]
async fn pagerduty_is_tried_again_after_minutes_where_it_is_busy_and_until_it_is_put_right_where_the_key_is_wrong() {
    let desk = PagerDutyStandin::start().await.unwrap();
    let notifier = pager(&desk);
    let incident = latency();
    let page = Notice::Page { severity: Severity::Warning, summary: "p99".into() };
    desk.faults().plan(Fault::TooMany(5), 1);
    desk.faults().plan(Fault::Status(500), 1);
    let busy = notifier.send(&outgoing(Channel::Pagerduty, &page, &incident)).await.unwrap_err();
    assert!(matches!(busy, SendError::Later { after: Some(after), .. } if after >= Duration::from_secs(60)), "{busy:?}");
    let broken = notifier.send(&outgoing(Channel::Pagerduty, &page, &incident)).await.unwrap_err();
    assert!(matches!(broken, SendError::Later { after: None, .. }), "{broken:?}");

    let wrong = PagerDutySettings { routing_key: SecretString::from("ffff"), api_url: desk.api_url() };
    let notifier = Notifier::build(None, Some(&wrong), None).unwrap();
    let refused = notifier.send(&outgoing(Channel::Pagerduty, &page, &incident)).await.unwrap_err();
    assert!(matches!(&refused, SendError::Refused { why } if why.contains("routing_key") && !why.contains("ffff")), "{refused:?}");
    assert!(matches!(notifier.send(&outgoing(Channel::Pagerduty, &Notice::Card, &incident)).await, Err(SendError::Never { .. })));
    assert!(desk.events().is_empty());
}

#[tokio::test]
async fn a_mail_arrives_whole_and_hostile_text_adds_no_header() {
    let server = SmtpStandin::start().await.unwrap();
    let settings = EmailSettings {
        url: SecretString::from(server.url()),
        from: "Paramedic <paramedic@example.org>".into(),
        to: vec!["ana@example.org".into(), "bob@example.org".into()],
        user: None,
        password: None,
    };
    let notifier = Notifier::build(None, None, Some(&settings)).unwrap();
    let incident = incident("Disk\r\nBcc: all@example.org", "p99", vec![]);
    let said = Notice::Message { severity: Severity::Warning, text: "first\n.\n.dot\nBcc: more@example.org\r\nlast é".into() };
    server.refuse_next("451 try again later");
    let later = notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap_err();
    assert!(matches!(later, SendError::Later { .. }), "{later:?}");
    server.refuse_next("552 too much");
    let never = notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap_err();
    assert!(matches!(never, SendError::Never { .. }), "{never:?}");
    server.refuse_next("554 5.7.1 relay access denied");
    let refused = notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap_err();
    assert!(matches!(refused, SendError::Refused { .. }), "{refused:?}");

    notifier.send(&outgoing(Channel::Email, &said, &incident)).await.unwrap();
    let mail = server.until(PATIENCE, |mails| mails.first().cloned()).await.unwrap();
    assert_eq!((mail.from.as_str(), mail.to.len()), ("paramedic@example.org", 2));
    let headers = mail.headers();
    assert!(headers.iter().any(|line| line.starts_with("Message-ID: <")), "{headers:#?}");
    assert!(headers.iter().all(|line| !line.to_lowercase().starts_with("bcc")), "{headers:#?}");
    assert!(headers.iter().any(|line| line.starts_with("Subject: [paramedic] INC-7 Disk")), "{headers:#?}");

    let asked = approval(action(json!({ "add": 1 })));
    let ask = Notice::Ask { approval: asked.id() };
    notifier.send(&Outgoing { approval: Some(&asked), ..outgoing(Channel::Email, &ask, &latency()) }).await.unwrap();
    let mail = server.until(PATIENCE, |mails| mails.get(1).cloned()).await.unwrap();
    assert!(mail.data.contains("paramedic approve APR-3") && mail.data.contains("scale_service"), "{}", mail.data);
}

#[test]
fn settings_are_read_with_their_secrets_hidden_and_unknown_keys_refused() {
    let settings: SlackSettings = serde_json::from_value(json!({ "bot_token": "xoxb-1", "channel": "#ops" })).unwrap();
    assert_eq!(settings.api_url, "https://slack.com/api");
    assert!(settings.approvers.is_empty() && !format!("{settings:?}").contains("xoxb"));
    let typo = json!({ "bot_token": "x", "channel": "#ops", "approver": ["U1"] });
    assert!(serde_json::from_value::<SlackSettings>(typo).unwrap_err().to_string().contains("approver"));
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_said_at_once() {
    let slack = SlackSettings {
        api_url: "http://slack.example".into(),
        ..serde_json::from_value(json!({ "bot_token": "x", "channel": "#o" })).unwrap()
    };
    let pagerduty = PagerDutySettings { routing_key: SecretString::from("k"), api_url: "nonsense".into() };
    let email = EmailSettings { url: SecretString::from("imap://x"), from: "a".into(), to: vec![], user: None, password: None };
    let problems = Notifier::build(Some(&slack), Some(&pagerduty), Some(&email)).err().unwrap();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["slack.api_url", "pagerduty.api_url", "email"]);
}
