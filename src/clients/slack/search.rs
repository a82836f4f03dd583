//! Looks for a message of ours in Slack by the mark that it was posted with. Slack has no key by which it folds a message posted twice
//! (`client_msg_id` is its own clients'), but keeps metadata with a message and gives it back with the history.

use super::{Posted, Search, SlackError};
use serde::Deserialize;
use serde_json::{Value, json};
use slack_morphism::prelude::{SlackClientHyperHttpsConnector, SlackClientSession};

const EVENT: &str = "paramedic_notice";
/// Messages of one answer, and answers that are read: an unanswered post is looked for among so many.
const LIMIT: &str = "200";
const PAGES: usize = 5;

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    messages: Vec<Found>,
    #[serde(default)]
    response_metadata: Option<Next>,
}

#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next_cursor: String,
}

#[derive(Debug, Deserialize)]
struct Found {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

pub fn metadata(mark: &str) -> Value {
    json!({ "event_type": EVENT, "event_payload": { "notice": mark } })
}

/// A channel's history is newest first and has no answers in threads; a thread's begins with its root.
pub async fn look(
    session: &SlackClientSession<'_, SlackClientHyperHttpsConnector>,
    channel: &str,
    thread_ts: Option<&str>,
    mark: &str,
) -> Result<Search, SlackError> {
    let method = if thread_ts.is_some() { "conversations.replies" } else { "conversations.history" };
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let params = vec![
            ("channel", Some(channel.to_owned())),
            ("ts", thread_ts.map(str::to_owned)),
            ("limit", Some(LIMIT.to_owned())),
            ("include_all_metadata", Some("true".to_owned())),
            ("cursor", cursor.take()),
        ];
        let page: Page = match session.http_session_api.http_get(method, &params, None).await {
            Ok(page) => page,
            Err(e) => return refused(SlackError::from(e)),
        };
        let ours = |found: &&Found| found.metadata["event_type"] == EVENT && found.metadata["event_payload"]["notice"] == mark;
        if let Some(found) = page.messages.iter().find(ours) {
            return Ok(Search::Found(Posted { channel: channel.to_owned(), ts: found.ts.clone() }));
        }
        cursor = page.response_metadata.map(|next| next.next_cursor).filter(|next| !next.is_empty());
        if cursor.is_none() {
            break;
        }
    }
    Ok(Search::NotThere)
}

/// What will be no better the next time is no reason to tell nobody; a Slack that is busy or away is asked again.
fn refused(error: SlackError) -> Result<Search, SlackError> {
    match error {
        // The thread is gone: so is what was said in it.
        SlackError::Gone { .. } => Ok(Search::NotThere),
        SlackError::Refused { why } | SlackError::Never { why } => Ok(Search::MayNotLook(why)),
        later => Err(later),
    }
}
