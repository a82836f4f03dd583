//! Paramedic, the first responder of an on-call rotation. Floors, imports go down only (docs/architecture.md):
//! 7 wiring, 6 doors, 5 engine, 4 tools, 3 store and planner and notify, 2 clients, 1 judgement, 0 nouns.

pub mod classifier;
pub mod clients;
pub mod domain;
pub mod planner;
pub mod standins;
