//! Who may do what now, as it is shown: orders in force, freezes, and the trust in each agent. The same to the API and to the command line.

use crate::domain::{InForce, MarkKind, Proposer, Time, Trust};
use crate::store::Marked;
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct OrdersView {
    pub halted: bool,
    /// Who halted, when and why.
    pub halts: Vec<String>,
    pub hands_off: Vec<HandsOffView>,
    pub freezes: Vec<String>,
    pub breakers: Vec<BreakerView>,
}

#[derive(Debug, Clone, Serialize)]
pub struct HandsOffView {
    pub service: String,
    pub order: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct BreakerView {
    pub agent: Proposer,
    pub since: Time,
    pub why: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct TrustView {
    pub agents: Vec<AgentView>,
    /// The newest first.
    pub marks: Vec<Marked>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AgentView {
    pub agent: Proposer,
    pub score: i32,
    pub wrong_in_a_row: u32,
    pub breaker: Option<BreakerView>,
}

pub fn orders(in_force: InForce, freezes: Vec<String>, trusted: &[(Proposer, Trust)]) -> OrdersView {
    let in_hand = in_force.hands_off.into_iter().map(|(service, order)| HandsOffView { service: service.to_string(), order });
    OrdersView {
        halted: !in_force.halts.is_empty(),
        halts: in_force.halts,
        hands_off: in_hand.collect(),
        freezes,
        breakers: trusted.iter().filter_map(|(agent, trust)| breaker(agent, trust)).collect(),
    }
}

pub fn trust(trusted: &[(Proposer, Trust)], marks: Vec<Marked>) -> TrustView {
    let agent = |(agent, trust): &(Proposer, Trust)| AgentView {
        agent: agent.clone(),
        score: trust.score(),
        wrong_in_a_row: trust.wrong_in_a_row(),
        breaker: breaker(agent, trust),
    };
    TrustView { agents: trusted.iter().map(agent).collect(), marks }
}

fn breaker(agent: &Proposer, trust: &Trust) -> Option<BreakerView> {
    let breaker = trust.breaker()?;
    let last: MarkKind = breaker.mark;
    let why = format!("{} wrong in a row, the last {} in {}", Trust::WRONG_OPENS, last.words(), breaker.incident);
    Some(BreakerView { agent: agent.clone(), since: breaker.since, why })
}
