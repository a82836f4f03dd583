//! The dead man's switch. An alert that always fires is a heartbeat of whoever sends it; a heartbeat that stays away is an alert of Paramedic's
//! own, of level 3, which goes the same way in as any other and ends when the heartbeat is back. The last one heard is on the disk.

use super::Engine;
use super::error::{EngineError, unwound};
use super::own::own_alert;
use crate::classifier::{Matcher, parse_matchers};
use crate::domain::{Alert, AlertStatus, Problem, Time};
use crate::store::{Heartbeat, InboxError, StoreError};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
const NO_HEARTBEAT: &str = "NoHeartbeat";
/// However often it comes.
const SHORTEST: chrono::Duration = chrono::Duration::minutes(15);
/// Before the second one nobody knows how often it comes: Alertmanager's default `repeat_interval` is four hours.
const AFTER_THE_FIRST: chrono::Duration = chrono::Duration::hours(5);
/// Less far apart is the same heartbeat told again: Alertmanager's peers all send it, and each to every replica.
const TOLD_AGAIN: chrono::Duration = chrono::Duration::seconds(30);
/// Missed ones in a row that are silence.
const MISSED: i32 = 4;
/// A source's name is cut here; its fingerprint then tells it from others.
const NAME: usize = 200;

/// As the configuration says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchdogKeys {
    /// Alerts that fit one of these are heartbeats and never incidents.
    pub matchers: Vec<String>,
    /// Silence pages after so long; without it, four times what lies between two, and 15 minutes at least.
    pub silence_seconds: Option<i64>,
    /// Matchers of heartbeats that must come, even if they never have.
    pub expect: Vec<String>,
}

impl Default for WatchdogKeys {
    fn default() -> Self {
        Self { matchers: vec!["alertname=~\"Watchdog|DeadMansSwitch\"".into()], silence_seconds: None, expect: Vec::new() }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Watchdog {
    matchers: Vec<Vec<Matcher>>,
    silence: Option<chrono::Duration>,
    expect: Vec<(String, Vec<Matcher>)>,
}

impl Watchdog {
    pub fn build(keys: &WatchdogKeys) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut read = |list: &str, texts: &[String]| {
            let mut all = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                match parse_matchers(text) {
                    Ok(matchers) => all.push((text.clone(), matchers)),
                    Err(e) => problems.push(Problem::new(format!("watchdog.{list}[{index}]"), e.to_string())),
                }
            }
            all
        };
        let matchers = read("matchers", &keys.matchers).into_iter().map(|(_, matchers)| matchers).collect();
        let expect = read("expect", &keys.expect);
        if keys.silence_seconds.is_some_and(|seconds| !(30..=604_800).contains(&seconds)) {
            problems.push(Problem::new("watchdog.silence_seconds".to_owned(), "expected 30 to 604800 (a week)".to_owned()));
        }
        let silence = keys.silence_seconds.map(chrono::Duration::seconds);
        if problems.is_empty() { Ok(Self { matchers, silence, expect }) } else { Err(problems) }
    }

    /// Never Paramedic's own alert, whatever the matchers fit.
    pub(super) fn is_heartbeat(&self, alert: &Alert) -> bool {
        alert.name() != NO_HEARTBEAT && (fits_one(&self.matchers, alert) || self.expect.iter().any(|(_, matchers)| fits(matchers, alert)))
    }

    /// The expected one that it fits, else its labels: what tells one Prometheus from another.
    fn source(&self, alert: &Alert) -> String {
        if let Some((text, _)) = self.expect.iter().find(|(_, matchers)| fits(matchers, alert)) {
            return text.clone();
        }
        let labels = alert.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        let name = if labels.is_empty() { alert.name().to_owned() } else { format!("{} ({})", alert.name(), labels.join(", ")) };
        match name.chars().nth(NAME) {
            Some(_) => format!("{}… {}", name.chars().take(NAME).collect::<String>(), alert.fingerprint),
            None => name,
        }
    }

    /// How long it may stay away.
    fn patience(&self, beat: &Heartbeat) -> chrono::Duration {
        match (self.silence, beat.every) {
            (Some(silence), _) => silence,
            (None, Some(every)) => (every * MISSED).max(SHORTEST),
            (None, None) => AFTER_THE_FIRST,
        }
    }

    /// One that was never heard and is not expected any more is nobody's.
    fn is_silent(&self, beat: &Heartbeat, now: Time) -> bool {
        let awaited = beat.heard > 0 || self.expect.iter().any(|(text, _)| *text == beat.source);
        awaited && now - beat.last_at - beat.excused > self.patience(beat)
    }
}

fn fits(matchers: &[Matcher], alert: &Alert) -> bool {
    !matchers.is_empty() && matchers.iter().all(|matcher| matcher.matches(&alert.labels))
}

fn fits_one(any: &[Vec<Matcher>], alert: &Alert) -> bool {
    any.iter().any(|matchers| fits(matchers, alert))
}

impl Engine {
    /// The sources whose heartbeats these are.
    pub(super) fn heartbeats_in(&self, alerts: &[Alert]) -> BTreeSet<String> {
        let dog = &self.parts.watchdog;
        let beats = alerts.iter().filter(|alert| alert.status == AlertStatus::Firing && dog.is_heartbeat(alert));
        beats.map(|alert| dog.source(alert)).collect()
    }

