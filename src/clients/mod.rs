//! Floor 2: the only code that talks to other systems. Wire types stop here; every call has a timeout and a size it may not exceed.

pub mod http;
pub mod llm;
