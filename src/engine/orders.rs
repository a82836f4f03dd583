//! Orders of humans from both ends: the door that leaves one, and the facts and the step that follow from it. A halt is read from the
//! store and from the halt file at each judgement, so it holds for the very next action, whoever wrote it.

use super::error::EngineError;
use super::{Engine, facts};
use crate::domain::{Entry, InForce, Incident, Order, OrderKind, Principal, Reason, Time, Via};
use crate::safety::Approvers;
use crate::store::{Claim, Commit, OrderError, Store, StoreError, Wake};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// More of a halt file is not read: its reason is a line.
const MOST: u64 = 500;

/// A human's order as it came through a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub kind: OrderKind,
    /// As the door knows them: a Slack user id, a login.
    pub who: String,
    pub via: Via,
    pub reason: Reason,
}

/// The door's half of an order, the same for Slack and the command line: may they, store it. Whoever may open the store may stop
/// something; giving something back is the approvers'. Durable when this returns, and in force.
pub async fn order(store: &Store, approvers: &Approvers, wish: Wish, now: Time) -> Result<Order, OrderError> {
    let by = match approvers.person(&wish.who, wish.via, 1) {
        Ok(by) => by,
        Err(_) if wish.via == Via::Cli && !wish.kind.gives_back() => Principal { name: wish.who, via: wish.via },
        Err(e) => return Err(e.into()),
    };
    store.order(wish.kind, by, wish.reason, now).await
}

impl Engine {
    pub async fn order(&self, wish: Wish) -> Result<Order, OrderError> {
        let order = order(&self.parts.store, &self.parts.approvers, wish, self.now()).await?;
        tracing::warn!("{order}");
        self.ring();
        Ok(order)
    }

    /// What is in force now: orders, and the halt file.
    pub async fn in_force(&self) -> Result<InForce, StoreError> {
        facts::in_force(&self.parts.store, &self.parts.halt_file, self.now()).await
    }

    /// The freeze windows that hold now.
    pub fn freezes(&self) -> Vec<String> {
        self.parts.checker.freezes(self.now())
    }

    /// A human's order to close this incident, once nothing is under way.
    pub(super) async fn closing_order(&self, incident: &Incident) -> Result<Option<Order>, StoreError> {
        if incident.in_flight.is_some() || incident.state.is_final() {
            return Ok(None);
        }
        self.parts.store.closing_order(incident.id).await
    }

    /// What a human was asked in it is void with it.
    pub(super) async fn close_by_order(&self, claim: &Claim, incident: &mut Incident, order: Order) -> Result<Wake, EngineError> {
        let mut step = Commit::default();
        if let Some(pending) = &incident.pending
            && let Some(approval) = self.parts.store.approval(pending.approval).await?
            && approval.state.is_open()
        {
            let (id, from, why) = (approval.id(), approval.state.word(), "the incident was closed");
            let voided = approval.void(why, self.now()).map_err(|_| StoreError::Fenced(incident.id))?;
            step.entries.push(Entry::Void { approval: id, why: why.into() });
            step.moved = Some((voided, from));
        }
        step.entries.push(Entry::ClosedBy { order: order.id, by: order.by, reason: order.reason });
        self.commit(claim, incident, step).await?;
        Ok(Wake::Now)
    }
}

/// Why everything is halted by the file, if it is. One that cannot be looked at halts: doubt denies.
pub fn halt_file(path: &Path) -> Option<String> {
    let named = |why: String| Some(format!("by the file {}{why}", path.display()));
    match path.symlink_metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => return None,
        Err(e) => return named(format!(", which cannot be looked at: {e}")),
        Ok(found) if !found.is_file() => return named(", which is no plain file".into()),
        Ok(_) => {}
    }
    let mut text = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut text)) {
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => named(format!(", which cannot be read: {e}")),
        Ok(_) => match Reason::parse(&String::from_utf8_lossy(&text)) {
            Ok(reason) => named(format!(": {reason}")),
            Err(_) => named(", which gives no reason".into()),
        },
    }
}
