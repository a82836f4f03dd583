//! JSON, piece by piece: names, texts, and what stands beside a name that calls it secret.

use super::{Redactor, mark, named};
use serde_json::{Map, Value};

pub(super) fn redact(redactor: &Redactor, value: &mut Value) {
    match value {
        Value::String(text) => *text = redactor.text(text).into_owned(),
        Value::Array(items) => list(redactor, items),
        Value::Object(fields) => object(redactor, fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name with its value, such as a label's.
pub(super) fn pair(redactor: &Redactor, name: String, value: String) -> (String, String) {
    let value = match named::calls_secret(&name) {
        Some(label) if named::tells(&value) => mark(label),
        _ => redactor.text(&value).into_owned(),
    };
    (redactor.text(&name).into_owned(), value)
}

fn object(redactor: &Redactor, fields: &mut Map<String, Value>) {
    // `{"name": "DB_PASSWORD", "value": "…"}`, as containers list their environment.
    let listed = ["name", "key", "Name", "Key"].iter().find_map(|key| named::calls_secret(fields.get(*key)?.as_str()?));
    let before = std::mem::take(fields);
    for (name, mut value) in before {
        let label = named::calls_secret(&name).or(listed.filter(|_| name.eq_ignore_ascii_case("value")));
        hide(redactor, &mut value, label);
        let mut name = redactor.text(&name).into_owned();
        while fields.contains_key(&name) {
            name.push('\'');
        }
        fields.insert(name, value);
    }
}

fn hide(redactor: &Redactor, value: &mut Value, label: Option<&str>) {
    match (label, &*value) {
        (Some(label), Value::String(text)) if named::tells(text) => *value = mark(label).into(),
        (Some(label), Value::Number(_)) => *value = mark(label).into(),
        _ => redact(redactor, value),
    }
}

/// A key over several lines of a log is one key, and an argument behind `--password` is a password.
fn list(redactor: &Redactor, items: &mut [Value]) {
    let (mut in_key, mut flag) = (false, None);
    for item in items {
        let Value::String(text) = item else {
            redact(redactor, item);
            flag = None;
            continue;
        };
        let begins = text.rfind("-----BEGIN ").filter(|at| text[*at..].contains("PRIVATE KEY"));
        let ends = text.rfind("-----END ");
        let was_in_key = in_key;
        in_key = match (begins, ends) {
            (Some(begin), Some(end)) => begin > end,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => in_key,
        };
        let next = text.strip_prefix("--").filter(|name| !name.contains('=')).and_then(named::calls_secret);
        *text = match (was_in_key, flag.take()) {
            (true, _) => mark("private key"),
            (false, Some(label)) if named::tells(text) && !text.starts_with('-') => mark(label),
            _ => redactor.text(text).into_owned(),
        };
        flag = next;
    }
}
