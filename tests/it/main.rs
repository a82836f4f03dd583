//! Integration tests: one binary, a module a subject, real parts throughout.

mod architecture;
mod planning;
mod prometheus;
mod reaching;
mod server;
mod store;
mod telling;
mod webhook;
