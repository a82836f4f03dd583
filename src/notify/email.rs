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
            (approval.id().to_string(), question(approval))
        }
        _ => return Err(SendError::no_form(message)),
    };
    let name = plain(incident.alertname(), 100);
    Ok(Mail {
        subject: format!("[paramedic] {} {name}: {headline}", incident.id),
        text: format!("{body}\n\n{}", footer(incident, message.console_hint)),
    })
}

/// From the sealed request alone, as in Slack.
fn question(approval: &Approval) -> String {
    let (id, request) = (approval.id(), &approval.request);
    let what = format!("{} on {}\n{:#}", plain(&request.tool, 100), request.target, request.facts());
    if let Some((said, _)) = words::decision(approval) {
        return format!("{id} is {}.\n\n{}", plain(&said, 500), plain(&what, 20_000));
    }
    let list = |lines: &[String]| lines.iter().map(|line| format!("- {}", plain(line, 500))).collect::<Vec<_>>().join("\n");
    let mut parts = vec![
        format!("May I do this?\n\n{}", plain(&what, 20_000)),
        format!("It looks like this\n{}", list(&request.seen.lines())),
        format!("A human is asked because\n{}", list(&request.reasons)),
    ];
    if let Some(said) = words::said(approval) {
        parts.push(format!("{}\n> {}", words::PLANNERS_WORDS, plain(&said, 600).replace('\n', "\n> ")));
    }
    parts.extend(words::progress(approval));
    let clocks = format!("Until {} (to be begun by {}):", words::time(request.decide_by), words::time(request.execute_by));
    let sign = if request.signature { " --sign-with KEY" } else { "" };
    parts.push(format!("{clocks}\n  paramedic approve {id}{sign}\n  paramedic deny {id}\nDigest: {}", approval.digest().short()));
    parts.join("\n\n")
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
