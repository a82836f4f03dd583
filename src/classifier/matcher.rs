//! Alertmanager's matcher syntax: `alertname=~"Foo|Bar"`, `a!=b`, `{a="b", "näme"!~'…'}`. Reads the operator's configuration,
//! never an alert's text. A label that is not there counts as the empty string; an expression always fits the whole value.

use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;
use std::{fmt, iter::Peekable, str::CharIndices};

/// A compiled expression may take this many bytes: what a rule needs is far below, a bomb is far above.
const REGEX_SIZE: usize = 1 << 20;
/// Longer matcher texts are refused unread.
const TEXT_SIZE: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at character {at} of `{text}`")]
pub struct MatcherError {
    pub what: String,
    /// Counted in characters, the first is 1.
    pub at: usize,
    /// The text, shortened.
    pub text: String,
}

#[derive(Debug, Clone)]
enum Test {
    Equal,
    NotEqual,
    Fits(Regex),
    FitsNot(Regex),
}

/// One comparison of one label. Shown as `parse` reads it.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub name: String,
    value: String,
    test: Test,
}

impl Matcher {
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let found = labels.get(&self.name).map_or("", String::as_str);
        match &self.test {
            Test::Equal => found == self.value,
            Test::NotEqual => found != self.value,
            Test::Fits(regex) => regex.is_match(found),
            Test::FitsNot(regex) => !regex.is_match(found),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.test {
            Test::Equal => "=",
            Test::NotEqual => "!=",
            Test::Fits(_) => "=~",
            Test::FitsNot(_) => "!~",
        };
        match self.name.contains(reserved) {
            true => write!(f, "{}{operator}{}", quote(&self.name), quote(&self.value)),
            false => write!(f, "{}{operator}{}", self.name, quote(&self.value)),
        }
    }
}

