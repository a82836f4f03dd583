//! find: an expression of tests and actions; some actions remove files, write files or run programs.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::secret;
use super::super::spec::{Need, Program};
use super::super::syntax::{Kind, Word};
use crate::domain::DangerLevel::{Critical, High, Medium};

/// Tests and actions without an argument.
const PLAIN: &str = " -print -print0 -ls -prune -quit -true -false -empty -readable -writable -executable -nouser -nogroup -daystart -depth -d -follow -mount -xdev \
    -noleaf -ignore_readdir_race -noignore_readdir_race -warn -nowarn -not -and -or -a -o ! ( ) , ";
/// With one.
const ONE: &str = " -name -iname -path -ipath -wholename -iwholename -lname -ilname -regex -iregex -regextype -type -xtype -size -mtime -mmin -atime -amin -ctime -cmin -newer \
    -anewer -cnewer -newermt -newerat -newerct -newermm -user -uid -group -gid -perm -links -inum -samefile -fstype -maxdepth -mindepth -used -context -printf -D ";

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let mut run = Run::plain(words);
    let roots = roots(judge, words);
    let mut at = 1 + roots.len();
    while let Some(word) = words.get(at) {
        at += 1;
        let text = word.text.as_str();
        let listed = |list: &str| list.contains(&format!(" {text} "));
        if let Some(why) = word.unknown() {
            judge.opaque(&[], word, why);
        } else if listed(PLAIN) {
        } else if listed(ONE) {
            argument(judge, words.get(at));
            at += 1;
        } else {
            match text {
                "-exec" | "-execdir" | "-ok" | "-okdir" => at = command(judge, &roots, words, at, &mut run),
                "-delete" => judge.note(&said(words), Critical, "removes everything that it finds"),
                "-fprint" | "-fprint0" | "-fls" | "-fprintf" => {
                    judge.note(text, High, "overwrites a file");
                    at += if text == "-fprintf" { 2 } else { 1 };
                }
                "-files0-from" => judge.note(text, Medium, "reads where to look from a file"),
                _ => judge.note(text, Medium, "a test that is not known here"),
            }
        }
    }
    judge.note(&said(words), program.level, program.why);
    run
}

/// Options before the roots, and the roots: everything before the expression.
fn roots<'a>(judge: &mut Judge, words: &'a [Word]) -> Vec<&'a Word> {
    let before = words[1..].iter().take_while(|word| {
        let option = matches!(word.text.as_str(), "-H" | "-L" | "-P" | "-O0" | "-O1" | "-O2" | "-O3");
        option || !(word.text.starts_with(['-', '(', '!']) && word.is_literal())
    });
    let roots: Vec<&Word> = before.collect();
    for word in &roots {
        if let Some(why) = word.unknown() {
            judge.opaque(&[], word, why);
        }
    }
    roots
}

fn argument(judge: &mut Judge, word: Option<&Word>) {
    match word {
        None => judge.note("find", Medium, "expected a value at the end"),
        // An unquoted `*.log` is the pattern itself, or names from the folder it runs in: no option either way.
        Some(word) if matches!(word.kind, Kind::Pattern) => {}
        Some(word) => {
            if let Some(why) = word.unknown() {
                judge.opaque(&[], word, why);
            }
        }
    }
}

/// Judges the program behind `-exec` with what find would hand to it; the index behind its end.
fn command(judge: &mut Judge, roots: &[&Word], words: &[Word], at: usize, run: &mut Run) -> usize {
    let end = words[at..].iter().position(|word| word.text == ";" || (word.text == "+" && word.is_literal())).map(|found| at + found);
    let inner = &words[at..end.unwrap_or(words.len())];
    let stands_for = found_files(roots, words);
    let filled: Vec<Word> = inner
        .iter()
        .map(|word| match word.text.as_str() {
            "{}" => stands_for.clone(),
            text if text.contains("{}") => Word::opaque(&word.raw, "a name that find makes"),
            _ => word.clone(),
        })
        .collect();
    let found = judge.program(&filled);
    inner.iter().take(1).for_each(|name| super::git::unbounded(judge, name));
    if inner.first().is_some_and(|name| matches!(name.text.rsplit('/').next(), Some("rm" | "unlink" | "rmdir" | "truncate"))) {
        judge.note(&said(inner), Critical, "removes everything that find finds");
    }
    if found.words.len() < filled.len() || inner.is_empty() || end.is_none() {
        judge.hinder(&said(inner), "what find would run is not plain");
    }
    // What was put in for commands before this one moves it on.
    let place = at + run.words.len() - words.len();
    run.programs.extend(found.programs.iter().map(|index| index + place));
    // `gzip -cd` for `zcat`.
    if let Some(more) = found.words.len().checked_sub(filled.len()).filter(|more| *more > 0) {
        run.words.splice(place..=place, found.words[..=more].iter().cloned());
    }
    run.needs.extend(found.needs);
    run.needs.insert(Need::Forks);
    end.map_or(words.len(), |end| end + 1)
}

/// Whatever lies below the roots. Names of a relative root may begin with `-`; those of an absolute one cannot.
fn found_files(roots: &[&Word], words: &[Word]) -> Word {
    let asked = words.windows(2).filter(|pair| matches!(pair[0].text.as_str(), "-name" | "-iname" | "-path" | "-ipath" | "-wholename"));
    // Whoever looks for a secret by its name finds it.
    let secret = asked.map(|pair| Word::pattern(&pair[1].text)).find(|name| secret::shown(name, false).is_some());
    let behind = secret.map_or_else(String::new, |name| format!("/{}", name.text));
    let folders: Vec<&&Word> = roots.iter().filter(|word| !matches!(word.text.as_str(), "-H" | "-L" | "-P")).collect();
    match folders.as_slice() {
        [one] if one.is_literal() && one.text.starts_with('/') && !secret::climbs(&one.text) => {
            Word::pattern(&format!("{}/**{behind}", secret::plain(&one.text).trim_end_matches('/')))
        }
        [] => Word::pattern("/**"),
        all if all.iter().all(|word| word.text.starts_with(['/', '.'])) => Word::pattern("/**"),
        _ => Word::opaque("{}", "names that may look like options"),
    }
}
