//! What is wrong with a runbook before it ever runs: tools and arguments that do not exist, texts that do not compile, names that
//! are not there yet, and anything but the inventory deciding what an acting tool does. Reports all of it, each by its place.

use super::{RunbookFile, StepFile, ToolShapes, VerifyFile};
use crate::domain::Problem;
use crate::planner::template::{World, check_expression, check_texts};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong, and how long the verification may take.
pub fn check(file: &RunbookFile, tools: &ToolShapes) -> Result<Option<chrono::Duration>, Vec<Problem>> {
    let mut problems = check_head(file);
    let mut earlier = BTreeSet::new();
    for (index, step) in file.steps.iter().enumerate() {
        check_step(step, &format!("steps[{index}]"), &earlier, tools, &mut problems);
        if !earlier.insert(step.id.as_str()) {
            problems.push(Problem::new(format!("steps[{index}].id"), format!("step `{}` is listed twice", step.id)));
        }
    }
    let within = file.verify.as_ref().and_then(|verify| check_verify(verify, &earlier, tools, &mut problems));
    if problems.is_empty() { Ok(within) } else { Err(problems) }
}

fn check_head(file: &RunbookFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if file.name.is_empty() || !file.name.chars().all(name) {
        problems.push(Problem::new("name", "expected a name of letters, digits, `_` and `-`"));
    }
    if file.why.trim().is_empty() {
        problems.push(Problem::new("why", "expected why these steps help"));
    }
    if file.steps.is_empty() {
        problems.push(Problem::new("steps", "expected at least one step"));
    }
    problems
}

fn check_step(step: &StepFile, at: &str, earlier: &BTreeSet<&str>, tools: &ToolShapes, problems: &mut Vec<Problem>) {
    let mut wrong = |path: String, messages: Vec<String>| problems.extend(messages.into_iter().map(|m| Problem::new(path.clone(), m)));
    let identifier = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !step.id.starts_with(|c: char| c.is_ascii_lowercase()) || !step.id.chars().all(identifier) || step.id == "verify" {
        wrong(
            format!("{at}.id"),
            vec![format!("`{}` is not an id: expected a small letter, then small letters, digits and `_`; not `verify`", step.id)],
        );
    }
    let acts = check_tool(&step.tool, &step.args, tools, &format!("{at}."), &mut wrong);
    let world = if acts { World::Acting } else { World::Whole };
    for (name, value) in &step.args {
        wrong(format!("{at}.args.{name}"), check_texts(value, world, earlier));
    }
    if let Some(when) = &step.when {
        wrong(format!("{at}.when"), check_expression(when, World::Whole, earlier, &[]));
    }
    if step.reason.trim().is_empty() {
        wrong(format!("{at}.reason"), vec!["expected why this step is done".to_owned()]);
    }
    wrong(format!("{at}.reason"), check_texts(&Json::String(step.reason.clone()), World::Whole, earlier));
}

/// May the tool change something? An unknown one may.
fn check_tool(
    tool: &str,
    args: &BTreeMap<String, Json>,
    tools: &ToolShapes,
    at: &str,
    wrong: &mut impl FnMut(String, Vec<String>),
) -> bool {
    let Some(shape) = tools.get(tool) else {
        let known: Vec<_> = tools.keys().map(String::as_str).collect();
        wrong(format!("{at}tool"), vec![format!("tool `{tool}` does not exist: expected one of {}", known.join(", "))]);
        return true;
    };
    let known: Vec<_> = shape.arguments.iter().map(String::as_str).collect();
    for name in args.keys().filter(|name| !shape.arguments.contains(*name)) {
        wrong(format!("{at}args.{name}"), vec![format!("{tool} has no argument `{name}`: expected {}", known.join(", "))]);
    }
    shape.acts
}

fn check_verify(verify: &VerifyFile, steps: &BTreeSet<&str>, tools: &ToolShapes, problems: &mut Vec<Problem>) -> Option<chrono::Duration> {
    let mut wrong = |path: String, messages: Vec<String>| problems.extend(messages.into_iter().map(|m| Problem::new(path.clone(), m)));
    if check_tool(&verify.tool, &verify.args, tools, "verify.", &mut wrong) && tools.contains_key(&verify.tool) {
        wrong("verify.tool".to_owned(), vec![format!("{} can change something: a fix is verified by reading", verify.tool)]);
    }
    for (name, value) in &verify.args {
        wrong(format!("verify.args.{name}"), check_texts(value, World::Whole, steps));
    }
    if let Some(when) = &verify.when {
        wrong("verify.when".to_owned(), check_expression(when, World::Whole, steps, &[]));
    }
    wrong("verify.expect".to_owned(), check_expression(&verify.expect, World::Whole, steps, &["ok", "output"]));
    let within = duration(&verify.within);
    if within.is_none() {
        let message =
            format!("`{}` is not a duration: expected 30s, 5m, 1m30s or the like, more than nothing and at most a day", verify.within);
        wrong("verify.within".to_owned(), vec![message]);
    }
    within
}

/// Prometheus' way to write a duration, in whole hours, minutes and seconds.
fn duration(text: &str) -> Option<chrono::Duration> {
    let (mut seconds, mut rest) = (0_i64, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (1..=86_400).contains(&seconds).then(|| chrono::Duration::seconds(seconds))
}
