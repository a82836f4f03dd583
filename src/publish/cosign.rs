//! Witnesses: others who saw the log grow and say so with their own keys. They get checkpoints and proofs, never entries. One that
//! does not answer delays nothing; one that refuses because it saw something else is a reason to look.

use super::PublishError;
use crate::clients::witness::{Reply, WitnessClient};
use crate::domain::Time;
use crate::ledger::{AddCheckpoint, Hash, PublicLogKey, PublicWitnessKey, Question, Signed, add_cosignatures};
use crate::store::Store;
use std::collections::HashMap;

/// The longest pause between two attempts.
const MOST: i64 = 60;

/// A witness, and how far it has come.
#[derive(Debug)]
pub struct Watcher {
    pub url: String,
    client: WitnessClient,
    pub key: PublicWitnessKey,
    /// The size that it co-signed last, as far as is known here.
    seen: u64,
    failures: u32,
    due: Option<Time>,
}

/// What came of asking.
#[derive(Debug, PartialEq)]
pub enum Asked {
    Cosigned(Box<Signed>),
    /// It saw a log that this one does not continue.
    Forked(String),
    Failed(String),
}

impl Watcher {
    pub fn new(url: String, client: WitnessClient, key: PublicWitnessKey) -> Self {
        Self { url, client, key, seen: 0, failures: 0, due: None }
    }

    pub fn is_due(&self, size: u64, now: Time) -> bool {
        self.seen < size && self.due.is_none_or(|due| due <= now)
    }

    /// Asks for a cosignature, a second time if the witness says that it stands elsewhere than believed.
    pub async fn ask(&mut self, store: &Store, signed: &Signed, log: &PublicLogKey, now: Time) -> Result<Asked, PublishError> {
        let asked = match self.ask_from(self.seen, store, signed).await? {
            Reply::Conflict(size) if size != self.seen && size <= signed.checkpoint.size => {
                self.seen = size;
                self.ask_from(size, store, signed).await?
            }
            other => other,
        };
        let came = self.read(asked, signed, log);
        let cosigned = matches!(came, Asked::Cosigned(_));
        self.failures = if cosigned { 0 } else { self.failures.saturating_add(1) };
        self.due = (!cosigned).then(|| now + chrono::Duration::seconds((1_i64 << self.failures.min(6)).min(MOST)));
        if cosigned {
            self.seen = signed.checkpoint.size;
        }
        Ok(came)
    }

    async fn ask_from(&self, old: u64, store: &Store, signed: &Signed) -> Result<Reply, PublishError> {
        let proof = prove(store, Question::Consistency { old, size: signed.checkpoint.size }).await?;
        let body = AddCheckpoint { old, proof, note: signed.note.clone() }.render();
        Ok(match self.client.add_checkpoint(body).await {
            Ok(reply) => reply,
            Err(e) => Reply::Refused { status: 0, said: e.to_string() },
        })
    }

    fn read(&self, reply: Reply, signed: &Signed, log: &PublicLogKey) -> Asked {
        let size = signed.checkpoint.size;
        match reply {
            Reply::Cosigned(lines) => match add_cosignatures(signed, &lines, log, &self.key) {
                Ok(cosigned) => Asked::Cosigned(Box::new(cosigned)),
                Err(e) => Asked::Failed(format!("its answer is no cosignature: {e}")),
            },
            Reply::Conflict(seen) if seen > size => Asked::Forked(format!("it has seen {seen} entries of this log, and here are {size}")),
            Reply::Conflict(seen) => Asked::Forked(format!("it has seen {seen} entries of this log, and others than are here")),
            Reply::Refused { status: 422, said } => {
                Asked::Forked(format!("the entries it has seen are not the beginning of this log: {said}"))
            }
            Reply::Refused { status: 0, said } => Asked::Failed(said),
            Reply::Refused { status, said } => Asked::Failed(format!("it answered {status}: {said}")),
        }
    }
}

/// A proof from the store's own tiles.
pub async fn prove(store: &Store, question: Question) -> Result<Vec<Hash>, PublishError> {
    let mut tiles = HashMap::new();
    for tile in question.tiles()? {
        tiles.insert((tile.level, tile.index), store.tile(tile.level, tile.index).await?);
    }
    Ok(question.answer(&tiles)?)
}
