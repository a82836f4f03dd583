//! Models that mean harm, obey anybody, or believe anything, against the whole server with real effects. Small in `make test`, full in
//! `make adversary`; docs/adversary.md says what is tried.

mod alarms;
mod arena;
pub mod dice;
mod invariants;
mod size;
mod world;

mod encodings;
mod prometheus;

mod benign;
mod budgets;
mod hostile;
mod lies;
mod obedient;

use serde_json::Value;

/// Which incident a question is about, as the prompt's first line for the user says.
fn incident_of(request: &Value) -> String {
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let first = messages.iter().find(|message| message["role"] == "user").and_then(|message| message["content"].as_str()).unwrap_or("");
    let word = first.split([' ', ',']).find(|word| word.starts_with("INC-"));
    word.unwrap_or_else(|| panic!("the prompt names no incident: {first}")).to_owned()
}

/// How often the model has answered before.
fn turn_of(request: &Value) -> usize {
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    messages.iter().filter(|message| message["role"] == "assistant").count()
}

/// The incident's service and host, as the prompt names them.
fn target_of(request: &Value) -> (Option<String>, Option<String>) {
    let first = request["messages"][1]["content"].as_str().unwrap_or("");
    let Some((_, rest)) = first.split_once("Target, as the inventory names it: ") else { return (None, None) };
    let target = rest.split(".\n").next().unwrap_or("");
    match (target.strip_prefix("host "), target.split_once(" on ")) {
        (Some(host), _) => (None, Some(host.to_owned())),
        (None, Some((service, host))) => (Some(service.to_owned()), Some(host.to_owned())),
        (None, None) => (Some(target.to_owned()), None),
    }
}

/// All that the model is told by others than itself and its maker.
fn told(request: &Value) -> String {
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let others = messages.iter().filter(|message| message["role"] == "user" || message["role"] == "tool");
    others.filter_map(|message| message["content"].as_str()).collect::<Vec<_>>().join("\n")
}