/// In quotes, with the escapes that are read back here; what does not show is written as its number.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c == '\'' || c.escape_debug().count() == 1 => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// One matcher, or several between commas, with or without braces; all of them have to fit.
pub fn parse(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let mut reader = Reader { text, rest: text.char_indices().peekable() };
    if text.len() > TEXT_SIZE {
        return Err(reader.error(0, format!("longer than {TEXT_SIZE} bytes")));
    }
    let braced = reader.take('{');
    let mut matchers = Vec::new();
    loop {
        reader.spaces();
        match reader.peek() {
            Some('}') if braced => break,
            None if !braced && !matchers.is_empty() => break,
            _ => matchers.push(reader.matcher()?),
        }
        if !reader.take(',') {
            break;
        }
    }
    if braced && !reader.take('}') {
        return Err(reader.expected("`,` or `}`"));
    }
    reader.spaces();
    match reader.peek() {
        Some(_) => Err(reader.expected("the end")),
        None if matchers.is_empty() => Err(reader.expected("a matcher such as alertname=\"DiskFull\"")),
        None => Ok(matchers),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    /// Byte offset of the next character.
    fn here(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn spaces(&mut self) {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn take(&mut self, wanted: char) -> bool {
        self.spaces();
        self.rest.next_if(|(_, c)| *c == wanted).is_some()
    }

    fn error(&self, byte: usize, what: impl Into<String>) -> MatcherError {
        let short: String = self.text.chars().take(80).collect();
        MatcherError {
            what: what.into(),
            at: self.text[..byte].chars().count() + 1,
            text: if short.len() < self.text.len() { short + "…" } else { short },
        }
    }

    fn expected(&mut self, wanted: &str) -> MatcherError {
        let at = self.here();
        let found = self.peek().map_or("the end".to_owned(), |c| format!("`{}`", c.escape_debug()));
        self.error(at, format!("expected {wanted}, found {found}"))
    }

    fn matcher(&mut self) -> Result<Matcher, MatcherError> {
        let name_at = self.here();
        let name = self.word("a label name")?;
        if name.is_empty() {
            return Err(self.error(name_at, "expected a label name, found an empty one"));
        }
        let operator = self.operator()?;
        self.spaces();
        let value_at = self.here();
        let value = self.word("a value")?;
        let test = match operator {
            "=" => Test::Equal,
            "!=" => Test::NotEqual,
            "=~" => Test::Fits(self.regex(&value, value_at)?),
            _ => Test::FitsNot(self.regex(&value, value_at)?),
        };
        Ok(Matcher { name, value, test })
    }

    fn operator(&mut self) -> Result<&'static str, MatcherError> {
        self.spaces();
        if self.rest.next_if(|(_, c)| *c == '=').is_some() {
            return Ok(if self.rest.next_if(|(_, c)| *c == '~').is_some() { "=~" } else { "=" });
        }
        if self.rest.next_if(|(_, c)| *c == '!').is_some() {
            return match self.rest.next_if(|(_, c)| matches!(c, '=' | '~')) {
                Some((_, '=')) => Ok("!="),
                Some(_) => Ok("!~"),
                None => Err(self.expected("`!=` or `!~`")),
            };
        }
        Err(self.expected("one of =, !=, =~, !~"))
    }

    /// Quoted, or a run of characters that mean nothing here.
    fn word(&mut self, wanted: &str) -> Result<String, MatcherError> {
        self.spaces();
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let mut word = String::new();
        while let Some((_, c)) = self.rest.next_if(|(_, c)| !reserved(*c)) {
            word.push(c);
        }
        if word.is_empty() { Err(self.expected(wanted)) } else { Ok(word) }
    }

    fn quoted(&mut self) -> Result<String, MatcherError> {
        let open = self.here();
        self.rest.next();
        let mut word = String::new();
        loop {
            match self.rest.next() {
                None => return Err(self.error(open, "this quotation mark is never closed")),
                Some((_, '"')) => return Ok(word),
                Some((at, '\\')) => word.push(self.escape(at)?),
                Some((_, c)) => word.push(c),
            }
        }
    }

    /// Go's escapes, as Alertmanager has them, without octal and single bytes.
    fn escape(&mut self, at: usize) -> Result<char, MatcherError> {
        match self.rest.next().map(|(_, c)| c) {
            Some(c @ ('"' | '\\')) => Ok(c),
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('u') => self.code_point(at, 4),
            Some('U') => self.code_point(at, 8),
            Some(c) => {
                Err(self.error(at, format!("unknown escape `\\{}` (a regular expression's `\\` is written twice)", c.escape_debug())))
            }
            None => Err(self.error(at, "the text ends in an escape")),
        }
    }

    fn code_point(&mut self, at: usize, digits: usize) -> Result<char, MatcherError> {
        let hex: String = (0..digits).map_while(|_| self.rest.next_if(|(_, c)| c.is_ascii_hexdigit()).map(|(_, c)| c)).collect();
        let read = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits).and_then(char::from_u32);
        read.ok_or_else(|| self.error(at, format!("expected a character's number in {digits} hexadecimal digits")))
    }

    /// The expression has to stand on its own first: `a)|(?:b` must not slip out of the anchors.
    fn regex(&self, pattern: &str, at: usize) -> Result<Regex, MatcherError> {
        let build = |text: &str| RegexBuilder::new(text).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build();
        build(pattern)
            .and_then(|_| build(&format!("^(?:{pattern})$")))
            .map_err(|error| self.error(at, format!("not a regular expression: {}", last_line(&error.to_string()))))
    }
}

/// What `regex` has to say stands in its last line; the lines before draw the pattern.
fn last_line(text: &str) -> &str {
    text.lines().last().map_or(text, |line| line.trim().trim_start_matches("error: "))
}

fn reserved(c: char) -> bool {
    c.is_whitespace() || matches!(c, '{' | '}' | '!' | '=' | '~' | ',' | '\\' | '"' | '\'' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(text: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse(text).unwrap().iter().all(|matcher| matcher.matches(&labels))
    }

    #[test]
    fn every_form_that_alertmanager_reads_is_read_the_same() {
        let labels = [("alertname", "Foo"), ("a", "b c"), ("näme", "x\"y"), ("empty", "")];
        for text in [
            "alertname=Foo",
            "alertname = \"Foo\"",
            "{alertname=Foo}",
            "{ alertname =~ \"Foo|Bar\" , a=\"b c\", }",
            "alertname=Foo,a=\"b c\"",
            "alertname!=Bar",
            "alertname!~\"Ba.*\"",
            "\"näme\"=\"x\\\"y\"",
            "näme=\"x\\u0022y\"",
            "absent=\"\"",
            "absent=~\".*\"",
            "empty=\"\"",
            "alertname=~F.o",
        ] {
            assert!(fits(text, &labels), "{text}");
        }
        for text in [
            "alertname=foo",
            "alertname=~\"Fo\"",
            "alertname=~\"oo\"",
            "absent!=\"\"",
            "alertname!~\"F.*\"",
            "alertname=Foo,a=c",
            "absent=~\".+\"",
        ] {
            assert!(!fits(text, &labels), "{text}");
        }
    }

    #[test]
    fn an_expression_fits_whole_values_only_whatever_their_lines() {
        assert!(!fits("a=~\"b|c\"", &[("a", "b\nc")]));
        assert!(!fits("a=~b", &[("a", "b\n")]));
        assert!(!fits("a=~\"(?m)b\"", &[("a", "x\nb")]));
    }

    #[test]
    fn what_cannot_be_read_says_where_and_what_was_expected() {
        for (text, at, what) in [
            ("", 1, "expected a label name, found the end"),
            ("{}", 3, "expected a matcher"),
            ("a", 2, "expected one of =, !=, =~, !~"),
            ("a=", 3, "expected a value, found the end"),
            ("a!b", 3, "expected `!=` or `!~`"),
            ("a=b c", 5, "expected the end, found `c`"),
            ("{a=b", 5, "expected `,` or `}`"),
            ("a=\"b", 3, "never closed"),
            ("a=\"\\d\"", 4, "unknown escape `\\d`"),
            ("a=\"\\u12\"", 4, "hexadecimal"),
            ("\"\"=b", 1, "an empty one"),
            ("a=~\"(\"", 4, "not a regular expression: unclosed group"),
            ("a=~\"x)|(?:y\"", 4, "not a regular expression"),
            ("a=~\"(a{1000}){1000}\"", 4, "not a regular expression"),
            ("ä=b,,", 5, "expected a label name, found `,`"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.at, error.what.contains(what)), (at, true), "{text}: {error}");
        }
        assert!(parse(&"a".repeat(TEXT_SIZE + 1)).unwrap_err().text.len() < 100);
    }

    #[test]
    fn a_matcher_is_shown_as_it_is_read() {
        for (text, shown) in [
            ("a = b", r#"a="b""#),
            (r#""a b"!~"x|y""#, r#""a b"!~"x|y""#),
            (r#"a="\"\\\n' ä""#, r#"a="\"\\\n' ä""#),
            (r#"a="\u0000\u202e""#, r#"a="\U00000000\U0000202e""#),
        ] {
            let read = parse(text).unwrap();
            assert_eq!(read[0].to_string(), shown, "{text}");
            assert_eq!(parse(shown).unwrap()[0].to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,60}") {
            if let Ok(matchers) = parse(&text) {
                prop_assert!(!matchers.is_empty());
            }
        }

        #[test]
        fn any_value_can_be_said_in_quotes(value in "[^\\p{C}]{0,30}") {
            let text = format!("a=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert!(fits(&text, &[("a", &value)]), "{}", text);
        }
    }
}
