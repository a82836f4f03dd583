//! Floor 2: the only code that talks to other systems. Wire types stop here; nothing here decides anything.

pub mod alertmanager;
pub mod answer;
pub mod email;
pub mod fleet;
pub mod http;
pub mod llm;
pub mod pagerduty;
pub mod prometheus;
pub mod sandbox;
pub mod slack;
pub mod syslog;
pub mod tiles;
pub mod witness;
