//! On what terms the hand was started: the request it may answer, until when, and the grant's number, all of it signed by the
//! authority as part of a certificate's forced command. Another request is refused, and so is the same change a second time.

use crate::domain::Time;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr;

/// `DIGEST:SERIAL:UNTIL`, as it stands behind `--only`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// SHA-256 of the request's bytes, in hexadecimal.
    pub digest: String,
    pub serial: u64,
    /// In seconds since 1970.
    pub until: i64,
}

impl Terms {
    pub fn of(request: &[u8], serial: u64, until: i64) -> Self {
        Self { digest: hex::encode(Sha256::digest(request)), serial, until }
    }

    /// sshd looks at the time when somebody logs in; a connection that is kept open is looked at here.
    pub fn check(&self, request: &[u8], now: Time) -> Result<(), String> {
        if Self::of(request, self.serial, self.until) != *self {
            return Err("the certificate was made for another request".to_owned());
        }
        if now.timestamp() >= self.until {
            return Err("the certificate's time is over".to_owned());
        }
        Ok(())
    }

    /// From here on this grant changes nothing any more. What cannot be marked as used is not used.
    pub fn use_up(&self, folder: &Path, now: Time) -> Result<(), String> {
        let why = |e: std::io::Error| format!("{} cannot keep the numbers of used grants: {e}", folder.display());
        match std::fs::create_dir(folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(why(e)),
            _ => {}
        }
        forget(folder, now).map_err(why)?;
        let mark = folder.join(format!("{}-{}", self.until, self.serial));
        match std::fs::File::create_new(mark) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err("this grant was used before: a change is made once".to_owned()),
            Err(e) => Err(why(e)),
        }
    }
}

/// Numbers of grants whose time is over open nothing and need not be kept.
fn forget(folder: &Path, now: Time) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let until = entry.file_name().to_str().and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
        if until.is_some_and(|until| until < now.timestamp()) {
            // Another hand may have removed it.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.digest, self.serial, self.until)
    }
}

impl FromStr for Terms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected DIGEST:SERIAL:UNTIL, as a certificate of Paramedic has it".to_owned();
        let mut parts = text.split(':');
        let (Some(digest), Some(serial), Some(until), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(expected());
        };
        let hex = digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match (serial.parse(), until.parse()) {
            (Ok(serial), Ok(until)) if hex => Ok(Self { digest: digest.to_owned(), serial, until }),
            _ => Err(expected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Terms;
    use crate::domain::Time;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn terms_read_back_and_nothing_else_does() {
        let terms = Terms::of(b"request", u64::MAX, 1_763_640_000);
        assert_eq!(terms.to_string().parse::<Terms>().unwrap(), terms);
        let text = terms.to_string();
        for wrong in ["", "x", &text[1..], &text.to_uppercase(), &format!("{text}:1"), &text.replace(":1", ":x"), &format!(" {text}")] {
            assert!(wrong.parse::<Terms>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_request_and_a_late_one_are_refused() {
        let terms = Terms::of(b"request", 7, 1_000);
        terms.check(b"request", at(999)).unwrap();
        assert!(terms.check(b"request ", at(999)).unwrap_err().contains("another request"));
        assert!(terms.check(b"request", at(1_000)).unwrap_err().contains("over"));
    }

    #[test]
    fn a_grant_is_used_once_and_forgotten_when_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let used = folder.path().join("used");
        let terms = Terms::of(b"request", 7, 1_000);
        terms.use_up(&used, at(900)).unwrap();
        assert!(terms.use_up(&used, at(901)).unwrap_err().contains("used before"));
        Terms::of(b"request", 8, 3_000).use_up(&used, at(2_000)).unwrap();
        let left: Vec<_> = std::fs::read_dir(&used).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["3000-8"]);
        let nowhere = folder.path().join("no/such");
        assert!(terms.use_up(&nowhere, at(900)).unwrap_err().contains("cannot keep"));
    }
}
