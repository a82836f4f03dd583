//! Asking a model within what a day may cost: counted before the question, settled after it. When a limit is spent the model's run ends,
//! the runbook or a human goes on, and humans are told once.

use super::Engine;
use super::error::EngineError;
use crate::clients::llm::LlmError;
use crate::domain::{Channel, CostLimits, Entry, Incident, LimitSpent, Notice, PlannerKind, Severity};
use crate::planner::{ModelError, ModelPlanner, Thought};
use crate::store::{Asking, Claim, Commit, Question, Wake};

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    Model(ModelError),
    Spent(LimitSpent),
}

impl Engine {
    /// The limits of the model that is asked; none where there is no model.
    pub fn cost_limits(&self) -> Option<CostLimits> {
        self.parts.model.as_ref().map(|model| *model.cost_limits())
    }

    pub(super) async fn within_costs(&self, model: &ModelPlanner, incident: &Incident) -> Result<Result<Thought, NoAnswer>, EngineError> {
        let asked = match model.prepare(incident, &super::gate::tool_schemas()) {
            Ok(asked) => asked,
            Err(e) => return Ok(Err(NoAnswer::Model(e))),
        };
        let place = place_of(incident);
        let question = Question { incident: incident.id, place: &place, model: model.name(), expected: model.expected(&asked) };
        let asking = match self.parts.store.may_ask(question, model.cost_limits(), self.now()).await? {
            Ok(asking) => asking,
            Err(limit) => return Ok(Err(NoAnswer::Spent(limit))),
        };
        let answered = model.ask(asked, incident).await;
        self.settle(asking, model, &answered).await?;
        Ok(answered.map_err(NoAnswer::Model))
    }

    async fn settle(&self, asking: Asking, model: &ModelPlanner, answered: &Result<Thought, ModelError>) -> Result<(), EngineError> {
        let came_to = match answered {
            Ok(thought) => {
                let spend = model.came_to(thought);
                for (direction, tokens) in [("input", spend.tokens_in), ("output", spend.tokens_out)] {
                    metrics::counter!("paramedic_model_tokens_total", "direction" => direction).increment(tokens);
                }
                Some(spend)
            }
            // It was refused, or nobody was there to answer.
            Err(ModelError::Llm(LlmError::Refused { .. } | LlmError::Unavailable { .. } | LlmError::Busy(_))) => None,
            // It may have been answered and counted there: what was estimated stands.
            Err(_) => return Ok(()),
        };
        Ok(self.parts.store.settle_question(asking, came_to).await?)
    }

    /// The run ends; the next planner or a human goes on. Told once a day and limit, whoever comes across it.
    pub(super) async fn limit_spent(&self, claim: &Claim, incident: &mut Incident, limit: LimitSpent) -> Result<Wake, EngineError> {
        metrics::counter!("paramedic_model_limits_spent_total").increment(1);
        let text = format!("{limit}. Until midnight UTC runbooks and humans do without the model. Read: paramedic costs");
        let notice = || Notice::Message { severity: Severity::Warning, text: text.clone() };
        let channels = self.channels().into_iter().filter(|channel| *channel != Channel::Pagerduty);
        let notices = channels.map(|channel| (channel, notice())).collect();
        let entries = vec![Entry::PlannerFailed { planner: PlannerKind::Model, why: limit.to_string() }];
        self.commit(claim, incident, Commit { entries, once: Some((limit, notices)), ..Commit::default() }).await?;
        Ok(Wake::Now)
    }
}

/// Whose limit it counts against: a service, wherever it runs; else a host.
fn place_of(incident: &Incident) -> String {
    match (&incident.target.service, &incident.target.host) {
        (Some(service), _) => service.to_string(),
        (None, Some(host)) => format!("host {host}"),
        (None, None) => "no known target".to_owned(),
    }
}
