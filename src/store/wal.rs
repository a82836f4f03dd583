//! A look at SQLite's write-ahead log before SQLite opens it. SQLite takes the log up to the first frame that does not fit its checksum and
//! drops the rest without a word: right for a write that a crash cut off, which nobody was told of, and wrong where transactions follow that
//! were on the disk. Reads only. The format is SQLite's (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME: usize = 24;
/// Checksums in the words of the machine that wrote it: little end first, or with this bit, big end first.
const MAGIC: u32 = 0x377f_0682;
const BIG_END: u32 = 1;

pub fn beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// What is damaged in it such that what was acknowledged would be lost; none if it is whole, torn at its end, or not there.
pub fn damage(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(found(&bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn found(log: &[u8]) -> Option<String> {
    let header = log.get(..HEADER)?;
    let page = number(header, 8) as usize;
    let magic = number(header, 0);
    let big = magic & BIG_END != 0;
    let sum = checksum((0, 0), &header[..24], big);
    let readable = magic & !BIG_END == MAGIC && page.is_power_of_two() && (512..=65_536).contains(&page);
    if !readable || sum != (number(header, 24), number(header, 28)) {
        // It is on the disk before the first frame is written.
        return (log.len() > HEADER).then(|| "its header is damaged, and there are frames behind it".to_owned());
    }
    let frames: Vec<&[u8]> = log[HEADER..].chunks_exact(FRAME + page).collect();
    let ours = |frame: &[u8]| frame[8..16] == header[16..24];
    let commits = |frame: &[u8]| number(frame, 4) != 0;
    let mut sums = sum;
    let bad = frames.iter().position(|frame| {
        sums = checksum(checksum(sums, &frame[..8], big), &frame[FRAME..], big);
        !ours(frame) || sums != (number(frame, 16), number(frame, 20))
    })?;
    // What follows may be the rest of the transaction that broke off, or frames of an earlier one that failed, or of an earlier log. Frames
    // that carry its checksum on were written after it; and those of the next transaction only when it was on the disk.
    let carries_on = |pair: &[&[u8]]| {
        let sums = (number(pair[0], 16), number(pair[0], 20));
        ours(pair[1]) && checksum(checksum(sums, &pair[1][..8], big), &pair[1][FRAME..], big) == (number(pair[1], 16), number(pair[1], 20))
    };
    let more = frames[bad..].windows(2).take_while(|pair| carries_on(pair)).count();
    let written = &frames[bad..=bad + more];
    let end = written.iter().position(|frame| commits(frame))?;
    let lost = written[end + 1..].iter().filter(|frame| commits(frame)).count();
    (end < more)
        .then(|| format!("frame {} of {} is damaged, and {lost} transactions that were on the disk follow it", bad + 1, frames.len()))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn checksum((mut first, mut second): (u32, u32), bytes: &[u8], big: bool) -> (u32, u32) {
    let word = |word: &[u8]| {
        let word = [word[0], word[1], word[2], word[3]];
        if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;

    struct Log {
        bytes: Vec<u8>,
        sums: (u32, u32),
    }

    impl Log {
        fn new() -> Self {
            let mut bytes = Vec::new();
            for word in [MAGIC, 3_007_000, PAGE as u32, 0, 0x1234_5678, 0x9abc_def0] {
                bytes.extend(word.to_be_bytes());
            }
            let sums = checksum((0, 0), &bytes, false);
            bytes.extend(sums.0.to_be_bytes().into_iter().chain(sums.1.to_be_bytes()));
            Self { bytes, sums }
        }

        /// A transaction of so many frames, at its end or over what lies behind `from` frames.
        fn write(&mut self, from: usize, frames: u32, fill: u8) {
            let mut at = HEADER + from * (FRAME + PAGE);
            for n in 1..=frames {
                let commit: u32 = if n == frames { 7 } else { 0 };
                let mut frame: Vec<u8> = n.to_be_bytes().into_iter().chain(commit.to_be_bytes()).collect();
                let page = [fill; PAGE];
                self.sums = checksum(checksum(self.sums, &frame, false), &page, false);
                frame.extend_from_slice(&self.bytes[16..24]);
                frame.extend(self.sums.0.to_be_bytes().into_iter().chain(self.sums.1.to_be_bytes()));
                frame.extend(page);
                self.bytes.truncate(self.bytes.len().max(at));
                let end = (at + frame.len()).min(self.bytes.len());
                self.bytes.splice(at..end, frame);
                at += FRAME + PAGE;
            }
        }

        fn flip(&self, frame: usize, byte: usize) -> Vec<u8> {
            let mut bytes = self.bytes.clone();
            bytes[HEADER + frame * (FRAME + PAGE) + byte] ^= 4;
            bytes
        }
    }

    fn three() -> Log {
        let mut log = Log::new();
        for (from, fill) in [(0, 1), (2, 2), (4, 3)] {
            log.write(from, 2, fill);
        }
        log
    }

    #[test]
    fn damage_before_the_last_transaction_is_told_and_a_torn_end_is_not() {
        let log = three();
        assert_eq!(found(&log.bytes), None);
        let said = |frame: usize, lost: usize| {
            Some(format!("frame {} of 6 is damaged, and {lost} transactions that were on the disk follow it", frame + 1))
        };
        assert_eq!(found(&log.flip(0, 100)), said(0, 2));
        assert_eq!(found(&log.flip(1, 0)), said(1, 2), "its page number");
        assert_eq!(found(&log.flip(3, 10)), said(3, 1), "its salt");
        assert_eq!((found(&log.flip(4, 100)), found(&log.flip(5, 100))), (None, None), "the last one may be torn");
        for end in 0..log.bytes.len() {
            assert_eq!(found(&log.bytes[..end]), None, "{end}");
        }
        let mut header = log.bytes.clone();
        header[17] ^= 1;
        assert!(found(&header).unwrap().starts_with("its header is damaged"));
    }

    /// Its commit could not be brought to the disk, twice; what was written over it was.
    #[test]
    fn frames_of_a_transaction_that_failed_are_nobodys_loss() {
        let mut log = Log::new();
        log.write(0, 2, 1);
        let sums = log.sums;
        for (frames, fill) in [(6, 2), (3, 3), (1, 4)] {
            log.sums = sums;
            log.write(2, frames, fill);
        }
        assert_eq!(log.bytes.len(), HEADER + 8 * (FRAME + PAGE));
        assert_eq!(found(&log.bytes), None);
    }
}
