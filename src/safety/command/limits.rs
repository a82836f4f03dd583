//! What is refused before any grammar looks at it: too long, too deep, or holding characters that a reader does not see.
//! Nothing here may take longer because the text is longer than the limit.

/// Bytes. A diagnosis is a line, not a program.
pub const LONGEST: usize = 4096;
/// Opening brackets, substitutions and keywords together. The parser recurses over them; several hundred overflow its stack.
pub const MOST_OPENERS: usize = 32;
/// Brackets in one another, round and square ones each. A round one that is left open doubles what the parser tries: 24 take a second,
/// 8 nothing. Square ones (`a[a[a[`) cost the second grammar the square of their number: a line full of them took two seconds.
pub const DEEPEST_BRACKETS: usize = 8;

/// What reads as a letter and shows as nothing.
const BLANK_LETTERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
const KEYWORDS: [&str; 10] = ["if", "for", "while", "until", "case", "select", "function", "coproc", "[[", "!"];

/// `Err` says what is wrong and what was expected.
pub fn check(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("{} bytes are too long: expected at most {LONGEST}", text.len()));
    }
    if text.trim().is_empty() {
        return Err("expected a command, got nothing".to_owned());
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !plain(*c)) {
        return Err(format!("{} at byte {at} is not shown as it is: expected letters, digits and signs on one line", c.escape_unicode()));
    }
    let openers = text.chars().filter(|c| matches!(c, '(' | '{' | '`')).count() + keywords(text);
    if openers > MOST_OPENERS {
        return Err(format!("{openers} brackets and keywords are too many to follow: expected at most {MOST_OPENERS}"));
    }
    if nested(text, '(', ')').max(nested(text, '[', ']')) > DEEPEST_BRACKETS {
        return Err(format!("brackets are nested too deep to follow: expected at most {DEEPEST_BRACKETS}"));
    }
    Ok(())
}

/// The deepest nesting of these brackets, quoted ones included.
fn nested(text: &str, opening: char, closing: char) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        if c == opening {
            open += 1;
        } else if c == closing {
            open = open.saturating_sub(1);
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// Printable ASCII; letters and digits of any script. No control characters, no other blanks, no direction marks, no look-alike signs.
fn plain(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() => false,
        c => c.is_alphanumeric() && !BLANK_LETTERS.contains(&c),
    }
}

fn keywords(text: &str) -> usize {
    let separates = |c: char| c.is_whitespace() || ";&|(){}`".contains(c);
    text.split(separates).filter(|word| KEYWORDS.contains(word)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_does_not_see_is_refused() {
        for bad in [
            "ls\n-l",
            "ls\t-l",
            "ls \u{0}",
            "ls \u{1b}[2J",
            "ls \u{202e}txt",
            "ls\u{a0}-l",
            "ls\u{3000}-l",
            "\u{feff}ls",
            "l\u{ad}s",
            "ls \u{3164}",
        ] {
            assert!(check(bad).unwrap_err().contains("not shown"), "{bad:?}");
        }
        check("grep -i 'größe' /var/log/app.log").unwrap();
    }

    #[test]
    fn length_and_depth_are_bounded() {
        check(&"a".repeat(LONGEST)).unwrap();
        assert!(check(&"a".repeat(LONGEST + 1)).unwrap_err().contains("expected at most 4096"));
        check(&"()".repeat(32)).unwrap();
        assert!(check(&"()".repeat(33)).unwrap_err().contains("at most 32"));
        check(&"(".repeat(8)).unwrap();
        assert!(check(&"(".repeat(9)).unwrap_err().contains("nested too deep"));
        check(&"[a]".repeat(100)).unwrap();
        assert!(check(&"a[".repeat(9)).unwrap_err().contains("nested too deep"));
        assert!(check(&format!("[[ {}x ]]", "! ".repeat(32))).unwrap_err().contains("at most 32"));
        assert!(check(&"if ".repeat(33)).is_err() && check("   ").is_err());
    }
}
