use crate::domain::{Incident, Proposal};
pub struct ModelPlanner; pub struct ToolSchema { pub name: String, pub description: String, pub parameters: serde_json::Value }
pub struct Thinking { pub text: String, pub calls: Vec<Proposal>, pub tokens: u64 }
#[derive(Debug, Clone, serde::Deserialize)] pub struct LlmSettings { pub base_url: String, pub model: String, pub api_key: Option<secrecy::SecretString> }
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct ModelError;
impl ModelPlanner { pub async fn think(&self, _: &Incident, _: &[ToolSchema]) -> Result<Thinking, ModelError> { Err(ModelError) } }
