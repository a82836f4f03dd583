//! A question to a human as Slack's blocks, shown from the sealed request and nothing else. The planner's words stand in a quote that
//! says whose they are, escaped and cut; the facts are shown in full or cannot be approved here.

use super::slack::{MAX_LINE, MAX_TEXT, content, context, date, plain, section};
use super::text::{code, escape, inline};
use super::words;
use crate::clients::slack::Content;
use crate::domain::{Approval, ApprovalId, Time};
use serde_json::{Value, json};

/// Reasons, and lines of what the target looks like, that are shown; the rest is counted.
const LINES: usize = 8;
/// Of the planner's words.
const MAX_WORDS: usize = 600;

pub fn ask(approval: &Approval) -> Content {
    let request = &approval.request;
    let (id, asked) = (approval.id(), what(approval));
    let mut blocks = vec![section(&format!("*{id}* · may I do this for *{}*?\n{asked}", request.incident))];
    let shown = code(&request.facts(), MAX_TEXT);
    let fits = shown.is_some();
    blocks.push(match shown {
        Some(facts) => section(&format!("```{facts}```")),
        None => section(&format!(
            "The arguments are too long to be shown in full, so they cannot be approved here: `paramedic approvals {id}`, then `paramedic approve {id}`."
        )),
    });
    blocks.extend(list("It looks like this", &request.seen.lines()));
    blocks.extend(list("A human is asked because", &request.reasons));
    blocks.extend(words_of(approval));
    if let Some(progress) = words::progress(approval) {
        blocks.push(section(&inline(&progress, MAX_LINE)));
    }
    if request.signature {
        let how = format!("Only signed approvals count: `paramedic approve {id} --sign-with KEY`. A denial needs no signature.");
        blocks.push(section(&how));
    }
    blocks.push(buttons(approval, fits && !request.signature));
    let clocks = format!("decide by {}, begin by {}; then it is escalated", date(request.decide_by), date(request.execute_by));
    blocks.push(context(&format!("{clocks} · {}", digest(approval))));
    content(format!("{id}: may I do this for {}? {asked}", request.incident), blocks)
}

pub fn closed(approval: &Approval, said: &str, at: Option<Time>) -> Content {
    let id = approval.id();
    let said = inline(said, MAX_LINE);
    let when = at.map(|at| format!(" · {}", date(at))).unwrap_or_default();
    let mut blocks = vec![section(&format!("*{id}* for *{}*: {said}{when}\n{}", approval.request.incident, what(approval)))];
    if let Some(facts) = code(&approval.request.facts(), MAX_TEXT) {
        blocks.push(section(&format!("```{facts}```")));
    }
    blocks.push(context(&digest(approval)));
    content(format!("{id}: {said}"), blocks)
}

/// A question that has no text any more; all that is left to say is that nobody needs to decide it.
pub fn gone(id: ApprovalId) -> Content {
    let said = format!("*{id}* is not open any more: nothing can be decided here.");
    content(said.clone(), vec![section(&said)])
}

fn what(approval: &Approval) -> String {
    let request = &approval.request;
    let target = inline(&request.target.to_string(), MAX_LINE);
    format!("*{}* on {target}", inline(&request.tool, 100))
}

/// What every other surface shows too, so that a human can compare.
fn digest(approval: &Approval) -> String {
    format!("digest `{}`", approval.digest().short())
}

fn list(title: &str, lines: &[String]) -> Option<Value> {
    if lines.is_empty() {
        return None;
    }
    let mut shown: Vec<_> = lines.iter().take(LINES).map(|line| format!("• {}", inline(line, MAX_LINE))).collect();
    if let Some(more @ 1..) = lines.len().checked_sub(LINES) {
        shown.push(format!("… {more} more"));
    }
    Some(section(&format!("*{title}*\n{}", shown.join("\n"))))
}

fn words_of(approval: &Approval) -> Option<Value> {
    let said = words::said(approval)?;
    Some(section(&format!("*{}*\n> {}", words::PLANNERS_WORDS, escape(&said, MAX_WORDS))))
}

fn buttons(approval: &Approval, may_approve: bool) -> Value {
    let request = &approval.request;
    let value = json!({ "approval": approval.id(), "digest": approval.digest() }).to_string();
    let deny = json!({ "type": "button", "action_id": "deny", "style": "danger", "value": value, "text": plain("Deny") });
    let approve = json!({
        "type": "button", "action_id": "approve", "style": "primary", "value": value, "text": plain("Approve"),
        "confirm": {
            "title": plain(&format!("Approve {}?", approval.id())),
            // A plain_text object shows text as it is: neither mention nor link is made of it.
            "text": plain(&inline(&format!("{} on {}", request.tool, request.target), 280)),
            "confirm": plain("Approve"),
            "deny": plain("Back"),
        }
    });
    let elements = if may_approve { vec![approve, deny] } else { vec![deny] };
    json!({ "type": "actions", "block_id": "decision", "elements": elements })
}
