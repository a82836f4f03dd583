//! How dangerous a shell command is, by reading it with a real grammar. Pure; nothing is run, and nothing that is not
//! understood is ever called SAFE or LOW. What is allowed comes with a plan that runs it without a shell.

mod away;
mod judge;
mod layer;
mod limits;
mod operands;
mod parse;
mod places;
mod plan;
mod programs;
mod redirect;
mod second;
mod secret;
mod spec;
mod syntax;
mod word;

pub use layer::judge as opinion;
pub use limits::LONGEST;
pub use places::PLACES;
pub use plan::{Link, Plan, PlanWord, Sink, Stage, Step, Streams};
pub use programs::FOLDERS;
pub use secret::{is_secret_name, plain as plain_path};
pub use spec::Need;

use crate::domain::{DangerLevel, Verdict};
use judge::Judge;

/// A part of a command, how dangerous it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    pub text: String,
    pub level: DangerLevel,
    pub why: String,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub level: DangerLevel,
    /// Was it understood at all? What was not is CRITICAL.
    pub understood: bool,
    /// Never empty.
    pub parts: Vec<Part>,
    /// How to run it without a shell; `Err` says why it is not run at all.
    pub plan: Result<Plan, String>,
}

impl Reading {
    pub fn verdict(&self) -> Verdict {
        self.level.verdict()
    }

    /// The part that made the level what it is: the first of the worst.
    pub fn deciding(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.level == self.level)
    }

    fn refused(text: &str, why: String) -> Self {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        let part = Part { text: shown, level: DangerLevel::Critical, why: why.clone() };
        Self { level: DangerLevel::Critical, understood: false, parts: vec![part], plan: Err(why) }
    }
}

/// Reads a command as a shell would, runs nothing, and says how dangerous it is.
pub fn classify(text: &str) -> Reading {
    let script = match limits::check(text).and_then(|()| parse::script(text)) {
        Ok(script) => script,
        Err(why) => return Reading::refused(text, why),
    };
    let mut judge = Judge::new();
    let steps = judge.script(&script);
    if judge.parts.is_empty() {
        return Reading::refused(text, "expected a command, got nothing but comments".to_owned());
    }
    let level = judge.level();
    let plan = match judge.obstacle.take() {
        Some(why) => Err(why),
        None if level == DangerLevel::Critical => Err("it is never run".to_owned()),
        None => Ok(Plan { steps }),
    };
    Reading { level, understood: true, parts: judge.parts, plan }
}

#[cfg(test)]
mod tests;
