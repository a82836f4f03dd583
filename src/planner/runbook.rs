//! The planner that needs no model: a list of steps, walked in order. Which step comes next follows from the incident alone, so a
//! restart changes nothing. It proposes; it never acts and never decides whether it may.

mod check;

use super::template::{self, TemplateError, World};
use crate::domain::{Incident, Outcome, Problem, Proposal, Step, StepEnd, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunbookFile {
    pub name: String,
    /// Why these steps help.
    pub why: String,
    pub steps: Vec<StepFile>,
    #[serde(default)]
    pub verify: Option<VerifyFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Later steps read this one's outcome as `steps.ID`.
    pub id: String,
    pub tool: String,
    /// Texts in it are Jinja templates; an argument that comes out as null is left out.
    #[serde(default)]
    pub args: BTreeMap<String, Json>,
    /// A Jinja expression over the incident, its alert and earlier steps. Not true: skipped.
    #[serde(default)]
    pub when: Option<String>,
    /// A template: why this is done, for humans.
    pub reason: String,
    /// Goes on where the step is denied, refused or fails.
    #[serde(default)]
    pub optional: bool,
}

/// The independent witness of a fix.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyFile {
    pub tool: String,
    #[serde(default)]
    pub args: BTreeMap<String, Json>,
    /// Not true: there is nothing to check.
    #[serde(default)]
    pub when: Option<String>,
    /// A Jinja expression over the incident, `ok` and `output`.
    pub expect: String,
    /// How long to wait for it, such as `5m` or `1m30s`; at most a day.
    pub within: String,
}

/// What a runbook may know of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolShape {
    pub arguments: BTreeSet<String>,
    /// It can change something: its arguments may not come from texts of alerts, logs or outputs.
    pub acts: bool,
}

/// Every tool by its name.
pub type ToolShapes = BTreeMap<String, ToolShape>;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("runbook {runbook}, {place}")]
    Template {
        runbook: String,
        place: String,
        #[source]
        source: TemplateError,
    },
}

/// What a runbook does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Propose(Proposal),
    Skip {
        step: String,
        why: String,
    },
    /// The step is asked for or under way: nothing to do before its entry is written.
    Wait {
        step: String,
    },
    Done {
        summary: String,
    },
    Fail {
        why: String,
    },
}

/// A reading that shows whether the fix worked, whatever the alert says.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub proposal: Proposal,
    pub expect: String,
    pub within: chrono::Duration,
    runbook: String,
    context: Json,
}

impl Check {
    /// A check that no runbook spelled out. `expect` knows `ok` and `output` only.
    pub fn plain(proposal: Proposal, expect: &str, within: chrono::Duration) -> Self {
        let context = Json::Object(Map::new());
        Self { proposal, expect: expect.to_owned(), within, runbook: "(built in)".to_owned(), context }
    }

    pub fn holds(&self, outcome: &Outcome) -> Result<bool, PlanError> {
        if !outcome.ok {
            return Ok(false);
        }
        let mut context = self.context.clone();
        context["ok"] = Json::Bool(outcome.ok);
        context["output"] = outcome.output.clone();
        template::holds(&self.expect, &context).map_err(|source| failed(&self.runbook, "verify.expect", source))
    }
}

/// A runbook whose tools, names and texts have been checked.
#[derive(Debug, Clone)]
pub struct Runbook {
    file: RunbookFile,
    /// Of each step: may its tool change something?
    acts: Vec<bool>,
    within: Option<chrono::Duration>,
}

