//! Slack's blocks for a notice, pure. All outside text passes `text::escape` or `text::code`; each text has its limit.

use super::text::{escape, inline};
use super::{Outgoing, SendError, ask, words};
use crate::clients::slack::Content;
use crate::domain::{Incident, Notice, Severity, Time};
use serde_json::{Value, json};

/// Slack's limit for the text of a block, less what our own words around it take.
pub const MAX_TEXT: usize = 2900;
pub const MAX_LINE: usize = 300;

pub fn render(message: &Outgoing<'_>) -> Result<Content, SendError> {
    match message.notice {
        Notice::Card => Ok(card(message.incident, message.console_hint)),
        Notice::Message { severity, text } => Ok(line(*severity, text)),
        Notice::Page { severity, summary } => Ok(line(*severity, summary)),
        Notice::Ask { .. } | Notice::AskVoted { .. } | Notice::AskClosed { .. } | Notice::StrayClosed { .. } => ask_or_closed(message),
        Notice::Acknowledge | Notice::Resolve => Err(SendError::no_form(message)),
    }
}

/// Buttons only while the question waits: an ask that is sent late shows the decision instead.
fn ask_or_closed(message: &Outgoing<'_>) -> Result<Content, SendError> {
    let Some(approval) = message.approval else {
        return match message.notice {
            Notice::AskClosed { approval } | Notice::StrayClosed { approval, .. } => Ok(ask::gone(*approval)),
            _ => Err(SendError::never("an ask without its approval")),
        };
    };
    match (words::decision(approval), message.notice) {
        (Some((said, at)), _) => Ok(ask::closed(approval, &said, at)),
        (None, Notice::Ask { .. } | Notice::AskVoted { .. }) => Ok(ask::ask(approval)),
        (None, _) => Err(SendError::never(format!("{} is not decided: its buttons stay", approval.id()))),
    }
}

fn card(incident: &Incident, hint: Option<&str>) -> Content {
    let (id, name) = (incident.id, inline(incident.alertname(), 150));
    let state = inline(&words::state(incident), MAX_LINE);
    let mut facts = vec![
        format!("{} *{id}* · *{name}*", words::mark(incident)),
        format!("*State:* {state}"),
        format!("*Target:* {}", inline(&incident.target.to_string(), MAX_LINE)),
        format!("*Level:* {}", inline(&words::level(incident), MAX_LINE)),
    ];
    if !incident.why.is_empty() {
        facts.push(format!("*Why:* {}", inline(&incident.why, MAX_LINE)));
    }
    facts.push(format!("*Alerts:* {}", words::alerts(incident)));
    let mut blocks = vec![section(&facts.join("\n"))];
    if let Some((title, text)) = words::finding(incident) {
        blocks.push(section(&format!("*{title}:* {}", escape(text, 1500))));
    }
    let (earlier, steps) = words::steps(incident);
    if !steps.is_empty() {
        let mut lines: Vec<_> = steps.iter().map(|step| inline(step, MAX_LINE)).collect();
        if earlier > 0 {
            lines.insert(0, format!("… {earlier} earlier"));
        }
        blocks.push(section(&lines.join("\n")));
    }
    let mut footer = format!("since {}", date(incident.opened_at));
    if let Some(hint) = hint {
        footer += &format!(" · {}", inline(hint, MAX_LINE));
    }
    blocks.push(context(&footer));
    content(format!("{id} {name}: {state}"), blocks)
}

fn line(severity: Severity, text: &str) -> Content {
    let text = format!("{} {}", words::severity(severity), escape(text, MAX_TEXT));
    let blocks = vec![section(&text)];
    content(text, blocks)
}

pub fn content(text: String, blocks: Vec<Value>) -> Content {
    Content { text, blocks }
}

/// `verbatim`: no link or mention is made of what looks like one.
pub fn section(markup: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": markup, "verbatim": true } })
}

pub fn context(markup: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": markup, "verbatim": true }] })
}

pub fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// In the reader's own time zone.
pub fn date(at: Time) -> String {
    format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{}>", at.timestamp(), words::time(at))
}
