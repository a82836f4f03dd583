//! tar: listing reads, everything else writes; several options run programs.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low};
use super::super::syntax::Word;
use crate::domain::DangerLevel::{self, Critical, High, Low, Medium};

/// What tar is to do, besides options.
const TAR: Program = low(
    "tar",
    "-tvzjJapOkmhPSWRBi -C= -X=@ -b= --list --verbose --gzip --bzip2 --xz --zstd --lzma --auto-compress --wildcards --no-wildcards --exclude= --exclude-from=@ \
     --directory= --to-stdout --full-time --numeric-owner --one-top-level? --strip-components= --anchored --ignore-case --occurrence? --quoting-style= --totals? --warning= -f= --file=",
)
.raised(&[
    ("-x --extract --get", High, "writes the archive's files"),
    ("-c --create -r --append -u --update -A --catenate --concatenate", Medium, "writes an archive"),
    ("-d --diff --compare", Low, "compares an archive with files"),
    ("--delete", High, "removes from an archive"),
    ("--remove-files --recursive-unlink --unlink-first -U --overwrite", Critical, "removes files"),
    ("-T= --files-from= --to-command= -I= --use-compress-program= --rsh-command= --rmt-command= -F= --info-script= --new-volume-script= --checkpoint-action=", High, "runs a program"),
    ("--checkpoint?", Medium, "is the first half of running a program"),
    ("-g= --listed-incremental= --volno-file= --index-file= -K= --starting-file=", Medium, "writes or reads another file"),
]);

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let text = said(words);
    let spelled = spelled(words);
    let scan = judge.scan(&[&TAR], &spelled[1.min(spelled.len())..], false);
    inner(judge, &spelled);
    remote(judge, &spelled);
    let lists = scan.options.iter().any(|option| matches!(option.as_str(), "-t" | "--list" | "-d" | "--diff" | "--compare"));
    let to_stdout = scan.options.iter().any(|option| matches!(option.as_str(), "-O" | "--to-stdout"));
    let level: DangerLevel = if lists && !to_stdout { program.level } else { Medium };
    judge.note(&text, level, if lists { "lists an archive" } else { "packs or unpacks an archive" });
    Run::plain(words)
}

/// `tar xzf a.tgz`: the first word is options without a dash, and their values are the words that follow, one after the other.
fn spelled(words: &[Word]) -> Vec<Word> {
    const VALUED: &str = "bCfFgHIKLNTVX";
    let Some(first) = words.get(1).filter(|word| word.is_literal() && !word.text.starts_with('-')) else { return words.to_vec() };
    let mut spelled = vec![words[0].clone()];
    let mut rest = words[2..].iter();
    for letter in first.text.chars() {
        spelled.push(Word { text: format!("-{letter}"), ..first.clone() });
        if VALUED.contains(letter) {
            spelled.extend(rest.next().cloned());
        }
    }
    spelled.extend(rest.cloned());
    spelled
}

/// Programs that an option's value names count for themselves.
fn inner(judge: &mut Judge, words: &[Word]) {
    let naming = [
        "--to-command",
        "--use-compress-program",
        "--rsh-command",
        "--checkpoint-action",
        "--info-script",
        "--new-volume-script",
        "-I",
        "-F",
    ];
    for (at, word) in words.iter().enumerate() {
        let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
        // getopt takes any beginning of a long name.
        let names = naming.iter().any(|known| *known == name || (name.starts_with("--") && name.len() > 3 && known.starts_with(name)));
        if names {
            let value = if value.is_empty() { words.get(at + 1).map_or("", |next| next.text.as_str()) } else { value };
            judge.reread(value.trim_start_matches("exec="));
        }
    }
}

/// `-f host:path` goes over rsh.
fn remote(judge: &mut Judge, words: &[Word]) {
    if words[1..].iter().any(|word| word.text.contains(':') && !word.text.starts_with("--exclude")) {
        judge.note(&said(words), High, "a name with `:` is on another machine");
    }
}
