//! One word of a shell command: which part is text, which part a shell would have to work out. Takes quotes away where they hold
//! nothing else, and never guesses what a variable holds.

use super::parse::{options, script_in};
use super::syntax::{Kind, Script, Word};
use brush_parser::word::{WordPiece, WordPieceWithSource, parse};

/// Of a part's text.
const SHOWN: usize = 120;

/// Stands in a word's shape for a character that was quoted.
const QUOTED: char = '\u{1}';

struct Pieces {
    text: String,
    /// The same length in characters as `text`, quoted ones hidden.
    shape: String,
    opaque: Option<&'static str>,
    inner: Vec<Script>,
}

pub fn read(raw: &str, depth: usize) -> Result<Word, String> {
    let pieces = parse(raw, &options()).map_err(|_| format!("the word `{raw}` cannot be read"))?;
    let mut seen = Pieces { text: String::new(), shape: String::new(), opaque: None, inner: Vec::new() };
    take(&pieces, false, depth, &mut seen)?;
    let kind = match seen.opaque.or_else(|| expands(&seen.shape)) {
        Some(why) => Kind::Opaque(why),
        None if is_pattern(&seen.shape) => Kind::Pattern,
        None => Kind::Literal,
    };
    let text = match kind {
        Kind::Literal => seen.text,
        Kind::Pattern => escaped(&seen.text, &seen.shape),
        Kind::Opaque(_) => raw.to_owned(),
    };
    Ok(Word { raw: raw.to_owned(), text, kind, inner: seen.inner })
}

fn take(pieces: &[WordPieceWithSource], quoted: bool, depth: usize, seen: &mut Pieces) -> Result<(), String> {
    for piece in pieces {
        match &piece.piece {
            WordPiece::Text(text) if !quoted => {
                seen.text.push_str(text);
                seen.shape.push_str(text);
            }
            WordPiece::Text(text) | WordPiece::SingleQuotedText(text) => hide(text, seen),
            WordPiece::EscapeSequence(text) => hide(text.strip_prefix('\\').unwrap_or(text), seen),
            WordPiece::DoubleQuotedSequence(inner) => {
                // An empty pair of quotes makes a word all the same, and hides nothing.
                take(inner, true, depth, seen)?;
            }
            WordPiece::AnsiCQuotedText(_) => seen.opaque = Some("text in $'…' hides what it spells"),
            WordPiece::GettextDoubleQuotedSequence(_) => seen.opaque = Some("a translated text"),
            WordPiece::TildeExpansion(_) => seen.opaque = Some("a home folder that depends on who runs it"),
            WordPiece::ParameterExpansion(_) => seen.opaque = Some("a variable that nobody here can know"),
            // Shells differ on where arithmetic ends and a subshell begins.
            WordPiece::ArithmeticExpression(_) => return Err("arithmetic, or what looks like it, is not read here".to_owned()),
            WordPiece::CommandSubstitution(text) => {
                seen.opaque = Some("the output of another command");
                seen.inner.push(script_in(text, depth + 1)?);
            }
            WordPiece::BackquotedCommandSubstitution(text) => {
                seen.opaque = Some("the output of another command");
                seen.inner.push(script_in(&text.replace("\\`", "`"), depth + 1)?);
            }
        }
    }
    Ok(())
}

fn hide(text: &str, seen: &mut Pieces) {
    seen.text.push_str(text);
    seen.shape.extend(text.chars().map(|_| QUOTED));
}

/// What a shell would expand beyond file name patterns.
fn expands(shape: &str) -> Option<&'static str> {
    let braces = shape.find('{').is_some_and(|open| {
        let rest = &shape[open..];
        rest.rfind('}').is_some_and(|close| rest[..close].contains(',') || rest[..close].contains(".."))
    });
    if braces {
        return Some("a brace expansion");
    }
    let extended = ["?(", "*(", "+(", "@(", "!("].iter().any(|open| shape.contains(open));
    extended.then_some("an extended pattern")
}

fn is_pattern(shape: &str) -> bool {
    let class = shape.find('[').is_some_and(|open| shape[open..].contains(']'));
    class || shape.contains(['*', '?'])
}

/// Quoted signs of a pattern stand for themselves.
fn escaped(text: &str, shape: &str) -> String {
    let mut pattern = String::new();
    for (c, shown) in text.chars().zip(shape.chars()) {
        match (shown, c) {
            (QUOTED, '*' | '?' | '[') => pattern.extend(['[', c, ']']),
            _ => pattern.push(c),
        }
    }
    pattern
}

pub fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// The text from each beginning of a word on.
pub fn word_starts(text: &str) -> impl Iterator<Item = &str> {
    let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    text.char_indices().filter(move |(at, c)| (c.is_alphanumeric() || *c == '/') && begins(*at)).map(|(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> (String, Kind) {
        let word = super::read(raw, 0).unwrap();
        (word.text, word.kind)
    }

    #[test]
    fn quotes_are_taken_away() {
        for (raw, text) in [
            ("r''m", "rm"),
            ("-\"rf\"", "-rf"),
            (r"\rm", "rm"),
            (r"a\ b", "a b"),
            ("'$x *'", "$x *"),
            ("\"a\\$b\\z\"", "a$b\\z"),
            ("''", ""),
        ] {
            assert_eq!(read(raw), (text.to_owned(), Kind::Literal), "{raw}");
        }
    }

    #[test]
    fn what_a_shell_would_work_out_is_opaque() {
        for raw in
            ["$x", "\"$x\"", "${x:-rm}", "$(ls)", "`ls`", "~/x", "~root", "$'\\x72m'", "{a,b}", "a{1..3}", "{\"a\",b}", "+(a)", "$\"x\""]
        {
            assert!(matches!(read(raw).1, Kind::Opaque(_)), "{raw}");
        }
        assert_eq!(super::read("$(ls -l)", 0).unwrap().inner.len(), 1);
    }

    #[test]
    fn patterns_keep_what_was_quoted() {
        assert_eq!(read("/var/*.log"), ("/var/*.log".to_owned(), Kind::Pattern));
        assert_eq!(read("/v\"*\"?"), ("/v[*]?".to_owned(), Kind::Pattern));
        assert_eq!(read("[").1, Kind::Literal);
        assert_eq!(read("x[ab]").1, Kind::Pattern);
        for plain in ["{}", "a=b", "stash@{0}", "'*'", "x]"] {
            assert_eq!(read(plain).1, Kind::Literal, "{plain}");
        }
    }
}
