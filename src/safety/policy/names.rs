//! Attributes that a policy names and nothing has. Cedar's own check says nothing about them behind `has`, nor in a branch that it takes
//! for unreachable: `context has strom && …` would forbid nothing, and nobody would be told.

use cedar_policy::{Policy, SchemaFragment};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Enough for the longest policy there may be (`shape`), unoptimised.
const STACK: usize = 64 << 20;

/// The attributes of the context, and of whatever may be a principal or a resource.
pub struct Names(BTreeMap<&'static str, BTreeSet<String>>);

impl Names {
    pub fn of(schema: &str) -> Result<Self, String> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(schema).map_err(|e| e.to_string())?;
        let schema = fragment.to_json_value().map_err(|e| e.to_string())?;
        let (mut context, mut entities) = (BTreeSet::new(), BTreeSet::new());
        for namespace in schema.as_object().into_iter().flat_map(|all| all.values()) {
            for of_type in namespace["commonTypes"].as_object().into_iter().flat_map(|types| types.values()) {
                context.extend(keys(&of_type["attributes"]));
            }
            for of_type in namespace["entityTypes"].as_object().into_iter().flat_map(|types| types.values()) {
                entities.extend(keys(&of_type["shape"]["attributes"]));
            }
        }
        Ok(Self(BTreeMap::from([("context", context), ("principal", entities.clone()), ("resource", entities)])))
    }

    /// The first attribute that nothing has, and what was expected. Cedar spells a policy out on the stack, some hundred operators deep.
    pub fn unknown_in(&self, policy: &Policy) -> Result<Option<(String, String)>, String> {
        let look = || policy.to_json().map(|json| self.look(&json)).map_err(|e| e.to_string());
        std::thread::scope(|scope| {
            let looking = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, look).map_err(|e| e.to_string())?;
            looking.join().map_err(|_| "it could not be looked through".to_owned())?
        })
    }

    fn look(&self, expression: &Value) -> Option<(String, String)> {
        match expression {
            Value::Object(fields) => {
                let named = ["has", "."].iter().find_map(|operator| self.unknown(fields.get(*operator)?));
                named.or_else(|| fields.values().find_map(|inner| self.look(inner)))
            }
            Value::Array(items) => items.iter().find_map(|inner| self.look(inner)),
            _ => None,
        }
    }

    /// Of `{"left": {"Var": "context"}, "attr": "strom"}`; `has` may name a whole path, of which the first counts.
    fn unknown(&self, operation: &Value) -> Option<(String, String)> {
        let of = operation["left"]["Var"].as_str()?;
        let attribute = operation["attr"].as_str().or_else(|| operation["attr"][0].as_str())?;
        let known = self.0.get(of)?;
        let expected = || known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        (!known.contains(attribute)).then(|| (attribute.to_owned(), format!("`{of}` has no `{attribute}`: expected one of {}", expected())))
    }
}

fn keys(value: &Value) -> impl Iterator<Item = String> {
    value.as_object().into_iter().flat_map(|fields| fields.keys().cloned())
}
