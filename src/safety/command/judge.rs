//! Walks the syntax, asks the tables, and keeps what was found: each part with its level, and whatever keeps the whole from being run
//! as plain programs. A level only ever rises here; nothing takes one back.

use super::plan::{Run, Stage, Step, Streams};
use super::spec::{Known, Program, Takes, abbreviated, option};
use super::syntax::{Command, Compound, Item, Kind, Redirect, Script, Simple, Word};
use super::word::{shown, word_starts};
use super::{Part, limits, parse, programs, redirect};
use crate::domain::DangerLevel;

/// Commands in commands in commands.
const DEEPEST: usize = 12;
/// Programs looked at for one command line.
const MOST: usize = 300;
/// Words of one command; a list of hundreds of files belongs in a pattern.
const MOST_WORDS: usize = 200;
/// Words of which any may be the command.
const MOST_TAILS: usize = 64;
/// Places in foreign text where a command may begin.
const MOST_HIDDEN: usize = 60;

#[derive(Debug)]
pub struct Judge {
    pub parts: Vec<Part>,
    /// Why it cannot be run as plain programs.
    pub obstacle: Option<String>,
    /// The program that is being looked at reads another's output.
    pub piped: bool,
    trying: Trying,
    depth: usize,
    left: usize,
}

/// Whether it is only tried what some words would be as a command. A tail's own tails are tried anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trying {
    Nothing,
    Tails,
    Texts,
}

/// A program's words, sorted into options and operands.
pub struct Scan<'a> {
    pub operands: Vec<&'a Word>,
    /// Spellings of the options, without their values.
    pub options: Vec<String>,
    /// What the options were given, attached or apart, in a cluster or not.
    pub values: Vec<(String, Word)>,
    /// Where the first operand was, if the scan ended there.
    pub stopped: Option<usize>,
    /// Every word was an option that the table knows, or an operand.
    pub clear: bool,
}

impl Scan<'_> {
    /// Every value that one of these options was given, in order.
    pub fn given<'a>(&'a self, spellings: &'a [&str]) -> impl Iterator<Item = &'a Word> {
        self.values.iter().filter(|(name, _)| spellings.contains(&name.as_str())).map(|(_, value)| value)
    }

    pub fn has(&self, spellings: &[&str]) -> bool {
        self.options.iter().any(|option| spellings.contains(&option.as_str()))
    }
}

impl Judge {
    pub fn new() -> Self {
        Self { parts: Vec::new(), obstacle: None, piped: false, trying: Trying::Nothing, depth: 0, left: MOST }
    }

    pub fn level(&self) -> DangerLevel {
        self.parts.iter().map(|part| part.level).max().unwrap_or(DangerLevel::Critical)
    }

    pub fn note(&mut self, text: &str, level: DangerLevel, why: impl Into<String>) {
        let part = Part { text: shown(text), level, why: why.into() };
        if !self.parts.contains(&part) {
            self.parts.push(part);
        }
    }

    /// Only a shell could run it: then it is not understood well enough to be allowed either.
    pub fn hinder(&mut self, text: &str, why: &str) {
        self.note(text, DangerLevel::Medium, why);
        self.obstacle.get_or_insert_with(|| format!("`{}`: {why}", shown(text)));
    }

    /// A confirmed command could be run, this one is not.
    pub fn refuse_to_run(&mut self, text: &str, why: &str) {
        self.obstacle.get_or_insert_with(|| format!("`{}`: {why}", shown(text)));
    }

    pub fn script(&mut self, script: &Script) -> Vec<Step> {
        script.0.iter().map(|item| self.item(item)).collect()
    }

    fn item(&mut self, item: &Item) -> Step {
        let (piped, mut stages) = (self.piped, Vec::new());
        for (index, command) in item.pipeline.iter().enumerate() {
            self.piped = piped || index > 0;
            match command {
                Command::Simple(simple) => stages.extend(self.simple(simple)),
                Command::Compound(compound) => self.compound(compound),
            }
        }
        self.piped = piped;
        if let Some(odd) = item.odd {
            self.hinder("the whole", odd);
        }
        Step { link: item.link, stages }
    }

    fn compound(&mut self, compound: &Compound) {
        self.note(compound.what, compound.level, "is not run without a shell");
        self.hinder(compound.what, "is not run without a shell");
        compound.words.iter().for_each(|word| self.inner(word));
        compound.words.iter().for_each(|word| self.evaluated(word));
        compound.redirects.iter().for_each(|found| self.redirected(compound.what, found, &mut Streams::default()));
        for script in &compound.scripts {
            self.script(script);
        }
    }

