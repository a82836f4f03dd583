//! Floor 2: the only code that talks to other systems. Wire types stop here; nothing above names a client library.

pub mod fleet;
