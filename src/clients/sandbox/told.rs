//! What a command said, bounded: its beginning and its end, with a mark for what is missing between them.

use serde::{Deserialize, Serialize};

/// Of one stream, at each end.
const KEPT: usize = 12 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    ByItself,
    /// Stopped by us when its time was up.
    TimedOut,
    /// Stopped by us because it would not stop talking.
    TooMuch,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Of the last program that ran; 128 and more for a signal. None if it was stopped.
    pub exit: Option<i32>,
    pub ended: Ended,
    pub stdout: String,
    pub stderr: String,
    /// Something of the output is missing.
    pub cut: bool,
    pub took_ms: u64,
}

impl Told {
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::ByItself && self.exit == Some(0)
    }
}

/// Keeps the first and the last of a stream.
#[derive(Debug, Default)]
pub struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    all: usize,
}

impl Kept {
    pub fn push(&mut self, bytes: &[u8]) {
        self.all += bytes.len();
        let fits = bytes.len().min(KEPT - self.head.len());
        self.head.extend_from_slice(&bytes[..fits]);
        self.tail.extend_from_slice(&bytes[fits..]);
        // Room for twice as much, so that the front is moved seldom.
        if self.tail.len() > 2 * KEPT {
            self.tail.drain(..self.tail.len() - KEPT);
        }
    }

    pub fn all(&self) -> usize {
        self.all
    }

    pub fn cut(&self) -> bool {
        self.all > self.head.len() + self.tail.len().min(KEPT)
    }

    pub fn text(&self) -> String {
        let tail = &self.tail[self.tail.len().saturating_sub(KEPT)..];
        let missing = self.all - self.head.len() - tail.len();
        let head = String::from_utf8_lossy(&self.head);
        match missing {
            0 => String::from_utf8_lossy(&[&*self.head, tail].concat()).into_owned(),
            missing => format!("{head}\n[… {missing} of {} bytes cut …]\n{}", self.all, String::from_utf8_lossy(tail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_goes_and_the_mark_says_how_much() {
        let mut kept = Kept::default();
        for n in 0..100_000 {
            kept.push(format!("{n}\n").as_bytes());
        }
        let text = kept.text();
        assert!(kept.cut() && text.starts_with("0\n1\n") && text.ends_with("99999\n"), "{text}");
        assert!(text.contains(&format!("[… {} of 588890 bytes cut …]", 588_890 - 2 * KEPT)), "{text}");
    }

    #[test]
    fn what_fits_is_whole() {
        let mut kept = Kept::default();
        kept.push("ä".repeat(KEPT).as_bytes());
        assert_eq!((kept.text(), kept.cut(), kept.all()), ("ä".repeat(KEPT), false, 2 * KEPT));
    }
}
