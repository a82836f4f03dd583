//! `paramedic halt`, `resume`, `hands-off`, `hands-on`, `orders`, `close`, `trust` and `costs` beside a running server.

use super::{BY_TOKEN, Ran, Serving, configured, run};
use paramedic::standins::model::{ModelStandin, Reply};
use serde_json::{Value, json};
use std::path::Path;

const SERVICES: &str = r#"services:
  - { name: cart, reach: { process: { command: [/bin/sleep, "100000"] } } }
"#;

fn said(ran: &Ran) -> (Option<i32>, &str, &str) {
    (ran.code, ran.out.trim(), ran.err.trim())
}

fn orders(folder: &Path) -> Value {
    serde_json::from_str(&run(folder, &["orders", "--json"]).out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_has_a_reason_and_a_name_and_is_listed_while_it_stands() {
    let folder = configured(BY_TOKEN, SERVICES);
    let folder = folder.path();
    let early = run(folder, &["halt", "--reason", "no server has run here"]);
    assert!(early.code == Some(1) && early.err.contains("nothing is halted; creating the file "), "{early:?}");
    let server = Serving::start(folder, &["--listen", "127.0.0.1:0"]).await;
    for command in [&["halt"][..], &["resume"], &["hands-off", "cart"], &["close", "INC-1"], &["trust", "close-breaker", "model"]] {
        let ran = run(folder, command);
        assert!(ran.code == Some(64) && ran.err.contains("--reason"), "{command:?}: {ran:?}");
        let empty = run(folder, &[command, &["--reason", "  "]].concat());
        assert!(empty.code == Some(64) && empty.err.contains("a reason is needed"), "{command:?}: {empty:?}");
    }
    assert_eq!(said(&run(folder, &["orders"])), (Some(0), "nothing stands in the way", ""));
    assert_eq!(said(&run(folder, &["resume", "--reason", "x"])), (Some(1), "", "paramedic: nothing is halted by an order"));

    let halted = run(folder, &["halt", "--reason", "too much at once"]);
    assert!(halted.code == Some(0) && halted.out.starts_with("halt by ") && halted.out.contains(" via cli at "), "{halted:?}");
    assert!(halted.out.contains("(ORD-1): too much at once (nothing that changes anything starts"), "{halted:?}");
    let unknown = run(folder, &["hands-off", "crat", "--reason", "x"]);
    let expected = "paramedic: there is no service crat in the inventory: expected one of cart";
    assert_eq!(said(&unknown), (Some(64), "", expected));
    let span = run(folder, &["hands-off", "cart", "--reason", "x", "--for", "2w"]);
    assert!(span.code == Some(64) && span.err.contains("expected a number and s, m, h or d"), "{span:?}");
    assert_eq!(run(folder, &["hands-off", "cart", "--reason", "disk swap", "--for", "2h"]).code, Some(0));
    let listed = run(folder, &["orders"]).out;
    assert!(listed.starts_with("HALTED  halt by ") && listed.contains("\nHANDS OFF  hands off cart until "), "{listed}");

    server.fire("ServiceDown", "cart").await;
    server.until_incident("INC-1", "is left to a human", |incident| incident["state"] == "escalated").await;
    let closed = run(folder, &["close", "INC-1", "--reason", "a drill"]);
    assert!(closed.code == Some(0) && closed.out.starts_with("close INC-1 by "), "{closed:?}");
    server.until_incident("INC-1", "is closed", |incident| incident["state"] == "closed").await;
    assert_eq!(said(&run(folder, &["close", "1", "--reason", "x"])), (Some(1), "", "paramedic: INC-1 is over already"));
    assert_eq!(said(&run(folder, &["close", "INC-9", "--reason", "x"])), (Some(1), "", "paramedic: there is no INC-9"));

    assert_eq!(run(folder, &["resume", "--reason", "calm"]).code, Some(0));
    assert_eq!(run(folder, &["hands-on", "cart", "--reason", "done"]).code, Some(0));
    assert_eq!(orders(folder), json!({ "halted": false, "halts": [], "hands_off": [], "freezes": [], "breakers": [] }));
    let all = run(folder, &["orders", "--all"]).out;
    assert_eq!(all.lines().count(), 5, "{all}");
    assert!(all.starts_with("hands on cart by "), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_halt_file_is_shown_and_a_resume_says_that_it_is_still_there() {
    let main = format!(
        "{BY_TOKEN}\nhalt_file: stop/HALT\nfreezes:\n  - {{ reason: audit, from: 2020-01-01T00:00:00Z, to: 2999-01-01T00:00:00Z }}"
    );
    let folder = configured(&main, SERVICES);
    let folder = folder.path();
    let server = Serving::start(folder, &["--listen", "127.0.0.1:0"]).await;
    std::fs::create_dir(folder.join("stop")).unwrap();
    std::fs::write(folder.join("stop/HALT"), "fire drill").unwrap();
    let view = orders(folder);
    let file = format!("by the file {}: fire drill", folder.join("stop/HALT").display());
    assert_eq!((&view["halts"], &view["freezes"]), (&json!([file]), &json!(["everything: audit (deny)"])));
    assert_eq!(run(folder, &["halt", "--reason", "x"]).code, Some(0));
    let resumed = run(folder, &["resume", "--reason", "y"]);
    assert!(
        resumed.code == Some(1) && resumed.err.contains("still halted by the file ") && resumed.out.starts_with("resume by "),
        "{resumed:?}"
    );
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_is_shown_with_what_it_comes_from() {
    let folder = configured(BY_TOKEN, SERVICES);
    let folder = folder.path();
    let server = Serving::start(folder, &["--listen", "127.0.0.1:0"]).await;
    assert!(run(folder, &["trust"]).out.starts_with("nobody has been right or wrong yet"));
    assert_eq!(serde_json::from_str::<Value>(&run(folder, &["trust", "--json"]).out).unwrap(), json!({ "agents": [], "marks": [] }));
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    assert_eq!(run(folder, &["deny", "APR-1"]).code, Some(0));
    server.until_incident("INC-1", "goes to a human", |incident| incident["state"] == "escalated").await;
    let shown = run(folder, &["trust"]).out;
    let agent: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(agent, ["runbook:response_time_anomaly", "480", "1", "closed"], "{shown}");
    assert!(shown.contains("a proposal that a human refused (HighRequestLatency, service:cart)"), "{shown}");
    let close = |agent: &str| run(folder, &["trust", "close-breaker", agent, "--reason", "x"]);
    assert_eq!(said(&close("model")), (Some(1), "", "paramedic: the breaker of model is not open"));
    assert!(close("nobody").err.contains("`nobody` is no agent: expected model, or runbook:NAME"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_model_costs_is_shown_by_day_and_service() {
    let model = ModelStandin::start([Reply::text("I looked, and found nothing.")]).await.unwrap();
    let llm = format!(
        "llm: {{ base_url: '{}', model: m, prices: {{ m: {{ input: 1, output: 2 }} }}, limits: {{ dollars_a_day: 3 }} }}",
        model.url()
    );
    let folder = configured(&format!("{BY_TOKEN}\nplanner: {{ first: model }}\n{llm}"), SERVICES);
    let folder = folder.path();
    let server = Serving::start(folder, &["--listen", "127.0.0.1:0"]).await;
    let row = |shown: &str, name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in\n{shown}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let none = run(folder, &["costs"]).out;
    assert_eq!(row(&none, "all together")[2..], ["0", "0", "0", "$0.0000", "5000000", "tokens,", "$3.0000"]);
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    let costs: Value = serde_json::from_str(&run(folder, &["costs", "--json"]).out).unwrap();
    let (all, cart) = (&costs["all"], &costs["places"][0]);
    assert_eq!((cart["place"].as_str(), cart["calls"].as_u64(), &cart["tokens_in"]), (Some("cart"), Some(1), &all["tokens_in"]), "{costs}");
    assert_eq!(cart["tokens_left"], 1_000_000 - cart["tokens_in"].as_u64().unwrap() - cart["tokens_out"].as_u64().unwrap());
    assert!(all["dollars"].as_f64() > Some(0.0) && costs["dollars_ever"] == all["dollars"], "{costs}");
    assert_eq!(row(&run(folder, &["costs"]).out, "cart")[1], "1");
    assert!(run(folder, &["costs", "--day", "2020-02-29"]).out.starts_with("2020-02-29 (UTC)\n"));
    assert_eq!(run(folder, &["costs", "--day", "yesterday"]).code, Some(64));
    drop(server);
}
