//! Stories: a whole server from the webhook to the page, with the transcript as the main witness.

mod app;
mod hook;
mod place;

mod level_one;

pub use app::{ANA, Setup, TestApp};
pub use hook::{Hook, firing};
