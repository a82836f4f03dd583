//! Every point × every tool of the registry × every transport. Which points a story passes is found out by telling it once undisturbed, with
//! a trace; then it is told again for each of them, and the server dies there.

use super::ground::{Ground, Prometheus, Way};
use super::stage::Stage;
use super::story::{Case, texts};
use futures::StreamExt as _;
use futures::stream;
use paramedic::tools;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// All points of all stories (`make crash`), or in an ordinary run each point of one story once, and of the others those around the action.
fn everything() -> bool {
    std::env::var_os("PARAMEDIC_CRASH_TABLE").is_some()
}

/// Stages side by side, as many as one machine of two cores keeps busy.
const LANES: usize = 3;

/// A place where it dies: a point with what passes it, and the how manieth time.
#[derive(Debug, Clone)]
struct Spot {
    passed: String,
    nth: usize,
}

impl Spot {
    fn environment(&self) -> [(&'static str, String); 1] {
        [("PARAMEDIC_FAILPOINT", format!("{}:{}", self.passed, self.nth))]
    }

    /// Around the action itself: it must be reached in each telling.
    fn is_of_the_action(&self, case: &Case) -> bool {
        let (point, what) = self.passed.trim_end_matches(')').split_once('(').unwrap();
        match point {
            "dispatch" | "result" => what == case.tool,
            "before_append" | "after_append" => matches!(what, "started" | "finished"),
            _ => false,
        }
    }
}

/// The points that a story passes, each with its first time and its last.
async fn spots(stage: &mut Stage, case: &Case) -> Vec<Spot> {
    let trace = stage.path("trace");
    let _ = std::fs::remove_file(&trace);
    let told = stage.tell(case, &[("PARAMEDIC_FAILPOINT_TRACE", trace.display().to_string())]).await;
    let undisturbed = stage.check(case, &told);
    assert_eq!((undisturbed, told.deaths), (Ok(()), 0), "{}: {}", case.tool, texts(&told.incident));
    assert_eq!((told.started(case), told.doubted()), (1, false), "{} was not tried: {}", case.tool, texts(&told.incident));
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        *passed.entry(line.to_owned()).or_default() += 1;
    }
    let both = |(passed, times): (String, usize)| {
        let last = (times > 1).then(|| Spot { passed: passed.clone(), nth: times });
        [Some(Spot { passed, nth: 1 }), last].into_iter().flatten()
    };
    passed.into_iter().flat_map(both).collect()
}

async fn die(stage: &mut Stage, case: &Case, spot: &Spot) -> bool {
    let told = stage.tell(case, &spot.environment()).await;
    let (name, way) = (case.tool, stage.ground.way());
    if let Err(why) = stage.check(case, &told) {
        panic!("{name} over {way:?}, killed at {}:{}: {why}\n{}", spot.passed, spot.nth, texts(&told.incident));
    }
    if spot.is_of_the_action(case) && spot.nth == 1 {
        assert_eq!(told.deaths, 1, "{name} over {way:?} did not die at {}", spot.passed);
    }
    told.deaths > 0
}

/// Each tool that goes this way; the work is shared by the stages.
async fn over(stages: Vec<Stage>, whole: &[&str]) {
    let idle = Mutex::new(stages);
    let cases: Vec<Case> = {
        let stages = idle.lock().await;
        tools::all().iter().filter_map(|tool| stages[0].case(tool.name())).collect()
    };
    let lanes = idle.lock().await.len();
    let here = idle.lock().await[0].ground.way() == Way::Here;
    let traced = stream::iter(cases).map(async |case| {
        let mut stage = idle.lock().await.pop().unwrap();
        let case = stage.case(case.tool).unwrap();
        let spots = spots(&mut stage, &case).await;
        idle.lock().await.push(stage);
        (case.tool, spots)
    });
    let traced: Vec<(&'static str, Vec<Spot>)> = traced.buffer_unordered(lanes).collect().await;
    let mut work = Vec::new();
    for (tool, spots) in traced {
        let case = idle.lock().await[0].case(tool).unwrap();
        let chosen = |spot: &Spot| {
            let around = spot.is_of_the_action(&case) && spot.nth == 1 && ((case.acts() && here) || !spot.passed.contains("append"));
            everything() || (whole.contains(&tool) && spot.nth == 1) || around
        };
        work.extend(spots.into_iter().filter(chosen).map(|spot| (tool, spot)));
    }
    let died: Vec<(&'static str, bool)> = stream::iter(work)
        .map(async |(tool, spot)| {
            let mut stage = idle.lock().await.pop().unwrap();
            let case = stage.case(tool).unwrap();
            let died = die(&mut stage, &case, &spot).await;
            idle.lock().await.push(stage);
            (tool, died)
        })
        .buffer_unordered(lanes)
        .collect()
        .await;
    let mut tally: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (tool, died) in died {
        let (points, deaths) = tally.entry(tool).or_default();
        (*points, *deaths) = (*points + 1, *deaths + usize::from(died));
    }
    for (tool, (points, deaths)) in tally {
        println!("{tool}: {points} points, {deaths} deaths");
        // Some lie where a story ends sooner the second time; none of the action's own does.
        assert!(deaths * 10 >= points * 7, "{tool} hardly ever died");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_each_point_of_each_tool_on_this_machine() {
    let prometheus = Prometheus::start();
    let mut stages = Vec::new();
    for _ in 0..LANES {
        stages.push(Stage::new(Ground::here(Some(prometheus.clone()))).await);
    }
    over(stages, &["restart_service"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_each_point_of_each_tool_on_a_host_behind_ssh() {
    let mut stages = Vec::new();
    for _ in 0..LANES {
        stages.push(Stage::new(Ground::ssh()).await);
    }
    over(stages, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_each_point_of_each_tool_on_containers() {
    over(vec![Stage::new(Ground::docker()).await], &[]).await;
}
