//! The layer's opinion on an action: computed from the command itself, never taken from whoever proposed it.

use super::classify;
use crate::domain::{Action, Effect, Layer, Opinion, Verdict};

pub fn judge(action: &Action) -> Option<Opinion> {
    let Effect::Command { command, danger } = &action.effect else { return None };
    let reading = classify(command);
    if reading.level != *danger {
        let reason = format!("the command is {}, and was proposed as {danger}", reading.level);
        return Some(Opinion::new(Layer::Command, Verdict::Deny, reason));
    }
    let why = reading.deciding().map_or_else(String::new, |part| format!(": `{}` {}", part.text, part.why));
    let reason = format!("danger level {}{why}", reading.level);
    match (reading.verdict(), &reading.plan) {
        // What was understood is asked for; what was not may be a slip of the pen.
        (Verdict::Deny, _) if reading.understood => Some(Opinion::critical(Layer::Command, reason)),
        (Verdict::Deny, _) => Some(Opinion::new(Layer::Command, Verdict::Deny, reason)),
        (_, Err(obstacle)) => Some(Opinion::new(Layer::Command, Verdict::Deny, format!("{reason}; it cannot be run: {obstacle}"))),
        (verdict, Ok(_)) => Some(Opinion::new(Layer::Command, verdict, reason)),
    }
}
