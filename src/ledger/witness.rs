//! C2SP's tlog-witness: the request by which a log asks for a cosignature, and whether a witness may give it. It may where the log
//! signed the checkpoint and shows that nothing the witness has seen was taken back.

use super::checkpoint::{NoteError, Signed};
use super::key::PublicLogKey;
use super::proof::{check_consistency, hash_lines, read_hash_lines, size_of};
use super::{Checkpoint, Hash};

/// The body of `POST /add-checkpoint`.
#[derive(Debug, Clone, PartialEq)]
pub struct AddCheckpoint {
    /// The size that the log believes the witness to have seen last.
    pub old: u64,
    pub proof: Vec<Hash>,
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("this witness does not watch the log {0}")]
    UnknownLog(String),
    #[error("{0}")]
    Unsigned(NoteError),
    /// The size seen last.
    #[error("the newest checkpoint seen is of size {0}")]
    Conflict(u64),
    #[error("the consistency proof does not hold")]
    Inconsistent,
}

impl AddCheckpoint {
    pub fn render(&self) -> String {
        format!("old {}\n{}\n{}", self.old, hash_lines(&self.proof), self.note)
    }

    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body = std::str::from_utf8(body).map_err(|_| Refusal::Malformed("expected UTF-8"))?;
        let (head, note) = body.split_once("\n\n").ok_or(Refusal::Malformed("expected an empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(size_of);
        let old = old.ok_or(Refusal::Malformed("expected `old SIZE` on the first line"))?;
        let proof = read_hash_lines(lines).ok_or(Refusal::Malformed("expected at most 63 hashes in base64, one a line"))?;
        Ok(Self { old, proof, note: note.to_owned() })
    }

    /// The log's name, not verified.
    pub fn origin(&self) -> &str {
        self.note.split('\n').next().unwrap_or_default()
    }
}

/// May the checkpoint be co-signed by a witness that saw `latest` last? Then it is what the witness has seen from now on.
pub fn judge(request: &AddCheckpoint, log: &PublicLogKey, latest: Option<&Checkpoint>) -> Result<Signed, Refusal> {
    let signed = Signed::open(request.note.as_bytes(), log, &[]).map_err(|e| match e {
        NoteError::Malformed => Refusal::Malformed("expected a checkpoint behind the empty line"),
        e => Refusal::Unsigned(e),
    })?;
    let new = &signed.checkpoint;
    if request.old > new.size {
        return Err(Refusal::Malformed("the old size is larger than the checkpoint's"));
    }
    let seen = latest.map_or(0, |latest| latest.size);
    if request.old != seen {
        return Err(Refusal::Conflict(seen));
    }
    let Some(latest) = latest.filter(|latest| latest.size > 0) else {
        return if request.proof.is_empty() { Ok(signed) } else { Err(Refusal::Inconsistent) };
    };
    if new.size == latest.size && new.root != latest.root {
        return Err(Refusal::Conflict(seen));
    }
    check_consistency(&request.proof, (latest.size, latest.root), (new.size, new.root)).map_err(|_| Refusal::Inconsistent)?;
    Ok(signed)
}
