//! Checkpoints: a log's size and root under its signature, and cosignatures of witnesses below it. A checkpoint is trusted only as
//! what `Signed::open` made of it.

use super::Hash;
use super::key::{LogKey, PublicLogKey, PublicWitnessKey};
use signed_note::{Note, Verifier, VerifierList};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not a checkpoint: expected origin, size, root, an empty line and signatures, as C2SP's tlog-checkpoint has them")]
    Malformed,
    #[error("the checkpoint is not signed by {0}")]
    Unsigned(String),
    #[error("the signature of {0} on the checkpoint is wrong: the text was changed, or another key signed it")]
    Signature(String),
    #[error("the checkpoint is of the log {origin}, not of {expected}")]
    OtherLog { origin: String, expected: String },
    #[error("the checkpoint could not be signed: {0}")]
    Unsignable(String),
}

/// What a log says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// A checkpoint whose signature was made or verified here.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    pub checkpoint: Checkpoint,
    /// The signed note, cosignatures included.
    pub note: String,
    /// Names of the known witnesses that co-signed.
    pub witnesses: Vec<String>,
}

impl Checkpoint {
    /// The note's text.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    pub fn sign(self, key: &LogKey) -> Result<Signed, NoteError> {
        let unsignable = |e: signed_note::NoteError| NoteError::Unsignable(e.to_string());
        let mut note = Note::new(self.text().as_bytes(), &[]).map_err(unsignable)?;
        note.add_sigs(&[key.signer()]).map_err(unsignable)?;
        let note = String::from_utf8(note.to_bytes()).map_err(|e| NoteError::Unsignable(e.to_string()))?;
        Ok(Signed { checkpoint: self, note, witnesses: Vec::new() })
    }
}

impl Signed {
    /// The text that the signatures are over, extension lines of other people's logs included.
    pub fn text(&self) -> String {
        self.note.rsplit_once("\n\n").map_or_else(String::new, |(text, _)| format!("{text}\n"))
    }

    /// Reads and verifies. A wrong signature of a known key spoils the whole; signatures of unknown keys are passed over.
    pub fn open(note: &[u8], log: &PublicLogKey, witnesses: &[PublicWitnessKey]) -> Result<Self, NoteError> {
        let parsed = Note::from_bytes(note).map_err(|_| NoteError::Malformed)?;
        let mut known: Vec<Box<dyn Verifier>> = vec![Box::new(log.verifier())];
        known.extend(witnesses.iter().map(|witness| Box::new(witness.clone()) as Box<dyn Verifier>));
        let verified = parsed.verify(&VerifierList::new(known)).map_err(|e| match e {
            signed_note::NoteError::InvalidSignature { name, .. } => NoteError::Signature(name),
            _ => NoteError::Unsigned(log.name().to_owned()),
        });
        let (verified, _) = verified?;
        let by = |key: &dyn Verifier| verified.iter().any(|sig| sig.name() == key.name() && sig.id() == key.key_id());
        if !by(&log.verifier()) {
            return Err(NoteError::Unsigned(log.name().to_owned()));
        }
        let read = tlog_tiles::Checkpoint::from_bytes(parsed.text()).map_err(|_| NoteError::Malformed)?;
        if read.origin() != log.name() {
            return Err(NoteError::OtherLog { origin: read.origin().to_owned(), expected: log.name().to_owned() });
        }
        Ok(Self {
            checkpoint: Checkpoint { origin: read.origin().to_owned(), size: read.size(), root: *read.hash() },
            note: String::from_utf8(note.to_vec()).map_err(|_| NoteError::Malformed)?,
            witnesses: witnesses.iter().filter(|witness| by(*witness)).map(|witness| witness.name().to_owned()).collect(),
        })
    }
}

/// The note with the signature lines of a witness's answer that are its own and right; lines of other keys are left out.
pub fn add_cosignatures(signed: &Signed, answer: &[u8], log: &PublicLogKey, witness: &PublicWitnessKey) -> Result<Signed, NoteError> {
    let answer = std::str::from_utf8(answer).map_err(|_| NoteError::Malformed)?;
    let own = format!("— {} ", witness.name());
    let kept: String = signed.note.split_inclusive('\n').filter(|line| !line.starts_with(&own)).collect();
    let lines: String = answer.split_inclusive('\n').filter(|line| line.starts_with(&own)).collect();
    let note = format!("{kept}{lines}");
    let opened = Signed::open(note.as_bytes(), log, std::slice::from_ref(witness))?;
    if opened.witnesses.is_empty() {
        return Err(NoteError::Unsigned(witness.name().to_owned()));
    }
    Ok(opened)
}

/// A checkpoint on one line, for a syslog.
pub fn one_line(note: &str) -> String {
    note.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every checkpoint of this log in a text: files of anchors, syslogs, what somebody copied out of Slack. White space and
/// marks of quotation do not count, and nothing that is found is to be believed before it was opened.
pub fn find(text: &str, origin: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != ">").collect();
    let starts = words.iter().enumerate().filter(|(_, word)| **word == origin).map(|(start, _)| start);
    starts.filter_map(|start| note_at(&words[start..])).collect()
}

