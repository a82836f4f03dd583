//! The tree that grows: what is needed to append the next leaf, to give the root, and to hand out each tile when it is full. Memory
//! is a tile a level, whatever the log's size.

use super::tile::{FULL, TileId};
use super::{HASH, Hash};
use tlog_tiles::{EMPTY_HASH, Tile, node_hash};

/// A tile that will never change again.
#[derive(Debug, Clone, PartialEq)]
pub struct FullTile {
    pub id: TileId,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// The tile that is being filled, a level: hashes one after the other, less than a full tile's.
    levels: Vec<Vec<u8>>,
}

impl Tree {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Every 256th completes a tile, and with it perhaps the one above.
    pub fn push(&mut self, leaf: Hash, full: &mut dyn FnMut(FullTile)) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(FULL as usize * HASH));
            }
            let tile = &mut self.levels[level];
            tile.extend_from_slice(&hash.0);
            if tile.len() < FULL as usize * HASH {
                break;
            }
            let bytes = std::mem::replace(tile, Vec::with_capacity(FULL as usize * HASH));
            hash = Tile::subtree_hash(&bytes);
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            full(FullTile { id: TileId { level, index: self.size >> (8 * (u32::from(level) + 1)), width: FULL }, bytes });
        }
        self.size += 1;
    }

    /// RFC 6962's tree hash of the leaves so far.
    pub fn root(&self) -> Hash {
        let mut root = None;
        // From the right: smaller subtrees first, as they stand lower.
        for tile in &self.levels {
            let mut end = tile.len() / HASH;
            while end > 0 {
                let width = 1_usize << end.trailing_zeros();
                let left = Tile::subtree_hash(&tile[(end - width) * HASH..end * HASH]);
                root = Some(root.map_or(left, |right| node_hash(left, right)));
                end -= width;
            }
        }
        root.unwrap_or(EMPTY_HASH)
    }

    /// The tiles that are not full yet, as they stand at this size.
    pub fn partial(&self) -> Vec<FullTile> {
        let tiles = (0_u8..).zip(&self.levels).filter(|(_, bytes)| !bytes.is_empty());
        tiles
            .map(|(level, bytes)| {
                let width = u16::try_from(bytes.len() / HASH).unwrap_or(FULL);
                let index = self.size >> (8 * (u32::from(level) + 1));
                FullTile { id: TileId { level, index, width }, bytes: bytes.clone() }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog_tiles::{record_hash, stored_hashes, tree_hash};

    struct Stored(Vec<Hash>);

    impl tlog_tiles::HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    #[test]
    fn the_root_is_rfc_6962s_at_every_size_and_tiles_come_when_they_are_full() {
        let (mut tree, mut stored, mut tiles) = (Tree::default(), Stored(Vec::new()), Vec::new());
        assert_eq!(tree.root(), EMPTY_HASH);
        for n in 0..1_100_u64 {
            let data = n.to_be_bytes();
            let hashes = stored_hashes(n, &data, &stored).unwrap();
            stored.0.extend(hashes);
            tree.push(record_hash(&data), &mut |tile| tiles.push(tile.id));
            assert_eq!(tree.root(), tree_hash(n + 1, &stored).unwrap(), "{n}");
        }
        let paths: Vec<String> = tiles.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003"]);
        let paths: Vec<String> = tree.partial().iter().map(|tile| tile.id.to_string()).collect();
        assert_eq!(paths, ["tile/0/004.p/76", "tile/1/000.p/4"]);
    }

    #[test]
    fn the_specifications_example_has_the_tiles_that_it_says() {
        let (mut tree, mut full) = (Tree::default(), 0);
        (0..70_000_u32).for_each(|n| tree.push(record_hash(&n.to_be_bytes()), &mut |_| full += 1));
        let paths: Vec<String> = tree.partial().iter().map(|tile| tile.id.to_string()).collect();
        assert_eq!((full, paths), (274, vec!["tile/0/273.p/112".into(), "tile/1/001.p/17".into(), "tile/2/000.p/1".into()]));
    }
}
