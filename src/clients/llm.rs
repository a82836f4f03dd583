//! A language model behind the chat completions protocol: OpenAI's own, Ollama, vLLM, llama.cpp, a gateway. What goes out is
//! typed and strict; what comes back is read leniently. Knows nothing of incidents, and never logs a body.

mod answer;
mod transport;

pub use answer::{Answer, Call};

use super::http::{self, HttpError};
use crate::domain::{CostLimits, Price, Problem};
use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCalls, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestAssistantMessageContent, ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestToolMessage, ChatCompletionRequestToolMessageContent, ChatCompletionRequestUserMessage, ChatCompletionTool,
    ChatCompletionTools, CreateChatCompletionRequest, FunctionCall, FunctionObject,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// `llm:` in the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlmSettings {
    /// Up to and without `/chat/completions`, such as `http://localhost:11434/v1`.
    pub base_url: String,
    pub model: String,
    #[serde(default, deserialize_with = "secret")]
    pub api_key: Option<SecretString>,
    /// Of one question with its answer, repetitions included.
    #[serde(default = "defaults::timeout_seconds")]
    pub timeout_seconds: u64,
    /// Of one incident, over all its questions. A server that does not count is estimated at four bytes a token.
    #[serde(default = "defaults::max_tokens")]
    pub max_tokens_per_incident: u64,
    /// What one tool output may take of the prompt.
    #[serde(default = "defaults::tool_output_bytes")]
    pub tool_output_bytes: usize,
    /// What one whole prompt may take, tools included.
    #[serde(default = "defaults::prompt_bytes")]
    pub prompt_bytes: usize,
    /// By model, in dollars a million tokens. One that is not listed costs nothing that is counted.
    #[serde(default)]
    pub prices: BTreeMap<String, Price>,
    /// What a day may cost.
    #[serde(default)]
    pub limits: CostLimits,
    /// Null leaves it out, for models that refuse it.
    #[serde(default = "defaults::temperature")]
    pub temperature: Option<f32>,
}

mod defaults {
    pub fn timeout_seconds() -> u64 {
        60
    }
    pub fn max_tokens() -> u64 {
        200_000
    }
    pub fn tool_output_bytes() -> usize {
        8 * 1024
    }
    pub fn prompt_bytes() -> usize {
        96 * 1024
    }
    #[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
    pub fn temperature() -> Option<f32> {
        Some(0.1)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

impl LlmSettings {
    /// Everything at its default but where and what.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            timeout_seconds: defaults::timeout_seconds(),
            max_tokens_per_incident: defaults::max_tokens(),
            tool_output_bytes: defaults::tool_output_bytes(),
            prompt_bytes: defaults::prompt_bytes(),
            prices: BTreeMap::new(),
            limits: CostLimits::default(),
            temperature: defaults::temperature(),
        }
    }
}

impl LlmSettings {
    /// Of the model that is asked.
    pub fn price(&self) -> Option<Price> {
        self.prices.get(&self.model).copied()
    }

    /// Prices and limits that count nothing.
    pub fn cost_problems(&self) -> Vec<Problem> {
        let unfit = self.prices.iter().filter_map(|(model, price)| Some(Problem::new(format!("llm.prices.{model}"), price.problem()?)));
        unfit.chain(self.limits.problems(&self.model, self.price().is_some())).collect()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    #[error("build the model's client")]
    Build(#[from] HttpError),
    #[error("the model's server refused: {status}: {said}")]
    Refused { status: u16, said: String },
    #[error("the model's server failed {attempts} times, last: {last}")]
    Unavailable { attempts: u32, last: String },
    #[error("the model's server asks to wait {0:?}, longer than a question may take")]
    Busy(Duration),
    #[error("the model did not answer within {0:?}")]
    Timeout(Duration),
    #[error("the model's answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the model's answer cannot be read: {0}")]
    Unreadable(String),
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    System(String),
    User(String),
    Assistant { text: String, calls: Vec<AskedCall> },
    Tool { call: String, text: String },
}

/// A call as the model is reminded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedCall {
    pub id: String,
    pub name: String,
    /// JSON in text, as the protocol has it.
    pub arguments: String,
}

/// A tool as the model sees it. `parameters` is a JSON schema of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSchema {
    pub name: String,
    pub description: String,
    pub parameters: Json,
}