    /// On the disk before the delivery is answered. The end of a silence is told first: a crash in between tells it again.
    pub(super) async fn hear(&self, source: &str) -> Result<(), InboxError> {
        let store = &self.parts.store;
        let failed = |e: StoreError| InboxError::Store(e.to_string());
        let now = self.awake().await.map_err(failed)?;
        let before = store.heartbeat(source).await.map_err(failed)?;
        if let Some(since) = before.as_ref().and_then(|before| before.silent_since) {
            self.take(vec![silence(source, since, Some(now))]).await?;
            self.look_soon();
        }
        store.heard(source, before.and_then(|before| pace(&before, now)), now).await.map_err(failed)
    }

    pub(super) async fn watchdog_loop(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(e) = unwound(self.listen()).await {
                tracing::error!(error = %e, "heartbeats could not be looked at");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    async fn listen(&self) -> Result<(), EngineError> {
        let (store, dog, now) = (&self.parts.store, &self.parts.watchdog, self.awake().await?);
        let mut beats = store.heartbeats().await?;
        let strangers: Vec<&String> =
            dog.expect.iter().map(|(text, _)| text).filter(|text| !beats.iter().any(|beat| beat.source == **text)).collect();
        for source in &strangers {
            store.expect_heartbeat(source, now).await?;
        }
        for beat in beats.iter_mut().filter(|beat| beat.silent_since.is_none() && dog.is_silent(beat, now)) {
            tracing::warn!(source = %beat.source, since = %beat.last_at, "a heartbeat stays away");
            // The same alert again after a crash in between: it is taken once.
            self.take(vec![silence(&beat.source, beat.last_at, None)]).await?;
            store.heartbeat_silent(&beat.source, beat.last_at).await?;
            beat.silent_since = Some(beat.last_at);
        }
        let silent = beats.iter().filter(|beat| beat.silent_since.is_some()).count();
        metrics::gauge!("paramedic_heartbeats_silent").set(silent as f64);
        Ok(())
    }
}

/// How far apart they come: a longer pause counts at once, shorter ones little by little; a silence is no pace.
fn pace(before: &Heartbeat, now: Time) -> Option<chrono::Duration> {
    if before.heard == 0 || before.silent_since.is_some() {
        return before.every;
    }
    let pause = now - before.last_at - before.excused;
    if pause < TOLD_AGAIN {
        return before.every;
    }
    Some(before.every.map_or(pause, |every| pause.max((every * 3 + pause) / 4)))
}

/// `since` is when the source was last heard, and tells one silence from the next.
fn silence(source: &str, since: Time, over: Option<Time>) -> Alert {
    let summary = format!("no heartbeat from {source} since {}: alerts from there may not arrive", since.format("%Y-%m-%d %H:%M:%SZ"));
    let alert = own_alert(NO_HEARTBEAT, Some(source), format!("heartbeat of {source}"), summary, since);
    match over {
        Some(at) => Alert { status: AlertStatus::Resolved, ends_at: Some(at), ..alert },
        None => alert,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(every: Option<i64>) -> Heartbeat {
        let (zero, every) = (chrono::Duration::zero(), every.map(chrono::Duration::minutes));
        Heartbeat { source: "Watchdog".into(), last_at: Time::UNIX_EPOCH, heard: 2, every, excused: zero, silent_since: None }
    }

    fn minutes(keys: &WatchdogKeys, every: Option<i64>) -> i64 {
        Watchdog::build(keys).unwrap().patience(&beat(every)).num_minutes()
    }

    #[test]
    fn patience_is_four_times_the_pace_unless_it_is_said() {
        let usual = WatchdogKeys::default();
        assert_eq!([None, Some(1), Some(10), Some(240)].map(|every| minutes(&usual, every)), [300, 15, 40, 960]);
        let said = WatchdogKeys { silence_seconds: Some(120), ..WatchdogKeys::default() };
        assert_eq!([None, Some(10)].map(|every| minutes(&said, every)), [2, 2]);
    }

    #[test]
    fn a_longer_pause_is_learned_at_once_a_repetition_little_and_a_silence_never() {
        let after = |minutes| Time::UNIX_EPOCH + chrono::Duration::minutes(minutes);
        assert_eq!(pace(&beat(Some(10)), after(30)), Some(chrono::Duration::minutes(30)));
        assert_eq!(pace(&beat(Some(40)), after(20)), Some(chrono::Duration::minutes(35)));
        let again = Time::UNIX_EPOCH + chrono::Duration::seconds(2);
        assert_eq!((pace(&beat(Some(40)), again), pace(&beat(None), again)), (Some(chrono::Duration::minutes(40)), None), "told by a peer");
        assert_eq!(pace(&Heartbeat { silent_since: Some(after(0)), ..beat(Some(10)) }, after(600)), Some(chrono::Duration::minutes(10)));
        assert_eq!(pace(&Heartbeat { heard: 0, ..beat(None) }, after(5)), None, "waiting for the first is no pace");
        assert_eq!(
            pace(&Heartbeat { excused: chrono::Duration::minutes(50), ..beat(None) }, after(60)),
            Some(chrono::Duration::minutes(10))
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_place() {
        let keys = WatchdogKeys {
            matchers: vec!["alertname=\"A\"".into(), "alertname=".into()],
            silence_seconds: Some(1),
            expect: vec!["".into()],
        };
        let paths: Vec<String> = Watchdog::build(&keys).unwrap_err().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["watchdog.matchers[1]", "watchdog.expect[0]", "watchdog.silence_seconds"]);
    }
}
