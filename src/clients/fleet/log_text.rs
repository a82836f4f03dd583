//! Plain log text made fit to pass on: bounded in lines and bytes, every cut marked. Never interprets what a log says beyond
//! its level.

use super::LogLevel;
use std::collections::VecDeque;

/// Most lines that a call may ask for.
pub const MAX_LINES: u32 = 2_000;
/// Most bytes of all lines together.
pub const MAX_BYTES: usize = 256 * 1024;
const MAX_LINE: usize = 4 * 1024;

/// The last `lines` lines at `level` or worse. `cut`: the text does not begin where the log does, its first line is a rest.
pub fn tail(text: &[u8], lines: u32, level: LogLevel, cut: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut kept = VecDeque::new();
    let mut bytes = 0;
    let mut dropped = false;
    for line in text.lines().skip(usize::from(cut)).filter(|line| fits(line, level)) {
        let line = shorten(line);
        bytes += line.len();
        kept.push_back(line);
        while kept.len() > lines.min(MAX_LINES) as usize || bytes > MAX_BYTES {
            dropped |= kept.len() <= lines.min(MAX_LINES) as usize;
            bytes -= kept.pop_front().map_or(0, |line| line.len());
        }
    }
    if dropped || (cut && (kept.len() as u32) < lines) {
        kept.push_front(format!("[cut: earlier lines left out, at most {MAX_BYTES} bytes are read]"));
    }
    kept.into()
}

fn shorten(line: &str) -> String {
    if line.len() <= MAX_LINE {
        return line.to_owned();
    }
    let end = (0..=MAX_LINE).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
    format!("{} [cut: {} more bytes]", &line[..end], line.len() - end)
}

/// Plain text has no levels; the words that loggers use for them do.
pub fn fits(line: &str, level: LogLevel) -> bool {
    const ERROR: [&str; 5] = ["error", "fatal", "panic", "critical", "exception"];
    const WARN: [&str; 1] = ["warn"];
    let says = |words: &[&str]| {
        let lower = line.to_ascii_lowercase();
        words.iter().any(|word| lower.contains(word))
    };
    match level {
        LogLevel::Error => says(&ERROR),
        LogLevel::Warn => says(&ERROR) || says(&WARN),
        LogLevel::Info | LogLevel::All => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_level_are_kept_in_order() {
        let text = b"INFO up\nERROR one\nWARN slow\nERROR two\n";
        assert_eq!(tail(text, 10, LogLevel::Error, false), ["ERROR one", "ERROR two"]);
        assert_eq!(tail(text, 2, LogLevel::Warn, false), ["WARN slow", "ERROR two"]);
        assert_eq!(tail(text, 1, LogLevel::All, false), ["ERROR two"]);
    }

    #[test]
    fn a_cut_is_marked() {
        let long = "x".repeat(10_000);
        let lines = tail(long.as_bytes(), 5, LogLevel::All, false);
        assert!(lines[0].ends_with("[cut: 5904 more bytes]"), "{}", &lines[0][lines[0].len() - 40..]);
        let many = format!("{}\n", "y".repeat(4_000)).repeat(100);
        let lines = tail(many.as_bytes(), 100, LogLevel::All, false);
        assert!(lines[0].starts_with("[cut: earlier"), "{}", lines[0]);
        assert!(lines.iter().map(String::len).sum::<usize>() <= MAX_BYTES + 100);
        assert_eq!(tail(b"rest\nwhole\n", 5, LogLevel::All, true)[1..], ["whole".to_owned()]);
    }
}
