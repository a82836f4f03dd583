//! The integration tests, one binary: real parts, and loopback stand-ins that speak the real protocols.

mod planning;
