//! A server in the middle of everything is stopped, its store moved from a file to PostgreSQL, and goes on there as if nothing had been.

use super::{ANA, TestApp, firing, tales};
use crate::server::until;
use paramedic::domain::{OrderKind, ServiceName};
use paramedic::standins::Fault;
use paramedic::store::Store;
use std::process::Command;

/// The real binary; what it printed.
fn paramedic(app: &TestApp, args: &[&str], environment: &[(&str, &str)]) -> String {
    let config = app.place.path("config/paramedic.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_paramedic"));
    let ran = command.args(args).env("PARAMEDIC_CONFIG", config).envs(environment.iter().copied()).output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

async fn signed(app: &TestApp) -> String {
    let store = Store::open_beside(&app.place.store_url()).await.unwrap();
    let whole = async || store.newest_checkpoint().await.unwrap().map(|kept| kept.size) == Some(store.log_size().await.unwrap());
    until("the ledger is signed to its end", whole).await;
    let note = store.newest_checkpoint().await.unwrap().unwrap().note;
    store.close().await;
    note
}

/// One waits for an approval, one is being verified, what is to be said of a third waits in the outbox, and everything is halted.
async fn in_the_middle() -> TestApp {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.place.crash("orders");
    app.alertmanager(&orders_down()).await;
    app.until_line(2, "signal independent good").await;
    app.told(1).await;
    app.told(2).await;
    for faults in [app.slack.faults(), app.pagerduty.faults()] {
        faults.last(Some(Fault::Status(503)));
    }
    app.alertmanager(&firing("SomethingOdd", &[("severity", "warning")])).await;
    app.until(3, &["escalated"]).await;
    app.order(OrderKind::Halt, "bob", "before the move").await.unwrap();
    app
}

fn orders_down() -> super::Hook {
    firing("ServiceDown", &[("service", "orders"), ("severity", "critical")]).in_group("{}:{service=\"orders\"}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_the_middle_of_everything_is_moved_to_postgres_and_goes_on() {
    let mut app = in_the_middle().await;
    let note = app.place.path("note-from-before");
    std::fs::write(&note, signed(&app).await).unwrap();
    let (before, said) = (app.incidents().await, app.slack.messages().len());
    app.down().await;

    let (from, file) = (app.place.store_url(), app.place.path("state/paramedic.db"));
    let bytes = std::fs::read(&file).unwrap();
    app.place.gets_postgres();
    let to = app.place.store_url();
    let (head, host) = to.split_once('@').unwrap();
    let (head, password) = head.rsplit_once(':').unwrap();
    let hidden = format!("{head}:${{DB_PASSWORD}}@{host}");
    let migrate = |app: &TestApp| paramedic(app, &["store", "migrate", "--from", &from, "--to", &hidden], &[("DB_PASSWORD", password)]);
    let told = migrate(&app);
    assert!(told.starts_with(&format!("moved {from} to postgres://")) && !told.contains(password), "{told}");
    for row in [["alerts", "3"], ["approvals", "1"], ["budget_uses", "1"], ["incidents", "3"], ["orders", "1"]] {
        assert!(told.lines().any(|line| line.split_whitespace().eq(row)), "{row:?} is not in\n{told}");
    }
    let again = migrate(&app);
    assert!(again.contains(" already; nothing was copied"), "{again}");
    assert_eq!(again.split_once("\n\n").unwrap().1, told.split_once("\n\n").unwrap().1, "nothing was counted twice");
    // What a killed server left beside the file may have gone into it; what it says is the same.
    assert!(std::fs::read(&file).unwrap().len() >= bytes.len());

    app.configure("store", app.place.store("state"));
    app.up().await;
    assert_eq!(app.incidents().await, before);
    for faults in [app.slack.faults(), app.pagerduty.faults()] {
        faults.last(None);
    }
    app.skip(chrono::Duration::minutes(6));
    app.told(3).await;
    assert_eq!(app.pages(3), ["trigger"]);
    assert!(app.slack.messages().len() > said);

    // The halt holds here too, and the next incident has the next number.
    app.place.crash("mailer");
    let mailer = firing("ServiceDown", &[("service", "mailer"), ("severity", "critical")]).in_group("{}:{service=\"mailer\"}");
    app.alertmanager(&mailer).await;
    app.until(4, &["escalated"]).await;
    let transcript = app.transcript(4).await;
    assert!(transcript.contains("halt by bob via cli at ") && app.place.starts("mailer") == 1, "{transcript}");
    app.order(OrderKind::Resume, "bob", "moved").await.unwrap();

    app.alertmanager(&orders_down().resolved()).await;
    app.until(2, &["resolved"]).await;
    let store = Store::open_beside(&to).await.unwrap();
    let hour = app.now() - chrono::Duration::hours(1);
    assert_eq!(store.used(&ServiceName::parse("orders").unwrap(), "restart", hour).await.unwrap(), 1, "the budget is spent");
    store.close().await;
    for id in 1..=4 {
        app.told(id).await;
    }
    let roots = app.slack.messages().iter().filter(|message| message.thread_ts.is_none()).count();
    assert_eq!((roots, app.place.starts("orders")), (4, 2), "one thread an incident, one restart");
    signed(&app).await;
    let verified = paramedic(&app, &["ledger", "verify", "--checkpoint", note.to_str().unwrap()], &[]);
    assert!(verified.starts_with("ok: the ledger has "), "{verified}");
}

/// The question that was asked before the move is answered after it, on the message that was posted before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_the_move_is_decided_after_it_and_done_once() {
    let mut app = TestApp::start().await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.told(1).await;
    app.down().await;
    let from = app.place.store_url();
    app.place.gets_postgres();
    let to = app.place.store_url();
    paramedic(&app, &["store", "migrate", "--from", &from, "--to", &to], &[]);
    app.configure("store", app.place.store("state"));
    app.up().await;
    app.click("approve", ANA).await;
    app.until_line(1, "signal independent good").await;
    app.alertmanager(&tales::gateway_slow().resolved()).await;
    app.until(1, &["resolved"]).await;
    app.told(1).await;
    assert_eq!(app.place.starts("api-gateway"), 2);
    app.down().await;

    // And back into a file.
    let back = format!("sqlite://{}", app.place.path("back/paramedic.db").display());
    let told = paramedic(&app, &["store", "migrate", "--from", &to, "--to", &back], &[]);
    assert!(told.starts_with("moved postgres://"), "{told}");
    let key = app.place.path("state/ledger.key");
    std::fs::copy(key, app.place.path("back/ledger.key")).unwrap();
    app.configure("store", serde_json::json!({ "url": back }));
    app.up().await;
    assert_eq!(app.until(1, &["resolved"]).await, "resolved");
    app.alertmanager(&firing("SomethingOdd", &[("severity", "warning")])).await;
    app.until(2, &["escalated"]).await;
}
