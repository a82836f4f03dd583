//! Reads a chat completion as servers really send it: fields missing, arguments as text, as an object or broken, content in parts,
//! reasoning beside or inside the text. Only an answer without any choice is an error; the rest is something to talk about.

use serde_json::Value as Json;

/// More calls in one answer are dropped, and the answer says so.
const MOST_CALLS: usize = 16;
/// Of a text, a name, broken arguments.
const LONGEST_TEXT: usize = 16 * 1024;
const LONGEST_NAME: usize = 128;
const LONGEST_ARGUMENTS: usize = 16 * 1024;
/// No honest answer costs more; a larger number is a server's mistake and would drown every budget.
const MOST_TOKENS: u64 = 100_000_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    pub calls: Vec<Call>,
    /// Prompt and answer, where the server counts.
    pub tokens: Option<u64>,
    /// Of the prompt alone.
    pub asked: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Result<Json, BrokenArguments>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenArguments {
    /// As it came, cut.
    pub text: String,
    pub problem: String,
}

pub fn read(body: &Json) -> Result<Answer, String> {
    let message = body.pointer("/choices/0/message");
    let Some(message) = message.filter(|message| message.is_object()) else {
        let error = body.get("error").and_then(|error| error.as_str().or_else(|| error.get("message")?.as_str()));
        return Err(match error {
            Some(error) => format!("the server says: {}", cut(error, 300)),
            None => "there is no choice in it".to_owned(),
        });
    };
    let mut text = cut(without_reasoning(&text_of(message.get("content"))).trim(), LONGEST_TEXT);
    let mut calls = Vec::new();
    match (message.get("tool_calls").and_then(Json::as_array), message.get("function_call")) {
        (Some(list), _) => calls.extend(list.iter().filter_map(|call| read_call(call.get("function").unwrap_or(call)))),
        (None, Some(call)) => calls.extend(read_call(call)),
        (None, None) => {}
    }
    if calls.len() > MOST_CALLS {
        // In front, where nothing that shortens a text hides it.
        text = format!("({} further calls were dropped)\n{text}", calls.len() - MOST_CALLS).trim_end().to_owned();
        calls.truncate(MOST_CALLS);
    }
    let asked = body.pointer("/usage/prompt_tokens").and_then(Json::as_u64).map(|count| count.min(MOST_TOKENS));
    Ok(Answer { text, calls, tokens: tokens(body.get("usage")), asked })
}

fn text_of(content: Option<&Json>) -> String {
    match content {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(parts)) => {
            let part = |part: &Json| part.as_str().or_else(|| part.get("text")?.as_str()).map(str::to_owned);
            parts.iter().filter_map(part).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// Thinking aloud is not an answer, and is not sent back.
fn without_reasoning(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, thinking)) = rest.split_once("<think>") {
        kept.push_str(before);
        rest = thinking.split_once("</think>").map_or("", |(_, after)| after);
    }
    // Some servers leave the opening mark to their template.
    let rest = rest.split_once("</think>").map_or(rest, |(_, after)| after);
    kept + rest
}

fn read_call(call: &Json) -> Option<Call> {
    if !call.is_object() {
        return None;
    }
    Some(Call {
        name: cut(call.get("name").and_then(Json::as_str).unwrap_or(""), LONGEST_NAME),
        arguments: read_arguments(call.get("arguments")),
    })
}

fn read_arguments(arguments: Option<&Json>) -> Result<Json, BrokenArguments> {
    match arguments {
        None | Some(Json::Null) => Ok(Json::Object(serde_json::Map::new())),
        Some(object @ Json::Object(_)) => Ok(object.clone()),
        Some(Json::String(text)) if text.trim().is_empty() => Ok(Json::Object(serde_json::Map::new())),
        Some(Json::String(text)) => match serde_json::from_str(text) {
            Ok(object @ Json::Object(_)) => Ok(object),
            // JSON within JSON.
            Ok(Json::String(inner)) if matches!(serde_json::from_str(&inner), Ok(Json::Object(_))) => {
                read_arguments(Some(&Json::String(inner)))
            }
            Ok(other) => Err(broken(text, format!("an object was expected, not {}", kind(&other)))),
            Err(error) => Err(broken(text, format!("not JSON: {error}"))),
        },
        Some(other) => Err(broken(&other.to_string(), format!("an object was expected, not {}", kind(other)))),
    }
}

