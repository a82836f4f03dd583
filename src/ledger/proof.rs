//! Proofs that an entry is in a log, and that a log only grew; and the one-file form of the first, C2SP's tlog-proof.

use super::tile::{FULL, TileId};
use super::{HASH, Hash, hash_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::cell::RefCell;
use std::collections::HashMap;
use tlog_tiles::{HashReader, Tile};

/// More hashes than any tree is high.
pub(super) const MOST: usize = 63;
/// Beyond this, arithmetic on places in a tree overflows. No log is so long.
const LONGEST: u64 = 1 << 60;
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Bits of a level that a tile holds.
const HEIGHT: u8 = 8;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the proof does not hold")]
    Wrong,
    #[error("there is no such proof: {0}")]
    Impossible(String),
    #[error("a tile that the proof needs is missing or too short: {0}")]
    Tile(String),
    #[error("not a proof file: {0}")]
    File(&'static str),
}

/// What is to be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The entry at this index is in the tree of this size.
    Inclusion { index: u64, size: u64 },
    /// The tree of `old` entries is the beginning of the one of `size`.
    Consistency { old: u64, size: u64 },
}

/// Tiles' bytes by level and index.
pub type TileBytes = HashMap<(u8, u64), Vec<u8>>;

/// Notes which hashes are asked for; tlog_tiles asks once, for all of them, whatever it is answered.
#[derive(Default)]
struct Asked(RefCell<Vec<u64>>);

impl HashReader for Asked {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        self.0.borrow_mut().extend_from_slice(indexes);
        Ok(vec![Hash::default(); indexes.len()])
    }
}

struct FromTiles<'a>(&'a TileBytes);

impl HashReader for FromTiles<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let one = |index: &u64| {
            let needed = Tile::from_index(HEIGHT, *index);
            let bytes = self.0.get(&(needed.level(), needed.level_index())).ok_or(tlog_tiles::Error::InvalidTile)?;
            needed.hash_at_index(bytes, *index)
        };
        indexes.iter().map(one).collect()
    }
}

impl Question {
    fn ask(self, hashes: &impl HashReader) -> Result<Vec<Hash>, ProofError> {
        let (within, size) = match self {
            Self::Inclusion { index, size } => (index < size, size),
            Self::Consistency { old, size } => (old <= size, size),
        };
        if !within || size > LONGEST {
            return Err(ProofError::Impossible(format!("{self:?}")));
        }
        let answered = match self {
            Self::Inclusion { index, size } => tlog_tiles::prove_record(size, index, hashes),
            Self::Consistency { old: 0, .. } => Ok(Vec::new()),
            Self::Consistency { old, size } => tlog_tiles::prove_tree(size, old, hashes),
        };
        answered.map_err(|e| ProofError::Tile(e.to_string()))
    }

    /// The tiles that hold the proof's hashes, as wide as they are in the tree of that size.
    pub fn tiles(self) -> Result<Vec<TileId>, ProofError> {
        let asked = Asked::default();
        self.ask(&asked)?;
        let (Self::Inclusion { size, .. } | Self::Consistency { size, .. }) = self;
        let mut tiles: Vec<TileId> = asked.0.into_inner().iter().filter_map(|index| widest(*index, size)).collect();
        tiles.sort();
        tiles.dedup();
        Ok(tiles)
    }

    /// The proof, from the bytes of those tiles by level and index.
    pub fn answer(self, tiles: &TileBytes) -> Result<Vec<Hash>, ProofError> {
        self.ask(&FromTiles(tiles))
    }
}

fn widest(index: u64, size: u64) -> Option<TileId> {
    let tile = Tile::from_index(HEIGHT, index).parent(0, size)?;
    Some(TileId { level: tile.level(), index: tile.level_index(), width: u16::try_from(tile.width()).unwrap_or(FULL) })
}

