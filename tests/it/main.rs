//! Integration tests: one binary, a module a subject, real parts throughout.

#[cfg(feature = "failpoints")]
mod adversary;
mod architecture;
mod cli;
#[cfg(feature = "failpoints")]
mod crash;
mod fuzz;
mod ledger;
mod planning;
mod policies;
mod postgres;
mod prometheus;
mod reaching;
mod rules;
mod server;
mod store;
#[cfg(feature = "failpoints")]
mod stories;
mod telling;
mod webhook;
