//! Going through a published log from its first tile: every leaf, every tile, the root. Says which files it wants next and is given
//! their bytes, so that it does not matter where they come from.

use super::tile::{FULL, TileId, read_bundle};
use super::tree::{FullTile, Tree};
use super::{Checkpoint, HASH, Hash, hash_of, leaf_hash};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    #[error("{path} is not whole: expected {expected} of {what}, found {found}")]
    Cut { path: String, what: &'static str, expected: u16, found: usize },
    #[error("entry {index} of the published log was changed: {leaf} does not hash to what its tile says")]
    Leaf { index: u64, leaf: String },
    #[error("{0} of the published log was changed: its hashes are not those of the tiles below")]
    Tile(String),
    #[error("the tiles are not those of the checkpoint of {size}: its root is {expected}, theirs {found}")]
    Root { size: u64, expected: String, found: String },
    #[error("expected {0} files")]
    Asked(usize),
}

#[derive(Debug)]
enum Step {
    /// The tile of leaves and its bundle.
    Leaves(TileId),
    /// Tiles above that were completed, as they must be.
    Above(Vec<FullTile>),
    Done,
}

/// A published log being read.
#[derive(Debug)]
pub struct Published {
    checkpoint: Checkpoint,
    tree: Tree,
    leaves: Vec<Hash>,
    step: Step,
}

impl Published {
    /// Against a checkpoint that was verified.
    pub fn new(checkpoint: Checkpoint) -> Self {
        let step = leaves_at(0, checkpoint.size).unwrap_or(Step::Done);
        Self { checkpoint, tree: Tree::default(), leaves: Vec::new(), step }
    }

    /// Paths of the files to give next, in this order; none when all is read.
    pub fn wants(&self) -> Vec<String> {
        match &self.step {
            Step::Leaves(tile) => vec![tile.to_string(), tile.entries_path()],
            Step::Above(tiles) => tiles.iter().map(|tile| tile.id.to_string()).collect(),
            Step::Done => Vec::new(),
        }
    }

    /// The bytes of the files that `wants` named.
    pub fn give(&mut self, files: &[Vec<u8>]) -> Result<(), PublishedError> {
        let wanted = self.wants().len();
        if files.len() != wanted {
            return Err(PublishedError::Asked(wanted));
        }
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::Leaves(tile) => self.take_leaves(tile, &files[0], &files[1])?,
            Step::Above(tiles) => {
                if let Some((tile, _)) = tiles.iter().zip(files).find(|(tile, bytes)| tile.bytes != **bytes) {
                    return Err(PublishedError::Tile(tile.id.to_string()));
                }
                self.step = leaves_at(self.tree.size(), self.checkpoint.size).unwrap_or(Step::Done);
            }
            Step::Done => {}
        }
        Ok(())
    }

    fn take_leaves(&mut self, tile: TileId, hashes: &[u8], bundle: &[u8]) -> Result<(), PublishedError> {
        let cut = |path: String, what, found| Err(PublishedError::Cut { path, what, expected: tile.width, found });
        if hashes.len() != usize::from(tile.width) * HASH {
            return cut(tile.to_string(), "hashes", hashes.len() / HASH);
        }
        let Some(leaves) = read_bundle(bundle) else { return cut(tile.entries_path(), "leaves", 0) };
        if leaves.len() != usize::from(tile.width) {
            return cut(tile.entries_path(), "leaves", leaves.len());
        }
        let mut above = Vec::new();
        for (leaf, hash) in leaves.iter().zip(hashes.chunks(HASH)) {
            let (found, index) = (leaf_hash(leaf), self.tree.size());
            if hash_of(hash) != Some(found) {
                return Err(PublishedError::Leaf { index, leaf: String::from_utf8_lossy(leaf).chars().take(300).collect() });
            }
            self.leaves.push(found);
            self.tree.push(found, &mut |tile| above.push(tile));
        }
        if self.tree.size() == self.checkpoint.size {
            above.extend(self.tree.partial());
        }
        above.retain(|tile| tile.id.level > 0);
        self.step =
            if above.is_empty() { leaves_at(self.tree.size(), self.checkpoint.size).unwrap_or(Step::Done) } else { Step::Above(above) };
        Ok(())
    }

    /// Every leaf's hash, in order, when everything was read and the root is the signed one.
    pub fn finish(self) -> Result<Vec<Hash>, PublishedError> {
        let (size, expected) = (self.checkpoint.size, self.checkpoint.root);
        let found = self.tree.root();
        if self.tree.size() != size || !matches!(self.step, Step::Done) || found != expected {
            return Err(PublishedError::Root { size, expected: expected.to_string(), found: found.to_string() });
        }
        Ok(self.leaves)
    }
}

/// The tile of leaves that begins at this entry; none at the log's end.
fn leaves_at(from: u64, size: u64) -> Option<Step> {
    let left = size.checked_sub(from).filter(|left| *left > 0)?;
    let width = u16::try_from(left.min(u64::from(FULL))).unwrap_or(FULL);
    Some(Step::Leaves(TileId { level: 0, index: from / u64::from(FULL), width }))
}
