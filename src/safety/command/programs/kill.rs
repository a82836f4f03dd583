//! Signals: asking whether a process is there sends none, and to some it must never be sent.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::Program;
use super::super::syntax::Word;
use crate::domain::DangerLevel::{Critical, High, Medium, Safe};

pub fn judge(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let text = said(words);
    let texts: Vec<&str> = words[1..].iter().map(|word| word.text.as_str()).collect();
    if words[1..].iter().any(|word| word.unknown().is_some()) {
        judge.note(&text, Critical, "which processes are meant cannot be read");
        judge.refuse_to_run(&text, "which processes are meant cannot be read");
        return Run::plain(words);
    }
    let (level, why) = match texts.as_slice() {
        ["-l" | "-L" | "--list" | "--table", ..] => (Safe, "lists signals"),
        ["-0", rest @ ..] if rest.iter().all(|pid| pid.parse::<u32>().is_ok_and(|pid| pid > 0)) => {
            (Safe, "asks whether a process is there")
        }
        _ if broad(words[0].text.rsplit('/').next().unwrap_or_default(), &texts) => (Critical, "ends the first process, or every one"),
        ["-HUP" | "-1" | "-SIGHUP" | "-USR1" | "-USR2" | "-SIGUSR1" | "-SIGUSR2", ..] => {
            (Medium, "sends a signal that most programs take for a request")
        }
        _ => (High, program.why),
    };
    judge.note(&text, level, why);
    Run::plain(words)
}

/// Process 1, a whole group or everybody; a pattern that fits everything.
fn broad(name: &str, texts: &[&str]) -> bool {
    let by_name = name != "kill";
    let numbers = ["1", "-1", "0"];
    let processes = texts.iter().enumerate().filter(|(at, text)| *at > 0 || !text.starts_with('-')).map(|(_, text)| *text);
    let mut processes = processes.peekable();
    let unnamed = name == "killall5";
    unnamed
        || processes.any(|text| {
            numbers.contains(&text)
                || (text.starts_with('-') && text[1..].parse::<u32>().is_ok())
                || (by_name && matches!(text, "" | "." | ".*" | "*"))
        })
}
