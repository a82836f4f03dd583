//! Children of Paramedic: crashes, restarts, adoption after Paramedic itself was restarted, numbers used again.

use super::{Known, until};
use paramedic::clients::fleet::{Limits, LogLevel, ReachError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// A fleet with one service, `api`, that runs this shell script; the children end with it.
struct Story {
    known: Known,
    dir: tempfile::TempDir,
}

impl Story {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let known = open(script, dir.path());
        Self { known, dir }
    }

    async fn pid(&self) -> Option<u32> {
        self.known.fleet.status(self.known.service("api"), None).await.unwrap().pid
    }
}

fn open(script: &str, dir: &Path) -> Known {
    let reach = json!({"process": {"command": ["/bin/sh", "-c", script], "environment": {"COLOUR": "red"}}});
    let limits = Limits { stop: Duration::from_millis(500), ..Limits::default() };
    Known::new(json!({"services": [{"name": "api", "reach": reach}]}), dir, limits)
}

impl Drop for Story {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.dir.path().join("run")).into_iter().flatten().flatten() {
            let Ok(text) = std::fs::read_to_string(entry.path()) else {
                continue;
            };
            let Ok(seen) = serde_json::from_str::<serde_json::Value>(&text) else {
                continue;
            };
            let pid = seen["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32));
            // The identities in these files are the test's own children, but for the forged one, which is this process.
            if let Some(pid) = pid.filter(|pid| pid.as_raw_nonzero().get() as u32 != std::process::id()) {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            }
        }
    }
}

const STEADY: &str = "echo INFO up; echo \"ERROR colour is $COLOUR, home is ${HOME:-unset}\"; exec sleep 1000";

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_killed_child_is_dead_until_it_is_restarted() {
    let story = Story::new(STEADY);
    let (fleet, api) = (&story.known.fleet, story.known.service("api"));
    assert_eq!(fleet.status(api, None).await.unwrap().state, "never started");
    assert_eq!(fleet.start_missing().await.unwrap().len(), 1);
    let up = fleet.status(api, None).await.unwrap();
    assert_eq!((up.active, up.state.as_str(), up.instances, up.instances_active), (true, "running", 1, 1));
    assert!((chrono::Utc::now() - up.since.unwrap()).num_seconds().abs() < 5, "{up:?}");

    let written = async |lines| fleet.logs(api, None, 10, LogLevel::All).await.unwrap().len() == lines;
    until("the child has written", async || written(2).await).await;
    kill(up.pid.unwrap());
    until("the killed child is dead", async || !fleet.status(api, None).await.unwrap().active).await;
    until("how it ended is known", async || fleet.status(api, None).await.unwrap().detail.contains("signal: 9")).await;
    assert!(fleet.start_missing().await.unwrap().is_empty(), "a crash is left to its alert");

    let restarted = fleet.restart(api, None).await.unwrap();
    assert_eq!((restarted.before.active, restarted.after.active), (false, true));
    assert_ne!(restarted.after.pid, up.pid);
    until("the second child has written", async || written(4).await).await;
    let errors = fleet.logs(api, None, 10, LogLevel::Error).await.unwrap();
    assert_eq!(errors, ["ERROR colour is red, home is unset", "ERROR colour is red, home is unset"]);
    fleet.stop_all().await.unwrap();
    assert_eq!(fleet.status(api, None).await.unwrap().state, "never started");
}

#[tokio::test]
async fn a_second_paramedic_adopts_the_children_of_the_first() {
    let story = Story::new(STEADY);
    story.known.fleet.start_missing().await.unwrap();
    let pid = story.pid().await;
    let second = open(STEADY, story.dir.path());
    assert!(second.fleet.start_missing().await.unwrap().is_empty());
    let seen = second.fleet.status(second.service("api"), None).await.unwrap();
    assert_eq!((seen.active, seen.pid), (true, pid));
    let restarted = second.fleet.restart(second.service("api"), None).await.unwrap();
    assert!(restarted.after.active && restarted.after.pid != pid, "{restarted:?}");
    assert!(!Path::new(&format!("/proc/{}", pid.unwrap())).exists(), "the first one is gone and reaped");
}

#[tokio::test]
async fn a_child_that_was_started_but_never_written_down_is_not_started_twice() {
    let story = Story::new(STEADY);
    story.known.fleet.start_missing().await.unwrap();
    let pid = story.pid().await;
    // As if Paramedic had been killed right after the start.
    std::fs::remove_file(story.dir.path().join("run/api.1.pid")).unwrap();
    let second = open(STEADY, story.dir.path());
    second.fleet.start_missing().await.unwrap();
    assert_eq!(second.fleet.status(second.service("api"), None).await.unwrap().pid, pid);
    std::fs::remove_file(story.dir.path().join("run/api.1.pid")).unwrap();
    second.fleet.restart(second.service("api"), None).await.unwrap();
    assert!(!lives(&pid.unwrap().to_string()), "a restart ends it, written down or not");
}

