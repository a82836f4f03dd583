//! Attributes that a policy names and nothing has, and numbers that one compares an attribute with and it never is. Cedar's own check
//! says nothing about the first behind `has`, nor in a branch that it takes for unreachable, and nothing at all about the second:
//! `context has strom && …` and `context.level == 4` would forbid nothing, and nobody would be told.

use super::MOST_APPROVERS;
use cedar_policy::{Policy, SchemaFragment};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Enough for the longest policy there may be (`shape`), unoptimised.
const STACK: usize = 64 << 20;

/// All that these numbers of the context can be; budgets are whatever the configuration says.
const NUMBERS: [(&str, RangeInclusive<i64>); 6] = [
    ("level", 1..=3),
    ("risk", 0..=100),
    ("hour", 0..=23),
    ("weekday", 1..=7),
    ("approvers", 0..=MOST_APPROVERS as i64),
    ("signed", 0..=MOST_APPROVERS as i64),
];

/// What stands in a policy and can't be.
#[derive(Debug, Default)]
pub struct Odd {
    pub attribute: String,
    /// The number that it never is.
    pub number: Option<i64>,
    /// With what was expected.
    pub why: String,
}

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

    /// The first thing that can't be. Cedar spells a policy out on the stack, some hundred operators deep.
    pub fn odd_in(&self, policy: &Policy) -> Result<Option<Odd>, String> {
        let look = || policy.to_json().map(|json| self.look(&json)).map_err(|e| e.to_string());
        std::thread::scope(|scope| {
            let looking = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, look).map_err(|e| e.to_string())?;
            looking.join().map_err(|_| "it could not be looked through".to_owned())?
        })
    }

    fn look(&self, expression: &Value) -> Option<Odd> {
        match expression {
            Value::Object(fields) => {
                let named = ["has", "."].iter().find_map(|operator| self.unknown(fields.get(*operator)?));
                named.or_else(|| never(fields)).or_else(|| fields.values().find_map(|inner| self.look(inner)))
            }
            Value::Array(items) => items.iter().find_map(|inner| self.look(inner)),
            _ => None,
        }
    }

    /// Of `{"left": {"Var": "context"}, "attr": "strom"}`; `has` may name a whole path, of which the first counts.
    fn unknown(&self, operation: &Value) -> Option<Odd> {
        let of = operation["left"]["Var"].as_str()?;
        let attribute = operation["attr"].as_str().or_else(|| operation["attr"][0].as_str())?;
        let known = self.0.get(of)?;
        let expected = || known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let why = || format!("`{of}` has no `{attribute}`: expected one of {}", expected());
        (!known.contains(attribute)).then(|| Odd { attribute: attribute.to_owned(), number: None, why: why() })
    }
}

/// Of `{"==": {"left": …, "right": …}}`, either way round, and of `[…].contains(…)`.
fn never(fields: &Map<String, Value>) -> Option<Odd> {
    let compared = ["==", "!=", "contains"].iter().filter_map(|operator| fields.get(*operator));
    compared.flat_map(|sides| [(&sides["left"], &sides["right"]), (&sides["right"], &sides["left"])]).find_map(|(one, other)| {
        let attribute = one["."]["attr"].as_str().filter(|_| one["."]["left"]["Var"] == "context")?;
        let (_, range) = NUMBERS.iter().find(|(name, _)| *name == attribute)?;
        let number = numbers(other).find(|number| !range.contains(number))?;
        let why = format!("`context.{attribute}` is never {number}: expected {} to {}", range.start(), range.end());
        Some(Odd { attribute: attribute.to_owned(), number: Some(number), why })
    })
}

/// Written as they are: one, or a set of them.
fn numbers(expression: &Value) -> impl Iterator<Item = i64> {
    let set = expression["Set"].as_array().into_iter().flatten();
    set.chain([expression]).filter_map(|literal| literal["Value"].as_i64())
}

fn keys(value: &Value) -> impl Iterator<Item = String> {
    value.as_object().into_iter().flat_map(|fields| fields.keys().cloned())
}
