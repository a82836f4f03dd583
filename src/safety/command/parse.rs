//! From text to syntax, by a bash grammar (brush). A second grammar has to see the same commands; where they differ, or one of them
//! sees an error, the text is refused: nobody knows what a real shell would make of it.

use super::second;
use super::syntax::{Command, Compound, Item, Link, PIPED, Redirect, Script, Simple, Word};
use super::word;
use crate::domain::DangerLevel;
use brush_parser::ast::{
    self, AndOr, AssignmentValue, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList, ExtendedTestExpr, IoFileRedirectKind,
    IoFileRedirectTarget, IoRedirect, SeparatorOperator,
};
use brush_parser::{ParserOptions, parse_tokens, uncached_tokenize_str};

/// Substitutions within substitutions.
const DEEPEST: usize = 8;

type Read<T> = Result<T, String>;

pub fn options() -> ParserOptions {
    ParserOptions::default()
}

/// The text must have passed `limits::check`.
pub fn script(text: &str) -> Read<Script> {
    let script = script_in(text, 0)?;
    second::agrees(text, &script)?;
    Ok(script)
}

/// A substitution's own text: the second grammar has seen it as a part of the whole.
pub fn script_in(text: &str, depth: usize) -> Read<Script> {
    if depth > DEEPEST {
        return Err(format!("substitutions are nested deeper than {DEEPEST}"));
    }
    let options = options();
    let tokens = uncached_tokenize_str(text, &options.tokenizer_options()).map_err(|e| format!("not a shell command: {e}"))?;
    let program = parse_tokens(&tokens, &options).map_err(|e| format!("not a shell command: {e}"))?;
    let lists = program.complete_commands.iter().map(|list| list_of(list, depth));
    Ok(Script(lists.collect::<Read<Vec<_>>>()?.into_iter().flat_map(|script| script.0).collect()))
}

fn list_of(list: &CompoundList, depth: usize) -> Read<Script> {
    let mut items = Vec::new();
    for ast::CompoundListItem(and_or, separator) in &list.0 {
        let background = matches!(separator, SeparatorOperator::Async);
        items.push(item(Link::Always, &and_or.first, background, depth)?);
        for next in &and_or.additional {
            let (link, pipeline) = match next {
                AndOr::And(pipeline) => (Link::IfOk, pipeline),
                AndOr::Or(pipeline) => (Link::IfFailed, pipeline),
            };
            items.push(item(link, pipeline, background, depth)?);
        }
    }
    Ok(Script(items))
}

fn item(link: Link, pipeline: &ast::Pipeline, background: bool, depth: usize) -> Read<Item> {
    let odd = match (background, pipeline.bang) {
        (true, _) => Some("`&` leaves it running in the background"),
        (_, true) => Some("`!` turns its outcome round"),
        _ => None,
    };
    let mut commands = pipeline.seq.iter().map(|part| command(part, depth)).collect::<Read<Vec<_>>>()?;
    // A word of the shell's own here, a program in the other grammar: it changes nothing either way.
    if let (Some(timed), Some(Command::Simple(first))) = (&pipeline.timed, commands.first_mut()) {
        let words = if timed.is_posix_output() { &["time", "-p"][..] } else { &["time"] };
        first.words.splice(0..0, words.iter().map(|word| Word::literal(word)));
    }
    Ok(Item { link, pipeline: commands, odd })
}

fn command(command: &ast::Command, depth: usize) -> Read<Command> {
    match command {
        ast::Command::Simple(found) => simple(found, depth).map(Command::Simple),
        ast::Command::Compound(found, redirects) => {
            let mut found = compound(found, depth)?;
            found.redirects = redirect_list(redirects.as_ref(), depth)?;
            Ok(Command::Compound(found))
        }
        ast::Command::Function(found) => {
            let body = compound(&found.body.0, depth)?;
            let what = "a function: a name no longer means what it says";
            Ok(Command::Compound(Compound {
                what,
                level: DangerLevel::Critical,
                redirects: redirect_list(found.body.1.as_ref(), depth)?,
                ..body
            }))
        }
        ast::Command::ExtendedTest(found, redirects) => {
            let mut words = Vec::new();
            test_words(&found.expr, depth, &mut words)?;
            let redirects = redirect_list(redirects.as_ref(), depth)?;
            Ok(Command::Compound(Compound {
                what: "a test of the shell",
                level: DangerLevel::Medium,
                scripts: Vec::new(),
                words,
                redirects,
            }))
        }
    }
}

