//! Rules, runbooks and the model, as they are shipped.

mod shipped;
mod stage;
