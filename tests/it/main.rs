//! Integration tests: one binary, a module a subject, real parts throughout.

mod planning;
mod reaching;
#[cfg(feature = "failpoints")]
mod stories;
mod telling;