fn compound(found: &CompoundCommand, depth: usize) -> Read<Compound> {
    let list = |list: &CompoundList| list_of(list, depth);
    let (what, level, scripts, words): (_, _, Vec<Script>, Vec<Word>) = match found {
        CompoundCommand::BraceGroup(group) => ("a group", DangerLevel::Medium, vec![list(&group.list)?], Vec::new()),
        CompoundCommand::Subshell(group) => ("a subshell", DangerLevel::Medium, vec![list(&group.list)?], Vec::new()),
        CompoundCommand::ForClause(found) => {
            let words = found.values.iter().flatten().map(|word| word::read(&word.value, depth)).collect::<Read<_>>()?;
            ("a loop", DangerLevel::Medium, vec![list(&found.body.list)?], words)
        }
        CompoundCommand::WhileClause(found) | CompoundCommand::UntilClause(found) => {
            ("a loop", DangerLevel::Medium, vec![list(&found.0)?, list(&found.1.list)?], Vec::new())
        }
        CompoundCommand::IfClause(found) => {
            let mut scripts = vec![list(&found.condition)?, list(&found.then)?];
            for clause in found.elses.iter().flatten() {
                scripts.extend(clause.condition.as_ref().map(&list).transpose()?);
                scripts.push(list(&clause.body)?);
            }
            ("a condition", DangerLevel::Medium, scripts, Vec::new())
        }
        CompoundCommand::CaseClause(found) => {
            let mut words = vec![word::read(&found.value.value, depth)?];
            let mut scripts = Vec::new();
            for case in &found.cases {
                for pattern in &case.patterns {
                    words.push(word::read(&pattern.value, depth)?);
                }
                scripts.extend(case.cmd.as_ref().map(&list).transpose()?);
            }
            ("a condition", DangerLevel::Medium, scripts, words)
        }
        CompoundCommand::Coprocess(found) => {
            let Command::Simple(body) = command(&found.body, depth)? else { return Err("a coprocess of a group".to_owned()) };
            let body = Item { link: Link::Always, pipeline: vec![Command::Simple(body)], odd: None };
            ("a coprocess", DangerLevel::Critical, vec![Script(vec![body])], Vec::new())
        }
        // Two subshells in one another are read as arithmetic by this grammar and as subshells by bash.
        CompoundCommand::Arithmetic(_) | CompoundCommand::ArithmeticForClause(_) => {
            ("arithmetic, or what looks like it", DangerLevel::Critical, Vec::new(), Vec::new())
        }
    };
    Ok(Compound { what, level, scripts, words, redirects: Vec::new() })
}

fn test_words(expression: &ExtendedTestExpr, depth: usize, words: &mut Vec<Word>) -> Read<()> {
    match expression {
        ExtendedTestExpr::And(a, b) | ExtendedTestExpr::Or(a, b) => {
            test_words(a, depth, words)?;
            test_words(b, depth, words)
        }
        ExtendedTestExpr::Not(a) | ExtendedTestExpr::Parenthesized(a) => test_words(a, depth, words),
        ExtendedTestExpr::UnaryTest(_, a) => {
            words.push(word::read(&a.value, depth)?);
            Ok(())
        }
        ExtendedTestExpr::BinaryTest(_, a, b) => {
            words.push(word::read(&a.value, depth)?);
            words.push(word::read(&b.value, depth)?);
            Ok(())
        }
    }
}

