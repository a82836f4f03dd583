//! ps: three spellings of options at once, one of which shows every program's environment.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::Program;
use super::super::syntax::Word;
use super::environment::SHOWN;
use crate::domain::DangerLevel::{High, Medium, Safe};

const VALUED: &str = "CGgpqosutUO";
const BARE_VALUED: &str = "oOpqUkt";
const LONG: [&str; 24] = [
    "--forest",
    "--no-headers",
    "--no-heading",
    "--headers",
    "--sort",
    "--pid",
    "--ppid",
    "--user",
    "--User",
    "--group",
    "--Group",
    "--sid",
    "--tty",
    "--format",
    "--cols",
    "--columns",
    "--width",
    "--rows",
    "--lines",
    "--cumulative",
    "--deselect",
    "--info",
    "--context",
    "--quick-pid",
];

pub fn judge(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    let text = said(words);
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        if let Some(why) = word.unknown() {
            judge.note(&word.raw, High, why);
            judge.refuse_to_run(&word.raw, why);
            continue;
        }
        let taken = match (word.text.strip_prefix("--"), word.text.strip_prefix('-')) {
            (Some(_), _) => long(judge, &word.text),
            (None, Some(letters)) => letters_of(judge, letters, true),
            (None, None) => letters_of(judge, &word.text, false),
        };
        if taken {
            rest.next().into_iter().filter_map(|value| Some((value, value.unknown()?))).for_each(|(value, why)| {
                judge.note(&value.raw, Medium, why);
                judge.refuse_to_run(&value.raw, why);
            });
        }
    }
    // A column of that name, in whatever list and spelling.
    if let Some(word) = words.iter().find(|word| word.text.to_lowercase().contains("environ")) {
        judge.note(&word.raw, High, SHOWN);
    }
    judge.note(&text, Safe, "shows processes");
    Run::plain(words)
}

fn long(judge: &mut Judge, text: &str) -> bool {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if !LONG.contains(&name) {
        judge.note(text, Medium, "an option that is not known here");
    }
    let flags = ["--forest", "--no-headers", "--no-heading", "--headers", "--cumulative", "--deselect", "--info", "--context"];
    value.is_none() && !flags.contains(&name)
}

/// True if the last letter takes the next word.
fn letters_of(judge: &mut Judge, letters: &str, dashed: bool) -> bool {
    // Process numbers.
    if letters.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    for (at, letter) in letters.char_indices() {
        let rest = &letters[at + letter.len_utf8()..];
        let valued = if dashed { VALUED } else { BARE_VALUED }.contains(letter);
        match letter {
            'e' | 'E' if !dashed => judge.note(letters, High, SHOWN),
            // `-auxe` is taken for `auxe` where there is no user `xe`.
            'u' if dashed && rest.contains('e') => judge.note(letters, High, SHOWN),
            _ if valued => return rest.is_empty(),
            c if c.is_ascii_alphabetic() => {}
            _ => judge.note(letters, Medium, "an option that is not known here"),
        }
    }
    false
}
