//! Floor 3: what to do next. A runbook or a model proposes, one step at a time, from the incident alone; neither acts, and
//! neither decides what is allowed.

mod fence;
mod model;
mod prompt;
mod runbook;
mod template;

pub use crate::clients::llm::ToolSchema;
pub use model::{ModelError, ModelPlanner, Prepared, Thought};
pub use runbook::{Check, Next, PlanError, Runbook, RunbookFile, StepFile, ToolShape, ToolShapes, VerifyFile};
pub use template::{IDENTITY_LABELS, TemplateError};