#[tokio::test]
async fn a_process_that_has_got_the_number_of_a_dead_child_is_not_taken_for_it() {
    let story = Story::new(STEADY);
    let (fleet, api) = (&story.known.fleet, story.known.service("api"));
    // Two processes that start within one tick of the kernel's clock cannot be told apart; a number is not used again that fast.
    until("this test is older than a tick", async || ticks_of_life() > 2.0).await;
    fleet.start_missing().await.unwrap();
    let path = story.dir.path().join("run/api.1.pid");
    let mut seen: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    kill(story.pid().await.unwrap());
    until("the child is dead", async || !fleet.status(api, None).await.unwrap().active).await;
    // The number belongs to this very test now, as a stranger's would.
    seen["pid"] = std::process::id().into();
    std::fs::write(&path, seen.to_string()).unwrap();
    assert!(!fleet.status(api, None).await.unwrap().active);
    let after = fleet.restart(api, None).await.unwrap().after;
    assert!(after.active, "and this test was not killed by the restart");
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_with_all_of_its_group() {
    let story = Story::new("trap '' TERM; sleep 1000 & echo \"inner $!\"; while true; do sleep 0.1; done");
    let (fleet, api) = (&story.known.fleet, story.known.service("api"));
    fleet.start_missing().await.unwrap();
    until("the script has begun", async || !fleet.logs(api, None, 1, LogLevel::All).await.unwrap().is_empty()).await;
    let inner = fleet.logs(api, None, 1, LogLevel::All).await.unwrap()[0].replace("inner ", "");
    let before = story.pid().await;
    let after = fleet.restart(api, None).await.unwrap().after;
    assert!(after.active && after.pid != before);
    assert!(!lives(&inner), "the grandchild went with its group");
}

#[tokio::test]
async fn what_a_killed_child_left_behind_goes_at_the_restart() {
    let story = Story::new("sleep 1000 & echo \"inner $!\"; wait");
    let (fleet, api) = (&story.known.fleet, story.known.service("api"));
    fleet.start_missing().await.unwrap();
    until("the script has begun", async || !fleet.logs(api, None, 1, LogLevel::All).await.unwrap().is_empty()).await;
    let inner = fleet.logs(api, None, 1, LogLevel::All).await.unwrap()[0].replace("inner ", "");
    kill(story.pid().await.unwrap());
    until("the child is dead", async || !fleet.status(api, None).await.unwrap().active).await;
    assert!(lives(&inner), "the grandchild is an orphan now");
    fleet.restart(api, None).await.unwrap();
    assert!(!lives(&inner), "the orphan would have held the port");
}

fn ticks_of_life() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let started: f64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split(' ').next().unwrap().parse::<f64>().unwrap() * 100.0 - started
}

fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| !text.contains(") Z "))
}

#[tokio::test]
async fn scaling_adds_two_at_most_counted_on_what_runs() {
    let story = Story::new(STEADY);
    let (fleet, api) = (&story.known.fleet, story.known.service("api"));
    fleet.start_missing().await.unwrap();
    let scaled = fleet.scale(api, None, 1).await.unwrap();
    assert_eq!((scaled.from, scaled.to), (1, 2));
    let error = fleet.scale(api, None, 2).await.unwrap_err();
    assert_eq!(error.to_string(), "the scale limit of api refused: 2 run and 2 more would be 4: expected at most 3 (1 + 2)");
    assert_eq!(fleet.scale(api, None, 1).await.unwrap().to, 3);
    assert!(matches!(fleet.scale(api, None, 1).await, Err(ReachError::Refused { .. })));
    // An extra that has fallen leaves room again.
    let third = std::fs::read_to_string(story.dir.path().join("run/api.3.pid")).unwrap();
    kill(serde_json::from_str::<serde_json::Value>(&third).unwrap()["pid"].as_u64().unwrap() as u32);
    until("two run", async || fleet.status(api, None).await.unwrap().instances_active == 2).await;
    assert_eq!(fleet.scale(api, None, 1).await.unwrap().to, 3);
    assert_eq!(fleet.restart(api, None).await.unwrap().after.instances_active, 3);
    fleet.stop_all().await.unwrap();
}

#[tokio::test]
async fn a_child_that_cannot_live_is_not_called_active() {
    let story = Story::new("exit 3");
    let (fleet, api) = (&story.known.fleet, story.known.service("api"));
    let after = fleet.restart(api, None).await.unwrap().after;
    assert!(!after.active, "{after:?}");
    until("how it ended is known", async || fleet.status(api, None).await.unwrap().detail.contains("exit status: 3")).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let inventory = json!({"services": [{"name": "api", "reach": {"process": {"command": ["/no/such/program"]}}}]});
    let known = Known::new(inventory, dir.path(), Limits::default());
    let error = known.fleet.start_missing().await.unwrap_err();
    assert!(error.to_string().contains("/no/such/program") && !error.maybe_done(), "{error}");
}

#[tokio::test]
async fn a_broken_pid_file_is_an_error_and_not_a_dead_child() {
    let story = Story::new(STEADY);
    let run = story.dir.path().join("run");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("api.1.pid"), "412\n").unwrap();
    let error = story.known.fleet.restart(story.known.service("api"), None).await.unwrap_err();
    assert!(error.to_string().contains("api.1.pid") && !error.maybe_done(), "{error}");
}
