//! Layer 9, freeze windows: times in which changes wait for a human, or are not made. From the configuration, in the operator's zone.

use super::Situation;
use super::hours::{days, zone};
use crate::domain::{Action, Layer, Opinion, Reason, Service, ServiceName, Time, Verdict};
use chrono::{Datelike as _, NaiveTime, Timelike as _, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeSet;
use std::fmt;

/// One of `freezes` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeWindow {
    /// Shown to whoever finds a change denied.
    pub reason: Reason,
    /// `deny`, or `confirm`: a human may make an exception.
    #[serde(default = "deny", deserialize_with = "strict")]
    pub verdict: Verdict,
    /// The first and the last moment of it: RFC 3339 for one window, HH:MM with `days` for one that comes every week.
    #[serde(deserialize_with = "edge")]
    from: Edge,
    #[serde(deserialize_with = "edge")]
    to: Edge,
    #[serde(default, deserialize_with = "days")]
    days: Vec<Weekday>,
    #[serde(default = "utc", deserialize_with = "zone")]
    zone: Tz,
    /// Which services: those of one of these environments, of these names, with one of these tags. Without any of them, all.
    #[serde(default)]
    pub environments: Vec<String>,
    #[serde(default)]
    pub services: Vec<ServiceName>,
    #[serde(default)]
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    At(Time),
    /// Minutes of the day, up to 24:00.
    Daily(u32),
}

impl FreezeWindow {
    /// What is wrong with it, beyond its shape.
    pub fn problem(&self) -> Option<String> {
        match (self.from, self.to) {
            (Edge::At(from), Edge::At(to)) if from >= to => Some("expected `from` before `to`".into()),
            (Edge::At(_), Edge::At(_)) if !self.days.is_empty() => Some("expected HH:MM with `days`, or dates without".into()),
            (Edge::Daily(from), Edge::Daily(to)) if from == to || self.days.is_empty() => {
                Some("expected `days`, and `from` and `to` to differ".into())
            }
            (Edge::At(_), Edge::Daily(_)) | (Edge::Daily(_), Edge::At(_)) => {
                Some("expected `from` and `to` both as dates, or both as HH:MM".into())
            }
            _ => None,
        }
    }

    pub fn holds(&self, now: Time) -> bool {
        match (self.from, self.to) {
            (Edge::At(from), Edge::At(to)) => from <= now && now < to,
            (Edge::Daily(from), Edge::Daily(to)) => self.weekly(from, to, now),
            // Refused when it was read.
            _ => true,
        }
    }

    /// A window that ends before it begins ends on the next morning.
    fn weekly(&self, from: u32, to: u32, now: Time) -> bool {
        let local = now.with_timezone(&self.zone);
        let (day, minute) = (local.weekday(), minutes(local.time()));
        let today = self.days.contains(&day) && minute >= from && (minute < to || to <= from);
        let since_yesterday = self.days.contains(&day.pred()) && to <= from && minute < to;
        today || since_yesterday
    }

    fn covers(&self, service: &Service) -> bool {
        self.environments.contains(&service.environment)
            || self.services.contains(&service.name)
            || service.tags.iter().any(|tag| self.tags.contains(tag))
    }

    fn is_for_all(&self) -> bool {
        self.environments.is_empty() && self.services.is_empty() && self.tags.is_empty()
    }
}

impl fmt::Display for FreezeWindow {
    /// `production, tag payments: no changes on Friday nights (confirm)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = self.tags.iter().map(|tag| format!("tag {tag}"));
        let scope: Vec<String> =
            self.environments.iter().cloned().chain(self.services.iter().map(ToString::to_string)).chain(tags).collect();
        let scope = if scope.is_empty() { "everything".to_owned() } else { scope.join(", ") };
        write!(f, "{scope}: {} ({})", self.reason, self.verdict)
    }
}

pub fn judge(action: &Action, situation: &Situation<'_>, windows: &[FreezeWindow]) -> Vec<Opinion> {
    if !action.effect.changes_something() {
        return Vec::new();
    }
    let now = situation.now;
    let concerned = concerned(action, situation);
    let holds = windows.iter().filter(|window| window.holds(now));
    let holds = holds.filter(|window| window.is_for_all() || concerned.iter().any(|service| window.covers(service)));
    holds.map(|window| Opinion::new(Layer::Freeze, window.verdict, format!("freeze: {}", window.reason))).collect()
}

/// The services it touches; on a host that is no service's, all that run there.
fn concerned<'a>(action: &Action, situation: &Situation<'a>) -> Vec<&'a Service> {
    let inventory = situation.inventory;
    let hosts = inventory.hosts_of(action);
    let on_hosts = |service: &&Service| action.target.service.is_none() && service.hosts.iter().any(|host| hosts.contains(host));
    let named: BTreeSet<&ServiceName> = inventory.touched(action).into_iter().chain(&situation.target.service).collect();
    inventory.services().filter(|service| named.contains(&service.name) || on_hosts(service)).collect()
}

fn minutes(time: NaiveTime) -> u32 {
    time.hour() * 60 + time.minute()
}

fn deny() -> Verdict {
    Verdict::Deny
}

fn utc() -> Tz {
    Tz::UTC
}

fn strict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
    match Verdict::deserialize(deserializer)? {
        Verdict::Allow => Err(D::Error::custom("expected deny or confirm: a freeze allows nothing")),
        verdict => Ok(verdict),
    }
}

fn edge<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Edge, D::Error> {
    let text = String::deserialize(deserializer)?;
    let of_day = || match text.as_str() {
        "24:00" => Some(Edge::Daily(24 * 60)),
        _ => NaiveTime::parse_from_str(&text, "%H:%M").ok().map(|time| Edge::Daily(minutes(time))),
    };
    let date = || chrono::DateTime::parse_from_rfc3339(&text).ok().map(|at| Edge::At(at.to_utc()));
    let expected = "expected a moment such as 2026-12-20T00:00:00Z, or a time of day such as 16:00";
    of_day().or_else(date).ok_or_else(|| D::Error::custom(format!("`{text}`: {expected}")))
}
