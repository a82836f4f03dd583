//! Floor 1: the ledger as a transparency log, after C2SP (tlog-tiles, signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof,
//! tlog-witness) and RFC 6962. Pure: bytes in, bytes or a verdict out. Hashing is tlog_tiles', signatures are ed25519-dalek's; what is
//! written here is what an entry's leaf is, how files and requests look, and what makes them wrong.

mod audit;
mod checkpoint;
mod key;
mod leaf;
mod proof;
mod published;
mod tile;
mod tree;
mod witness;

pub use audit::{Audit, Fault, Name, Row};
pub use checkpoint::{Checkpoint, NoteError, Signed, add_cosignatures, find, one_line};
pub use key::{CosignerKey, KeyError, LogKey, PublicLogKey, PublicWitnessKey, is_origin, new_private_key};
pub use leaf::{Leaf, export_line, read_export_line};
pub use proof::{InclusionProof, ProofError, Question, TileBytes, check_consistency, check_inclusion};
pub use published::{Published, PublishedError};
pub use tile::{FULL, PathError, TileId, read_bundle, write_bundle};
pub use tlog_tiles::{Hash, record_hash as leaf_hash};
pub use tree::{FullTile, Tree};
pub use witness::{AddCheckpoint, Refusal, judge};

/// Bytes of a hash.
pub const HASH: usize = 32;

/// From a row, a file, the network.
pub fn hash_of(bytes: &[u8]) -> Option<Hash> {
    Some(Hash(bytes.try_into().ok()?))
}