fn simple(found: &ast::SimpleCommand, depth: usize) -> Read<Simple> {
    let mut simple = Simple { text: found.to_string().trim().to_owned(), ..Simple::default() };
    for part in found.prefix.iter().flat_map(|prefix| &prefix.0) {
        match part {
            CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => simple.assignments.push(assigned(assignment, word, depth)?),
            other => suffix(other, depth, &mut simple)?,
        }
    }
    if let Some(name) = &found.word_or_name {
        simple.words.push(word::read(&name.value, depth)?);
    }
    for part in found.suffix.iter().flat_map(|suffix| &suffix.0) {
        suffix(part, depth, &mut simple)?;
    }
    Ok(simple)
}

fn suffix(part: &CommandPrefixOrSuffixItem, depth: usize, simple: &mut Simple) -> Read<()> {
    match part {
        CommandPrefixOrSuffixItem::Word(word) | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
            simple.words.push(word::read(&word.value, depth)?);
        }
        CommandPrefixOrSuffixItem::IoRedirect(found) => simple.redirects.push(redirect(found, depth)?),
        CommandPrefixOrSuffixItem::ProcessSubstitution(_, found) => {
            let mut word = Word::opaque(PIPED, "a pipe from another command");
            word.inner.push(list_of(&found.list, depth)?);
            simple.words.push(word);
        }
    }
    Ok(())
}

fn assigned(assignment: &ast::Assignment, word: &ast::Word, depth: usize) -> Read<(String, Word)> {
    let name = assignment.name.to_string();
    let value = match &assignment.value {
        AssignmentValue::Scalar(value) if !assignment.append => word::read(&value.value, depth)?,
        // The second grammar sees the commands within; here it is enough that nobody knows the value.
        _ => Word::opaque(&word.value, "an array or an addition to a variable"),
    };
    Ok((name, value))
}

fn redirect_list(list: Option<&ast::RedirectList>, depth: usize) -> Read<Vec<Redirect>> {
    list.iter().flat_map(|list| &list.0).map(|found| redirect(found, depth)).collect()
}

fn redirect(found: &IoRedirect, depth: usize) -> Read<Redirect> {
    match found {
        IoRedirect::File(fd, kind, target) => file_redirect(*fd, kind, target, depth),
        IoRedirect::OutputAndError(target, append) => {
            Ok(Redirect::Into { fd: None, target: word::read(&target.value, depth)?, append: *append })
        }
        IoRedirect::HereString(_, text) => Ok(Redirect::Text { word: word::read(&text.value, depth)? }),
        IoRedirect::HereDocument(..) => Err("a here-document needs more than one line".to_owned()),
    }
}

fn file_redirect(fd: Option<i32>, kind: &IoFileRedirectKind, target: &IoFileRedirectTarget, depth: usize) -> Read<Redirect> {
    use IoFileRedirectKind as Into;
    let strange = |what, words, scripts| Ok(Redirect::Strange { what, words, scripts });
    let word = match target {
        IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word) => word::read(&word.value, depth)?,
        IoFileRedirectTarget::Fd(number) => Word::literal(&number.to_string()),
        IoFileRedirectTarget::ProcessSubstitution(_, found) => {
            return strange("a pipe to or from another command", Vec::new(), vec![list_of(&found.list, depth)?]);
        }
    };
    let duplicate = word.text.parse::<i32>().ok().filter(|_| word.is_literal());
    match (kind, duplicate) {
        (Into::Write | Into::Clobber, _) => Ok(Redirect::Into { fd: Some(fd.unwrap_or(1)), target: word, append: false }),
        (Into::Append, _) => Ok(Redirect::Into { fd: Some(fd.unwrap_or(1)), target: word, append: true }),
        (Into::Read, _) if fd.is_none_or(|fd| fd == 0) => Ok(Redirect::From { target: word }),
        (Into::DuplicateOutput, Some(as_fd)) => Ok(Redirect::Same { fd: fd.unwrap_or(1), as_fd }),
        // `>& file` is `&> file`.
        (Into::DuplicateOutput, None) if fd.is_none() && word.text != "-" => Ok(Redirect::Into { fd: None, target: word, append: false }),
        (Into::ReadAndWrite, _) => strange("a file opened for reading and writing", vec![word], Vec::new()),
        _ => strange("an unusual redirection", vec![word], Vec::new()),
    }
}
