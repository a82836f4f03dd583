//! Reading a tool's arguments: one struct is the parser, the schema and the description.

use super::{About, Understood};
use crate::domain::{Effect, Host, HostName, Service, ServiceName, Target};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The schema of `A`; its doc comment is the description.
pub fn schema<A: JsonSchema>() -> Value {
    let mut schema = schemars::generate::SchemaSettings::draft07()
        .with(|s| s.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<A>()
        .to_value();
    if let Value::Object(fields) = &mut schema {
        fields.remove("$schema");
        fields.remove("title");
    }
    schema
}

/// Arguments as `A`; missing ones as an empty object.
pub fn read<A: DeserializeOwned>(arguments: &Value) -> Result<A, String> {
    let object = match arguments {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(_) => arguments.clone(),
        other => return Err(format!("expected an object of arguments, got {}", kind(other))),
    };
    serde_json::from_value(object).map_err(|e| format!("expected other arguments: {e}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The arguments as understood, defaults filled in, go into the ledger and under the approval's digest.
pub fn understood<A: Serialize>(arguments: &A, target: Target, effect: Effect) -> Result<Understood, String> {
    let arguments = serde_json::to_value(arguments).map_err(|e| e.to_string())?;
    Ok(Understood { arguments, target, effect })
}

pub fn service<'a>(name: &ServiceName, about: About<'a>) -> Result<&'a Service, String> {
    about.inventory.service(name).ok_or_else(|| format!("service {name} is not in the inventory: expected one of its services"))
}

pub fn host<'a>(name: &HostName, about: About<'a>) -> Result<&'a Host, String> {
    about.inventory.host(name).ok_or_else(|| format!("host {name} is not in the inventory: expected one of its hosts"))
}

/// Where a service's action takes place: the named host, else the incident's if the service runs there, else all of them.
pub fn place(service: &Service, named: Option<&HostName>, about: About<'_>) -> Target {
    let incidents = about.target.host.as_ref().filter(|host| service.hosts.contains(host));
    Target { service: Some(service.name.clone()), host: named.or(incidents).cloned() }
}
