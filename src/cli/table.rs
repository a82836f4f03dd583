//! Plain tables for terminals. Outside text loses its control characters, so that no alert paints the screen.

/// Columns as wide as their widest cell, two spaces between.
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let clean: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = clean.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|name| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(clean.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// One line without control characters or bidirectional overrides, at most 120 characters.
pub fn plain(text: &str) -> String {
    let shown: String = whole(text).chars().take(120).collect();
    if text.chars().nth(120).is_some() { format!("{shown}…") } else { shown }
}

/// JSON to the character: whatever a terminal may not show is written as JSON's own escape.
pub fn exact(value: &serde_json::Value) -> String {
    let mut shown = String::new();
    for c in value.to_string().chars() {
        match c {
            ' '..='~' => shown.push(c),
            other => other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown += &format!("\\u{unit:04x}")),
        }
    }
    shown
}

/// The same, uncut: what somebody decides on is shown in full.
pub fn whole(text: &str) -> String {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if hidden(c) { ' ' } else { c }).collect()
}