/// Is the leaf the log's entry `index`, at this size and root?
pub fn check_inclusion(proof: &[Hash], size: u64, root: Hash, index: u64, leaf: Hash) -> Result<(), ProofError> {
    if proof.len() > MOST || size > LONGEST {
        return Err(ProofError::Wrong);
    }
    tlog_tiles::check_record(&proof.to_vec(), size, root, index, leaf).map_err(|_| ProofError::Wrong)
}

/// Did the log of this size and root begin as the old one? Nothing is the beginning of everything.
pub fn check_consistency(proof: &[Hash], old: (u64, Hash), new: (u64, Hash)) -> Result<(), ProofError> {
    let holds = match (old.0, proof.is_empty()) {
        _ if proof.len() > MOST || new.0 > LONGEST => false,
        (0, empty) => empty,
        _ => tlog_tiles::check_tree(&proof.to_vec(), new.0, new.1, old.0, old.1).is_ok(),
    };
    if holds { Ok(()) } else { Err(ProofError::Wrong) }
}

/// A tlog-proof: one file that shows an entry's place to whoever knows the log's public key.
#[derive(Debug, Clone, PartialEq)]
pub struct InclusionProof {
    /// The leaf's bytes, here; not to be believed before it was hashed.
    pub extra: Vec<u8>,
    pub index: u64,
    pub hashes: Vec<Hash>,
    /// The checkpoint, as the log signed it.
    pub note: String,
}

impl InclusionProof {
    pub fn render(&self) -> String {
        let extra = if self.extra.is_empty() { String::new() } else { format!("extra {}\n", STANDARD.encode(&self.extra)) };
        format!("{HEADER}\n{extra}index {}\n{}\n{}", self.index, hash_lines(&self.hashes), self.note)
    }

    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::File("expected an empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ProofError::File("expected c2sp.org/tlog-proof@v1 on the first line"));
        }
        let mut extra = Vec::new();
        if let Some(encoded) = lines.next_if(|line| line.starts_with("extra ")).and_then(|line| line.strip_prefix("extra ")) {
            extra = STANDARD.decode(encoded).map_err(|_| ProofError::File("expected base64 behind `extra`"))?;
            // Nothing is said by leaving the line out: one spelling a proof.
            if extra.is_empty() {
                return Err(ProofError::File("expected something behind `extra`"));
            }
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(size_of);
        let index = index.ok_or(ProofError::File("expected `index NUMBER`"))?;
        let hashes = read_hash_lines(lines).ok_or(ProofError::File("expected at most 63 hashes in base64, one a line"))?;
        Ok(Self { extra, index, hashes, note: note.to_owned() })
    }
}

pub(super) fn hash_lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| format!("{hash}\n")).collect()
}

pub(super) fn read_hash_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Hash>> {
    let hashes: Vec<Hash> = lines.take(MOST + 1).map(|line| hash_of(&STANDARD.decode(line).ok()?)).collect::<Option<_>>()?;
    (hashes.len() <= MOST).then_some(hashes)
}

