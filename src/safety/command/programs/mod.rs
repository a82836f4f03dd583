//! The programs that are known, by theme. A program that is in no table is dangerous, whatever it is called.

mod awk;
mod changes;
mod containers;
mod environment;
mod files;
mod find;
mod git;
mod http;
mod kill;
mod kubectl;
mod lookups;
mod network;
mod openssl;
mod ps;
mod redis;
mod sed;
mod services;
mod shell;
mod shows;
mod special;
mod sql;
mod stores;
mod system;
mod tar;
mod text;
mod wrappers;

use super::judge::{Judge, said};
use super::plan::Run;
use super::spec::{Need, Program};
use super::syntax::{Kind, Word};
use crate::domain::DangerLevel;

const TABLES: [&[Program]; 10] = [
    files::TABLE,
    text::TABLE,
    system::TABLE,
    network::TABLE,
    services::TABLE,
    containers::TABLE,
    stores::TABLE,
    git::TABLE,
    changes::TABLE,
    wrappers::TABLE,
];

/// Where programs are looked for, in this order. Never `$PATH`.
pub const FOLDERS: [&str; 6] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// Variables that change how an answer looks and nothing else.
const HARMLESS: [&str; 14] = [
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "CLICOLOR",
    "SYSTEMD_COLORS",
    "SYSTEMD_LESS",
    "BLOCKSIZE",
    "BLOCK_SIZE",
    "TIMEFORMAT",
    "PGCONNECT_TIMEOUT",
];
/// Variables that make a program load or run something else.
const DANGEROUS: [&str; 24] = [
    "LD_*",
    "DYLD_*",
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELL*",
    "PROMPT_COMMAND",
    "PS4",
    "*PAGER",
    "*EDITOR",
    "VISUAL",
    "BROWSER",
    "LESS*",
    "GIT_*",
    "PYTHON*",
    "PERL*",
    "RUBY*",
    "NODE_*",
    "JAVA_*",
    "GCONV_PATH",
    "*_PRELOAD",
    "KUBECONFIG",
    "DOCKER_*",
];

fn known(name: &str) -> Option<&'static Program> {
    TABLES.iter().flat_map(|table| table.iter()).find(|program| program.is_called(name))
}

#[cfg(test)]
pub fn is_known(name: &str) -> bool {
    known(name.rsplit('/').next().unwrap_or_default()).is_some()
}

/// Judges one program with its arguments; the first word is literal.
pub fn judge(judge: &mut Judge, words: &[Word]) -> Run {
    let Some(first) = words.first() else { return Run::plain(words) };
    let name = match first.text.rsplit_once('/') {
        None => first.text.as_str(),
        Some((folder, name)) if FOLDERS.contains(&folder) => name,
        Some(_) => {
            judge.note(&said(words), DangerLevel::High, "is a program outside the system's folders");
            judge.refuse_to_run(&first.raw, "only programs of the system's folders are run");
            judge.any_tail(words);
            return Run::plain(words);
        }
    };
    match known(name) {
        Some(program) => {
            addresses(judge, program, words);
            let run = match program.special {
                Some(special) => special(judge, program, words),
                None => by_table(judge, &mut vec![program], words, words),
            };
            finished(program, run)
        }
        None => {
            judge.note(&said(words), DangerLevel::High, format!("`{name}` is not a program that is known here"));
            judge.any_tail(words);
            Run::plain(words)
        }
    }
}

/// A whole address is another machine's wherever it stands, for a program that goes there or may.
fn addresses(judge: &mut Judge, program: &Program, words: &[Word]) {
    let goes = program.needs.contains(&Need::Internet) || program.is_called("rpm");
    // Those judge each address by itself.
    if goes && !program.is_called("curl") && !program.is_called("wget") {
        for word in words[1..].iter().filter(|word| word.text.contains("://")) {
            let value =
                word.text.split_once('=').filter(|(option, _)| option.starts_with('-')).map_or(word.text.as_str(), |(_, value)| value);
            judge.machine(&Word { text: value.to_owned(), ..word.clone() });
        }
    }
}

fn finished(program: &'static Program, mut run: Run) -> Run {
    run.needs.extend(program.needs);
    if !program.run_as.is_empty() {
        run.words.splice(0..1, program.run_as.iter().map(|word| Word::literal(word)));
        run.programs = vec![0];
    }
    run
}

