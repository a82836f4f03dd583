//! What an approver decides on, spelled out: one JSON text in RFC 8785's spelling, and its SHA-256. The text is the truth: what is
//! shown, signed and executed is read from it, and a text that does not fit its digest authorises nothing.

use super::action::{Action, Digest, Effect, Target, Tier};
use super::ids::{ApprovalId, IncidentId};
use super::seen::Seen;
use super::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::ops::Deref;

/// Arguments that are somebody's words and change nothing: shown in the box of the planner's words, never among the facts.
const WORDS: [&str; 4] = ["reason", "action_description", "rollback_plan", "risk_level"];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub approval: ApprovalId,
    pub incident: IncidentId,
    /// Who wants it done: never one of those who approve it.
    pub requester: String,
    pub tool: String,
    pub tier: Tier,
    pub target: Target,
    /// As the tool understood them.
    pub arguments: Value,
    pub effect: Effect,
    /// Why a human is asked, one line a layer of the SafetyChecker.
    pub reasons: Vec<String>,
    /// The planner's own words; not checked by anybody.
    pub words: String,
    pub seen: Seen,
    pub policy_version: String,
    /// Different people who must approve.
    pub quorum: u32,
    /// Each of them signs the digest with an own key.
    pub signature: bool,
    pub asked_at: Time,
    pub decide_by: Time,
    pub execute_by: Time,
    /// 128 random bits: no two requests are the same.
    pub nonce: String,
}

impl Request {
    pub fn action(&self) -> Action {
        Action {
            tool: self.tool.clone(),
            tier: self.tier,
            target: self.target.clone(),
            arguments: self.arguments.clone(),
            effect: self.effect.clone(),
            reason: self.words.clone(),
        }
    }

    /// Is it this action, whatever the planner says about it?
    pub fn is_for(&self, action: &Action) -> bool {
        let same_place = self.tool == action.tool && self.tier == action.tier && self.target == action.target;
        same_place && self.arguments == action.arguments && self.effect == action.effect
    }

    /// The arguments that have an effect.
    pub fn facts(&self) -> Value {
        match &self.arguments {
            Value::Object(all) => {
                let facts = all.iter().filter(|(key, value)| !is_words(key, value));
                Value::Object(facts.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// What the planner says, by argument; its reason first.
    pub fn said(&self) -> Vec<(&str, &str)> {
        let arguments = self.arguments.as_object().into_iter().flatten();
        let said = arguments.filter(|(key, value)| is_words(key, value)).filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        let said: Vec<(&str, &str)> = said.filter(|(_, text)| *text != self.words).collect();
        let own = Some(("reason", self.words.as_str())).filter(|(_, text)| !text.is_empty());
        own.into_iter().chain(said).collect()
    }

    /// `restart_service {"service":"api"}`, without the planner's words.
    pub fn summary(&self) -> String {
        format!("{} {}", self.tool, self.facts())
    }

    pub fn is_question(&self) -> bool {
        self.effect == Effect::Question
    }
}

fn is_words(key: &str, value: &Value) -> bool {
    WORDS.contains(&key) && value.is_string()
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the request has no canonical JSON")]
    NoJson(#[source] serde_json::Error),
    #[error("the request's SHA-256 is {is}, and {said} is what was recorded: one of them was changed, so it authorises nothing")]
    Changed { said: String, is: String },
    #[error("the request's text cannot be read: {0}")]
    Unreadable(#[source] serde_json::Error),
    #[error("the request's text is not in RFC 8785's spelling: it was not written by Paramedic")]
    OtherSpelling,
}

/// A request with its canonical text and the text's SHA-256; the three always fit each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    request: Request,
    text: String,
    digest: Digest,
}

impl Sealed {
    /// The text is read back, so that what is in memory is what the text says and no more.
    pub fn seal(request: &Request) -> Result<Self, SealError> {
        let text = serde_json_canonicalizer::to_string(request).map_err(SealError::NoJson)?;
        let digest = digest(&text);
        Self::open(text, &digest.0)
    }

    /// From a store: the text, and the digest recorded beside it.
    pub fn open(text: String, recorded: &str) -> Result<Self, SealError> {
        let is = digest(&text);
        if is.0 != recorded {
            return Err(SealError::Changed { said: recorded.chars().take(64).collect(), is: is.0 });
        }
        let request: Request = serde_json::from_str(&text).map_err(SealError::Unreadable)?;
        if serde_json_canonicalizer::to_string(&request).map_err(SealError::NoJson)? != text {
            return Err(SealError::OtherSpelling);
        }
        Ok(Self { request, text, digest: is })
    }

    /// The exact bytes, as UTF-8.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Deref for Sealed {
    type Target = Request;
    fn deref(&self) -> &Request {
        &self.request
    }
}

fn digest(text: &str) -> Digest {
    Digest(hex::encode(Sha256::digest(text)))
}

#[cfg(test)]
pub(crate) mod tests;
