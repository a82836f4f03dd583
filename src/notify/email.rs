//! A mail for a notice: plain text, nothing to click. A mail authorises nothing; it names the command that does.

use super::text::plain;
use super::{Outgoing, SendError, words};
use crate::domain::{Approval, Incident, Notice, Severity};

pub struct Mail {
    pub subject: String,
    pub text: String,
}

pub fn render(message: &Outgoing<'_>) -> Result<Mail, SendError> {
    let incident = message.incident;
    let (headline, body) = match message.notice {
        Notice::Message { severity, text } => (severity_word(*severity).to_owned(), plain(text, 20_000)),
        Notice::Page { severity, summary } => (severity_word(*severity).to_owned(), plain(summary, 20_000)),
        Notice::Ask { .. } | Notice::AskClosed { .. } => {
            let approval = message.approval.ok_or_else(|| SendError::never("an ask without its approval"))?;
            (approval.id.to_string(), question(approval))
        }
        Notice::Card | Notice::Acknowledge | Notice::Resolve => return Err(SendError::no_form(message)),
    };
    let name = plain(incident.alertname(), 100);
    Ok(Mail {
        subject: format!("[paramedic] {} {name}: {headline}", incident.id),
        text: format!("{body}\n\n{}", footer(incident, message.console_hint)),
    })
}

fn question(approval: &Approval) -> String {
    let action = &approval.action;
    let what = format!("{} on {}\n{:#}", plain(&action.tool, 100), action.target, action.arguments);
    if let Some((said, _)) = words::decision(approval) {
        return format!("{} is {}.\n\n{}", approval.id, plain(&said, 500), plain(&what, 20_000));
    }
    let reasons: Vec<_> = approval.reasons.iter().map(|reason| format!("- {}", plain(reason, 500))).collect();
    format!(
        "May I do this?\n\n{}\n\nA human is asked because\n{}\n\nUntil {}:\n  paramedic approve {}\n  paramedic deny {}",
        plain(&what, 20_000),
        reasons.join("\n"),
        words::time(approval.expires_at),
        approval.id,
        approval.id
    )
}

fn footer(incident: &Incident, hint: Option<&str>) -> String {
    let mut lines = vec![
        format!("Incident: {} ({})", incident.id, words::state(incident)),
        format!("Target:   {}", incident.target),
        format!("Level:    {}", words::level(incident)),
        format!("Alerts:   {}", words::alerts(incident)),
        format!("Since:    {}", words::time(incident.opened_at)),
    ];
    if let Some((title, text)) = words::finding(incident) {
        lines.push(format!("{title}: {}", plain(text, 5000)));
    }
    lines.extend(words::steps(incident).1.iter().map(|step| format!("  {}", plain(step, 500))));
    lines.extend(hint.map(|hint| format!("More:     {}", plain(hint, 300))));
    lines.join("\n")
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}
