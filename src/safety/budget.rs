//! Layer 5, budgets: how often and how much, as the store counts it across restarts. Missing counts are exhausted ones.

use super::{Limits, Situation};
use crate::domain::{Action, Effect, HostName, Layer, Opinion, ServiceName, Verdict};
use std::collections::BTreeSet;

pub fn judge(action: &Action, situation: &Situation<'_>, limits: &Limits) -> Vec<Opinion> {
    if !action.effect.changes_something() {
        return Vec::new();
    }
    let mut opinions = by_effect(action, situation, limits);
    opinions.extend(actions_left(situation, limits));
    opinions.extend(brake(situation, limits));
    opinions.extend(hosts_left(action, situation, limits));
    opinions
}

fn deny(reason: String) -> Opinion {
    Opinion::new(Layer::Budget, Verdict::Deny, reason)
}

fn by_effect(action: &Action, situation: &Situation<'_>, limits: &Limits) -> Vec<Opinion> {
    match &action.effect {
        Effect::Restart { services } => services.iter().map(|name| restarts_left(name, situation, limits)).collect(),
        Effect::Scale { service, add } => vec![scale_left(service, *add, situation, limits)],
        Effect::Clean { .. } | Effect::Command { .. } | Effect::Observe | Effect::Talk | Effect::Question => Vec::new(),
    }
}

fn restarts_left(name: &ServiceName, situation: &Situation<'_>, limits: &Limits) -> Opinion {
    let limit = limits.restarts_per_hour;
    match situation.usage.restarts.get(name) {
        None => deny(format!("the restarts of {name} could not be read: counted as used up")),
        Some(used) if *used >= limit => deny(format!("{name} was restarted {used} times in the past hour (limit {limit})")),
        Some(used) => Opinion::new(Layer::Budget, Verdict::Allow, format!("restart {} of {limit} in an hour", used + 1)),
    }
}

fn scale_left(name: &ServiceName, add: u32, situation: &Situation<'_>, limits: &Limits) -> Opinion {
    let limit = limits.scale_up;
    match situation.usage.scaled.get(name) {
        None => deny(format!("the scale-ups of {name} could not be read: counted as used up")),
        Some(_) if add == 0 => deny("expected one instance or more to add".into()),
        Some(used) if used.saturating_add(add) > limit => deny(format!("{add} more on top of {used} added today is over +{limit}")),
        Some(used) => Opinion::new(Layer::Budget, Verdict::Allow, format!("+{} of +{limit}", used + add)),
    }
}

fn actions_left(situation: &Situation<'_>, limits: &Limits) -> Option<Opinion> {
    match situation.usage.actions {
        None => Some(deny("this incident's actions could not be counted: counted as used up".into())),
        Some(used) if used >= limits.actions_per_incident => Some(deny(format!("{used} actions in this incident are enough"))),
        Some(_) => None,
    }
}

fn brake(situation: &Situation<'_>, limits: &Limits) -> Option<Opinion> {
    match situation.usage.degraded {
        None => Some(deny("the degraded services could not be counted: the brake is on".into())),
        Some(count) if count >= limits.brake_services => {
            Some(deny(format!("{count} services are degraded at once: this is no time for single fixes, the brake is on")))
        }
        Some(_) => None,
    }
}

fn hosts_left(action: &Action, situation: &Situation<'_>, limits: &Limits) -> Option<Opinion> {
    let Some(hosts) = &situation.usage.hosts else {
        return Some(deny("the hosts being worked on could not be read: counted as too many".into()));
    };
    let mine = situation.inventory.hosts_of(action);
    let all: BTreeSet<&HostName> = hosts.iter().chain(&mine).collect();
    let over = !mine.is_empty() && all.len() > limits.hosts_at_once as usize;
    over.then(|| deny(format!("{} hosts would be worked on at once (limit {})", all.len(), limits.hosts_at_once)))
}
