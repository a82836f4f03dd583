//! Floor 1: what an alert means (its level, its runbook) and where it happens (its target). Pure judgement over rules and the
//! inventory: no async, no IO, no clock. Never lowers a level, and never believes an annotation.

mod matcher;
mod rules;
mod target;

pub use matcher::{Matcher, MatcherError, parse as parse_matchers};
pub use rules::{Classification, LEVEL_LABEL, Labels, RuleFile, Rules, RulesFile};
pub use target::Targets;
