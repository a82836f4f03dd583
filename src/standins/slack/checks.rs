//! Slack's own rules for a message, as its documentation gives them. Says no with Slack's word and names the block.

use serde_json::Value;

/// Slack's error word, and what it would write under `response_metadata.messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub error: &'static str,
    pub detail: String,
}

pub fn refuse(error: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { error, detail: detail.into() }
}

pub fn message(body: &Value) -> Result<(), Refusal> {
    let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
    if text.chars().count() > 40_000 {
        return Err(refuse("msg_too_long", "text is longer than 40000 characters"));
    }
    match body.get("blocks") {
        None | Some(Value::Null) if text.is_empty() => Err(refuse("no_text", "no text and no blocks")),
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(blocks)) if blocks.is_empty() && text.is_empty() => Err(refuse("no_text", "no text and no blocks")),
        Some(Value::Array(blocks)) if blocks.len() > 50 => Err(invalid("", "more than 50 blocks")),
        Some(Value::Array(list)) => blocks(list),
        Some(_) => Err(refuse("invalid_blocks_format", "blocks is not an array")),
    }
}

fn blocks(blocks: &[Value]) -> Result<(), Refusal> {
    let mut ids = std::collections::BTreeSet::new();
    for (index, value) in blocks.iter().enumerate() {
        let at = format!("/blocks/{index}");
        block(value, &at)?;
        if let Some(id) = value.get("block_id").and_then(Value::as_str)
            && (id.chars().count() > 255 || !ids.insert(id))
        {
            return Err(invalid(&at, "block_id is too long or not unique"));
        }
    }
    Ok(())
}

fn block(block: &Value, at: &str) -> Result<(), Refusal> {
    match block.get("type").and_then(Value::as_str) {
        Some("section") => {
            keys(block, &["type", "block_id", "text", "fields", "expand"], at)?;
            match (block.get("text"), block.get("fields")) {
                (None, None) => Err(invalid(at, "a section needs text or fields")),
                (text, fields) => {
                    text.map_or(Ok(()), |text| any_text(text, 3000, &format!("{at}/text")))?;
                    fields.map_or(Ok(()), |fields| list(fields, 10, at, |field, at| any_text(field, 2000, at)))
                }
            }
        }
        Some("header") => {
            keys(block, &["type", "block_id", "text", "level"], at)?;
            plain_text(block.get("text"), 150, &format!("{at}/text"))
        }
        Some("divider") => keys(block, &["type", "block_id"], at),
        Some("context") => {
            keys(block, &["type", "block_id", "elements"], at)?;
            let elements = block.get("elements").ok_or_else(|| invalid(at, "no elements"))?;
            list(elements, 10, at, |element, at| any_text(element, 3000, at))
        }
        Some("actions") => {
            keys(block, &["type", "block_id", "elements"], at)?;
            let elements = block.get("elements").ok_or_else(|| invalid(at, "no elements"))?;
            list(elements, 25, at, button)?;
            let ids: Vec<_> = elements.as_array().into_iter().flatten().map(|e| e.get("action_id")).collect();
            let unique: std::collections::BTreeSet<_> = ids.iter().map(|id| id.and_then(Value::as_str)).collect();
            if unique.len() == ids.len() { Ok(()) } else { Err(invalid(at, "action_id is not unique")) }
        }
        other => Err(invalid(at, &format!("unsupported type: {}", other.unwrap_or("none")))),
    }
}

fn button(button: &Value, at: &str) -> Result<(), Refusal> {
    if button.get("type").and_then(Value::as_str) != Some("button") {
        return Err(invalid(at, "this stand-in knows no element but a button"));
    }
    keys(button, &["type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"], at)?;
    plain_text(button.get("text"), 75, &format!("{at}/text"))?;
    short(button, "action_id", 255, at)?;
    short(button, "value", 2000, at)?;
    if button.get("style").is_some_and(|style| style != "primary" && style != "danger") {
        return Err(invalid(at, "style must be primary or danger"));
    }
    let Some(confirm) = button.get("confirm") else { return Ok(()) };
    keys(confirm, &["title", "text", "confirm", "deny", "style"], at)?;
    plain_text(confirm.get("title"), 100, &format!("{at}/confirm/title"))?;
    plain_text(confirm.get("text"), 300, &format!("{at}/confirm/text"))?;
    plain_text(confirm.get("confirm"), 30, &format!("{at}/confirm/confirm"))?;
    plain_text(confirm.get("deny"), 30, &format!("{at}/confirm/deny"))
}

