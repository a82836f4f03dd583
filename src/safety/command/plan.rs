//! How a command is run without a shell: programs with their arguments, what each reads and writes, and what each needs. Made only
//! for what was understood as a whole.

use super::spec::Need;
pub use super::syntax::Link;
use super::syntax::{Kind, Word};
use std::collections::BTreeSet;

/// `a | b; c && d`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub link: Link,
    /// Each reads what the one before it writes.
    pub stages: Vec<Stage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub words: Vec<PlanWord>,
    /// Which of the words name programs: the first, and a wrapper's inner one.
    pub programs: Vec<usize>,
    pub environment: Vec<(String, String)>,
    pub needs: BTreeSet<Need>,
    pub streams: Streams,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlanWord {
    pub text: String,
    /// Stands for the names of files that match it, or for itself if none does.
    pub pattern: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// A file; else what the stage before writes, or nothing.
    pub input: Option<String>,
    pub out: Sink,
    pub err: Sink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// The next stage, or whoever asked.
    Out,
    /// Whoever asked, apart from the output.
    Err,
    Nothing,
}

impl Default for Streams {
    fn default() -> Self {
        Self { input: None, out: Sink::Out, err: Sink::Err }
    }
}

/// What a program's own judgement says about running it.
#[derive(Debug, Clone)]
pub struct Run {
    pub words: Vec<Word>,
    pub programs: Vec<usize>,
    pub needs: BTreeSet<Need>,
}

impl Run {
    pub fn plain(words: &[Word]) -> Self {
        Self { words: words.to_vec(), programs: vec![0], needs: BTreeSet::new() }
    }

    pub fn needing(words: &[Word], needs: &[Need]) -> Self {
        Self { needs: needs.iter().copied().collect(), ..Self::plain(words) }
    }

    /// The inner program of a wrapper, which begins at `at` of the wrapper's own words.
    pub fn wrapping(outer: &[Word], inner: Self, at: usize, needs: &[Need]) -> Self {
        let words = outer[..at].iter().cloned().chain(inner.words).collect();
        let programs = [0].into_iter().chain(inner.programs.iter().map(|index| index + at)).collect();
        Self { words, programs, needs: inner.needs.into_iter().chain(needs.iter().copied()).collect() }
    }
}

impl Stage {
    pub fn new(run: Run, environment: Vec<(String, String)>, streams: Streams) -> Self {
        let words = run.words.into_iter().map(|word| PlanWord { pattern: word.kind == Kind::Pattern, text: word.text }).collect();
        Self { words, programs: run.programs, environment, needs: run.needs, streams }
    }

    /// The program's name, for whoever reads about it.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }
}