#[derive(Debug, Clone)]
pub struct LlmClient {
    client: Client<OpenAIConfig>,
    model: String,
    temperature: Option<f32>,
    timeout: Duration,
}

impl LlmClient {
    pub fn new(settings: &LlmSettings) -> Result<Self, LlmError> {
        let timeout = Duration::from_secs(settings.timeout_seconds.max(1));
        let http = http::client(timeout)?;
        // Set even when empty: the builder's default would take a key from this process's environment.
        let key = settings.api_key.as_ref().map_or("", |key| key.expose_secret());
        let config = OpenAIConfig::new()
            .with_api_base(settings.base_url.trim_end_matches('/'))
            .with_api_key(key)
            .with_org_id("")
            .with_project_id("");
        let client = Client::build(http.clone(), config).with_http_service(transport::Transport::new(http));
        Ok(Self { client, model: settings.model.clone(), temperature: settings.temperature, timeout })
    }

    /// One question, one answer.
    pub async fn ask(&self, messages: &[Message], tools: &[ToolSchema]) -> Result<Answer, LlmError> {
        let request = CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: messages.iter().map(wire_message).collect(),
            tools: Some(tools.iter().map(wire_tool).collect()).filter(|tools: &Vec<_>| !tools.is_empty()),
            temperature: self.temperature,
            ..CreateChatCompletionRequest::default()
        };
        let chat = self.client.chat();
        let asked = chat.create_byot::<_, Json>(request);
        match tokio::time::timeout(self.timeout, asked).await {
            Err(_) => Err(LlmError::Timeout(self.timeout)),
            Ok(Err(error)) => Err(self.read_error(error)),
            Ok(Ok(body)) => answer::read(&body).map_err(LlmError::Unreadable),
        }
    }

    /// What the transport said comes back wrapped.
    fn read_error(&self, error: OpenAIError) -> LlmError {
        match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<LlmError>() {
                Ok(ours) => match *ours {
                    LlmError::Timeout(_) => LlmError::Timeout(self.timeout),
                    other => other,
                },
                Err(other) => LlmError::Unreadable(other.to_string()),
            },
            // The body is not repeated: it may be anything.
            OpenAIError::JSONDeserialize(error, _) => LlmError::Unreadable(error.to_string()),
            other => LlmError::Unreadable(other.to_string()),
        }
    }
}

fn wire_message(message: &Message) -> ChatCompletionRequestMessage {
    match message {
        Message::System(text) => ChatCompletionRequestMessage::System(ChatCompletionRequestSystemMessage::from(text.as_str())),
        Message::User(text) => ChatCompletionRequestMessage::User(ChatCompletionRequestUserMessage::from(text.as_str())),
        Message::Tool { call, text } => ChatCompletionRequestMessage::Tool(ChatCompletionRequestToolMessage {
            content: ChatCompletionRequestToolMessageContent::Text(text.clone()),
            tool_call_id: call.clone(),
        }),
        Message::Assistant { text, calls } => {
            let calls: Vec<_> = calls.iter().map(wire_call).collect();
            ChatCompletionRequestMessage::Assistant(ChatCompletionRequestAssistantMessage {
                // Always a text: some servers' templates stumble over a missing one.
                content: Some(ChatCompletionRequestAssistantMessageContent::Text(text.clone())),
                tool_calls: if calls.is_empty() { None } else { Some(calls) },
                ..ChatCompletionRequestAssistantMessage::default()
            })
        }
    }
}

fn wire_call(call: &AskedCall) -> ChatCompletionMessageToolCalls {
    ChatCompletionMessageToolCalls::Function(ChatCompletionMessageToolCall {
        id: call.id.clone(),
        function: FunctionCall { name: call.name.clone(), arguments: call.arguments.clone() },
    })
}

fn wire_tool(tool: &ToolSchema) -> ChatCompletionTools {
    ChatCompletionTools::Function(ChatCompletionTool {
        function: FunctionObject {
            name: tool.name.clone(),
            description: Some(tool.description.clone()),
            parameters: Some(tool.parameters.clone()),
            strict: None,
        },
    })
}
