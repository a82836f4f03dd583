//! Floor 0: the nouns of an incident, their state machines, and the clock. Knows no async, no IO and no other floor.

mod action;
mod alert;
mod approval;
mod cost;
mod crowd;
mod danger;
mod entry;
mod facts;
mod ids;
mod incident;
mod inventory;
mod level;
mod notice;
mod order;
mod problem;
mod request;
mod seen;
mod ssh_ca;
mod time;
mod trust;
mod verdict;

pub use action::{Action, Digest, Effect, Outcome, Proposal, Target, Tier};
pub use alert::{Alert, AlertStatus, Fingerprint, Origin, Severity};
pub use approval::{Approval, ApprovalState, Decision, IllegalTransition, Principal, Via, Vote};
pub use cost::{CostLimits, LimitSpent, Price, Scope, Spend, day_of};
pub use crowd::{Crowd, Joined};
pub use danger::DangerLevel;
pub use entry::{Entry, PlannerKind, Recorded, Signal};
pub use facts::{Agent, Facts, Grounds, Impact, Moment, Place, Resource, Risk, Score};
pub use ids::{ApprovalId, IncidentId, OrderId, Seq};
pub use incident::{
    Brief, Flapping, FoldError, Handover, Held, InFlight, Incident, Pending, Run, State, Step, StepEnd, Thought, Verifying,
};
pub use inventory::{
    Host, HostName, HostReach, Inventory, InventoryFile, NameError, Reach, Scale, Service, ServiceName, protected_path, system_path,
};
pub use level::{Level, Mode};
pub use notice::{Channel, Notice};
pub use order::{InForce, NoReason, ORDERS, Order, OrderKind, Reason};
pub use problem::Problem;
pub use request::{Request, SealError, Sealed};
pub use seen::{Seen, SeenDisk, SeenService};
pub use ssh_ca::SshCa;
pub use time::{Clock, ManualClock, SystemClock, Time};
pub use trust::{Breaker, Mark, MarkKind, Proposer, Trust};
pub use verdict::{Layer, Opinion, Verdict};

/// An incident's entries, for the tests of the floors above.
#[cfg(test)]
pub(crate) use incident::tests as stage;
