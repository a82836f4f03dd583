//! Going through a log from its first entry, and naming the first one that is not what it was. What is compared with: the leaf kept
//! beside the entry, or in a copy of the tiles, and every checkpoint that is known, in order of size.

use super::tree::{FullTile, Tree};
use super::{Checkpoint, Hash};
use crate::domain::{IncidentId, Seq};
use std::collections::VecDeque;
use std::fmt;

/// An entry as it is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub index: u64,
    pub incident: IncidentId,
    pub seq: Seq,
    /// What the entry hashes to today.
    pub hash: Hash,
    /// What it hashed to when it was logged, where that is known.
    pub logged: Option<Hash>,
}

/// An entry's name: `INC-7/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub IncidentId, pub Seq);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{name} (entry {index} of the log) is not what was logged: its text, time, number or place was changed")]
    Changed { index: u64, name: Name },
    #[error("entry {index} of the log is missing{}: {found} stands next", after(.last))]
    Missing { index: u64, last: Option<Name>, found: Name },
    #[error("{name} says that it is entry {says} of the log; it stands at {index}: it was inserted, moved or doubled")]
    OutOfPlace { index: u64, says: u64, name: Name },
    #[error(
        "the first {to} entries are not those of {checkpoint}: something between entry {from} and entry {} was changed, and its leaf with it",
        .to - 1
    )]
    Rewritten { from: u64, to: u64, checkpoint: String },
    #[error("the log ends after {size} entries{}; {checkpoint} has {expected}: its end was cut off", after(.last))]
    CutOff { size: u64, expected: u64, last: Option<Name>, checkpoint: String },
}

fn after(last: &Option<Name>) -> String {
    last.as_ref().map_or_else(String::new, |name| format!(", after {name}"))
}

#[derive(Debug, Default)]
pub struct Audit {
    tree: Tree,
    /// Not reached yet, smallest first; each with the words for where it comes from.
    ahead: VecDeque<(u64, Hash, String)>,
    last: Option<Name>,
    /// The size up to which a checkpoint agreed, and how many did.
    agreed: u64,
    checkpoints: usize,
}

impl Audit {
    /// Against these checkpoints, all of them verified.
    pub fn against(known: impl IntoIterator<Item = (Checkpoint, String)>) -> Self {
        let mut ahead: Vec<_> = known.into_iter().map(|(checkpoint, from)| (checkpoint.size, checkpoint.root, from)).collect();
        ahead.sort_by_key(|(size, ..)| *size);
        Self { ahead: ahead.into(), ..Self::default() }
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Checkpoints that agreed so far.
    pub fn checkpoints(&self) -> usize {
        self.checkpoints
    }

    /// The size of the largest checkpoint that agreed so far.
    pub fn agreed(&self) -> u64 {
        self.agreed
    }

    /// The next entry.
    pub fn take(&mut self, row: &Row, full: &mut dyn FnMut(FullTile)) -> Result<(), Fault> {
        let (index, name) = (self.tree.size(), Name(row.incident, row.seq));
        if row.index > index {
            return Err(Fault::Missing { index, last: self.last, found: name });
        }
        if row.index < index {
            return Err(Fault::OutOfPlace { index, says: row.index, name });
        }
        if row.logged.is_some_and(|logged| logged != row.hash) {
            return Err(Fault::Changed { index, name });
        }
        self.compare()?;
        self.tree.push(row.hash, full);
        self.last = Some(name);
        Ok(())
    }

    /// Compares with every checkpoint of the size reached.
    fn compare(&mut self) -> Result<(), Fault> {
        let size = self.tree.size();
        if self.ahead.front().is_none_or(|(next, ..)| *next != size) {
            return Ok(());
        }
        let root = self.tree.root();
        while let Some((_, expected, _)) = self.ahead.front().filter(|(next, ..)| *next == size) {
            let agrees = *expected == root;
            let (_, _, checkpoint) = self.ahead.pop_front().unwrap_or_default();
            if !agrees {
                return Err(Fault::Rewritten { from: self.agreed, to: size, checkpoint });
            }
            self.agreed = size;
            self.checkpoints += 1;
        }
        Ok(())
    }

    /// No more entries for now. What is ahead stays ahead: see `finish`.
    pub fn pause(&mut self) -> Result<(), Fault> {
        self.compare()
    }

    /// No more entries at all: `head` is how many the store has counted.
    pub fn finish(mut self, head: Option<u64>) -> Result<Tree, Fault> {
        self.compare()?;
        let size = self.tree.size();
        let counted = head.filter(|head| *head > size).map(|head| (head, "the store's own count".to_owned()));
        let beyond = self.ahead.pop_front().map(|(expected, _, checkpoint)| (expected, checkpoint)).or(counted);
        match beyond {
            Some((expected, checkpoint)) => Err(Fault::CutOff { size, expected, last: self.last, checkpoint }),
            None => Ok(self.tree),
        }
    }

    /// A checkpoint that is ahead of the entries there are.
    pub fn cut_off(&self) -> Option<Fault> {
        let (expected, _, checkpoint) = self.ahead.front()?;
        let (size, last) = (self.tree.size(), self.last);
        Some(Fault::CutOff { size, expected: *expected, last, checkpoint: checkpoint.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog_tiles::record_hash;

    fn row(index: u64, text: &str) -> Row {
        let hash = record_hash(text.as_bytes());
        Row { index, incident: IncidentId(1), seq: i64::try_from(index).unwrap() + 1, hash, logged: Some(hash) }
    }

    fn at(size: u64) -> (Checkpoint, String) {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.push(row(n, &n.to_string()).hash, &mut |_| {}));
        (Checkpoint { origin: "test".into(), size, root: tree.root() }, format!("the checkpoint of {size}"))
    }

    fn audit(rows: &[Row]) -> Result<u64, String> {
        let mut audit = Audit::against([at(5), at(3), at(5)]);
        for row in rows {
            audit.take(row, &mut |_| {}).map_err(|fault| fault.to_string())?;
        }
        audit.finish(Some(5)).map(|tree| tree.size()).map_err(|fault| fault.to_string())
    }

    fn rows() -> Vec<Row> {
        (0..5).map(|n| row(n, &n.to_string())).collect()
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_named() {
        assert_eq!(audit(&rows()), Ok(5));
        let mut changed = rows();
        changed[2].hash = record_hash(b"else");
        let said = "INC-1/3 (entry 2 of the log) is not what was logged: its text, time, number or place was changed";
        assert_eq!(audit(&changed).unwrap_err(), said);
        changed[2].logged = Some(changed[2].hash);
        let said = "the first 3 entries are not those of the checkpoint of 3: \
             something between entry 0 and entry 2 was changed, and its leaf with it";
        assert_eq!(audit(&changed).unwrap_err(), said);
        let mut missing = rows();
        missing.remove(2);
        assert_eq!(audit(&missing).unwrap_err(), "entry 2 of the log is missing, after INC-1/2: INC-1/4 stands next");
        let mut doubled = rows();
        doubled.insert(2, rows()[1]);
        let said = "INC-1/2 says that it is entry 1 of the log; it stands at 2: it was inserted, moved or doubled";
        assert_eq!(audit(&doubled).unwrap_err(), said);
        let said = "the log ends after 4 entries, after INC-1/4; the checkpoint of 5 has 5: its end was cut off";
        assert_eq!(audit(&rows()[..4]).unwrap_err(), said);
        let mut changed = rows();
        changed[4] = row(4, "else");
        assert!(audit(&changed).unwrap_err().starts_with("the first 5 entries are not those of"));
    }
}
