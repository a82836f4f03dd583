//! What the words of a program name: files that come out, files that change, machines that hear something.

use super::judge::{Judge, Scan};
use super::spec::{Means, Operands, Program};
use super::syntax::Word;
use super::{away, secret};
use crate::domain::DangerLevel;

impl Judge {
    /// The value of an option.
    pub fn meant(&mut self, means: Means, value: &Word) {
        match means {
            Means::Text => {}
            Means::File => self.read(value, false),
            Means::Socket if value.text.starts_with('/') => {}
            Means::Machine | Means::Socket => self.machine(value),
            Means::Database => self.database(value),
        }
    }

    /// What is named here hears of it: a name is asked for at a resolver, a machine is spoken to.
    pub fn machine(&mut self, word: &Word) {
        if !away::here(&word.text) {
            self.note(&word.raw, DangerLevel::Medium, away::WHY);
        }
    }

    /// A name that is asked for; an address in digits is not.
    pub fn resolved(&mut self, word: &Word, name: &str) {
        if !away::here(name) && !away::in_digits(name) {
            self.note(&word.raw, DangerLevel::Medium, away::WHY);
        }
    }

    /// A database's name alone, or a whole address, which may be anywhere.
    pub fn database(&mut self, word: &Word) {
        if word.text.contains('=') || word.text.contains("://") {
            self.note(&word.raw, DangerLevel::Medium, away::WHY);
        }
    }

    /// A shell works out what stands in the brackets of a variable's name, whatever quotes are around it.
    pub fn evaluated(&mut self, word: &Word) {
        if word.is_literal() && (word.text.contains("$(") || word.text.contains('`')) {
            self.note(&word.raw, DangerLevel::High, "a text that the shell may run");
            self.hidden_in(&word.text);
        }
    }

    /// The contents of this file come out.
    pub fn read(&mut self, word: &Word, tree: bool) {
        if secret::climbs(&word.text) {
            self.note(&word.raw, DangerLevel::Medium, "where a `..` behind a name leads cannot be said: the name may be a link");
        }
        // `@file` stands for what is in the file, to some.
        let listed = word.text.strip_prefix('@').map(|text| Word { text: text.to_owned(), ..word.clone() });
        if let Some(why) = secret::shown(word, tree).or_else(|| secret::shown(&listed?, tree)) {
            self.note(&word.raw, DangerLevel::High, why);
            self.refuse_to_run(&word.raw, "it may show a secret, and what is shown is kept and told");
        }
    }

    pub fn change(&mut self, word: &Word) {
        if secret::climbs(&word.text) {
            self.note(&word.raw, DangerLevel::High, "where a `..` behind a name leads cannot be said: the name may be a link");
        }
        if secret::protected(word) {
            self.note(&word.raw, DangerLevel::Critical, "is protected from any change");
        }
    }

    /// False: what comes out has come in by the pipe, and no file was read.
    pub fn operands(&mut self, program: &Program, scan: &Scan<'_>) -> bool {
        let operands = &scan.operands;
        match program.operands {
            Operands::Nothing => operands.iter().for_each(|word| self.note(&word.raw, DangerLevel::Medium, "nothing was expected there")),
            Operands::Text | Operands::Names => {}
            Operands::Machines => operands.iter().for_each(|word| self.machine(word)),
            Operands::First => operands.iter().take(1).for_each(|word| self.machine(word)),
            Operands::Contents | Operands::Trees => {
                operands.iter().for_each(|word| self.read(word, program.operands == Operands::Trees));
                return !operands.is_empty();
            }
            Operands::Pattern(given) => {
                let tree =
                    ["-r", "-R", "--recursive", "--dereference-recursive"].iter().any(|o| scan.options.iter().any(|given| given == o));
                let first = usize::from(!scan.options.iter().any(|option| given.contains(&option.as_str())));
                operands.iter().skip(first).for_each(|word| self.read(word, tree));
                if tree && operands.len() <= first {
                    self.read(&Word::literal("/"), true);
                }
                return tree || operands.len() > first;
            }
            Operands::Changed => operands.iter().for_each(|word| self.change(word)),
            Operands::Copied => {
                if let Some((last, read)) = operands.split_last() {
                    read.iter().for_each(|word| self.read(word, true));
                    self.change(last);
                }
            }
        }
        true
    }
}
