//! awk: programs of patterns and print. What starts another program, writes a file or reads one by name is dangerous; so is a program
//! that cannot be read as plain text.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low};
use super::super::syntax::{Kind, Word};
use crate::domain::DangerLevel::{High, Medium, Safe};

const AWK: Program = low("awk", "-bcCgnNOPrsStV -F= -v= --field-separator= --assign= --re-interval --posix --traditional --sandbox --lint? --characters-as-bytes --csv").raised(&[
    ("-f= --file= -E= --exec= -l= --load= -i= --include= -D? --debug? -p? --profile? -d? --dump-variables? -o? --pretty-print? -e= --source=", High, "loads a program, or writes a file"),
]);

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[&AWK], &words[1..], true);
    let Some(at) = scan.stopped else {
        judge.note(&said(words), Medium, "no program is given");
        return Run::plain(words);
    };
    let code = &words[1 + at];
    if let Some(why) = code.unknown() {
        judge.opaque(&[&AWK], code, why);
    } else if code.kind == Kind::Pattern {
        judge.hinder(&code.raw, "a program that files' names could change");
    }
    if let Err(why) = plain(&code.text) {
        judge.note(&code.raw, High, why);
        judge.hidden_in(&code.text);
    }
    for word in &words[at + 2..] {
        match word.unknown() {
            Some(why) => judge.opaque(&[&AWK], word, why),
            // `name=value` sets a variable in passing.
            None if word.text.contains('=') && !word.text.starts_with('/') => {}
            None => judge.read(word, false),
        }
    }
    let level = if words.len() > at + 2 { program.level } else { Safe };
    judge.note(&said(words), level, program.why);
    Run::plain(words)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    /// A regular expression may follow.
    Operator,
    /// A value: `/` divides.
    Value,
}

/// `Err` says what in the program is not plain.
fn plain(code: &str) -> Result<(), &'static str> {
    let packed: String = code.chars().filter(|c| *c != ' ').collect();
    if packed.contains("system(") || ["getline", "ENVIRON", "PROCINFO", "ARGV"].iter().any(|word| code.contains(word)) {
        return Err("a program of awk that may start others or read what is not named");
    }
    if code.contains('@') {
        return Err("a program of awk that calls by name");
    }
    let mut rest = code.char_indices().peekable();
    let mut before = Before::Operator;
    // Within `print … ` up to its end: brackets open since then.
    let mut printing: Option<i32> = None;
    while let Some((at, c)) = rest.next() {
        match c {
            ' ' => continue,
            '"' => {
                skip(&mut rest, '"')?;
                before = Before::Value;
            }
            '/' if before == Before::Operator => {
                skip(&mut rest, '/')?;
                before = Before::Value;
            }
            '|' if rest.next_if(|(_, next)| *next == '|').is_some() => before = Before::Operator,
            '|' => return Err("a program of awk that pipes to or from others"),
            '>' if printing == Some(0) => return Err("a program of awk that writes into a file"),
            '#' => return Err("a program of awk with a comment"),
            ';' | '}' | '{' => (printing, before) = (None, Before::Operator),
            '(' => {
                printing = printing.map(|open| open + 1);
                before = Before::Operator;
            }
            ')' => {
                printing = printing.map(|open| open - 1);
                before = Before::Value;
            }
            ']' => before = Before::Value,
            c if c.is_alphanumeric() || c == '_' || c == '$' => {
                let word = word(code, at);
                (0..word.chars().count().saturating_sub(1)).for_each(|_| {
                    rest.next();
                });
                if matches!(word, "system" | "close" | "fflush" | "extension") {
                    return Err("a program of awk that may start others or read what is not named");
                }
                if matches!(word, "print" | "printf") {
                    printing = Some(0);
                }
                let operator = matches!(word, "print" | "printf" | "return" | "in" | "case" | "exit" | "delete" | "else" | "do" | "$");
                before = if operator { Before::Operator } else { Before::Value };
            }
            '\\' => return Err("a program of awk that is not plain text"),
            '+' | '-' if rest.peek().is_some_and(|(_, next)| *next == c) => {
                rest.next();
            }
            _ => before = Before::Operator,
        }
    }
    Ok(())
}

fn word(code: &str, at: usize) -> &str {
    if code[at..].starts_with('$') {
        return "$";
    }
    let end = code[at..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(code.len() - at);
    &code[at..at + end]
}

/// To the end of a text or regular expression.
fn skip(rest: &mut impl Iterator<Item = (usize, char)>, end: char) -> Result<(), &'static str> {
    let mut escaped = false;
    let mut bracket = false;
    for (_, c) in rest {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // Some awks end an expression at a `/` in brackets, some do not.
            '[' if end == '/' => bracket = true,
            ']' if end == '/' => bracket = false,
            c if c == end && bracket => return Err("a program of awk that awks read differently"),
            c if c == end => return Ok(()),
            _ => {}
        }
    }
    Err("a program of awk with an open text")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn patterns_and_print_are_plain() {
        for good in [
            "{print $1}",
            "{ print $1, $NF }",
            "$3 > 80 {print $2}",
            "$5+0 > 90",
            "/error|warn/ {n++} END {print n}",
            "{s+=$1} END {print s/NR}",
            "NR>1 && $5 > \"80%\" {print $6\": \"$5}",
            "BEGIN{FS=\":\"} $3>=1000{print $1}",
            "{ if ($3 > 50) print $2 }",
            "{a[$1]++} END {for (k in a) print k, a[k]}",
            "!seen[$0]++",
            "{printf \"%s %d\\n\", $1, $2}",
            "$9 ~ /^5/ {print $7}",
            "{print ($3 > 4) ? \"a\" : \"b\"}",
            "length($0) > 200",
            "{print substr($0, 1, 80)}",
            "{print $1/1024}",
            "NR==1 || /nginx/",
            "{print \"a|b > c\"}",
            "/a>b/",
        ] {
            assert_eq!(plain(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn whatever_starts_writes_or_hides_is_not() {
        for bad in [
            "BEGIN{system(\"rm -rf /\")}",
            "{print > \"/tmp/x\"}",
            "{print $1 >> \"/tmp/x\"}",
            "{print | \"sh\"}",
            "BEGIN{\"id\" | getline x; print x}",
            "{printf \"%s\", $1 > $2}",
            "BEGIN { while ((getline l < \"/etc/shadow\") > 0) print l }",
            "BEGIN{print ENVIRON[\"X\"]}",
            "@load \"x\"",
            "BEGIN{f=\"system\"; @f(\"id\")}",
            "{print $1 |& \"sh\"}",
            "{print (1) > \"x\"}",
            "/a[/]b/{print}",
            "{print \"a",
            "{print # x",
            "{x = 1 / 2; print | \"sh\" /1}",
        ] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }
}
