//! What belongs to a shell, or is more in one than the program of the same name.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::Program;
use super::super::syntax::Word;
use super::special::{noted, texts};
use crate::domain::DangerLevel::High;

/// Builtins change the shell they run in; here there is none.
pub fn builtin(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.hinder(&said(words), "belongs to the shell, and no shell is run");
    words[1..].iter().for_each(|word| judge.evaluated(word));
    if let ["jobs", "-x", ..] = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>()[..] {
        judge.program(&words[2..]);
    }
    if program.level >= High {
        judge.any_tail(words);
    }
    words[1..].iter().filter(|word| word.text.contains(' ')).for_each(|word| judge.hidden_in(&word.text));
    for word in &words[1..] {
        if let Some((name, value)) =
            word.text.split_once('=').filter(|_| matches!(words[0].text.as_str(), "export" | "declare" | "typeset" | "local" | "readonly"))
        {
            super::variable(judge, name, &Word { text: value.to_owned(), ..word.clone() });
        }
    }
    noted(judge, words, program.level, program.why)
}

/// `test -v 'x[$(reboot)]'` asks for a variable, and runs what is in its name on the way.
pub fn test(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let variable = words[1..].iter().any(|word| matches!(word.text.as_str(), "-v" | "-R"));
    of_variables(judge, program, words, variable)
}

/// `printf -v 'x[$(reboot)]' y` sets one.
pub fn printf(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let variable = texts(words).first().is_some_and(|text| text.starts_with("-v"));
    of_variables(judge, program, words, variable)
}

fn of_variables(judge: &mut Judge, program: &Program, words: &[Word], variable: bool) -> Run {
    if variable {
        judge.note(&said(words), High, "is about a variable, and the shell runs what stands in its name");
        judge.hinder(&said(words), "only a shell has variables");
        words[1..].iter().for_each(|word| judge.evaluated(word));
    }
    noted(judge, words, program.level, program.why)
}