/// A number without leading zeros.
pub(super) fn size_of(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

// A hash's bytes are what a tile is cut into.
const _: () = assert!(HASH == tlog_tiles::HASH_SIZE);

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use tlog_tiles::record_hash;

    /// Roots of all sizes, leaves, and the tiles at the end.
    fn grown(size: u64) -> (Vec<Hash>, Vec<Hash>, TileBytes) {
        let (mut tree, mut tiles, mut roots) = (Tree::default(), HashMap::new(), vec![Tree::default().root()]);
        let leaves: Vec<Hash> = (0..size).map(|n| record_hash(&n.to_be_bytes())).collect();
        for leaf in &leaves {
            tree.push(*leaf, &mut |tile| drop(tiles.insert((tile.id.level, tile.id.index), tile.bytes)));
            roots.push(tree.root());
        }
        tiles.extend(tree.partial().into_iter().map(|tile| ((tile.id.level, tile.id.index), tile.bytes)));
        (roots, leaves, tiles)
    }

    fn ask(question: Question, tiles: &TileBytes) -> Vec<Hash> {
        for tile in question.tiles().unwrap() {
            assert!(tiles[&(tile.level, tile.index)].len() >= usize::from(tile.width) * HASH, "{tile}");
        }
        question.answer(tiles).unwrap()
    }

    #[test]
    fn every_entry_and_every_earlier_size_is_proved_and_nothing_false_is() {
        let (roots, leaves, tiles) = grown(600);
        for size in [1, 2, 3, 7, 8, 255, 256, 257, 513, 600_u64] {
            let root = roots[size as usize];
            for index in (0..size).step_by(7).chain([size - 1]) {
                let proof = ask(Question::Inclusion { index, size }, &tiles);
                check_inclusion(&proof, size, root, index, leaves[index as usize]).unwrap();
                assert!(check_inclusion(&proof, size, root, index, record_hash(b"false")).is_err());
                assert!(size == 1 || check_inclusion(&proof, size, root, (index + 1) % size, leaves[index as usize]).is_err());
            }
            for old in (0..=size).step_by(5).chain([size]) {
                let proof = ask(Question::Consistency { old, size }, &tiles);
                let before = (old, roots[old as usize]);
                check_consistency(&proof, before, (size, root)).unwrap();
                assert!(old == 0 || check_consistency(&proof, (old, record_hash(b"false")), (size, root)).is_err());
                assert!(old == 0 || check_consistency(&proof, before, (size, record_hash(b"false"))).is_err());
            }
        }
    }

    #[test]
    fn what_cannot_be_is_an_error_and_no_panic() {
        let (root, none) = (Hash([1; 32]), HashMap::new());
        for question in [
            Question::Inclusion { index: 5, size: 5 },
            Question::Inclusion { index: u64::MAX - 1, size: u64::MAX },
            Question::Consistency { old: 6, size: 5 },
            Question::Consistency { old: 1, size: u64::MAX },
        ] {
            assert!(question.tiles().is_err(), "{question:?}");
        }
        assert!(Question::Inclusion { index: 0, size: 2 }.answer(&none).is_err());
        let short = HashMap::from([((0, 0), vec![0; 31])]);
        assert!(Question::Inclusion { index: 0, size: 2 }.answer(&short).is_err());
        for size in [0, 1, u64::MAX] {
            assert!(check_inclusion(&[root; 70], size, root, 0, root).is_err());
            assert!(check_inclusion(&[root], size, root, u64::MAX, root).is_err());
            assert!(check_consistency(&[root; 70], (1, root), (size, root)).is_err());
            assert!(check_consistency(&[root], (0, root), (size, root)).is_err());
            assert!(check_consistency(&[root], (size, root), (size, root)).is_err());
        }
        assert!(check_consistency(&[], (6, root), (5, root)).is_err());
    }

    #[test]
    fn a_proof_file_reads_back_and_a_changed_one_is_refused() {
        let proof =
            InclusionProof { extra: b"leaf".to_vec(), index: 7, hashes: vec![Hash([3; 32]); 2], note: "a\n1\nb\n\n— a b\n".into() };
        let text = proof.render();
        assert_eq!(InclusionProof::parse(&text).unwrap(), proof);
        let bare = InclusionProof { extra: Vec::new(), hashes: Vec::new(), ..proof };
        assert_eq!(InclusionProof::parse(&bare.render()).unwrap(), bare);
        for wrong in [
            text.replace("@v1", "@v2"),
            text.replace("index 7", "index 07"),
            text.replace("index 7\n", ""),
            text.replace("extra ", "extra  "),
            text.replace("extra ", "extra extra "),
            bare.render().replace("index", "extra \nindex"),
            text.replacen("AwM", "AwM=", 1),
            text.replace("\n\n", "\n"),
            String::new(),
        ] {
            assert!(InclusionProof::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
