//! The ledger as a transparency log: nothing false is accepted, by this implementation or by another one in another language; and
//! what others may rely on when machines fail. What the commands say of it: cli/ledger.rs; what it means for effects:
//! stories/ledger.rs.

mod growing;
mod mutations;
pub mod python;
mod witness;
