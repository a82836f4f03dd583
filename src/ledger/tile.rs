//! Tiles and entry bundles as C2SP's tlog-tiles lays them out: where they lie, and what bytes they are.

use std::fmt;

/// Hashes in a full tile, entries in a full bundle.
pub const FULL: u16 = 256;

/// A tile's place; also a bundle's, at level 0. `width` is less than 256 where the tile is not full yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    pub level: u8,
    pub index: u64,
    pub width: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a tile's path: expected tile/LEVEL/N or tile/entries/N, such as tile/0/x001/x234/067 or tile/0/000.p/7")]
pub struct PathError(String);

impl TileId {
    /// Entries below this tile, as far as it is filled: one a hash at level 0, 256 at level 1, and so on. None beyond 64 bits.
    pub fn end(&self) -> Option<u64> {
        let hashes = self.index.checked_mul(u64::from(FULL))?.checked_add(u64::from(self.width))?;
        hashes.checked_mul(1_u64.checked_shl(8 * u32::from(self.level))?)
    }

    pub fn entries_path(&self) -> String {
        format!("tile/entries/{}", self.tail())
    }

    /// What stands behind the level.
    fn tail(&self) -> String {
        let mut tail = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            tail = format!("x{:03}/{tail}", rest % 1000);
            rest /= 1000;
        }
        if self.width == FULL { tail } else { format!("{tail}.p/{}", self.width) }
    }

    /// The tile of a path below the log's prefix, and whether it is the bundle of entries that is meant. One spelling a tile.
    pub fn parse(path: &str) -> Result<(Self, bool), PathError> {
        let wrong = || PathError(path.chars().take(80).collect());
        let (level, tail) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let (entries, level) = if level == "entries" { (true, "0") } else { (false, level) };
        let (number, width) = match tail.split_once(".p/") {
            Some((number, width)) => (number, width.parse().map_err(|_| wrong())?),
            None => (tail, FULL),
        };
        let tile = Self { level: level.parse().map_err(|_| wrong())?, index: index(number).ok_or_else(wrong)?, width };
        let same = path == if entries { tile.entries_path() } else { tile.to_string() };
        let partial = width == FULL || (1..FULL).contains(&width) && tail.contains(".p/");
        if same && partial && tile.level < 64 { Ok((tile, entries)) } else { Err(wrong()) }
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, self.tail())
    }
}

fn index(path: &str) -> Option<u64> {
    path.split('/').try_fold(0_u64, |index, part| {
        let digits = part.strip_prefix('x').unwrap_or(part);
        let number: u64 = (digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())??;
        index.checked_mul(1000)?.checked_add(number)
    })
}

/// A bundle: each leaf's bytes behind their length. None if a leaf is longer than two bytes can say, which ours never are.
pub fn write_bundle<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bundle = Vec::new();
    for leaf in leaves {
        bundle.extend_from_slice(&u16::try_from(leaf.len()).ok()?.to_be_bytes());
        bundle.extend_from_slice(leaf);
    }
    Some(bundle)
}

/// The leaves of a bundle; none if it breaks off.
pub fn read_bundle(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut leaves = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (leaf, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        leaves.push(leaf);
        bundle = rest;
    }
    Some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_specifications_and_reads_back() {
        let tile = TileId { level: 4, index: 1_234_067, width: 8 };
        assert_eq!(tile.to_string(), "tile/4/x001/x234/067.p/8");
        assert_eq!(TileId::parse("tile/4/x001/x234/067.p/8"), Ok((tile, false)));
        assert_eq!(TileId { width: FULL, ..tile }.to_string(), "tile/4/x001/x234/067");
        let bundle = TileId { level: 0, index: 5, width: FULL };
        assert_eq!((bundle.entries_path().as_str(), TileId::parse("tile/entries/005")), ("tile/entries/005", Ok((bundle, true))));
        assert_eq!((bundle.end(), TileId { level: 1, index: 1, width: 17 }.end()), (Some(1536), Some(69_888)));
        assert_eq!(TileId { level: 63, index: 1, width: 1 }.end(), None);
    }

    #[test]
    fn anything_else_is_no_path_and_panics_nowhere() {
        for wrong in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/07",
            "tile/0/000.p/",
            "tile/00/000",
            "tile/64/000",
            "tile/300/000",
            "tile/-1/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/x002",
            "tile/0/+01",
            "tile/data/000",
            "tile/8/0/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/../000",
            "tile/entries/000.p/0",
        ] {
            assert!(TileId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bundle_reads_back_and_a_cut_one_does_not() {
        let leaves: [&[u8]; 3] = [b"one", b"", b"three"];
        let bundle = write_bundle(leaves).unwrap();
        assert_eq!(read_bundle(&bundle).unwrap(), leaves);
        assert_eq!(read_bundle(&bundle[..bundle.len() - 1]), None);
        assert_eq!(read_bundle(&[0]), None);
        assert_eq!(write_bundle([vec![0; 65_536].as_slice()]), None);
    }
}
