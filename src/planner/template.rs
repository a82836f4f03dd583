//! Runbook texts: Jinja templates and expressions, over an incident as it stands. Bounded by fuel, without files or includes; a
//! name that is not there is an error. What an acting tool is given comes from a smaller world than what an observing one is
//! given: the inventory's names and the alert's identity labels, never annotations, log lines or outputs.

use crate::domain::{Alert, Incident, Outcome, Step, StepEnd};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Instructions that one text may take: hundreds of times what a runbook needs, some milliseconds at most.
const FUEL: u64 = 50_000;

/// Labels that say where an alert happens. The only ones that an acting tool's arguments may use.
pub const IDENTITY_LABELS: [&str; 13] =
    ["service", "app", "deployment", "container", "unit", "name", "job", "instance", "host", "hostname", "node", "nodename", "mountpoint"];

/// Which names a text may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// incident, target, alert with all labels and annotations, earlier steps.
    Whole,
    /// incident, target, `alert.name` and the alert's identity labels.
    Acting,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let line = error.line().filter(|line| *line > 1);
        let place = line.map_or_else(String::new, |line| format!(" (its line {line})"));
        Self(match error.detail() {
            Some(detail) => format!("{}: {detail}{place}", error.kind()),
            None => format!("{}{place}", error.kind()),
        })
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("quote", quote);
    environment
}

/// One word of a shell command, whatever a label holds.
fn quote(text: &str) -> Result<String, minijinja::Error> {
    let quoted = shlex::try_quote(text).map(Into::into);
    quoted.map_err(|e| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("quote: {e}")))
}

/// Is the condition true?
pub fn holds(expression: &str, context: &Json) -> Result<bool, TemplateError> {
    let value = evaluate(expression, context)?;
    Ok(Value::from(Serde(value)).is_true())
}

fn evaluate(expression: &str, context: &Json) -> Result<Json, TemplateError> {
    let environment = environment();
    let value = environment.compile_expression(expression)?.eval(Value::from(Serde(context)))?;
    if value.is_undefined() {
        return Err(TemplateError(format!("undefined value: `{}` is not there", expression.trim())));
    }
    serde_json::to_value(&value).map_err(|error| TemplateError(error.to_string()))
}

/// Fills in every text of an argument. A text that is one `{{ expression }}` and nothing else keeps the type of its value.
pub fn fill(value: &Json, context: &Json) -> Result<Json, TemplateError> {
    match value {
        Json::String(text) => match lone_expression(text) {
            Some(expression) => evaluate(expression, context),
            None => text_of(text, context).map(Json::String),
        },
        Json::Array(items) => items.iter().map(|item| fill(item, context)).collect(),
        Json::Object(map) => {
            let filled = map.iter().map(|(key, item)| Ok((key.clone(), fill(item, context)?)));
            filled.collect::<Result<Map<_, _>, TemplateError>>().map(Json::Object)
        }
        other => Ok(other.clone()),
    }
}

/// Fills in a text.
pub fn text_of(text: &str, context: &Json) -> Result<String, TemplateError> {
    let environment = environment();
    Ok(environment.template_from_str(text)?.render(Value::from(Serde(context)))?)
}

fn lone_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    environment().compile_expression(inner).ok().map(|_| inner)
}

/// What is wrong with an expression before it ever runs.
pub fn check_expression(expression: &str, world: World, earlier: &BTreeSet<&str>, more: &[&str]) -> Vec<String> {
    let environment = environment();
    match environment.compile_expression(expression) {
        Err(error) => vec![format!("not an expression: {}", TemplateError::from(error))],
        Ok(expression) => check_names(expression.undeclared_variables(true), world, earlier, more),
    }
}

/// What is wrong with an argument's or a reason's texts before they ever run.
pub fn check_texts(value: &Json, world: World, earlier: &BTreeSet<&str>) -> Vec<String> {
    match value {
        Json::String(text) => match environment().template_from_str(text) {
            Err(error) => vec![format!("not a template: {}", TemplateError::from(error))],
            Ok(template) => check_names(template.undeclared_variables(true), world, earlier, &[]),
        },
        Json::Array(items) => items.iter().flat_map(|item| check_texts(item, world, earlier)).collect(),
        Json::Object(map) => map.values().flat_map(|item| check_texts(item, world, earlier)).collect(),
        _ => Vec::new(),
    }
}

fn check_names(names: impl IntoIterator<Item = String>, world: World, earlier: &BTreeSet<&str>, more: &[&str]) -> Vec<String> {
    let environment = environment();
    let built_in: BTreeSet<_> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    let names: BTreeSet<String> = names.into_iter().filter(|name| !built_in.contains(name)).collect();
    names.iter().filter_map(|name| check_name(name, world, earlier, more)).collect()
}

fn check_name(name: &str, world: World, earlier: &BTreeSet<&str>, more: &[&str]) -> Option<String> {
    let parts: Vec<_> = name.split('.').collect();
    if more.contains(&parts[0]) {
        return None;
    }
    if world == World::Acting {
        return match parts.as_slice() {
            ["incident", "id" | "level" | "service" | "host" | "alertname" | "severity"] | ["target", "service" | "host"] => None,
            ["alert", "name"] => None,
            ["alert", "labels", label] if IDENTITY_LABELS.contains(label) => None,
            _ => Some(format!(
                "`{name}` may not decide what an acting tool does: expected incident.…, target.…, alert.name or alert.labels.LABEL with one of {}",
                IDENTITY_LABELS.join(", ")
            )),
        };
    }
    match parts.as_slice() {
        ["steps", step, ..] if !earlier.contains(step) => Some(format!("`{name}` names no earlier step")),
        ["incident" | "alert" | "steps" | "target", ..] => None,
        _ => Some(format!("`{name}` is not known: expected incident, alert, target or steps")),
    }
}