fn any_text(object: &Value, limit: usize, at: &str) -> Result<(), Refusal> {
    match object.get("type").and_then(Value::as_str) {
        Some("plain_text") => plain_text(Some(object), limit, at),
        Some("mrkdwn") => {
            keys(object, &["type", "text", "verbatim"], at)?;
            length(object, limit, at)
        }
        _ => Err(invalid(at, "a text must be mrkdwn or plain_text")),
    }
}

fn plain_text(object: Option<&Value>, limit: usize, at: &str) -> Result<(), Refusal> {
    let object = object.ok_or_else(|| invalid(at, "missing"))?;
    if object.get("type").and_then(Value::as_str) != Some("plain_text") {
        return Err(invalid(at, "must be plain_text"));
    }
    keys(object, &["type", "text", "emoji"], at)?;
    length(object, limit, at)
}

/// Counted as UTF-16 units, the strictest reading of "characters".
fn length(object: &Value, limit: usize, at: &str) -> Result<(), Refusal> {
    match object.get("text").and_then(Value::as_str).map(|text| text.encode_utf16().count()) {
        None => Err(invalid(at, "missing required field: text")),
        Some(0) => Err(invalid(at, "must be more than 0 characters")),
        Some(n) if n > limit => Err(invalid(at, &format!("must be less than {} characters", limit + 1))),
        Some(_) => Ok(()),
    }
}

fn short(object: &Value, key: &str, limit: usize, at: &str) -> Result<(), Refusal> {
    match object.get(key) {
        None => Ok(()),
        Some(Value::String(text)) if text.chars().count() <= limit => Ok(()),
        Some(_) => Err(invalid(at, &format!("{key} must be text of at most {limit} characters"))),
    }
}

fn list(value: &Value, most: usize, at: &str, check: fn(&Value, &str) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let items = value.as_array().ok_or_else(|| invalid(at, "must be an array"))?;
    if items.is_empty() || items.len() > most {
        return Err(invalid(at, &format!("expected 1 to {most} items")));
    }
    items.iter().enumerate().try_for_each(|(index, item)| check(item, &format!("{at}/{index}")))
}

fn keys(object: &Value, known: &[&str], at: &str) -> Result<(), Refusal> {
    let unknown = object.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())));
    match unknown {
        Some(key) => Err(invalid(at, &format!("invalid additional property: {key}"))),
        None => Ok(()),
    }
}

fn invalid(at: &str, why: &str) -> Refusal {
    refuse("invalid_blocks", format!("[ERROR] {why} [json-pointer:{at}]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_slack_would_refuse_is_refused() {
        let section = |n: usize| json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(n) } });
        let with = |blocks: Value| message(&json!({ "text": "t", "blocks": blocks })).map_err(|refusal| refusal.error);
        assert_eq!(with(json!([section(3000)])), Ok(()));
        assert_eq!(with(json!([section(3001)])), Err("invalid_blocks"));
        assert_eq!(with(json!([section(0)])), Err("invalid_blocks"));
        assert_eq!(with(json!(vec![section(1); 51])), Err("invalid_blocks"));
        assert_eq!(with(json!([{ "type": "marquee" }])), Err("invalid_blocks"));
        assert_eq!(with(json!("x")), Err("invalid_blocks_format"));
        let button = |value: usize| {
            json!([{ "type": "actions", "elements": [{ "type": "button", "action_id": "a", "value": "v".repeat(value),
                "text": { "type": "plain_text", "text": "ok" } }] }])
        };
        assert_eq!(with(button(2000)), Ok(()));
        assert_eq!(with(button(2001)), Err("invalid_blocks"));
        assert_eq!(message(&json!({})).unwrap_err().error, "no_text");
        assert_eq!(message(&json!({ "text": "x".repeat(40_001) })).unwrap_err().error, "msg_too_long");
    }
}
