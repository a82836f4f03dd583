//! Stories: a whole server from the webhook to the page, with the transcript as the main witness.

mod app;
mod hook;
mod place;
mod tales;

mod alerts;
mod approvals;
mod bounds;
mod commands;
mod correlating;
mod costs;
mod flapping;
mod killed;
mod ledger;
mod level_one;
mod level_three;
mod level_two;
mod moving;
mod orders;
mod outages;
mod planners;
mod policies;
mod reconciling;
mod refused;
mod replicas;
mod rolling;
mod signals;
mod storms;
mod ten_failures;
mod trust;
mod watchdog;

pub use app::{ANA, Setup, TestApp};
pub use hook::{Hook, firing};
pub use place::Place;
