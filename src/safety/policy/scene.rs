//! Our words in Cedar's: facts become a request's context, resources and humans its entities, all of it checked against the schema.

use crate::domain::{Agent, Facts, Level, Mode, Place, Principal, Resource, Tier, Via};
use crate::safety::{Voter, boundary, is_forbidden};
use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value};
use std::collections::{HashMap, HashSet};

/// What a question is asked with, besides who and what.
pub struct Scene {
    pub resource: EntityUid,
    pub context: Context,
    pub entities: Entities,
}

/// How far an approval has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count<'a> {
    /// The name of the human who wanted it.
    pub requester: Option<&'a str>,
    pub approvers: u32,
    pub signed: u32,
}

/// The schema's names, parsed once.
pub struct Terms {
    agent: EntityTypeName,
    human: EntityTypeName,
    group: EntityTypeName,
    via: EntityTypeName,
    service: EntityTypeName,
    host: EntityTypeName,
    nowhere: EntityTypeName,
    tool: EntityTypeName,
    tier: EntityTypeName,
    mode: EntityTypeName,
    pub execute: EntityUid,
    pub propose: EntityUid,
    pub approve: EntityUid,
    pub release: EntityUid,
}

impl Terms {
    pub fn new() -> Result<Self, String> {
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(|e| format!("`{text}`: {e}"));
        let action = name("Action")?;
        let of = |id: &str| uid(&action, id);
        Ok(Self {
            agent: name("Agent")?,
            human: name("Human")?,
            group: name("Group")?,
            via: name("Via")?,
            service: name("Service")?,
            host: name("Host")?,
            nowhere: name("Nowhere")?,
            tool: name("Tool")?,
            tier: name("Tier")?,
            mode: name("Mode")?,
            execute: of("execute"),
            propose: of("propose"),
            approve: of("approve"),
            release: of("release"),
        })
    }

    pub fn agent(&self, agent: Agent) -> EntityUid {
        uid(&self.agent, &agent.to_string())
    }

    /// A named approver is one person at every door. Of others only the door is known: a login name on the machine is not the Slack user
    /// that is called the same.
    pub fn human(&self, voter: Voter<'_>) -> EntityUid {
        let Principal { name, via } = voter.by;
        if voter.named { uid(&self.human, name) } else { uid(&self.human, &format!("{via}/{name}")) }
    }

    pub fn scene(&self, facts: &Facts, resource: &Resource, human: Option<Voter<'_>>, count: Count<'_>) -> Result<Scene, String> {
        if !has_name(&facts.tool) {
            return Err(format!("the schema knows no tool `{}`", facts.tool));
        }
        let (uid, entity) = self.resource(resource)?;
        let mut entities = vec![entity];
        if let Some(voter) = human {
            entities.push(self.human_entity(voter)?);
        }
        // Their shape is this file's own, and the context's is; the test below holds both against the schema.
        let entities = Entities::from_entities(entities, None).map_err(|e| e.to_string())?;
        Ok(Scene { resource: uid, context: self.context(facts, count)?, entities })
    }

    fn resource(&self, resource: &Resource) -> Result<(EntityUid, Entity), String> {
        let (uid, parents) = match &resource.place {
            Place::Service { name, hosts } => (uid(&self.service, name), hosts.iter().map(|host| uid(&self.host, host)).collect()),
            Place::Host { name } => (uid(&self.host, name), HashSet::new()),
            Place::Nowhere => (uid(&self.nowhere, "nowhere"), HashSet::new()),
        };
        let attributes = HashMap::from([
            ("environment".to_owned(), Value::new_string(resource.environment.clone())),
            ("owner".to_owned(), Value::new_string(resource.owner.clone())),
            ("tags".to_owned(), Value::new_set(resource.tags.iter().cloned().map(Value::new_string))),
        ]);
        let entity = Entity::new(uid.clone(), attributes, parents).map_err(|e| e.to_string())?;
        Ok((uid, entity))
    }

    fn human_entity(&self, voter: Voter<'_>) -> Result<Entity, String> {
        let via = HashMap::from([("via".to_owned(), Value::new_entity_uid(uid(&self.via, via(voter.by.via))))]);
        let groups = voter.groups.iter().map(|group| uid(&self.group, group)).collect();
        Entity::new(self.human(voter), via, groups).map_err(|e| e.to_string())
    }

