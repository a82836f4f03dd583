//! tests/verify/ledger_verify.py: the other implementation. Python and openssl, hand-written from the specifications.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

fn command() -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/verify/ledger_verify.py");
    let mut command = Command::new("python3");
    command.arg(script);
    command
}

/// What it says, and whether it is satisfied.
pub fn python(arguments: &[&str]) -> (bool, String) {
    let done = command().args(arguments).output().expect("python3 could not be started: the tests need Debian's python3");
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap().trim().to_owned())
}

/// Something to be verified: its kind, and its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub kind: u8,
    pub parts: Vec<Vec<u8>>,
}

/// A process that answers cases, in order.
pub struct Batch {
    child: Child,
    cases: Option<ChildStdin>,
    answers: Option<JoinHandle<String>>,
}

impl Batch {
    pub fn start() -> Self {
        let mut command = command();
        command.arg("batch").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 could not be started: the tests need Debian's python3");
        let mut answers = child.stdout.take().unwrap();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            answers.read_to_string(&mut text).unwrap();
            text
        });
        Self { cases: child.stdin.take(), child, answers: Some(reading) }
    }

    pub fn give(&mut self, case: &Case) {
        let mut frame = vec![case.kind];
        frame.extend(u16::try_from(case.parts.len()).unwrap().to_be_bytes());
        for part in &case.parts {
            frame.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            frame.extend(part);
        }
        self.cases.as_mut().unwrap().write_all(&frame).expect("the Python verifier ended early");
    }

    /// Its verdicts, and how often it called openssl.
    pub fn end(mut self) -> (Vec<bool>, usize) {
        drop(self.cases.take());
        let text = self.answers.take().unwrap().join().unwrap();
        assert!(self.child.wait().unwrap().success(), "the Python verifier failed; it said {text}");
        let (verdicts, calls) = text.split_once('\n').unwrap();
        (verdicts.bytes().map(|b| b == b'1').collect(), calls.split(' ').next().unwrap().parse().unwrap())
    }
}
