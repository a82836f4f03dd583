//! Redirections: which of them change a file, and which can be had without a shell.

use super::judge::Judge;
use super::plan::{Sink, Streams};
use super::secret;
use super::syntax::{Redirect, Word};
use crate::domain::DangerLevel;

pub fn judge(judge: &mut Judge, text: &str, redirect: &Redirect, streams: &mut Streams) {
    match redirect {
        Redirect::Into { fd, target, append } => into(judge, *fd, target, *append, streams),
        Redirect::From { target } => {
            judge.read(target, false);
            if target.text != "/dev/null" {
                judge.note(&format!("< {}", target.raw), DangerLevel::Low, "reads a file");
            }
            match target.is_literal() {
                true => streams.input = Some(target.text.clone()),
                false => judge.hinder(&target.raw, "which file is read cannot be said"),
            }
        }
        Redirect::Same { fd: 2, as_fd: 1 } => streams.err = streams.out,
        Redirect::Same { fd: 1, as_fd: 2 } => streams.out = streams.err,
        Redirect::Same { fd, as_fd } if fd == as_fd => {}
        Redirect::Same { .. } => judge.hinder(text, "a further stream is not run without a shell"),
        Redirect::Text { .. } => judge.hinder(text, "a text as input is not run without a shell"),
        Redirect::Strange { what, .. } => {
            judge.note(text, DangerLevel::High, *what);
            judge.hinder(text, what);
        }
    }
}

fn into(judge: &mut Judge, fd: Option<i32>, target: &Word, append: bool, streams: &mut Streams) {
    let sink = match target.text.as_str() {
        _ if !target.is_literal() => None,
        "/dev/null" => Some(Sink::Nothing),
        "/dev/stdout" => Some(streams.out),
        "/dev/stderr" => Some(streams.err),
        _ => None,
    };
    match (sink, fd) {
        (Some(sink), Some(1)) => streams.out = sink,
        (Some(sink), Some(2)) => streams.err = sink,
        (Some(sink), None) => (streams.out, streams.err) = (sink, sink),
        (Some(_), Some(_)) => judge.hinder(&target.raw, "a further stream is not run without a shell"),
        (None, _) => writes(judge, target, append),
    }
}

fn writes(judge: &mut Judge, target: &Word, append: bool) {
    let (level, why) = match (target.unknown(), append) {
        (Some(_), _) => (DangerLevel::High, "overwrites a file that nobody can name"),
        (None, true) => (DangerLevel::Medium, "writes at the end of a file"),
        (None, false) => (DangerLevel::High, "overwrites a file"),
    };
    let level = if secret::protected(target) { DangerLevel::Critical } else { level };
    judge.note(&format!("> {}", target.raw), level, why);
    judge.hinder(&format!("> {}", target.raw), "only a shell writes into files like this");
}
