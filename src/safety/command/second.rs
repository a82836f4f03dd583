//! A second opinion on what the commands are, from another grammar of bash (tree-sitter). It has no say beyond agreeing.

use super::syntax::{PIPED, Script, all_in};
use tree_sitter::{Node, Parser};

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The first word of every command, as written.
    names: Vec<String>,
    /// Every further word, targets of redirections included.
    words: Vec<String>,
}

/// The same commands with the same words, in whatever order they are found.
pub fn agrees(text: &str, script: &Script) -> Result<(), String> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).map_err(|e| format!("the second grammar is not available: {e}"))?;
    let tree = parser.parse(text, None).ok_or("the second grammar gave up")?;
    if tree.root_node().has_error() {
        return Err("one grammar of the shell reads it, another does not".to_owned());
    }
    let (mut theirs, mut ours) = (Seen::default(), of(script));
    walk(tree.root_node(), text, &mut theirs);
    for list in [&mut theirs.names, &mut theirs.words, &mut ours.names, &mut ours.words] {
        list.sort();
    }
    if theirs == ours { Ok(()) } else { Err("two grammars of the shell read different commands in it".to_owned()) }
}

fn of(script: &Script) -> Seen {
    let (mut seen, found) = (Seen::default(), all_in(script));
    for simple in found.commands {
        let mut words = simple.words.iter().filter(|word| word.raw != PIPED).map(|word| word.raw.clone());
        let name = words.next();
        // Tests and declarations are not made of words in the other grammar.
        if !name.as_deref().is_some_and(special) {
            seen.words.extend(words);
        }
        seen.names.extend(name);
    }
    let targets = found.redirects.iter().flat_map(|redirect| redirect.parts().0).map(|word| word.raw.clone());
    seen.words.extend(targets.filter(|raw| !is_fd(raw)));
    seen
}

fn special(name: &str) -> bool {
    matches!(name, "[" | "export" | "declare" | "typeset" | "local" | "readonly" | "unset" | "unsetenv")
}

fn is_fd(text: &str) -> bool {
    text == "-" || text.chars().all(|c| c.is_ascii_digit())
}

/// Not recursive: a long list is a deep tree here.
fn walk(root: Node<'_>, text: &str, seen: &mut Seen) {
    let mut cursor = root.walk();
    let mut above: Vec<&str> = Vec::new();
    loop {
        let node = cursor.node();
        take(node, above.last().copied().unwrap_or_default(), cursor.field_name(), text, seen);
        if cursor.goto_first_child() {
            above.push(node.kind());
            continue;
        }
        while !cursor.goto_next_sibling() {
            above.pop();
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

fn take(node: Node<'_>, parent: &str, field: Option<&str>, text: &str, seen: &mut Seen) {
    let said = text.get(node.byte_range()).unwrap_or_default();
    match node.kind() {
        "command_name" => seen.names.push(said.to_owned()),
        "declaration_command" | "unset_command" => seen.names.extend(said.split(' ').next().map(str::to_owned)),
        "test_command" if said.starts_with('[') && !said.starts_with("[[") => seen.names.push("[".to_owned()),
        _ => {}
    }
    let word = match (parent, field) {
        ("command", Some("argument")) => node.kind() != "process_substitution",
        ("file_redirect", Some("destination")) => !is_fd(said) && node.kind() != "process_substitution",
        ("herestring_redirect", _) => node.is_named() && node.kind() != "file_descriptor",
        _ => false,
    };
    if word {
        seen.words.push(said.to_owned());
    }
}
