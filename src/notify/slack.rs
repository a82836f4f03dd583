//! Slack's blocks for a notice, pure. All outside text passes `text::escape` or `text::code`; each text has its limit.

use super::text::{code, escape, inline};
use super::{Outgoing, SendError, words};
use crate::clients::slack::Content;
use crate::domain::{Approval, Incident, Notice, Severity, Time};
use serde_json::{Value, json};

/// Slack's limit for the text of a block, less what our own words around it take.
pub const MAX_TEXT: usize = 2900;
const MAX_LINE: usize = 300;
/// Reasons shown on an ask; the rest is counted.
const REASONS: usize = 8;

pub fn render(message: &Outgoing<'_>) -> Result<Content, SendError> {
    match message.notice {
        Notice::Card => Ok(card(message.incident, message.console_hint)),
        Notice::Message { severity, text } => Ok(line(*severity, text)),
        Notice::Page { severity, summary } => Ok(line(*severity, summary)),
        Notice::Ask { .. } | Notice::AskClosed { .. } => ask_or_closed(message),
        Notice::Acknowledge | Notice::Resolve => Err(SendError::no_form(message)),
    }
}

/// Buttons only while the question waits: an ask that is sent late shows the decision instead.
fn ask_or_closed(message: &Outgoing<'_>) -> Result<Content, SendError> {
    let Some(approval) = message.approval else {
        return Err(SendError::never("an ask without its approval"));
    };
    match (words::decision(approval), message.notice) {
        (Some((said, at)), _) => Ok(closed(message.incident, approval, &said, at)),
        (None, Notice::Ask { .. }) => Ok(ask(message.incident, approval)),
        (None, _) => Err(SendError::never(format!("{} is not decided: its buttons stay", approval.id))),
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

/// The action is shown from the approval and nothing else; the planner's words are shown as its words.
fn ask(incident: &Incident, approval: &Approval) -> Content {
    let (id, asked) = (approval.id, what(approval));
    let title = format!("*{id}* · may I do this for *{}*?\n{asked}", incident.id);
    let shown = code(&approval.action.arguments, MAX_TEXT);
    let fits = shown.is_some();
    let mut blocks = vec![section(&title)];
    blocks.push(match shown {
        Some(arguments) => section(&format!("```{arguments}```")),
        None => section(&format!(
            "The arguments are too long to be shown in full, so they cannot be approved here: `paramedic incidents {}`, then `paramedic approve {id}`.",
            incident.id
        )),
    });
    if !approval.reasons.is_empty() {
        let lines = approval.reasons.iter().take(REASONS).map(|reason| format!("• {}", inline(reason, MAX_LINE)));
        let mut reasons: Vec<_> = lines.collect();
        if let Some(more @ 1..) = approval.reasons.len().checked_sub(REASONS) {
            reasons.push(format!("… {more} more"));
        }
        blocks.push(section(&format!("*A human is asked because*\n{}", reasons.join("\n"))));
    }
    if !approval.action.reason.is_empty() {
        blocks.push(context(&format!("the planner's words: {}", inline(&approval.action.reason, MAX_LINE))));
    }
    blocks.push(buttons(approval, fits));
    blocks.push(context(&format!("expires {}; then it is escalated", date(approval.expires_at))));
    content(format!("{id}: may I do this for {}? {asked}", incident.id), blocks)
}

fn closed(incident: &Incident, approval: &Approval, said: &str, at: Option<Time>) -> Content {
    let id = approval.id;
    let said = inline(said, MAX_LINE);
    let when = at.map(|at| format!(" · {}", date(at))).unwrap_or_default();
    let mut blocks = vec![section(&format!("*{id}* for *{}*: {said}{when}\n{}", incident.id, what(approval)))];
    if let Some(arguments) = code(&approval.action.arguments, MAX_TEXT) {
        blocks.push(section(&format!("```{arguments}```")));
    }
    content(format!("{id}: {said}"), blocks)
}

fn what(approval: &Approval) -> String {
    let action = &approval.action;
    let target = inline(&action.target.to_string(), MAX_LINE);
    format!("*{}* on {target}", inline(&action.tool, 100))
}

fn buttons(approval: &Approval, may_approve: bool) -> Value {
    let value = json!({ "approval": approval.id, "digest": approval.digest }).to_string();
    let deny = json!({ "type": "button", "action_id": "deny", "style": "danger", "value": value, "text": plain("Deny") });
    let approve = json!({
        "type": "button", "action_id": "approve", "style": "primary", "value": value, "text": plain("Approve"),
        "confirm": {
            "title": plain(&format!("Approve {}?", approval.id)),
            // A plain_text object shows text as it is: neither mention nor link is made of it.
            "text": plain(&inline(&format!("{} on {}", approval.action.tool, approval.action.target), 280)),
            "confirm": plain("Approve"),
            "deny": plain("Back"),
        }
    });
    let elements = if may_approve { vec![approve, deny] } else { vec![deny] };
    json!({ "type": "actions", "block_id": "decision", "elements": elements })
}

fn content(text: String, blocks: Vec<Value>) -> Content {
    Content { text, blocks }
}

/// `verbatim`: no link or mention is made of what looks like one.
fn section(markup: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": markup, "verbatim": true } })
}

fn context(markup: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": markup, "verbatim": true }] })
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// In the reader's own time zone.
fn date(at: Time) -> String {
    format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{}>", at.timestamp(), words::time(at))
}
