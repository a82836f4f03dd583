//! Loopback peers that speak the real protocols, for tests, the demo and chaos runs: they check what they get as strictly as the
//! real ones. Never reachable from outside, and never part of a real deployment.

pub mod model;
