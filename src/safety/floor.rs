//! Layer 1, the floor: compiled in, never configurable. No deletion of data, no database failover, no change of security
//! policy, no protected path, nothing of Paramedic's own. Asking for one of these is a critical attempt.

use super::{Situation, boundary, command};
use crate::domain::{Action, DangerLevel, Effect, Layer, Opinion, Reach, ServiceName, Verdict, protected_path};
use std::path::{Component, Path, PathBuf};

/// Known, and refused whatever the level, the mode or a human says.
pub const FORBIDDEN: [&str; 7] =
    ["delete_database", "drop_table", "delete_data", "database_failover", "modify_security_policy", "modify_secrets", "git_force_push"];

/// Younger files are never cleaned (the boundary table's "clean logs, older than 7 days").
pub const MIN_AGE_DAYS: u32 = 7;

/// Unit and service names that are Paramedic itself.
const OWN_NAMES: [&str; 2] = ["paramedic", "paramedic.service"];

pub fn is_forbidden(tool: &str) -> bool {
    FORBIDDEN.contains(&tool)
}

pub fn screen(tool: &str) -> Option<Opinion> {
    if is_forbidden(tool) {
        return Some(Opinion::critical(Layer::Floor, format!("{tool} is never done, by nobody's leave")));
    }
    (!boundary::is_known(tool)).then(|| Opinion::new(Layer::Boundary, Verdict::Deny, "there is no such tool"))
}

pub fn judge(action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
    let mut opinions: Vec<Opinion> = screen(&action.tool).into_iter().collect();
    match &action.effect {
        Effect::Clean { paths, min_age_days } => {
            opinions.extend(paths.iter().filter_map(|path| judge_path(Path::new(path), situation)));
            if *min_age_days < MIN_AGE_DAYS {
                let reason = format!("min_age_days is {min_age_days}: expected {MIN_AGE_DAYS} or more");
                opinions.push(Opinion::new(Layer::Floor, Verdict::Deny, reason));
            }
        }
        Effect::Restart { services } => opinions.extend(services.iter().filter_map(|name| judge_own_service(name, situation))),
        Effect::Scale { service, .. } => opinions.extend(judge_own_service(service, situation)),
        Effect::Command { command, danger } => opinions.extend(judge_command(command, *danger, situation)),
        Effect::Observe | Effect::Talk | Effect::Question => {}
    }
    opinions
}

fn judge_path(path: &Path, situation: &Situation<'_>) -> Option<Opinion> {
    let plain = path.is_absolute() && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let shown = path.display();
    if !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
        return Some(Opinion::critical(Layer::Floor, format!("`{shown}` is not a plain absolute path")));
    }
    if protected_path(path) {
        return Some(Opinion::critical(Layer::Floor, format!("`{shown}` is protected")));
    }
    let own = situation.own.paths.iter().find(|own| own.starts_with(path) || path.starts_with(own));
    own.map(|own| Opinion::critical(Layer::Floor, format!("`{shown}` touches Paramedic's own {}", own.display())))
}

/// Reading below Paramedic's own ground would show its secrets; changing anything of its own is never done.
fn judge_command(command: &str, danger: DangerLevel, situation: &Situation<'_>) -> Option<Opinion> {
    let reading = command::classify(command);
    let stages: Vec<_> = reading.plan.iter().flat_map(|plan| &plan.steps).flat_map(|step| &step.stages).collect();
    let words = stages.iter().flat_map(|stage| stage.words.iter().map(|word| &word.text).chain(&stage.streams.input));
    words.filter_map(|word| judge_word(word, danger, situation)).next()
}

fn judge_word(word: &str, danger: DangerLevel, situation: &Situation<'_>) -> Option<Opinion> {
    let value = word.split_once('=').map_or(word, |(_, value)| value);
    let path = PathBuf::from(command::plain_path(value));
    let own = situation
        .own
        .paths
        .iter()
        .find(|own| path.starts_with(own) || (danger.changes_something() && value.starts_with('/') && own.starts_with(&path)));
    if let Some(own) = own {
        return Some(Opinion::critical(Layer::Floor, format!("`{word}` touches Paramedic's own {}", own.display())));
    }
    let named = danger.changes_something()
        && word.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))).any(|part| OWN_NAMES.contains(&part));
    named.then(|| Opinion::critical(Layer::Floor, format!("`{word}` is Paramedic itself")))
}

fn judge_own_service(name: &ServiceName, situation: &Situation<'_>) -> Option<Opinion> {
    let unit = match situation.inventory.service(name).map(|service| &service.reach) {
        Some(Reach::Systemd { unit, .. }) => unit.as_str(),
        Some(Reach::Docker { container, .. }) => container.as_str(),
        _ => "",
    };
    let own = OWN_NAMES.contains(&name.as_str()) || OWN_NAMES.contains(&unit);
    own.then(|| Opinion::critical(Layer::Floor, format!("{name} is Paramedic itself")))
}
