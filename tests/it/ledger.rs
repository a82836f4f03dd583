//! The ledger as a transparency log: what is written can be shown, what was changed is found and named, by this implementation and by
//! another one in another language.

mod mutations;
mod python;
mod tampering;
mod witness;