    fn simple(&mut self, simple: &Simple) -> Option<Stage> {
        simple.assignments.iter().for_each(|(name, value)| programs::variable(self, name, value));
        simple.assignments.iter().map(|(_, value)| value).chain(&simple.words).for_each(|word| self.inner(word));
        let mut streams = Streams::default();
        simple.redirects.iter().for_each(|found| self.redirected(&simple.text, found, &mut streams));
        if simple.words.len() > MOST_WORDS {
            self.note(
                &simple.text,
                DangerLevel::Critical,
                format!("{} words are too many: expected at most {MOST_WORDS}", simple.words.len()),
            );
            return None;
        }
        if simple.words.is_empty() {
            self.hinder(&simple.text, "no program is named");
            return None;
        }
        let piped = self.piped;
        self.piped |= simple.redirects.iter().any(Redirect::brings);
        let run = self.program(&simple.words);
        self.piped = piped;
        let environment = simple.assignments.iter().map(|(name, value)| (name.clone(), value.text.clone())).collect();
        Some(Stage::new(run, environment, streams))
    }

    /// Commands that a shell would run to make this word.
    fn inner(&mut self, word: &Word) {
        for script in &word.inner {
            self.hinder(&word.raw, "another command's output would have to be known first");
            self.script(script);
        }
    }

    fn redirected(&mut self, text: &str, found: &Redirect, streams: &mut Streams) {
        let (words, scripts) = found.parts();
        words.iter().for_each(|word| self.inner(word));
        for script in scripts {
            self.script(script);
        }
        redirect::judge(self, text, found, streams);
    }

    /// One program with its arguments, a wrapper's inner one included.
    pub fn program(&mut self, words: &[Word]) -> Run {
        let text = said(words);
        if self.depth >= DEEPEST || self.left == 0 {
            self.note(&text, DangerLevel::Critical, "too many commands in one another to follow");
            self.refuse_to_run(&text, "too many commands in one another");
            return Run::plain(words);
        }
        self.depth += 1;
        self.left -= 1;
        let run = match words.first() {
            None => Run::plain(words),
            Some(name) if !name.is_literal() => {
                self.note(&text, DangerLevel::Critical, "which program this is cannot be read");
                self.refuse_to_run(&text, "the program's name cannot be read");
                Run::plain(words)
            }
            Some(_) => programs::judge(self, words),
        };
        self.depth -= 1;
        run
    }

    /// Text that some program hands to a shell.
    pub fn reread(&mut self, text: &str) {
        let read = limits::check(text).and_then(|()| parse::script(text));
        match read {
            Ok(script) if self.depth < DEEPEST => {
                self.depth += 1;
                self.script(&script);
                self.depth -= 1;
            }
            Ok(_) => self.note(text, DangerLevel::Critical, "too many commands in one another to follow"),
            Err(why) => self.note(text, DangerLevel::Critical, why),
        }
    }

    /// Text that may be meant for a shell; what does not read as such tells nothing.
    fn reread_if_shell(&mut self, text: &str) {
        let several = text.contains([' ', ';', '|', '&', '$', '`', '(']);
        if let (true, Ok(script)) = (several, limits::check(text).and_then(|()| parse::script(text))) {
            self.script(&script);
        }
    }

    /// A wrapper whose own options are not understood: whatever follows may be the command.
    pub fn any_tail(&mut self, words: &[Word]) {
        if words.len() > MOST_TAILS {
            return self.note(&said(words), DangerLevel::Critical, "too many words behind a program that is not understood");
        }
        let tails = (1..words.len()).map(|start| &words[start..]);
        self.try_each(Trying::Tails, tails, |trial, tail| {
            trial.program(tail);
            trial.reread_if_shell(&tail[0].text);
        });
    }

    /// Text in another language that may run commands: whatever in it reads like a command that is never done.
    pub fn hidden_in(&mut self, text: &str) {
        let pieces = text.split(['"', '\'', '`', '(', ')', '{', '}']);
        self.try_each(Trying::Texts, pieces.flat_map(word_starts).take(MOST_HIDDEN), |trial, piece| trial.reread_if_shell(piece));
    }

    /// Keeps the worst of it, if that is worse than not knowing.
    fn try_each<T>(&mut self, trying: Trying, things: impl Iterator<Item = T>, judge: impl Fn(&mut Self, T)) {
        if self.trying >= trying {
            return;
        }
        let mut worst: Option<Part> = None;
        for thing in things {
            let mut trial = Self { piped: self.piped, trying, depth: self.depth, left: self.left, ..Self::new() };
            judge(&mut trial, thing);
            self.left = trial.left;
            worst = worst.into_iter().chain(trial.parts).max_by_key(|part| part.level);
            if self.left == 0 {
                break;
            }
        }
        self.parts.extend(worst.filter(|part| part.level > DangerLevel::High));
    }

    /// A word that nobody can read may be any option of the program.
    pub fn opaque(&mut self, tables: &[&Program], word: &Word, why: &str) {
        let worst = tables.last().map_or(DangerLevel::Critical, |program| program.worst());
        self.note(&word.raw, worst.max(DangerLevel::Medium), format!("{why}: it may become anything the program understands"));
        self.refuse_to_run(&word.raw, why);
    }