fn broken(text: &str, problem: String) -> BrokenArguments {
    BrokenArguments { text: cut(text, LONGEST_ARGUMENTS), problem }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// Zero is no count either.
fn tokens(usage: Option<&Json>) -> Option<u64> {
    let count = |key: &str| {
        let value = usage?.get(key)?;
        value.as_u64().or_else(|| value.as_f64().filter(|count| *count >= 0.0).map(|count| count as u64))
    };
    let parts = || Some(count("prompt_tokens")?.saturating_add(count("completion_tokens").unwrap_or(0)));
    count("total_tokens").or_else(parts).filter(|count| *count > 0).map(|count| count.min(MOST_TOKENS))
}

/// At most so many bytes, at a character's end, with a mark.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} of {} bytes cut)", &text[..end], text.len() - end, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(message: Json) -> Answer {
        read(&json!({ "choices": [{ "message": message }] })).unwrap()
    }

    fn call(arguments: Json) -> Result<Json, String> {
        let answer = message(json!({ "tool_calls": [{ "function": { "name": "t", "arguments": arguments } }] }));
        answer.calls[0].arguments.clone().map_err(|broken| broken.problem)
    }

    #[test]
    fn arguments_are_read_in_every_form_that_servers_send() {
        assert_eq!(call(json!("{\"a\": 1}")), Ok(json!({ "a": 1 })));
        assert_eq!(call(json!({ "a": 1 })), Ok(json!({ "a": 1 })));
        assert_eq!(call(json!("\"{\\\"a\\\": 1}\"")), Ok(json!({ "a": 1 })));
        assert_eq!(call(json!("")), Ok(json!({})));
        assert_eq!(call(json!(null)), Ok(json!({})));
        for (bad, problem) in [
            (json!("{\"a\": "), "not JSON"),
            (json!("[1]"), "not a list"),
            (json!([1]), "not a list"),
            (json!(7), "not a number"),
            (json!("\"x\""), "not a text"),
        ] {
            assert!(call(bad.clone()).unwrap_err().contains(problem), "{bad}");
        }
    }

    #[test]
    fn text_is_found_in_parts_and_without_its_reasoning() {
        assert_eq!(message(json!({ "content": [{ "type": "text", "text": "a" }, { "type": "image" }, "b"] })).text, "a\nb");
        assert_eq!(message(json!({ "content": "<think>secret</think> done", "reasoning_content": "secret" })).text, "done");
        assert_eq!(message(json!({ "content": "secret</think>done" })).text, "done");
        assert_eq!(message(json!({ "content": "<think>never ends" })).text, "");
        assert_eq!(message(json!({ "content": null, "function_call": { "name": "old" } })).calls[0].name, "old");
        let many: Vec<_> = (0..40).map(|_| json!({ "function": { "name": "t" } })).collect();
        let long = message(json!({ "tool_calls": many, "content": "x".repeat(2 * LONGEST_TEXT) }));
        assert!(long.text.starts_with("(24 further calls were dropped)"), "a long text hides nothing");
        let answer = message(json!({ "tool_calls": many }));
        assert_eq!((answer.calls.len(), answer.text.as_str()), (16, "(24 further calls were dropped)"));
    }

    #[test]
    fn a_count_of_tokens_is_believed_within_reason() {
        let counted = |usage: Json| read(&json!({ "choices": [{ "message": {} }], "usage": usage })).unwrap().tokens;
        assert_eq!(counted(json!({ "total_tokens": 9 })), Some(9));
        assert_eq!(counted(json!({ "prompt_tokens": 4.0, "completion_tokens": 5 })), Some(9));
        assert_eq!(counted(json!({ "total_tokens": u64::MAX })), Some(MOST_TOKENS));
        for none in [json!(null), json!({}), json!({ "total_tokens": 0 }), json!({ "total_tokens": "many" }), json!({ "total_tokens": -3 })]
        {
            assert_eq!(counted(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn a_body_without_a_choice_says_what_the_server_said() {
        assert_eq!(
            read(&json!({ "error": { "message": "out of memory", "code": 500 } })),
            Err("the server says: out of memory".to_owned())
        );
        for body in [json!({}), json!([]), json!({ "choices": [] }), json!({ "choices": [{ "message": "text" }] })] {
            assert!(read(&body).is_err(), "{body}");
        }
    }
}
