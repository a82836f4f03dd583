//! Loopback peers that speak the real protocols, for tests, the demo and the chaos run: as strict as the real ones, so that what they
//! take the real ones would take too. Never part of a running server's way.

mod alertmanager;
mod alertmanager_api;
mod fault;
pub mod model;
mod pagerduty;
mod serve;
mod slack;
mod smtp;

pub use alertmanager::{AlertmanagerStandin, PostError, Sample};
pub use alertmanager_api::AlertmanagerApiStandin;
pub use fault::{Fault, Faults};
pub use pagerduty::{PagerDutyEvent, PagerDutyIncident, PagerDutyStandin};
pub use slack::{ClickError, Forgery, SignedClick, SlackMessage, SlackStandin};
pub use smtp::{Mail, SmtpStandin};
