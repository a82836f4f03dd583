//! A slash command, whichever way it came.

/// `/paramedic TEXT`, and who typed it where. All of it is outside text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlashCommand {
    pub text: String,
    pub user_id: String,
    pub team: Option<String>,
    /// Absent over Socket Mode: the app's own token opened the connection.
    pub app_id: Option<String>,
}

/// What Slack shows for it: in escaped mrkdwn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    /// Else the user alone sees it.
    pub to_all: bool,
}
