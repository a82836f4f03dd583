//! Layer 9, a human's orders: while everything is halted nothing that changes anything starts, and a service in a human's hands is not
//! touched, not through its pool or its consumers either. Looking and telling go on.

use super::Situation;
use crate::domain::{Action, Layer, Opinion, ServiceName, Verdict};
use std::collections::BTreeSet;

pub fn judge(action: &Action, situation: &Situation<'_>) -> Vec<Opinion> {
    if !action.effect.changes_something() {
        return Vec::new();
    }
    let Some(in_force) = situation.in_force else {
        return vec![deny("the orders in force could not be read: counted as a halt".into())];
    };
    let halted = in_force.halts.iter().map(|halt| deny(format!("halted: {halt}")));
    let touched = touched(action, situation);
    let in_hands = in_force.hands_off.iter().filter(|(service, _)| parts(service, situation).iter().any(|part| touched.contains(part)));
    halted.chain(in_hands.map(|(_, order)| deny(order.clone()))).collect()
}

fn deny(reason: String) -> Opinion {
    Opinion::new(Layer::Orders, Verdict::Deny, reason)
}

/// What the action changes, and the service it is done for.
fn touched<'a>(action: &'a Action, situation: &'a Situation<'_>) -> BTreeSet<&'a ServiceName> {
    situation.inventory.touched(action).into_iter().chain(&situation.target.service).collect()
}

/// The service, and what it is served through.
fn parts<'a>(service: &'a ServiceName, situation: &'a Situation<'_>) -> Vec<&'a ServiceName> {
    let known = situation.inventory.service(service);
    let more = known.into_iter().flat_map(|known| known.pool.iter().chain(&known.consumers));
    std::iter::once(service).chain(more).collect()
}
