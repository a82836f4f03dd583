//! sed: scripts of printing, deleting and replacing lines in passing. Commands that run programs or write files, and every script that
//! is not of that plain kind, are dangerous.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low};
use super::super::syntax::{Kind, Word};
use crate::domain::DangerLevel::{High, Medium, Safe};

const SED: Program = low("sed", "-nrEsuz -e= --quiet --silent --expression= --regexp-extended --separate --unbuffered --null-data --sandbox --posix --debug -l= --line-length=").raised(&[
    ("-i? --in-place?", High, "changes files where they are"),
    ("-f= --file=", High, "runs a script from a file"),
]);

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[&SED], &words[1..], false);
    let mut scripts: Vec<String> = scan.given(&["-e", "--expression"]).map(|word| word.text.clone()).collect();
    let given = !scripts.is_empty();
    if let (false, Some(first)) = (given, scan.operands.first()) {
        scripts.push(first.text.clone());
        if matches!(first.kind, Kind::Pattern) {
            judge.hinder(&first.raw, "a script that files' names could change");
        }
    }
    for script in &scripts {
        if !is_plain(script) {
            judge.note(script, High, "a script of sed that may write files or run programs");
            judge.hidden_in(script);
        }
    }
    if scripts.is_empty() {
        judge.note(&said(words), Medium, "no script is given");
    }
    let files: Vec<&&Word> = scan.operands.iter().skip(usize::from(!given)).collect();
    files.iter().for_each(|word| judge.read(word, false));
    let level = if files.is_empty() { Safe } else { program.level };
    judge.note(&said(words), level, program.why);
    Run::plain(words)
}

/// `[address[,address]][!]` and one of the commands that only print, delete, number, hold or replace; `{}` and `;` between them.
fn is_plain(script: &str) -> bool {
    let mut rest = script;
    loop {
        rest = rest.trim_start_matches([' ', ';', '{', '}']);
        if rest.is_empty() {
            return true;
        }
        let Some(next) = one(rest) else { return false };
        rest = next;
        if !(rest.is_empty() || rest.starts_with([' ', ';', '}', '{'])) {
            return false;
        }
    }
}

/// The rest behind one plain command.
fn one(text: &str) -> Option<&str> {
    let mut rest = address(text)?;
    if let Some(second) = rest.strip_prefix(',') {
        rest = address(second.trim_start_matches(['+', '~', ' '])).filter(|after| *after != second)?;
    }
    rest = rest.trim_start_matches(' ');
    rest = rest.strip_prefix('!').unwrap_or(rest).trim_start_matches(' ');
    let command = rest.chars().next()?;
    let after = &rest[command.len_utf8()..];
    match command {
        '{' => Some(rest),
        'p' | 'd' | 'D' | 'P' | 'n' | 'N' | 'g' | 'G' | 'h' | 'H' | 'x' | '=' | 'z' | 'F' => Some(after),
        'q' | 'Q' | 'l' => Some(after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')),
        's' => substitution(after),
        'y' => {
            let delimiter = delimiter(after)?;
            let rest = until(&after[delimiter.len_utf8()..], delimiter)?;
            until(rest, delimiter)
        }
        _ => None,
    }
}

/// A line number, `$`, `/regex/`; nothing is an address too.
fn address(text: &str) -> Option<&str> {
    match text.chars().next()? {
        '$' => Some(&text[1..]),
        c if c.is_ascii_digit() => Some(text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '~')),
        '/' => until(&text[1..], '/').map(|rest| rest.trim_start_matches(['I', 'M'])),
        '\\' => {
            let delimiter = delimiter(&text[1..])?;
            until(&text[1 + delimiter.len_utf8()..], delimiter).map(|rest| rest.trim_start_matches(['I', 'M']))
        }
        _ => Some(text),
    }
}

fn substitution(text: &str) -> Option<&str> {
    let delimiter = delimiter(text)?;
    let replacement = until(&text[delimiter.len_utf8()..], delimiter)?;
    let flags = until(replacement, delimiter)?;
    // `e` runs, `w` writes, `m` and `I` only match differently.
    Some(flags.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, 'g' | 'p' | 'i' | 'I' | 'm' | 'M')))
}

fn delimiter(text: &str) -> Option<char> {
    text.chars().next().filter(|c| c.is_ascii_punctuation() && *c != '\\')
}

/// Behind the next delimiter that is not escaped. A bracket expression may hold one: then it is not plain.
fn until(text: &str, delimiter: char) -> Option<&str> {
    let mut escaped = false;
    let mut bracket = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' if delimiter != '[' => bracket = true,
            ']' if delimiter != ']' => bracket = false,
            c if c == delimiter && bracket => return None,
            c if c == delimiter => return Some(&text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn printing_deleting_and_replacing_is_plain() {
        for good in [
            "",
            "p",
            "1,20p",
            "$p",
            "$!d",
            "/error/p",
            "/start/,/end/p",
            "5q",
            "s/a/b/",
            "s/a/b/gI",
            "s|/var|/srv|g",
            "/x/s/a/b/2p",
            "1~2d",
            "/a/,+3p",
            "1d;$d",
            "/x/{s/a/b/;p}",
            r"s/\//-/g",
            "y/abc/xyz/",
            "s/[0-9]*$//",
            "=",
            r"\#x#p",
            "1!G;h;$!d",
            "/^$/d",
            "100,200!d",
        ] {
            assert!(is_plain(good), "{good}");
        }
    }

    #[test]
    fn whatever_writes_or_runs_is_not() {
        for bad in [
            "e",
            "e rm -rf /",
            "1e id",
            "s/x/y/e",
            "s/x/rm -rf \\//ge",
            "w /tmp/x",
            "1w/tmp/x",
            "s/a/b/w /tmp/x",
            "s/a/b/gw /tmp/x",
            "W /tmp/x",
            "r /etc/shadow",
            "R /etc/shadow",
            "/x/r /etc/shadow",
            "a text",
            "i\\",
            "c x",
            ":a;ba",
            "b",
            "t",
            "v",
            "s/a/b",
            "s",
            "/a",
            "1,",
            "p;e id",
            "{p;e id}",
            "s/a/b/;e id",
            "s/[/]/b/e",
            "pe",
            "dw x",
            "s/[/]e/x/e/",
            "M",
            "s\\a\\b\\",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
