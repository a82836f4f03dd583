//! Rules, runbooks and the model, as they are shipped.

mod model;
mod shipped;
mod stage;
