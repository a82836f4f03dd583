//! Floor 1: what an alert means (its level, its runbook), where it happens (its target), and which alerts are one cause. Pure judgement over rules and the
//! inventory: no async, no IO, no clock. Never lowers a level, and never believes an annotation.

mod cause;
mod flapping;
mod matcher;
mod rules;
mod target;

pub use cause::{Candidate, CauseBounds, Dependencies, Hold, Nearby, Scene, Waiting, hold, joins};
pub use flapping::FlapBounds;
pub use matcher::{Matcher, MatcherError, parse as parse_matchers};
pub use rules::{Classification, LEVEL_LABEL, Labels, RuleFile, Rules, RulesFile};
pub use target::Targets;