    /// Sorts words (the name left out) by the tables; what they do not know is noted. `stop` at the first operand.
    pub fn scan<'a>(&mut self, tables: &[&Program], words: &'a [Word], stop: bool) -> Scan<'a> {
        let mut scan = Scan { operands: Vec::new(), options: Vec::new(), values: Vec::new(), stopped: None, clear: true };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            if let Some(why) = word.unknown() {
                self.opaque(tables, word, why);
                scan.clear = false;
            } else if word.text == "--" {
                scan.stopped = stop.then_some(at).filter(|at| *at < words.len());
                scan.operands.extend(words[at..].iter().take(if stop { 1 } else { usize::MAX }));
                words[at..]
                    .iter()
                    .filter(|word| matches!(word.kind, Kind::Opaque(_)))
                    .for_each(|word| self.opaque(tables, word, "not known"));
                break;
            } else if word.text.starts_with('-') && word.text.len() > 1 {
                scan.clear &= self.option(tables, word, words.get(at), &mut scan, &mut at);
            } else {
                scan.operands.push(word);
                if stop {
                    scan.stopped = Some(at - 1);
                    break;
                }
            }
        }
        scan
    }

    /// One word of options; takes the next word where the option wants a value. False: the table does not know it.
    fn option(&mut self, tables: &[&Program], word: &Word, next: Option<&Word>, scan: &mut Scan<'_>, at: &mut usize) -> bool {
        let whole = word.text.starts_with("--") || tables.iter().any(|table| table.dashed);
        if whole {
            let (name, attached) = word.text.split_once('=').map_or((word.text.as_str(), None), |(name, value)| (name, Some(value)));
            let told =
                matches!(word.text.as_str(), "--help" | "--version") && tables.last().is_some_and(|table| table.level <= DangerLevel::Low);
            if told && option(tables, name).is_none() {
                scan.options.push(name.to_owned());
                return true;
            }
            let known = option(tables, name).or_else(|| {
                self.note(name, DangerLevel::Medium, "an option that is not known here, or a shortened one");
                abbreviated(tables, name)
            });
            let fits = known.filter(|known| attached.is_none() || known.takes != Takes::Nothing);
            let Some(known) = fits else { return self.unknown_option(&word.text) };
            let attached = attached.map(|value| Word { text: value.to_owned(), ..word.clone() });
            return self.valued(name, known, attached, next, scan, at);
        }
        // `-20`, and `-100f` of old.
        let numbers = if option(tables, "-#").is_some() { word.text[1..].bytes().take_while(u8::is_ascii_digit).count() } else { 0 };
        for (index, letter) in word.text.char_indices().skip(1 + numbers) {
            let spelling = format!("-{letter}");
            let Some(known) = option(tables, &spelling) else { return self.unknown_option(&format!("{} (in {})", spelling, word.text)) };
            let rest = &word.text[index + letter.len_utf8()..];
            if known.takes != Takes::Nothing {
                let attached = (!rest.is_empty()).then(|| Word { text: rest.to_owned(), ..word.clone() });
                return self.valued(&spelling, known, attached, next, scan, at);
            }
            self.valued(&spelling, known, None, None, scan, at);
        }
        true
    }

    fn unknown_option(&mut self, spelling: &str) -> bool {
        self.note(spelling, DangerLevel::Medium, "an option that is not known here");
        false
    }

    fn valued(
        &mut self,
        spelling: &str,
        known: Known,
        attached: Option<Word>,
        next: Option<&Word>,
        scan: &mut Scan<'_>,
        at: &mut usize,
    ) -> bool {
        scan.options.push(spelling.to_owned());
        if let Some((level, why)) = known.raise {
            self.note(spelling, level, why);
        }
        let value = match (known.takes, attached, next) {
            (Takes::Nothing, ..) | (Takes::Attached, None, _) => return true,
            (_, Some(value), _) => value,
            (_, None, Some(next)) => {
                *at += 1;
                next.clone()
            }
            (_, None, None) => {
                self.note(spelling, DangerLevel::Medium, "expected a value behind it");
                return false;
            }
        };
        if let Some(why) = value.unknown().filter(|_| !matches!(value.kind, Kind::Pattern)) {
            self.note(&value.raw, DangerLevel::Medium, why);
            self.refuse_to_run(&value.raw, why);
        }
        // `-n -5` is a number; `-o -x` is more likely an option that the table takes for a value.
        let mut signs = value.text.chars();
        if signs.next() == Some('-') && signs.next().is_some_and(|c| !c.is_ascii_digit()) {
            self.note(&value.text, DangerLevel::Medium, format!("looks like an option, and would be the value of {spelling}"));
        }
        if let Takes::Value(means) = known.takes {
            self.meant(means, &value);
        }
        scan.values.push((spelling.to_owned(), value));
        true
    }
}

/// The words as they were written.
pub fn said(words: &[Word]) -> String {
    words.iter().map(|word| word.raw.as_str()).collect::<Vec<_>>().join(" ")
}