    fn context(&self, facts: &Facts, count: Count<'_>) -> Result<Context, String> {
        let word = |of: &EntityTypeName, id: &str| Value::new_entity_uid(uid(of, id));
        let long = |n: u32| Value::new_long(i64::from(n));
        let mut pairs = vec![
            ("tool", word(&self.tool, &facts.tool)),
            ("tier", word(&self.tier, tier(facts.tier))),
            ("level", long(level(facts.level))),
            ("mode", word(&self.mode, mode(facts.mode))),
            ("risk", Value::new_long(facts.risk.score.hundredths())),
            ("restarts_left", long(facts.restarts_left)),
            ("instances_left", long(facts.instances_left)),
            ("actions_left", long(facts.actions_left)),
            ("storm", Value::new_bool(facts.storm)),
            ("hour", long(facts.moment.hour)),
            ("weekday", long(facts.moment.weekday)),
            ("off_hours", Value::new_bool(facts.moment.off_hours)),
            ("approvers", long(count.approvers)),
            ("signed", long(count.signed)),
        ];
        if let Some(requester) = count.requester {
            pairs.push(("requester", word(&self.human, requester)));
        }
        Context::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))).map_err(|e| e.to_string())
    }
}

/// The tools of the schema that anything is asked about; of another name no policy could have thought.
fn has_name(tool: &str) -> bool {
    boundary::is_known(tool) || is_forbidden(tool)
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn level(level: Level) -> u32 {
    u32::from(u8::from(level))
}

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Observe => "observe",
        Tier::Reversible => "reversible",
        Tier::Disruptive => "disruptive",
        Tier::Destructive => "destructive",
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Review => "review",
        Mode::Disabled => "disabled",
    }
}

fn via(via: Via) -> &'static str {
    match via {
        Via::Slack => "slack",
        Via::Cli => "cli",
        Via::Api => "api",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Impact, Moment, Risk, Score};
    use crate::safety::{SCHEMA, floor::FORBIDDEN};
    use cedar_policy::{Request, Schema};

    #[test]
    fn resources_and_humans_have_the_shape_that_the_schema_wants() {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let terms = Terms::new().unwrap();
        let places = [
            Place::Service { name: "api".into(), hosts: vec!["web-1".into(), "web-2".into()] },
            Place::Host { name: "web-1".into() },
            Place::Nowhere,
        ];
        for place in places {
            for tags in [Vec::new(), vec!["payments".to_owned()]] {
                let resource = Resource { place: place.clone(), environment: "production".into(), owner: String::new(), tags };
                let (_, entity) = terms.resource(&resource).unwrap();
                Entities::from_entities([entity], Some(&schema)).unwrap();
            }
        }
        for via in [Via::Slack, Via::Cli, Via::Api] {
            let who = Principal { name: "ana".into(), via };
            let voter = Voter { by: &who, named: true, groups: &["approvers"] };
            Entities::from_entities([terms.human_entity(voter).unwrap()], Some(&schema)).unwrap();
        }
    }

    #[test]
    fn a_question_has_the_shape_that_the_schema_wants() {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let terms = Terms::new().unwrap();
        let resource = Resource { place: Place::Nowhere, environment: String::new(), owner: String::new(), tags: Vec::new() };
        let mut facts = Facts {
            agent: Agent::Diagnoser,
            tool: String::new(),
            tier: Tier::Observe,
            level: Level::One,
            mode: Mode::Auto,
            risk: Risk { score: Score::of_hundredths(100), parts: Vec::new() },
            impact: Impact { users: String::new(), downtime: String::new(), data: String::new() },
            restarts_left: u32::MAX,
            instances_left: 0,
            actions_left: 1,
            storm: true,
            moment: Moment { hour: 23, weekday: 7, off_hours: true },
            resources: vec![resource.clone()],
        };
        let who = Principal { name: "ana".into(), via: Via::Slack };
        let voter = Voter { by: &who, named: true, groups: &[] };
        for tool in boundary::KNOWN.iter().chain(&FORBIDDEN) {
            facts.tool = (*tool).to_owned();
            for (tier, level, mode) in [
                (Tier::Observe, Level::One, Mode::Auto),
                (Tier::Reversible, Level::Two, Mode::Review),
                (Tier::Disruptive, Level::Three, Mode::Disabled),
                (Tier::Destructive, Level::One, Mode::Auto),
            ] {
                (facts.tier, facts.level, facts.mode) = (tier, level, mode);
                let asked = |principal: EntityUid, question: &EntityUid, requester: Option<&str>| {
                    let count = Count { requester, approvers: 5, signed: 5 };
                    let scene = terms.scene(&facts, &resource, None, count).unwrap();
                    Request::new(principal, question.clone(), scene.resource, scene.context, Some(&schema)).unwrap();
                };
                for agent in [Agent::Diagnoser, Agent::Remediator, Agent::Notifier] {
                    for question in [&terms.execute, &terms.propose, &terms.release] {
                        asked(terms.agent(agent), question, None);
                    }
                }
                asked(terms.human(voter), &terms.approve, Some("bo"));
            }
        }
        facts.tool = "restart_servce".into();
        assert_eq!(
            terms.scene(&facts, &resource, None, Count::default()).err().as_deref(),
            Some("the schema knows no tool `restart_servce`")
        );
    }
}
