//! Paramedic, the first responder of an on-call rotation. Floors, imports go down only (docs/architecture.md):
//! 7 wiring, 6 doors, 5 engine, 4 tools, 3 store and planner and notify, 2 clients, 1 judgement, 0 nouns.

pub mod app;
pub mod classifier;
pub mod cli;
pub mod clients;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod ledger;
pub mod notify;
pub mod planner;
pub mod publish;
pub mod redaction;
pub mod safety;
pub mod standins;
pub mod store;
pub mod tools;
mod view;
pub mod witness;