/// What the tables alone say; `words` begins with the name of the innermost of them.
pub fn by_table(judge: &mut Judge, tables: &mut Vec<&'static Program>, words: &[Word], whole: &[Word]) -> Run {
    let Some(program) = tables.last().copied() else { return Run::plain(whole) };
    let scan = judge.scan(tables, &words[1.min(words.len())..], !program.subs.is_empty());
    let sub = scan.operands.first().filter(|_| !program.subs.is_empty());
    if let (Some(sub), Some(at)) = (sub, scan.stopped) {
        let rest = &words[at + 1..];
        let Some(found) = program.subs.iter().find(|known| known.is_called(&sub.text)) else {
            judge.note(&said(whole), DangerLevel::High, format!("`{}` is not a known subcommand", sub.text));
            judge.any_tail(rest);
            return Run::plain(whole);
        };
        // What the program does by itself it does whatever it is asked.
        if program.level > DangerLevel::Low {
            judge.note(&said(whole), program.level, program.why);
        }
        tables.push(found);
        let mut run = match found.special {
            Some(special) => Run { words: whole.to_vec(), programs: vec![0], ..special(judge, found, rest) },
            None => by_table(judge, tables, rest, whole),
        };
        run.needs.extend(found.needs);
        return run;
    }
    if !program.subs.is_empty() && judge.piped {
        judge.note(&said(whole), DangerLevel::High, "may take its orders from the pipe");
    }
    // To a program with commands of its own it may be what it is to a shell.
    for word in scan.operands.iter().filter(|word| tables.len() > 1 && word.text.contains(';')) {
        judge.note(&word.raw, DangerLevel::High, "another command may stand behind the `;`");
    }
    let reads = judge.operands(program, &scan);
    bounds(judge, program, &scan.options, scan.operands.len(), whole);
    match reads || program.level != DangerLevel::Low {
        true => judge.note(&said(whole), program.level, program.why),
        false => judge.note(&said(whole), DangerLevel::Safe, "sifts what comes down the pipe"),
    }
    Run::plain(whole)
}

fn bounds(judge: &mut Judge, program: &Program, options: &[String], operands: usize, whole: &[Word]) {
    if let Some((needed, level, why)) = program.only_with
        && !options.iter().any(|option| needed.contains(&option.as_str()))
    {
        judge.note(&said(whole), level, why);
    }
    if let Some((most, level, why)) = program.at_most
        && operands > most
    {
        judge.note(&said(whole), level, why);
    }
}

/// `NAME=value` before a program, or handed to `env`.
pub fn variable(judge: &mut Judge, name: &str, value: &Word) {
    use super::secret::overlaps;
    let text = format!("{name}={}", value.raw);
    let harmless = HARMLESS.contains(&name) || name.starts_with("LC_");
    if DANGEROUS.iter().any(|pattern| overlaps(pattern, name)) {
        judge.note(&text, DangerLevel::High, "a variable that makes programs load or run something else");
    } else if !harmless {
        judge.note(&text, DangerLevel::Medium, "a variable that is not known here");
    }
    if value.kind != Kind::Literal {
        judge.hinder(&text, "the value of a variable would have to be worked out first");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn every<'a>(program: &'a Program, found: &mut Vec<&'a Program>) {
        found.push(program);
        program.subs.iter().for_each(|sub| every(sub, found));
    }

    #[test]
    fn every_table_is_well_formed_and_no_program_stands_in_two() {
        let mut names = BTreeSet::new();
        for program in TABLES.iter().flat_map(|table| table.iter()) {
            for name in program.names.split(' ') {
                assert!(!name.is_empty() && names.insert(name), "`{name}` is listed twice, or a blank is doubled");
            }
            let mut all = Vec::new();
            every(program, &mut all);
            for found in all {
                let lists = found.raises.iter().map(|(list, ..)| *list).chain([found.options]);
                for entry in lists.flat_map(|list| list.split(' ')).filter(|entry| !entry.is_empty()) {
                    assert!(entry.starts_with(['-', '+']) && entry.len() > 1, "{}: `{entry}` is no option", found.names);
                    let name = entry.trim_end_matches(super::super::spec::SIGNS);
                    let short = name.starts_with('-') && !name.starts_with("--") && !found.dashed;
                    assert!(!short || name == entry || name.len() == 2, "{}: `{entry}` takes a value for several letters", found.names);
                }
                assert!(
                    !found.why.is_empty() && found.raises.iter().all(|(_, level, why)| *level >= found.level && !why.is_empty()),
                    "{}",
                    found.names
                );
            }
        }
        assert!(names.len() > 500, "{}", names.len());
    }
}