impl Runbook {
    /// Reports everything that is wrong with the file at once.
    pub fn build(file: RunbookFile, tools: &ToolShapes) -> Result<Self, Vec<Problem>> {
        let within = check::check(&file, tools)?;
        let acts = file.steps.iter().map(|step| tools.get(&step.tool).is_none_or(|tool| tool.acts)).collect();
        Ok(Self { file, acts, within })
    }

    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Its tools in order, for humans: `paramedic classify`.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.file.steps.iter().map(|step| step.tool.as_str())
    }

    /// The first step of the current run that has not been dealt with. A step in doubt that may have changed something ends the
    /// run even where it is optional.
    pub fn next(&self, incident: &Incident) -> Next {
        for (index, step) in self.file.steps.iter().enumerate() {
            if skipped(incident, &step.id) {
                continue;
            }
            let Some(done) = template::last_step(incident, &step.id) else {
                return self.consider(index, incident);
            };
            match trouble(done) {
                Trouble::None => {}
                Trouble::Open => return Next::Wait { step: step.id.clone() },
                Trouble::Bearable(_) if step.optional => {}
                Trouble::Bearable(why) | Trouble::Grave(why) => {
                    return Next::Fail { why: format!("step {} ({}) {why}{}", step.id, step.tool, self.learnt(incident, index)) };
                }
            }
        }
        // A run that did nothing leaves nothing to wait for: whoever comes next should come now.
        if self.file.steps.iter().all(|step| skipped(incident, &step.id)) {
            return Next::Fail { why: format!("no step of {} applies to {}", self.file.name, incident.target) };
        }
        Next::Done { summary: format!("{}{}", self.file.name, self.learnt(incident, self.file.steps.len())) }
    }

    fn consider(&self, index: usize, incident: &Incident) -> Next {
        let step = &self.file.steps[index];
        let skip = |why: String| Next::Skip { step: step.id.clone(), why };
        match self.propose(index, incident) {
            Ok(Some(proposal)) => Next::Propose(proposal),
            Ok(None) => skip(step.when.as_ref().map_or_else(String::new, |when| format!("does not hold: {}", when.trim()))),
            Err(error) if step.optional => skip(shown(&error)),
            Err(error) => Next::Fail { why: shown(&error) },
        }
    }

    /// None: its condition does not hold.
    fn propose(&self, index: usize, incident: &Incident) -> Result<Option<Proposal>, PlanError> {
        let step = &self.file.steps[index];
        let at = |key: &str| format!("steps[{index}].{key}");
        let whole = template::context(incident, World::Whole, &self.ids(index));
        if let Some(when) = &step.when
            && !template::holds(when, &whole).map_err(|source| failed(self.name(), &at("when"), source))?
        {
            return Ok(None);
        }
        let world = if self.acts[index] { World::Acting } else { World::Whole };
        let seen = template::context(incident, world, &self.ids(index));
        Ok(Some(Proposal {
            tool: step.tool.clone(),
            arguments: arguments(&step.args, &seen).map_err(|source| failed(self.name(), &at("args"), source))?,
            reason: template::text_of(&step.reason, &whole).map_err(|source| failed(self.name(), &at("reason"), source))?,
            step: Some(step.id.clone()),
            call: None,
        }))
    }

    /// The reading to take after the fix. None where the runbook has none, or its condition does not hold.
    pub fn verification(&self, incident: &Incident) -> Result<Option<Check>, PlanError> {
        let (Some(verify), Some(within)) = (&self.file.verify, self.within) else {
            return Ok(None);
        };
        let context = template::context(incident, World::Whole, &self.ids(self.file.steps.len()));
        if let Some(when) = &verify.when
            && !template::holds(when, &context).map_err(|source| failed(self.name(), "verify.when", source))?
        {
            return Ok(None);
        }
        let arguments = arguments(&verify.args, &context).map_err(|source| failed(self.name(), "verify.args", source))?;
        Ok(Some(Check {
            proposal: Proposal {
                tool: verify.tool.clone(),
                arguments,
                reason: format!("independent signal of runbook {}", self.file.name),
                step: Some("verify".to_owned()),
                call: None,
            },
            expect: verify.expect.clone(),
            within,
            runbook: self.file.name.clone(),
            context,
        }))
    }

    /// The ids of the steps before this one.
    fn ids(&self, index: usize) -> Vec<String> {
        self.file.steps[..index].iter().map(|step| step.id.clone()).collect()
    }

    /// What the steps before this one said, for whoever takes over.
    fn learnt(&self, incident: &Incident, before: usize) -> String {
        let said = self.file.steps[..before].iter().filter_map(|step| {
            let outcome = template::last_step(incident, &step.id)?.outcome()?;
            Some(format!("{}: {}", step.id, outcome.said))
        });
        let said: Vec<_> = said.collect();
        if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) }
    }
}

fn skipped(incident: &Incident, step: &str) -> bool {
    incident.run.as_ref().is_some_and(|run| run.skipped.contains(step))
}

/// Does what became of a step stop the run?
enum Trouble {
    None,
    Open,
    /// An optional step may have it.
    Bearable(String),
    /// No step may.
    Grave(String),
}

fn trouble(step: &Step) -> Trouble {
    match &step.end {
        StepEnd::Finished(outcome) if outcome.ok => Trouble::None,
        StepEnd::Finished(outcome) => Trouble::Bearable(format!("failed: {}", outcome.said)),
        StepEnd::Asked | StepEnd::Started => Trouble::Open,
        StepEnd::Denied => {
            let reasons = step.opinions.iter().filter(|o| o.verdict == Verdict::Deny).map(|o| o.reason.as_str());
            Trouble::Bearable(format!("was denied: {}", reasons.collect::<Vec<_>>().join("; ")))
        }
        StepEnd::RefusedBy(by) => Trouble::Bearable(format!("was refused by {by}")),
        StepEnd::Expired => Trouble::Bearable("was not approved in time".to_owned()),
        StepEnd::Void(why) => Trouble::Bearable(format!("became void: {why}")),
        StepEnd::Unavailable(why) => Trouble::Bearable(format!("could not be put to a human: {why}")),
        StepEnd::InDoubt => {
            let acted = step.action.as_ref().is_none_or(|action| action.effect.changes_something());
            let why = "is in doubt: started, outcome unknown".to_owned();
            if acted { Trouble::Grave(why) } else { Trouble::Bearable(why) }
        }
    }
}

fn arguments(args: &BTreeMap<String, Json>, context: &Json) -> Result<Json, TemplateError> {
    let mut filled = Map::new();
    for (name, value) in args {
        let value = template::fill(value, context)?;
        if !value.is_null() {
            filled.insert(name.clone(), value);
        }
    }
    Ok(Json::Object(filled))
}

fn failed(runbook: &str, place: &str, source: TemplateError) -> PlanError {
    PlanError::Template { runbook: runbook.to_owned(), place: place.to_owned(), source }
}

fn shown(error: &PlanError) -> String {
    let PlanError::Template { source, .. } = error;
    format!("{error}: {source}")
}
