//! Integration tests: one binary, a module a subject, real parts throughout.

mod reaching;
mod telling;
