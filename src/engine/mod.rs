//! Floor 5: the engine. Doors call `accept` and `decide`; everything else happens in its own loops: raise, work, tell.
//! Each step claims an incident by a lease, folds its entries, does one thing, appends, and releases; starting after a
//! crash is the same path.

mod ask;
mod costs;
mod decide;
mod error;
pub mod facts;
mod flapping;
mod gate;
mod hold;
mod moves;
mod orders;
mod overtaken;
mod own;
mod pulse;
mod raise;
mod reconcile;
mod recover;
mod refused;
mod sound;
mod step;
mod tell;
mod trouble;
mod verify;
mod vote;
mod watchdog;
mod work;

pub use ask::AGENT;
pub use orders::{Wish, halt_file, order};
pub use pulse::begin_to_listen;
pub use reconcile::Cut;
pub use tell::notices_for;
pub use vote::{Ballot, Electorate, vote};
pub use watchdog::{Watchdog, WatchdogKeys};

use crate::classifier::{CauseBounds, Dependencies, FlapBounds, Rules, Targets};
use crate::domain::{Alert, Channel, Clock, IncidentId, Inventory, Mode, PlannerKind, Time};
use crate::notify::Notifier;
use crate::planner::{ModelPlanner, Runbook};
use crate::redaction::Redactor;
use crate::safety::{Approvers, ConsentRules, OwnGround, SafetyChecker};
use crate::store::{Inbox, InboxError, Store};
use crate::tools::Bench;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Bounds of time and number; all have defaults that fit production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Incidents worked on at once, besides one worker kept for level 3.
    pub workers: usize,
    /// An approval nobody decides in this time escalates.
    pub approval_expires: chrono::Duration,
    /// A granted one that has not begun this long after that is over.
    pub execute_within: chrono::Duration,
    /// How long after a fix both signals may take, unless the runbook says otherwise.
    pub verify_within: chrono::Duration,
    /// An incident still being diagnosed after this long goes to a human.
    pub run_within: chrono::Duration,
    /// Proposals and model answers an incident may use up.
    pub steps: usize,
    /// Which planner goes first.
    pub first: PlannerKind,
    pub mode: Mode,
    /// Services with fresh incidents at once from which on it is large-scale degradation.
    pub storm_services: u32,
    /// What waits for what, and how long.
    pub cause: CauseBounds,
    /// What flaps.
    pub flapping: FlapBounds,
    /// How often Alertmanager is asked what it holds.
    pub reconcile_every: chrono::Duration,
    /// Whose alerts are Paramedic's; without it those of receivers that deliveries came by, and of `paramedic`.
    pub receiver: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 4,
            approval_expires: chrono::Duration::seconds(300),
            execute_within: chrono::Duration::seconds(600),
            verify_within: chrono::Duration::minutes(10),
            run_within: chrono::Duration::minutes(30),
            steps: 25,
            first: PlannerKind::Runbook,
            mode: Mode::Auto,
            storm_services: 5,
            cause: CauseBounds::default(),
            flapping: FlapBounds::default(),
            reconcile_every: chrono::Duration::minutes(5),
            receiver: None,
        }
    }
}

/// What an engine is made of.
pub struct Parts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub inventory: Arc<Inventory>,
    /// Which of its services needs which.
    pub needs: Dependencies,
    pub rules: Rules,
    pub targets: Targets,
    pub runbooks: BTreeMap<String, Runbook>,
    pub model: Option<ModelPlanner>,
    pub checker: SafetyChecker,
    /// Names the policy that the checker judges by; an approval counts under the one it was asked under.
    pub policy_version: String,
    pub approvers: Approvers,
    /// How many must agree to what, and how.
    pub consent: ConsentRules,
    pub own: OwnGround,
    pub bench: Bench,
    pub notifier: Arc<Notifier>,
    pub settings: Settings,
    pub watchdog: Watchdog,
    /// While there is a file of this name, everything is halted.
    pub halt_file: PathBuf,
}

pub struct Engine {
    parts: Parts,
    inbox: Inbox,
    /// Something was accepted and should be raised.
    accepted: Arc<Notify>,
    /// An incident is due: for the workers of any level, and for the one that only takes level 3.
    due: Notify,
    urgent: Notify,
    /// A notice is in the outbox.
    mail: Notify,
    /// Failures in a row of an incident's steps.
    troubles: Mutex<HashMap<IncidentId, u32>>,
    asking: reconcile::Asking,
    pulse: pulse::Pulse,
}

impl Engine {
    /// Builds it and starts its loops in `tasks`; they end after `stop`, each with what it is doing finished.
    pub fn start(parts: Parts, tasks: &mut JoinSet<()>, stop: &CancellationToken) -> Arc<Self> {
        let accepted = Arc::new(Notify::new());
        let bell = accepted.clone();
        let (inbox, storing) = Inbox::open(parts.store.clone(), move || bell.notify_one());
        let pulse = pulse::Pulse::at(parts.clock.pulse());
        let engine = Arc::new(Self {
            parts,
            inbox,
            accepted,
            due: Notify::new(),
            urgent: Notify::new(),
            mail: Notify::new(),
            troubles: Mutex::default(),
            asking: reconcile::Asking::default(),
            pulse,
        });
        tasks.spawn(until(storing, stop.clone()));
        tasks.spawn(engine.clone().raise_loop(stop.clone()));
        tasks.spawn(engine.clone().reconcile_loop(stop.clone()));
        tasks.spawn(engine.clone().pulse_loop(stop.clone()));
        tasks.spawn(engine.clone().watchdog_loop(stop.clone()));
        tasks.spawn(engine.clone().sound_loop(stop.clone()));
        engine.clone().start_workers(tasks, stop);
        for channel in engine.channels() {
            tasks.spawn(engine.clone().tell_loop(channel, stop.clone()));
        }
        engine
    }

    /// Makes alerts durable. Once this is `Ok`, they are never lost; they are raised a moment later.
    pub async fn accept(&self, alerts: Vec<Alert>) -> Result<(), InboxError> {
        let count = alerts.len() as u64;
        let alerts: Vec<Alert> = alerts.into_iter().map(|alert| self.redactor().alert(alert)).collect();
        let beats = self.heartbeats_in(&alerts);
        let origin = alerts.first().map(|alert| alert.origin.clone());
        self.take(alerts).await?;
        metrics::counter!("paramedic_alerts_received_total").increment(count);
        for source in &beats {
            self.hear(source).await?;
        }
        if let Some(origin) = origin {
            self.learn_sender(&origin).await;
        }
        Ok(())
    }

    /// The one way in, for what is sent and for what was asked for; without secrets already.
    async fn take(&self, alerts: Vec<Alert>) -> Result<(), InboxError> {
        self.inbox.accept(alerts, self.now()).await
    }

    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// What keeps secrets out of whatever is stored, said or asked.
    pub fn redactor(&self) -> &Redactor {
        self.parts.store.redactor()
    }

    pub fn inventory(&self) -> &Inventory {
        &self.parts.inventory
    }

    pub fn channels(&self) -> Vec<Channel> {
        self.parts.notifier.channels()
    }

    /// An incident may be due: a worker of each kind looks.
    fn ring(&self) {
        self.due.notify_one();
        self.urgent.notify_one();
    }

    pub fn now(&self) -> Time {
        self.parts.clock.now()
    }
}

/// The inbox's loop ends when every inbox is gone; at a stop it gets a moment to answer those who wait.
async fn until(storing: impl Future<Output = ()>, stop: CancellationToken) {
    let grace = async {
        stop.cancelled().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    };
    tokio::select! {
        () = storing => {}
        () = grace => {}
    }
}
