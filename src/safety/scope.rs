//! Layer 3, scope: the target is in the inventory and is this incident's business: its service, a declared dependency of
//! it, or its host. Cleaning stays below declared log roots.

use super::Situation;
use crate::domain::{Action, Effect, HostName, Layer, Opinion, ServiceName, Verdict};
use std::path::Path;

pub fn judge(action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
    let mut opinions = in_inventory(action, situation);
    match &action.effect {
        Effect::Observe | Effect::Talk | Effect::Question => {}
        Effect::Restart { services } if services.is_empty() => opinions.push(deny("nothing to restart".into())),
        Effect::Restart { services } => opinions.extend(services.iter().filter_map(|name| service_in_scope(name, situation))),
        Effect::Scale { service, .. } => opinions.extend(service_in_scope(service, situation)),
        Effect::Clean { paths, .. } => opinions.extend(judge_clean(action, paths, situation)),
        Effect::Command { .. } => opinions.extend(judge_command(action, situation)),
    }
    if action.effect.changes_something() && !matches!(action.effect, Effect::Clean { .. }) {
        opinions.extend(action.target.host.as_ref().and_then(|host| host_of_service(host, action, situation)));
    }
    opinions
}

fn deny(reason: String) -> Opinion {
    Opinion::new(Layer::Scope, Verdict::Deny, reason)
}

fn in_inventory(action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
    let service = action.target.service.as_ref().filter(|name| situation.inventory.service(name).is_none());
    let host = action.target.host.as_ref().filter(|name| situation.inventory.host(name).is_none());
    let unknown_service = service.map(|name| deny(format!("service {name} is not in the inventory")));
    let unknown_host = host.map(|name| deny(format!("host {name} is not in the inventory")));
    unknown_service.into_iter().chain(unknown_host).collect()
}

fn service_in_scope(name: &ServiceName, situation: &Situation<'_>) -> Option<Opinion> {
    if situation.inventory.service(name).is_none() {
        return Some(deny(format!("service {name} is not in the inventory")));
    }
    match &situation.target.service {
        None => Some(deny(format!("the incident names no service of the inventory, so {name} is not its business"))),
        Some(own) if situation.inventory.reach_of(own).contains(name) => None,
        Some(own) => Some(deny(format!("{name} is neither {own} nor a declared dependency of it"))),
    }
}

/// A service is acted upon where the inventory says it runs, nowhere else.
fn host_of_service(host: &HostName, action: &Action, situation: &Situation<'_>) -> Option<Opinion> {
    let service = action.target.service.as_ref().and_then(|name| situation.inventory.service(name))?;
    let listed = service.hosts.contains(host);
    (!listed).then(|| deny(format!("{} does not run on {host}", service.name)))
}

fn judge_clean(action: &Action, paths: &[String], situation: &Situation<'_>) -> Vec<Opinion> {
    let Some(host) = action.target.host.as_ref().and_then(|name| situation.inventory.host(name)) else {
        return vec![deny("no host of the inventory to clean".into())];
    };
    if paths.is_empty() {
        return vec![deny(format!("no log roots are declared for {}", host.name))];
    }
    let mut opinions: Vec<Opinion> =
        (!host_in_scope(&host.name, situation)).then(|| deny(format!("host {} is not this incident's", host.name))).into_iter().collect();
    let on_host = situation.inventory.services().filter(|service| service.hosts.contains(&host.name));
    let roots: Vec<&Path> = host.log_roots.iter().chain(on_host.flat_map(|service| &service.log_roots)).map(AsRef::as_ref).collect();
    let outside = paths.iter().filter(|path| !roots.iter().any(|root| Path::new(path).starts_with(root)));
    opinions.extend(outside.map(|path| deny(format!("`{path}` lies below no declared log root of {}", host.name))));
    opinions
}

/// Whatever a command does, it is done on a host of the incident's.
fn judge_command(action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
    let Some(host) = action.target.host.as_ref().and_then(|name| situation.inventory.host(name)) else {
        return vec![deny("no host of the inventory to run it on".into())];
    };
    let foreign = (!host_in_scope(&host.name, situation)).then(|| deny(format!("host {} is not this incident's", host.name)));
    let service = action.target.service.as_ref().and_then(|name| service_in_scope(name, situation));
    foreign.into_iter().chain(service).collect()
}

fn host_in_scope(host: &HostName, situation: &Situation<'_>) -> bool {
    if situation.target.host.as_ref() == Some(host) {
        return true;
    }
    let Some(own) = &situation.target.service else { return false };
    let near = situation.inventory.reach_of(own);
    near.iter().filter_map(|name| situation.inventory.service(name)).any(|service| service.hosts.contains(host))
}
