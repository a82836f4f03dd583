//! Floor 6, a door: HTTP. Parses, calls the engine, renders; never acts.

pub mod slack;
