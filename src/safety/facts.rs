//! The facts of a judgement, gathered from the action, the situation and the bounds: what policies may ask about. A budget that could
//! not be read is used up.

use super::{Hours, Limits, Situation, hours, risk};
use crate::domain::{Action, Agent, Effect, Facts, Host, Inventory, Place, Resource, Service};
use std::collections::BTreeSet;

pub fn gather(action: &Action, situation: &Situation<'_>, limits: &Limits, working: Option<&Hours>) -> Facts {
    let resources = resources(action, situation.inventory);
    let moment = hours::moment(working, situation.now);
    let changes = action.effect.changes_something();
    let usage = &situation.usage;
    let (restarts_left, instances_left) = by_effect(action, situation, limits);
    Facts {
        agent: agent(&action.effect),
        tool: action.tool.clone(),
        tier: action.tier,
        level: situation.level,
        mode: situation.mode,
        risk: risk::score(action, &resources, moment),
        impact: risk::impact(action, situation.inventory),
        restarts_left,
        instances_left,
        actions_left: if changes { left(usage.actions, limits.actions_per_incident) } else { limits.actions_per_incident },
        storm: changes && usage.degraded.is_none_or(|count| count >= limits.brake_services),
        moment,
        resources,
    }
}

pub fn agent(effect: &Effect) -> Agent {
    match effect {
        Effect::Observe => Agent::Diagnoser,
        Effect::Command { danger, .. } if !danger.changes_something() => Agent::Diagnoser,
        Effect::Talk | Effect::Question => Agent::Notifier,
        Effect::Restart { .. } | Effect::Clean { .. } | Effect::Scale { .. } | Effect::Command { .. } => Agent::Remediator,
    }
}

fn left(used: Option<u32>, limit: u32) -> u32 {
    used.map_or(0, |used| limit.saturating_sub(used))
}

fn by_effect(action: &Action, situation: &Situation<'_>, limits: &Limits) -> (u32, u32) {
    let usage = &situation.usage;
    let (mut restarts, mut instances) = (limits.restarts_per_hour, limits.scale_up);
    match &action.effect {
        Effect::Restart { services } => {
            let each = services.iter().map(|name| left(usage.restarts.get(name).copied(), limits.restarts_per_hour));
            restarts = each.min().unwrap_or(0);
        }
        Effect::Scale { service, .. } => instances = left(usage.scaled.get(service).copied(), limits.scale_up),
        Effect::Clean { .. } | Effect::Command { .. } | Effect::Observe | Effect::Talk | Effect::Question => {}
    }
    (restarts, instances)
}

/// The services it touches, and the host where it is about a host; each is judged, and the strictest counts.
fn resources(action: &Action, inventory: &Inventory) -> Vec<Resource> {
    let services = inventory.touched(action).into_iter().filter_map(|name| inventory.service(name));
    let mut resources: Vec<Resource> = services.map(of_service).collect();
    let on_host = action.target.service.is_none() || matches!(action.effect, Effect::Clean { .. } | Effect::Command { .. });
    if let Some(host) = action.target.host.as_ref().filter(|_| on_host).and_then(|name| inventory.host(name)) {
        resources.push(of_host(host, inventory));
    }
    if resources.is_empty() {
        resources.push(Resource { place: Place::Nowhere, environment: String::new(), owner: String::new(), tags: Vec::new() });
    }
    resources
}

fn of_service(service: &Service) -> Resource {
    let hosts = service.hosts.iter().map(ToString::to_string).collect();
    Resource {
        place: Place::Service { name: service.name.to_string(), hosts },
        environment: service.environment.clone(),
        owner: service.owner.clone(),
        tags: service.tags.clone(),
    }
}

/// A host is as delicate as what runs on it.
fn of_host(host: &Host, inventory: &Inventory) -> Resource {
    let on_it: Vec<&Service> = inventory.services().filter(|service| service.hosts.contains(&host.name)).collect();
    let production = on_it.iter().map(|service| &service.environment).find(|environment| risk::is_production(environment));
    let environment = if host.environment.is_empty() { production.cloned().unwrap_or_default() } else { host.environment.clone() };
    let tags: BTreeSet<&String> = host.tags.iter().chain(on_it.iter().flat_map(|service| &service.tags)).collect();
    Resource {
        place: Place::Host { name: host.name.to_string() },
        environment,
        owner: host.owner.clone(),
        tags: tags.into_iter().cloned().collect(),
    }
}
