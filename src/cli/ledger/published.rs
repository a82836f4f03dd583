//! A published log, from a folder or over HTTP, gone through from its first tile: every leaf, every tile, the root, the signature.

use crate::clients::tiles::Tiles;
use crate::ledger::{FULL, FullTile, HASH, Hash, PublicLogKey, Signed, TileId, Tree, hash_of, leaf_hash, read_bundle};
use anyhow::{anyhow, bail};

/// What was published, verified.
pub struct Published {
    pub signed: Signed,
    /// Every leaf's hash, in order.
    pub leaves: Vec<Hash>,
}

/// Reads and verifies all of it.
pub async fn read(tiles: &Tiles, key: &PublicLogKey) -> anyhow::Result<Published> {
    let signed = Signed::open(&tiles.read("checkpoint").await?, key, &[])?;
    let size = signed.checkpoint.size;
    let (mut tree, mut leaves) = (Tree::default(), Vec::new());
    for index in 0..size.div_ceil(u64::from(FULL)) {
        let width = u16::try_from((size - index * u64::from(FULL)).min(u64::from(FULL))).unwrap_or(FULL);
        let tile = TileId { level: 0, index, width };
        let mut full = Vec::new();
        for hash in leaves_of(tiles, tile).await? {
            leaves.push(hash);
            tree.push(hash, &mut |tile| full.push(tile));
        }
        compare(tiles, full).await?;
    }
    compare(tiles, tree.partial()).await?;
    if tree.root() != signed.checkpoint.root {
        bail!("the tiles are not those of the checkpoint of {size}: its root is {}, theirs {}", signed.checkpoint.root, tree.root());
    }
    Ok(Published { signed, leaves })
}

/// The hashes of a tile of level 0, each that of the leaf in the bundle beside it.
async fn leaves_of(tiles: &Tiles, tile: TileId) -> anyhow::Result<Vec<Hash>> {
    let hashes = tiles.read(&tile.to_string()).await?;
    let bundle = tiles.read(&tile.entries_path()).await?;
    let leaves = read_bundle(&bundle).ok_or_else(|| anyhow!("{} breaks off", tile.entries_path()))?;
    if hashes.len() != usize::from(tile.width) * HASH || leaves.len() != usize::from(tile.width) {
        bail!("{tile} has {} bytes and {} leaves: expected {} of them", hashes.len(), leaves.len(), tile.width);
    }
    let mut read = Vec::with_capacity(leaves.len());
    for (index, (leaf, hash)) in (tile.index * u64::from(FULL)..).zip(leaves.iter().zip(hashes.chunks(HASH))) {
        let found = leaf_hash(leaf);
        if hash_of(hash) != Some(found) {
            bail!("entry {index} of the published log was changed: {} does not hash to what {tile} says", String::from_utf8_lossy(leaf));
        }
        read.push(found);
    }
    Ok(read)
}

async fn compare(tiles: &Tiles, computed: Vec<FullTile>) -> anyhow::Result<()> {
    for tile in computed.iter().filter(|tile| tile.id.level > 0) {
        if tiles.read(&tile.id.to_string()).await? != tile.bytes {
            bail!("{} of the published log was changed: its hashes are not those of the tiles below", tile.id);
        }
    }
    Ok(())
}
