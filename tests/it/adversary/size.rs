//! How much is tried: a little in `make test`, all of it in `make adversary`; and from which seed.

use super::invariants::Tally;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Of `make test`, where the same is tried each time.
const SEED: u64 = 20_261_121;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

/// PARAMEDIC_ADVERSARY_SEED: what a run printed, to have it again.
pub fn seed() -> u64 {
    number("PARAMEDIC_ADVERSARY_SEED").unwrap_or(SEED)
}

/// PARAMEDIC_ADVERSARY_CALLS: of the hostile model.
pub fn calls() -> usize {
    number("PARAMEDIC_ADVERSARY_CALLS").map_or(600, |calls| calls as usize)
}

/// PARAMEDIC_ADVERSARY_CALLS stands for the full size of everything.
pub fn is_full() -> bool {
    number("PARAMEDIC_ADVERSARY_CALLS").is_some_and(|calls| calls >= 100_000)
}

/// PARAMEDIC_ADVERSARY_LANES: servers at a time.
pub fn lanes() -> usize {
    number("PARAMEDIC_ADVERSARY_LANES").map_or(if is_full() { 12 } else { 2 }, |lanes| lanes.max(1) as usize)
}

/// Between two looks at how far a server is. Many lanes that look often cost more than what they look at.
pub fn look() -> Duration {
    Duration::from_millis(if is_full() { 60 } else { 15 })
}

/// Chapters one after the other in each lane, until there is none of the next number. A violation ends the run and names its chapter.
pub async fn in_lanes<F, C>(progress: &Progress, chapter: F)
where
    F: Fn(usize) -> Option<C> + Send + Sync + 'static,
    C: Future<Output = (Tally, Vec<String>)> + Send,
{
    let (next, chapter) = (Arc::new(AtomicUsize::new(0)), Arc::new(chapter));
    let lane = |_| {
        let (next, chapter, progress) = (next.clone(), chapter.clone(), progress.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(chapter) = chapter(number) else { break };
                let (tally, violations) = chapter.await;
                progress.done(&tally);
                let (seed, count) = (progress.seed, violations.len());
                assert!(violations.is_empty(), "seed {seed}, chapter {number}: {count} violations:\n{}", violations.join("\n"));
            }
        })
    };
    for lane in (0..lanes()).map(lane).collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

/// Counts what was tried and says so now and then.
#[derive(Clone)]
pub struct Progress {
    what: &'static str,
    seed: u64,
    /// Calls, where it is they that are counted.
    wanted: usize,
    since: Instant,
    sum: Arc<Mutex<(Tally, u64)>>,
}

impl Progress {
    pub fn new(what: &'static str, seed: u64, wanted: usize) -> Self {
        eprintln!("{what}: PARAMEDIC_ADVERSARY_SEED={seed}");
        Self { what, seed, wanted, since: Instant::now(), sum: Arc::default() }
    }

    pub fn goes_on(&self) -> bool {
        self.sum.lock().unwrap().0.calls < self.wanted
    }

    pub fn done(&self, tally: &Tally) {
        let mut sum = self.sum.lock().unwrap();
        sum.0.add(tally);
        let elapsed = self.since.elapsed().as_secs();
        if elapsed >= sum.1 + 10 {
            sum.1 = elapsed;
            self.say(&sum.0);
        }
    }

    fn say(&self, tally: &Tally) {
        let seconds = self.since.elapsed().as_secs_f64();
        let rate = tally.calls as f64 / seconds.max(0.001);
        let of = if self.wanted > 0 { format!(" of {}", self.wanted) } else { String::new() };
        eprintln!("{}: {}{of} calls in {seconds:.0} s ({rate:.0}/s): {tally:?}", self.what, tally.calls);
    }

    /// The sum; fails where there are violations.
    pub fn finish(&self, violations: &[String]) -> Tally {
        let sum = self.sum.lock().unwrap();
        self.say(&sum.0);
        let (what, seed) = (self.what, self.seed);
        assert!(violations.is_empty(), "{what}, seed {seed}: {} violations:\n{}", violations.len(), violations.join("\n"));
        eprintln!("{}: 0 violations with PARAMEDIC_ADVERSARY_SEED={}", self.what, self.seed);
        sum.0.clone()
    }
}
