//! The stories, in one binary.

mod telling;
