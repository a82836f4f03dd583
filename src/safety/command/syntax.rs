//! What a command line consists of, in our own terms: nothing in here knows a program, and nothing is run or expanded. Whatever a
//! shell would have to work out first is `Opaque`.

use crate::domain::DangerLevel;

/// Written for a process substitution, which is no word.
pub const PIPED: &str = "<(…)";

/// `a; b && c`
#[derive(Debug, Clone, Default)]
pub struct Script(pub Vec<Item>);

#[derive(Debug, Clone)]
pub struct Item {
    pub link: Link,
    /// `a | b`
    pub pipeline: Vec<Command>,
    /// What a plain run of the pipeline would not do: go to the background, turn the outcome round.
    pub odd: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Always,
    IfOk,
    IfFailed,
}

#[derive(Debug, Clone)]
pub enum Command {
    Simple(Simple),
    Compound(Compound),
}

#[derive(Debug, Clone, Default)]
pub struct Simple {
    /// As it was written, near enough to recognise it.
    pub text: String,
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

/// Groups, loops, conditions, functions: only a shell runs them. What is inside counts all the same.
#[derive(Debug, Clone)]
pub struct Compound {
    pub what: &'static str,
    pub level: DangerLevel,
    pub scripts: Vec<Script>,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

#[derive(Debug, Clone)]
pub enum Redirect {
    /// `> file`, `2>> file`, `&> file` (`fd` is then `None`).
    Into { fd: Option<i32>, target: Word, append: bool },
    /// `< file`
    From { target: Word },
    /// `2>&1`
    Same { fd: i32, as_fd: i32 },
    /// `<<< text`
    Text { word: Word },
    /// Anything else: `<>`, `<&3`, `>(…)`. With what could be read of it.
    Strange { what: &'static str, words: Vec<Word>, scripts: Vec<Script> },
}

impl Redirect {
    /// Something comes in by it.
    pub fn brings(&self) -> bool {
        match self {
            Self::From { target } => !(target.is_literal() && target.text == "/dev/null"),
            Self::Text { .. } => true,
            Self::Into { .. } | Self::Same { .. } | Self::Strange { .. } => false,
        }
    }

    pub fn parts(&self) -> (&[Word], &[Script]) {
        match self {
            Self::Into { target: word, .. } | Self::From { target: word } | Self::Text { word } => (std::slice::from_ref(word), &[]),
            Self::Strange { words, scripts, .. } => (words, scripts),
            Self::Same { .. } => (&[], &[]),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `text` is what the program gets.
    Literal,
    /// `text` is a file name pattern; the program gets the names that match, or the pattern itself.
    Pattern,
    /// Nobody knows what the program gets; why.
    Opaque(&'static str),
}

#[derive(Debug, Clone)]
pub struct Word {
    pub raw: String,
    pub text: String,
    pub kind: Kind,
    /// Commands that are run to make this word.
    pub inner: Vec<Script>,
}

impl Word {
    pub fn literal(text: &str) -> Self {
        Self { raw: text.to_owned(), text: text.to_owned(), kind: Kind::Literal, inner: Vec::new() }
    }

    pub fn pattern(text: &str) -> Self {
        Self { kind: Kind::Pattern, ..Self::literal(text) }
    }

    pub fn opaque(text: &str, why: &'static str) -> Self {
        Self { kind: Kind::Opaque(why), ..Self::literal(text) }
    }

    pub fn is_literal(&self) -> bool {
        self.kind == Kind::Literal
    }

    /// A pattern may become an option if it can match a name that begins with `-`.
    pub fn unknown(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Opaque(why) => Some(why),
            Kind::Pattern if self.text.starts_with(['-', '*', '?', '[']) => Some("a pattern whose matches may look like options"),
            Kind::Literal | Kind::Pattern => None,
        }
    }
}

/// Commands and redirections of a script and of all that is inside it, in no order.
#[derive(Debug, Default)]
pub struct Found<'a> {
    pub commands: Vec<&'a Simple>,
    pub redirects: Vec<&'a Redirect>,
}

pub fn all_in(script: &Script) -> Found<'_> {
    let mut found = Found::default();
    let mut todo = vec![script];
    while let Some(script) = todo.pop() {
        for command in script.0.iter().flat_map(|item| &item.pipeline) {
            let redirects = match command {
                Command::Simple(simple) => {
                    found.commands.push(simple);
                    let assigned = simple.assignments.iter().map(|(_, word)| word);
                    assigned.chain(&simple.words).for_each(|word| todo.extend(&word.inner));
                    &simple.redirects
                }
                Command::Compound(compound) => {
                    todo.extend(&compound.scripts);
                    compound.words.iter().for_each(|word| todo.extend(&word.inner));
                    &compound.redirects
                }
            };
            for redirect in redirects {
                found.redirects.push(redirect);
                let (words, scripts) = redirect.parts();
                words.iter().for_each(|word| todo.extend(&word.inner));
                todo.extend(scripts);
            }
        }
    }
    found
}
