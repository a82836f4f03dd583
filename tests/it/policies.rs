//! The policies as they are shipped and as they are documented.

use paramedic::config::shipped_policies;
use paramedic::domain::{Inventory, InventoryFile};
use paramedic::safety::{Policies, SCHEMA};
use paramedic::tools;
use serde_json::json;

/// The words of a closed list of the schema.
fn listed(entity: &str) -> Vec<&'static str> {
    let (_, rest) = SCHEMA.split_once(&format!("entity {entity} enum [")).unwrap();
    rest.split_once(']').unwrap().0.split(',').map(|word| word.trim().trim_matches('"')).collect()
}

#[test]
fn policies_can_name_every_tool_there_is() {
    let listed = listed("Tool");
    for tool in tools::all() {
        assert!(
            listed.contains(&tool.name()),
            "add {} to config/policies/schema.cedarschema, and to a policy that permits it",
            tool.name()
        );
    }
    assert!(tools::all().len() < listed.len(), "{listed:?}: the forbidden ones are missing");
}

/// A tool that no policy mentions could never be used.
#[test]
fn every_tool_there_is_is_permitted_by_a_shipped_policy() {
    let boundary = include_str!("../../config/policies/boundary.cedar");
    for tool in tools::all() {
        assert!(boundary.contains(&format!("Tool::\"{}\"", tool.name())), "no shipped policy is about {}", tool.name());
    }
}

#[test]
fn every_shipped_policy_has_its_place_and_its_reason() {
    let policies = shipped_policies().unwrap();
    let ids: Vec<&str> = policies.all().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), policies.count());
    let (_, written) = policies.all().find(|(id, _)| *id == "restart_service").unwrap();
    let line = include_str!("../../config/policies/boundary.cedar").lines().nth(written.line - 1).unwrap();
    assert_eq!((written.file.as_str(), line), ("boundary.cedar", "@id(\"restart_service\")"));
    assert!(policies.all().all(|(_, written)| written.reason.len() > 5));
}

#[test]
fn the_documented_examples_are_policies() {
    let page = include_str!("../../docs/policies.md");
    let blocks: Vec<&str> = page.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 2, "the examples were not found");
    let files: Vec<(String, String)> = blocks.iter().enumerate().map(|(n, text)| (format!("{n}.cedar"), (*text).to_owned())).collect();
    let policies = Policies::load(&files).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(policies.count() >= 5);
    let none: InventoryFile = serde_json::from_value(json!({})).unwrap();
    assert_eq!(policies.strangers(&Inventory::build(none).unwrap(), &["approvers"]), []);
}