fn note_at(words: &[&str]) -> Option<String> {
    let [origin, size, root, rest @ ..] = words else { return None };
    let signature = |triple: &&[&str]| triple.len() == 3 && triple[0] == "—";
    let lines: String = rest.chunks(3).take_while(signature).map(|triple| format!("— {} {}\n", triple[1], triple[2])).collect();
    let number = size.bytes().all(|b| b.is_ascii_digit());
    (number && !lines.is_empty()).then(|| format!("{origin}\n{size}\n{root}\n\n{lines}"))
}

#[cfg(test)]
mod tests {
    use super::super::key::{CosignerKey, new_private_key};
    use super::*;

    const ORIGIN: &str = "paramedic/test";

    fn key(name: &str, seed: u8) -> String {
        new_private_key(name, &[seed; 32])
    }

    fn signed(size: u64) -> (Signed, PublicLogKey) {
        let key = LogKey::parse(&key(ORIGIN, 1)).unwrap();
        let public = PublicLogKey::parse(key.public()).unwrap();
        (Checkpoint { origin: ORIGIN.into(), size, root: Hash([9; 32]) }.sign(&key).unwrap(), public)
    }

    #[test]
    fn what_was_signed_opens_and_nothing_else_does() {
        let (signed, public) = signed(42);
        assert_eq!(Signed::open(signed.note.as_bytes(), &public, &[]).unwrap(), signed);
        let other = PublicLogKey::parse(LogKey::parse(&key(ORIGIN, 2)).unwrap().public()).unwrap();
        assert_eq!(Signed::open(signed.note.as_bytes(), &other, &[]), Err(NoteError::Unsigned(ORIGIN.into())));
        for byte in 0..signed.note.len() {
            let mut note = signed.note.clone().into_bytes();
            note[byte] ^= 1;
            assert!(Signed::open(&note, &public, &[]).is_err(), "{}", String::from_utf8_lossy(&note));
        }
    }

    #[test]
    fn a_checkpoint_of_another_log_under_the_same_key_is_refused() {
        let key = LogKey::parse(&key(ORIGIN, 1)).unwrap();
        let public = PublicLogKey::parse(key.public()).unwrap();
        let note = Checkpoint { origin: "another/log".into(), size: 1, root: Hash([9; 32]) }.sign(&key).unwrap().note;
        let expected = NoteError::OtherLog { origin: "another/log".into(), expected: ORIGIN.into() };
        assert_eq!(Signed::open(note.as_bytes(), &public, &[]), Err(expected));
    }

    #[test]
    fn a_cosignature_is_added_once_and_a_wrong_one_is_not() {
        let (signed, public) = signed(42);
        let witness = CosignerKey::parse(&key("witness.example/w1", 3)).unwrap();
        let known = PublicWitnessKey::parse(&witness.public()).unwrap();
        let text = signed.checkpoint.text();
        let line = witness.cosign(text.as_bytes(), 1_700_000_000);
        let foreign = CosignerKey::parse(&key("stranger", 4)).unwrap().cosign(text.as_bytes(), 1);
        let once = add_cosignatures(&signed, format!("{foreign}{line}").as_bytes(), &public, &known).unwrap();
        assert_eq!(once.note, format!("{}{line}", signed.note));
        assert_eq!(once.witnesses, ["witness.example/w1"]);
        let later = witness.cosign(text.as_bytes(), 1_700_000_001);
        assert_eq!(add_cosignatures(&once, later.as_bytes(), &public, &known).unwrap().note, format!("{}{later}", signed.note));
        for wrong in [witness.cosign(b"another text\n", 1), foreign, String::new(), "— witness.example/w1 AAAA\n".into()] {
            assert!(add_cosignatures(&signed, wrong.as_bytes(), &public, &known).is_err(), "{wrong}");
        }
    }

    #[test]
    fn checkpoints_are_found_in_whatever_they_were_kept_in() {
        let ((one, _), (two, _)) = (signed(1), signed(2));
        assert_eq!(find(&one.note.replace('\n', "\n> "), ORIGIN), std::slice::from_ref(&one.note));
        let slack = format!("[Info] ledger checkpoint\r\n> {}\r\nana  09:41\n", one.note.replace('\n', "\r\n"));
        let syslog = format!("Nov 20 09:41:00 host paramedic[7]: {}\nNov 20 host other: x", one_line(&two.note));
        assert_eq!(find(&format!("{slack}\n{syslog}"), ORIGIN), [one.note.clone(), two.note]);
        assert_eq!(find("nothing", ORIGIN), Vec::<String>::new());
        assert_eq!(find(&one.note.replace("— ", ""), ORIGIN), Vec::<String>::new());
    }
}
