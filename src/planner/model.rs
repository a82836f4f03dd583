//! The planner that asks a model. One question a turn, from the incident as it stands; the answer is words and wishes. Whatever the
//! model says, calls or invents, nothing happens here: the wishes go to the SafetyChecker like anybody's.

use super::prompt::{self, Limits};
use crate::clients::llm::{Answer, Call, LlmClient, LlmError, LlmSettings, Message, ToolSchema};
use crate::domain::{CostLimits, Incident, Price, Proposal, Spend};
use crate::redaction::Redactor;
use crate::redaction::beginning;
use serde_json::Value as Json;

/// Answers without words and calls, one after the other, before the model is given up.
const MOST_EMPTY: usize = 2;
/// Bytes a token, for servers that do not count: a low guess would overspend.
const BYTES_A_TOKEN: u64 = 4;
/// What an answer is counted with before it is there.
const ANSWER_TOKENS: u64 = 1_000;
/// Of the model's words that stand as the reason of its calls.
const REASON_CHARS: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("out of budget: {spent} tokens are spent and the next question takes about {next} more, of {limit} an incident")]
    Budget { spent: u64, next: u64, limit: u64 },
    #[error("the conversation has outgrown the limit of {0} bytes")]
    Prompt(usize),
    #[error("the model answered {0} times in a row without words and without a call")]
    Empty(usize),
    #[error("ask the model")]
    Llm(#[from] LlmError),
}

/// A model's answer, to be recorded as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    pub text: String,
    /// In order. Each bears a call id of ours, by which its outcome finds its way back.
    pub calls: Vec<Proposal>,
    /// As the server counted, else estimated from the lengths of question and answer.
    pub tokens: u64,
    /// Those of the question among them.
    pub asked: u64,
    pub estimated: bool,
}

/// A question that is ready to be asked.
#[derive(Debug, Clone)]
pub struct Prepared {
    messages: Vec<Message>,
    tools: Vec<ToolSchema>,
    /// In bytes.
    size: usize,
}

impl Thought {
    /// The text is the finding, and the run is done. Without words and calls it is no answer: record it and ask again.
    pub fn is_final(&self) -> bool {
        self.calls.is_empty() && !self.text.trim().is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct ModelPlanner {
    client: LlmClient,
    limits: Limits,
    max_tokens: u64,
    redactor: Redactor,
    name: String,
    price: Price,
    cost_limits: CostLimits,
}

impl ModelPlanner {
    pub fn new(settings: &LlmSettings) -> Result<Self, LlmError> {
        Ok(Self {
            client: LlmClient::new(settings)?,
            limits: Limits { output: settings.tool_output_bytes, prompt: settings.prompt_bytes },
            max_tokens: settings.max_tokens_per_incident,
            redactor: Redactor::default(),
            name: settings.model.clone(),
            price: settings.price().unwrap_or_default(),
            cost_limits: settings.limits,
        })
    }

    /// The incident is without secrets when it comes here; what a model's server is sent is looked through once more.
    pub fn redacting(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn cost_limits(&self) -> &CostLimits {
        &self.cost_limits
    }

    /// About what the question will come to with its answer.
    pub fn expected(&self, asked: &Prepared) -> Spend {
        self.price.of(asked.size as u64 / BYTES_A_TOKEN + 1, ANSWER_TOKENS)
    }

    pub fn came_to(&self, thought: &Thought) -> Spend {
        self.price.of(thought.asked, thought.tokens.saturating_sub(thought.asked))
    }

    /// One turn. Reads nothing but the incident; writes nothing.
    pub async fn think(&self, incident: &Incident, tools: &[ToolSchema]) -> Result<Thought, ModelError> {
        self.ask(self.prepare(incident, tools)?, incident).await
    }

    /// The next question, unless the incident has used up what it may.
    pub fn prepare(&self, incident: &Incident, tools: &[ToolSchema]) -> Result<Prepared, ModelError> {
        let empty = trailing_empty(incident);
        if empty >= MOST_EMPTY {
            return Err(ModelError::Empty(empty));
        }
        let offered: usize =
            tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len() + 40).sum();
        let limits = Limits { prompt: self.limits.prompt.saturating_sub(offered), ..self.limits };
        let mut messages = prompt::conversation(incident, limits).ok_or(ModelError::Prompt(self.limits.prompt))?;
        messages.iter_mut().for_each(|message| prompt::redact(message, &self.redactor));
        let size: usize = offered + messages.iter().map(prompt::size).sum::<usize>();
        let next = size as u64 / BYTES_A_TOKEN;
        if incident.tokens.saturating_add(next) > self.max_tokens {
            return Err(ModelError::Budget { spent: incident.tokens, next, limit: self.max_tokens });
        }
        Ok(Prepared { messages, tools: tools.to_vec(), size })
    }

    pub async fn ask(&self, asked: Prepared, incident: &Incident) -> Result<Thought, ModelError> {
        let answer = self.client.ask(&asked.messages, &asked.tools).await?;
        Ok(thought(answer, incident.thoughts.len(), asked.size))
    }
}

/// How often the model has just answered nothing, in this run.
fn trailing_empty(incident: &Incident) -> usize {
    let first = incident.run.as_ref().map_or(0, |run| run.first_thought).min(incident.thoughts.len());
    let silent = |thought: &&crate::domain::Thought| thought.calls.is_empty() && thought.text.trim().is_empty();
    incident.thoughts[first..].iter().rev().take_while(silent).count()
}

fn thought(answer: Answer, turn: usize, asked: usize) -> Thought {
    let answered = answer.text.len() + answer.calls.iter().map(|call| call.name.len() + weight(call)).sum::<usize>();
    let estimate = (asked + answered) as u64 / BYTES_A_TOKEN + 1;
    let reason = beginning(&answer.text, REASON_CHARS);
    let calls = answer.calls.into_iter().enumerate();
    let tokens = answer.tokens.unwrap_or(estimate);
    Thought {
        asked: answer.asked.unwrap_or(asked as u64 / BYTES_A_TOKEN + 1).min(tokens),
        calls: calls.map(|(number, call)| proposal(call, turn, number, &reason)).collect(),
        text: answer.text,
        tokens,
        estimated: answer.tokens.is_none(),
    }
}

fn weight(call: &Call) -> usize {
    match &call.arguments {
        Ok(json) => json.to_string().len(),
        Err(broken) => broken.text.len(),
    }
}

/// Broken arguments stay a text, which no tool accepts: the denial tells the model, and the record shows what it sent.
fn proposal(call: Call, turn: usize, number: usize, words: &str) -> Proposal {
    let (arguments, reason) = match call.arguments {
        Ok(arguments) => {
            let own = arguments.get("reason").and_then(Json::as_str).map(|text| beginning(text, REASON_CHARS));
            (arguments, own.unwrap_or_else(|| words.to_owned()))
        }
        Err(broken) => (Json::String(broken.text), format!("the model's arguments are unreadable: {}", broken.problem)),
    };
    Proposal { tool: call.name, arguments, reason, step: None, call: Some(prompt::call_id(turn, number)) }
}
