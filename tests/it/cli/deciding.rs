//! `paramedic approve` and `deny` beside a running server: the first decision stands, and the server carries it out.

use super::{BY_TOKEN, Ran, Serving, configured, run};
use std::path::Path;

const SERVICES: &str = r#"services:
  - { name: cart, reach: { process: { command: [/bin/sleep, "100000"] } } }
  - { name: shop, reach: { process: { command: [/bin/sleep, "100000"] } } }
"#;

fn running(folder: &Path, instance: &str) -> bool {
    folder.join(format!("data/run/{instance}.pid")).exists()
}

fn said(ran: &Ran) -> (Option<i32>, &str, &str) {
    (ran.code, ran.out.trim(), ran.err.trim())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_granted_once_and_carried_out_and_what_is_denied_is_not() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    assert_eq!(said(&run(folder.path(), &["approve"])), (Some(0), "no approval is waiting", ""));
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    let waiting = run(folder.path(), &["approve"]);
    let text = waiting.out.trim();
    assert!(text.starts_with("APR-1 (INC-1) until ") && text.contains("\n    level 2: a human confirms each change\n"), "{waiting:?}");
    let weighed =
        "\n    risk 0.60 (reversible 0.30, environment not declared +0.20, off-hours +0.10)\n    estimated impact: users: none is cut off;";
    assert!(text.contains(weighed), "{waiting:?}");
    assert!(text.contains("Z: scale_service {\"add\":1,") && text.contains("\"service\":\"cart\""), "{waiting:?}");
    assert!(!running(folder.path(), "cart.2"));

    let granted = run(folder.path(), &["approve", "APR-1"]);
    assert!(granted.code == Some(0) && granted.out.starts_with("APR-1 granted: scale_service {"), "{granted:?}");
    let second = run(folder.path(), &["deny", "1"]);
    assert_eq!((second.code, second.out.as_str()), (Some(1), ""), "{second:?}");
    // Granted, or used once the server has begun.
    let first = ["APR-1 is already granted by ", "APR-1 is already used: granted by "];
    assert!(first.iter().any(|words| second.err.starts_with(&format!("paramedic: {words}"))), "{}", second.err);
    assert!(second.err.ends_with(": the first decision stands\n"), "{}", second.err);
    server.until_incident("INC-1", "is scaled", |incident| incident["actions"].as_array().unwrap().iter().any(scaled)).await;
    assert!(running(folder.path(), "cart.2") && !running(folder.path(), "cart.3"));

    server.fire("HighRequestLatency", "shop").await;
    server.until_incident("INC-2", "asks", |incident| incident["state"] == "awaiting_approval").await;
    let denied = run(folder.path(), &["deny", "APR-2"]);
    assert!(denied.code == Some(0) && denied.out.starts_with("APR-2 denied: scale_service {"), "{denied:?}");
    server.until_incident("INC-2", "goes to a human", |incident| incident["state"] == "escalated").await;
    assert!(!running(folder.path(), "shop.2"));
    let second = run(folder.path(), &["approve", "APR-2"]);
    assert_eq!((second.code, second.out.as_str()), (Some(1), ""), "{second:?}");
    assert!(second.err.starts_with("paramedic: APR-2 is already denied by ") && second.err.contains(" via cli at "), "{}", second.err);
}

fn scaled(action: &serde_json::Value) -> bool {
    action["tool"] == "scale_service" && action["outcome"] == "succeeded"
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_does_not_exist_is_neither_granted_nor_denied() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    for command in ["approve", "deny"] {
        assert_eq!(said(&run(folder.path(), &[command, "APR-77"])), (Some(1), "", "paramedic: there is no approval APR-77"));
        let wrong = "paramedic: `yes` is not an id: expected APR-NUMBER, such as APR-7";
        assert_eq!(said(&run(folder.path(), &[command, "yes"])), (Some(64), "", wrong));
    }
    assert_eq!(said(&run(folder.path(), &["deny"])), (Some(0), "no approval is waiting", ""));
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_approves_while_everything_is_halted_is_told_that_it_is_not_done() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    assert_eq!(run(folder.path(), &["halt", "--reason", "not now"]).code, Some(0));
    let granted = run(folder.path(), &["approve", "APR-1"]);
    assert!(granted.code == Some(0) && granted.err.contains("everything is halted, so that it is not begun"), "{granted:?}");
    assert!(granted.err.contains("(ORD-1): not now"), "{granted:?}");
    server.until_incident("INC-1", "goes to a human", |incident| incident["state"] == "escalated").await;
    assert!(!running(folder.path(), "cart.2"));
}
