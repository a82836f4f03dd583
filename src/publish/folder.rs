//! The log as files: tiles, bundles of leaves, and the checkpoint last. A file appears whole or not at all, and what it needs is on
//! the disk before it: whoever copies the folder at any moment has a log that verifies.

use crate::ledger::{FULL, TileId};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[error("write {path}: {source}")]
pub struct FolderError {
    path: PathBuf,
    source: std::io::Error,
}

/// A file of the log: its path below the folder, and its bytes.
pub type Piece = (String, Vec<u8>);

/// The checkpoint that lies there, if there is one.
pub fn checkpoint(folder: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    let path = folder.join("checkpoint");
    match std::fs::read(&path) {
        Ok(note) => Ok(Some(note)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FolderError { path, source }),
    }
}

/// Tiles that a log of this size needs and one of the size before did not have, smallest level first.
pub fn tiles_between(before: u64, size: u64) -> Vec<TileId> {
    let mut tiles = Vec::new();
    for level in 0..8_u8 {
        let (from, to) = (before >> (8 * u32::from(level)), size >> (8 * u32::from(level)));
        if from == to {
            break;
        }
        let full = u64::from(FULL);
        tiles.extend((from / full..to / full).map(|index| TileId { level, index, width: FULL }));
        if let Ok(width @ 1..) = u16::try_from(to % full) {
            tiles.push(TileId { level, index: to / full, width });
        }
    }
    tiles
}

/// Writes pieces of the log. Partial tiles go when the full one is there.
pub fn write(folder: &Path, pieces: &[Piece]) -> Result<(), FolderError> {
    for (path, bytes) in pieces {
        let path = folder.join(path);
        put(&path, bytes)?;
        let partial = path.with_extension("p");
        if path.parent() != Some(&partial) && partial.is_dir() {
            std::fs::remove_dir_all(&partial).map_err(|source| FolderError { path: partial, source })?;
        }
    }
    Ok(())
}

/// Writes the checkpoint, when everything that it speaks of lies there.
pub fn publish(folder: &Path, note: &str) -> Result<(), FolderError> {
    put(&folder.join("checkpoint"), note.as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let failed = |source| FolderError { path: path.to_owned(), source };
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed)?;
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)?;
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn growing_step_by_step_writes_every_tile_that_growing_at_once_does() {
        let full = |tiles: Vec<TileId>| tiles.into_iter().filter(|tile| tile.width == FULL).collect::<BTreeSet<_>>();
        let mut stepwise = BTreeSet::new();
        let sizes = [0, 1, 255, 256, 257, 700, 65_535, 65_536, 65_537, 140_000];
        for pair in sizes.windows(2) {
            let tiles = tiles_between(pair[0], pair[1]);
            assert!(tiles.iter().all(|tile| tile.end().unwrap() <= pair[1]), "{pair:?}: {tiles:?}");
            stepwise.extend(full(tiles));
        }
        assert_eq!(stepwise, full(tiles_between(0, 140_000)));
        let paths: Vec<String> = tiles_between(255, 257).iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
        assert!(tiles_between(300, 300).is_empty());
    }

    #[test]
    fn a_full_tile_takes_the_place_of_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let partial = TileId { level: 0, index: 0, width: 7 };
        write(folder.path(), &[(partial.to_string(), vec![1; 7])]).unwrap();
        assert_eq!(std::fs::read(folder.path().join("tile/0/000.p/7")).unwrap(), [1; 7]);
        let full = TileId { width: FULL, ..partial };
        write(folder.path(), &[(full.to_string(), vec![2; 256])]).unwrap();
        publish(folder.path(), "all").unwrap();
        assert_eq!(std::fs::read(folder.path().join("tile/0/000")).unwrap().len(), 256);
        assert!(!folder.path().join("tile/0/000.p").exists());
        assert_eq!(checkpoint(folder.path()).unwrap().unwrap(), b"all");
    }
}
