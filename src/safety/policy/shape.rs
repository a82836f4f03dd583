//! Refuses text that is too deep or too long for Cedar's parser, which walks it on the stack: a thousand nested brackets end the
//! process instead of giving an error. Measured on 2 MiB, unoptimised: 64 brackets are too many, and so are 500 `if`s; long chains of
//! operators are not, but asking them walks the stack too: what is too long for it would deny everything.

/// Brackets within brackets.
const DEEPEST: usize = 24;
/// `if`s of one policy.
const MOST_IFS: usize = 64;
/// Bytes of one policy, up to its semicolon.
const LONGEST: usize = 4 * 1024;

/// The first place that is too much, and why.
pub fn too_much(text: &str) -> Option<(usize, String)> {
    let (mut depth, mut ifs, mut start, mut word) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => skip_string(&mut chars),
            '/' if text[at..].starts_with("//") => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => (depth, ifs, start) = (0, 0, at + 1),
            _ => {}
        }
        let part_of_word = c.is_ascii_alphanumeric() || c == '_';
        if !part_of_word {
            ifs += usize::from(&text[word..at] == "if");
            word = at + c.len_utf8();
        }
        if depth > DEEPEST || ifs > MOST_IFS {
            return Some((at, format!("nested too deeply: expected at most {DEEPEST} brackets within each other, and {MOST_IFS} `if`")));
        }
        if at.saturating_sub(start) > LONGEST {
            return Some((start, format!("one policy is longer than {LONGEST} bytes: expected shorter ones")));
        }
    }
    None
}

fn skip_string(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) {
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}
