//! What the SafetyChecker says: allow < confirm < deny, with the reason and the layer that gave it.

use super::facts::Grounds;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Allow,
    Confirm,
    Deny,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "floor",
            Self::Boundary => "boundary",
            Self::Level => "level",
            Self::Scope => "scope",
            Self::Policy => "policy",
            Self::Budget => "budget",
            Self::Command => "command",
            Self::Risk => "risk",
            Self::Trust => "trust",
            Self::Freeze => "freeze",
            Self::Orders => "orders",
            Self::Arguments => "arguments",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Confirm => "confirm",
            Self::Deny => "deny",
        })
    }
}

/// The layers of the design, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// 1: compiled in, never configurable.
    Floor,
    /// Is the tool known, and does it do what its name says?
    Boundary,
    /// 2: level and mode.
    Level,
    /// 3: is the target in the inventory, and is it this incident's business?
    Scope,
    /// 4: the policies in `config/policies`.
    Policy,
    /// 5: restarts, scale, hosts, actions, the brake.
    Budget,
    /// 6: the danger level of a shell command.
    Command,
    /// 7: the risk score against its thresholds.
    Risk,
    /// 8: how often the one who proposes was right lately.
    Trust,
    /// 9: a freeze window.
    Freeze,
    /// 9: a human's orders: the kill switch, hands off a service.
    Orders,
    /// The arguments do not fit the tool.
    Arguments,
}

/// One layer's word on an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    pub layer: Layer,
    pub verdict: Verdict,
    pub reason: String,
    /// Asking for something on the floor: recorded as an attempt that somebody should look at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// The policies' opinion carries the facts that the action was judged by, so that it can be judged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<Box<Grounds>>,
}

impl Opinion {
    pub fn new(layer: Layer, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { layer, verdict, reason: reason.into(), critical: false, grounds: None }
    }

    pub fn critical(layer: Layer, reason: impl Into<String>) -> Self {
        Self { layer, verdict: Verdict::Deny, reason: reason.into(), critical: true, grounds: None }
    }
}
