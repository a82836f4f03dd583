//! Outside text on its way into a message. Whatever goes into Slack's markup goes through `escape`; nothing that an alert, a
//! log line or a model wrote can mention, link or break out of a code block.

use std::fmt::Write as _;

pub const MARK: &str = "… (cut)";

/// At most `limit` UTF-16 units after escaping (Slack counts characters; this is never fewer), cut with a mark. Line breaks stay,
/// and what follows one is quoted, so that outside text cannot imitate a line of ours.
pub fn escape(text: &str, limit: usize) -> String {
    build(text, limit, "\n> ")
}

/// The same on one line.
pub fn inline(text: &str, limit: usize) -> String {
    build(text, limit, " ")
}

fn build(text: &str, limit: usize, line_break: &str) -> String {
    let room = limit.saturating_sub(units(MARK));
    let (mut out, mut length, mut at_room) = (String::new(), 0, 0);
    for c in text.chars() {
        let before = out.len();
        push(&mut out, c, line_break);
        length += units(&out[before..]);
        if length <= room {
            at_room = out.len();
        }
        if length > limit {
            out.truncate(at_room);
            out.push_str(MARK);
            return out;
        }
    }
    out
}

/// One character, harmless. A backtick becomes its look-alike: three in a row would open or close a code block.
fn push(out: &mut String, c: char, line_break: &str) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '`' => out.push('ˋ'),
        '\n' => out.push_str(line_break),
        c if c.is_control() => out.push(' '),
        c if hidden(c) => {}
        c => out.push(c),
    }
}

/// JSON for a code block, exact: what does not show or would close the block is written as JSON's own `\u` escape. None where it does
/// not fit: arguments that are to be approved are shown in full or not at all.
pub fn code(value: &serde_json::Value, limit: usize) -> Option<String> {
    let json = serde_json::to_string_pretty(value).ok()?;
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '`' || (c.is_control() && c != '\n') || hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").ok()?;
            }
        } else {
            push(&mut shown, c, "\n");
        }
    }
    (units(&shown) <= limit).then_some(shown)
}

/// Plain text for a mail or a page: control characters out, line breaks kept, cut with a mark.
pub fn plain(text: &str, limit: usize) -> String {
    let shown = |c: char| !hidden(c);
    let mut out: String =
        text.chars().filter(|c| shown(*c)).take(limit).map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    if text.chars().filter(|c| shown(*c)).nth(limit).is_some() {
        out.push_str(MARK);
    }
    out
}

/// Characters that change how others read, or do not show at all.
fn hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_mention_and_a_fence_come_out_harmless() {
        assert_eq!(escape("<!channel> ```x``` a&b", 100), "&lt;!channel&gt; ˋˋˋxˋˋˋ a&amp;b");
        assert_eq!(inline("a\nb\u{202e}c\u{0}d", 100), "a bc d");
    }

    #[test]
    fn a_cut_never_splits_an_entity() {
        assert_eq!(escape("&&&&&&&&", 20), "&amp;&amp;… (cut)");
        assert_eq!(escape("&&&&", 20), "&amp;&amp;&amp;&amp;");
    }

    #[test]
    fn code_is_still_the_same_json_once_slack_has_decoded_it() {
        let value = json!({ "path": "a```b\u{202e}\u{e0001}<!here>&" });
        let shown = code(&value, 3000).unwrap();
        assert!(!shown.contains('`') && !shown.contains('<') && !shown.contains('\u{202e}'), "{shown}");
        let decoded = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&decoded).unwrap(), value);
        assert_eq!(code(&value, 10), None);
    }

    proptest! {
        #[test]
        fn nothing_escapes_and_nothing_grows(text in "(?s).{0,400}", limit in 10usize..300) {
            let shown = escape(&text, limit);
            prop_assert!(units(&shown) <= limit);
            let shown = shown.replace("\n> ", "");
            prop_assert!(!shown.contains(['<', '>', '`', '\n']));
            prop_assert!(!shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").contains('&'));
        }
    }
}
