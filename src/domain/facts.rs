//! What an action was judged by, small enough to be kept with every judgement: the same facts give the same verdict again.

use super::action::{Digest, Tier};
use super::level::{Level, Mode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The sub-agent that acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    /// Looks.
    Diagnoser,
    /// Changes something.
    Remediator,
    /// Tells and asks humans.
    Notifier,
}

impl Agent {
    pub const ALL: [Self; 3] = [Self::Diagnoser, Self::Remediator, Self::Notifier];
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diagnoser => "diagnoser",
            Self::Remediator => "remediator",
            Self::Notifier => "notifier",
        })
    }
}

/// What an action is done to, as the inventory knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    #[serde(flatten)]
    pub place: Place,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    Service {
        name: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<String>,
    },
    Host {
        name: String,
    },
    /// Neither: a question to everybody, a metric of no service.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { name, .. } => write!(f, "{name}"),
            Self::Host { name } => write!(f, "host {name}"),
            Self::Nowhere => f.write_str("nowhere"),
        }
    }
}

/// When, in the operator's own hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// 0 to 23.
    pub hour: u32,
    /// 1 is Monday, 7 is Sunday.
    pub weekday: u32,
    pub off_hours: bool,
}

/// A share of one, in hundredths. Written as 0.65.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Score(u8);

impl Score {
    /// Cut to what a share can be.
    pub fn of_hundredths(hundredths: i64) -> Self {
        Self(hundredths.clamp(0, 100).try_into().unwrap_or(100))
    }

    pub fn hundredths(self) -> i64 {
        i64::from(self.0)
    }
}

impl TryFrom<f64> for Score {
    type Error = String;
    fn try_from(share: f64) -> Result<Self, String> {
        let hundredths = (0..=100_u8).find(|n| (f64::from(*n) - share * 100.0).abs() < 0.5);
        let within = (0.0..=1.0).contains(&share);
        hundredths.filter(|_| within).map(Self).ok_or_else(|| format!("{share} is no score: expected 0 to 1"))
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> Self {
        Self::from(score.0) / 100.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// How much could go wrong, and what that number is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    pub score: Score,
    /// `disruptive 0.35`, `production +0.20`.
    pub parts: Vec<String>,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.score, self.parts.join(", "))
    }
}

/// What it would probably mean, in words; an estimate from the action and the inventory, never a measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    pub users: String,
    pub downtime: String,
    pub data: String,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "users: {}; downtime: {}; data: {}", self.users, self.downtime, self.data)
    }
}

/// Everything that policies may ask about an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub agent: Agent,
    pub tool: String,
    pub tier: Tier,
    pub level: Level,
    pub mode: Mode,
    pub risk: Risk,
    pub impact: Impact,
    pub restarts_left: u32,
    pub instances_left: u32,
    pub actions_left: u32,
    pub storm: bool,
    pub moment: Moment,
    /// All that it is done to; never empty.
    pub resources: Vec<Resource>,
}

/// The facts, and which policies came to which end by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// SHA-256 of the policies that were in force.
    pub policies: Digest,
    /// The ids of those that decided; none where no policy spoke.
    pub decided_by: Vec<String>,
    pub facts: Facts,
}