/// The names that a text may use, with their values.
pub fn context(incident: &Incident, world: World, steps: &[String]) -> Json {
    let (service, host) = (&incident.target.service, &incident.target.host);
    let mut context = json!({
        "incident": {
            "id": incident.id,
            "level": incident.level,
            "service": service,
            "host": host,
            "alertname": incident.alertname(),
            "severity": incident.severity(),
        },
        "target": { "service": service, "host": host },
        "alert": incident.alert().map_or_else(|| json!({ "name": "unnamed", "labels": {}, "annotations": {} }), |alert| alert_in(alert, world)),
    });
    if world == World::Whole {
        let run = steps.iter().map(|id| (id.clone(), step_in(incident, id)));
        context["steps"] = Json::Object(run.collect());
    }
    context
}

fn alert_in(alert: &Alert, world: World) -> Json {
    match world {
        World::Whole => json!({
            "name": alert.name(),
            "headline": alert.headline(),
            "status": alert.status,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "starts_at": alert.starts_at,
        }),
        World::Acting => {
            let identity = alert.labels.iter().filter(|(label, _)| IDENTITY_LABELS.contains(&label.as_str()));
            json!({ "name": alert.name(), "labels": identity.collect::<std::collections::BTreeMap<_, _>>() })
        }
    }
}

/// A step that was skipped, refused or not reached is there too, not ok and with an empty output: `steps.x.ok and …` is safe.
fn step_in(incident: &Incident, id: &str) -> Json {
    match last_step(incident, id).map(|step| &step.end) {
        Some(StepEnd::Finished(Outcome { ok, said, output })) => json!({ "ok": ok, "said": said, "output": output }),
        _ => json!({ "ok": false, "said": "", "output": {} }),
    }
}

/// The latest attempt at a step in the current run.
pub fn last_step<'a>(incident: &'a Incident, id: &str) -> Option<&'a Step> {
    incident.run_steps().iter().rev().find(|step| step.proposal.step.as_deref() == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> Json {
        json!({ "incident": { "service": "api", "host": null }, "steps": { "status": { "ok": true, "output": { "active": false, "list": [1, 2] } } } })
    }

    #[test]
    fn a_lone_expression_keeps_its_type_and_any_other_text_becomes_text() {
        for (text, expected) in [
            ("{{ steps.status.output.list }}", json!([1, 2])),
            (" {{ steps.status.output.list[1] + 1 }} ", json!(3)),
            ("{{ steps.status.output.active }}", json!(false)),
            ("{{ incident.host }}", json!(null)),
            ("{{ incident.service }}", json!("api")),
            ("{{ incident.service }}/{{ incident.service }}", json!("api/api")),
            ("no braces", json!("no braces")),
        ] {
            assert_eq!(fill(&json!({ "a": [text] }), &world()).unwrap(), json!({ "a": [expected] }), "{text}");
        }
    }

    #[test]
    fn a_quoted_label_is_one_word_of_a_command() {
        for (label, expected) in
            [("api", "api"), ("a; rm -rf /", "'a; rm -rf /'"), ("it's $(id)", "\"it's \"'$(id)'"), ("", "''"), ("a\nb", "'a\nb'")]
        {
            let filled = fill(&json!("ps -C {{ incident.service | quote }}"), &json!({ "incident": { "service": label } }));
            assert_eq!(filled.unwrap(), json!(format!("ps -C {expected}")), "{label}");
            assert_eq!(shlex::split(expected).unwrap(), [label]);
        }
        assert!(fill(&json!("x {{ incident.service | quote }}"), &json!({ "incident": { "service": "a\u{0}b" } })).is_err());
    }

    #[test]
    fn what_is_not_there_or_takes_too_long_is_an_error() {
        for text in [
            "{{ incident.nothing }}",
            "x {{ nothing }}",
            "{{ steps.other.ok }}",
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            "{% include 'x' %}",
        ] {
            assert!(fill(&json!(text), &world()).is_err(), "{text}");
        }
        assert!(holds("steps.status.ok and not steps.status.output.active", &world()).unwrap());
        assert!(holds("steps.status.output.missing", &world()).is_err());
        assert!(!holds("steps.status.output.missing is defined", &world()).unwrap());
    }

    #[test]
    fn an_acting_tool_sees_no_text_that_an_attacker_writes() {
        let earlier = BTreeSet::from(["status"]);
        for text in [
            "{{ alert.annotations.runbook }}",
            "{{ alert['annotations']['x'] }}",
            "{{ alert|attr('annotations') }}",
            "{{ steps.status.output.list }}",
            "{% set a = alert %}{{ a.annotations.x }}",
            "{{ alert.labels.message }}",
            "{{ alert.labels['message'] }}",
        ] {
            assert!(!check_texts(&json!([text]), World::Acting, &earlier).is_empty(), "{text}");
        }
        assert_eq!(
            check_texts(&json!("{{ incident.service }} {{ alert.labels.instance }}"), World::Acting, &earlier),
            Vec::<String>::new()
        );
        assert_eq!(check_texts(&json!("{{ steps.later.ok }}"), World::Whole, &earlier).len(), 1);
        assert_eq!(check_texts(&json!("{{ stepz.status.ok }}"), World::Whole, &earlier).len(), 1);
        assert_eq!(check_texts(&json!("{{ range(3) }} {{ steps.status.ok }}"), World::Whole, &earlier), Vec::<String>::new());
    }
}
