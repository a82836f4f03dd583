//! Other readings of a text: without its percent escapes, without its JSON escapes, and each stretch of base64 or hexadecimal in it as
//! what it stands for. Whatever is found there has a place in the text itself.

use super::Found;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Shorter stretches hold nothing that the search would know.
const SHORTEST: usize = 12;
/// So many characters are decoded before the rest is; no encoder breaks a line in them.
const HEAD: usize = 12;
/// Encoders break lines at 64 or 76 characters.
const WRAPPED: usize = 60;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

pub(super) struct View {
    pub bytes: Vec<u8>,
    source: Source,
}

enum Source {
    /// Where each byte begins in the text, and where the last ends.
    Places(Vec<usize>),
    /// All of it or nothing: half a base64 text is noise.
    Whole(usize, usize),
}

impl View {
    pub fn in_source<'a>(&self, found: Found<'a>) -> Found<'a> {
        let (start, end) = match &self.source {
            Source::Whole(start, end) => (*start, *end),
            Source::Places(places) => {
                let last = places.last().copied().unwrap_or(0);
                let place = |at: usize| places.get(at).copied().unwrap_or(last);
                (place(found.start), place(found.end))
            }
        };
        Found { start, end, label: found.label }
    }
}

pub(super) fn of(bytes: &[u8]) -> Vec<View> {
    let mut views: Vec<View> = [unescaped(bytes, percent), unescaped(bytes, json)].into_iter().flatten().collect();
    for (start, end) in stretches(bytes, is_base64, WRAPPED) {
        match base64(&bytes[start..end], start) {
            Some(view) => views.push(view),
            // A path or a name in front of it shifts the whole.
            None => {
                let pieces = stretches(&bytes[start..end], |b| b.is_ascii_alphanumeric(), usize::MAX);
                views.extend(pieces.into_iter().filter_map(|(from, to)| base64(&bytes[start + from..start + to], start + from)));
            }
        }
    }
    for (start, end) in stretches(bytes, |b| b.is_ascii_hexdigit(), usize::MAX) {
        views.extend(hexadecimal(&bytes[start..end], start));
    }
    views
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn base64(run: &[u8], start: usize) -> Option<View> {
    let engine = if run.iter().any(|b| matches!(b, b'-' | b'_')) { &URL } else { &STANDARD };
    // Words and paths, the most of it, are noise from their first bytes on.
    let mut head = [0; HEAD / 4 * 3];
    let decoded = engine.decode_slice(run.get(..HEAD)?, &mut head).ok()?;
    if !begins_as_text(head.get(..decoded)?) {
        return None;
    }
    let core: Vec<u8> = run.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    readable(engine.decode(&core).ok()?, start, start + run.len())
}

/// Hexadecimal, as far as it is in pairs.
fn hexadecimal(run: &[u8], start: usize) -> Option<View> {
    let mut head = [0; HEAD / 2];
    hex::decode_to_slice(run.get(..HEAD)?, &mut head).ok()?;
    if !begins_as_text(&head) {
        return None;
    }
    hex::decode(run).ok().and_then(|text| readable(text, start, start + run.len()))
}

/// Could these be a text's first bytes?
fn begins_as_text(head: &[u8]) -> bool {
    let cut = |e: std::str::Utf8Error| e.error_len().is_none();
    !head.iter().any(|b| is_odd(*b)) && std::str::from_utf8(head).map_or_else(cut, |_| true)
}

fn is_odd(byte: u8) -> bool {
    byte.is_ascii_control() && !byte.is_ascii_whitespace()
}

/// Anything but text is a digest, a path, a word.
fn readable(bytes: Vec<u8>, start: usize, end: usize) -> Option<View> {
    let odd = bytes.iter().any(|b| is_odd(*b));
    (!odd && std::str::from_utf8(&bytes).is_ok()).then_some(View { bytes, source: Source::Whole(start, end) })
}

/// Where such bytes follow each other; a line break behind `wrapped` of them and more does not end a stretch.
fn stretches(bytes: &[u8], is: impl Fn(u8) -> bool, wrapped: usize) -> Vec<(usize, usize)> {
    let (mut found, mut start, mut line) = (Vec::new(), 0, 0);
    for at in 0..=bytes.len() {
        match bytes.get(at) {
            Some(b) if is(*b) => continue,
            Some(b'\n') if at - line >= wrapped && bytes.get(at + 1).is_some_and(|b| is(*b)) => line = at + 1,
            _ => {
                if at - start >= SHORTEST {
                    found.push((start, at));
                }
                (start, line) = (at + 1, at + 1);
            }
        }
    }
    found
}

/// None: there is no escape in it.
fn unescaped(bytes: &[u8], escape: fn(&[u8]) -> Option<(char, usize)>) -> Option<View> {
    let mut at = bytes.iter().position(|b| matches!(b, b'%' | b'\\')).filter(|first| bytes[*first..].len() > 1)?;
    let mut view = View { bytes: bytes[..at].to_vec(), source: Source::Places(Vec::new()) };
    let mut places: Vec<usize> = (0..at).collect();
    let mut any = false;
    while let Some(byte) = bytes.get(at) {
        match escape(&bytes[at..]) {
            Some((meant, len)) => {
                any = true;
                // A percent escape stands for a byte, a JSON escape for a character.
                let mut room = [0; 4];
                let meant: &[u8] = if len == 3 { &[meant as u8] } else { meant.encode_utf8(&mut room).as_bytes() };
                view.bytes.extend_from_slice(meant);
                places.extend(std::iter::repeat_n(at, meant.len()));
                at += len;
            }
            None => {
                view.bytes.push(*byte);
                places.push(at);
                at += 1;
            }
        }
    }
    places.push(bytes.len());
    view.source = Source::Places(places);
    any.then_some(view)
}

fn percent(bytes: &[u8]) -> Option<(char, usize)> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |b: &u8| (*b as char).to_digit(16);
    Some((char::from(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?), 3))
}

fn json(bytes: &[u8]) -> Option<(char, usize)> {
    let [b'\\', kind, rest @ ..] = bytes else { return None };
    let meant = match kind {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'"' | b'\'' | b'\\' | b'/' => char::from(*kind),
        b'u' => {
            let code = std::str::from_utf8(rest.get(..4)?).ok()?;
            return Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, 6));
        }
        b'x' => {
            let code = std::str::from_utf8(rest.get(..2)?).ok()?;
            return Some((char::from(u8::from_str_radix(code, 16).ok()?), 4));
        }
        _ => return None,
    };
    Some((meant, 2))
}
