//! Integration tests: one binary, a module a subject, real parts throughout.

mod planning;
mod reaching;
mod telling;
