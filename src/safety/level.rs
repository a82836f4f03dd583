//! Layer 2, level and mode: level 3 and mode `disabled` only observe and talk, level 2 and mode `review` confirm each change.

use super::Situation;
use crate::domain::{Action, Effect, Layer, Level, Mode, Opinion, Tier, Verdict};

pub fn judge(action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
    // Tier and effect must agree: a tool that claims to observe and changes something is denied, not believed.
    let changes = action.effect.changes_something();
    if changes != (action.tier > Tier::Observe) && !matches!(action.effect, Effect::Talk | Effect::Question) {
        return vec![Opinion::new(Layer::Level, Verdict::Deny, "the tool's tier and its effect disagree")];
    }
    if !changes {
        return Vec::new();
    }
    let mut opinions = vec![by_level(situation.level), by_mode(situation.mode)];
    if situation.escalated {
        opinions.push(Opinion::new(Layer::Level, Verdict::Deny, "the incident is escalated: a human owns it"));
    }
    opinions
}

fn by_level(level: Level) -> Opinion {
    match level {
        Level::One => Opinion::new(Layer::Level, Verdict::Allow, "level 1 acts within bounds"),
        Level::Two => Opinion::new(Layer::Level, Verdict::Confirm, "level 2: a human confirms each change"),
        Level::Three => Opinion::new(Layer::Level, Verdict::Deny, "level 3 only observes and notifies"),
    }
}

fn by_mode(mode: Mode) -> Opinion {
    match mode {
        Mode::Auto => Opinion::new(Layer::Level, Verdict::Allow, "mode auto"),
        Mode::Review => Opinion::new(Layer::Level, Verdict::Confirm, "mode review: a human confirms each change"),
        Mode::Disabled => Opinion::new(Layer::Level, Verdict::Deny, "mode disabled: nothing is changed"),
    }
}
