//! The disk fails at the n-th write, for every n that a story has: no room from then on, an error once, half of it written and then an
//! error. What was answered 200 is there when the disk is well again, nothing was done twice, and a server that would not start said why.

use super::ground::Ground;
use super::stage::{LOOK, Stage};
use super::story::{Case, is_over, is_told, kinds, texts};
use crate::reaching::need;
use futures::StreamExt as _;
use futures::stream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const WAYS: [&str; 3] = ["full", "eio", "short"];
/// How many of the writes fail in an ordinary run; in `make crash` (PARAMEDIC_CRASH_TABLE) all of them do.
const SOME: usize = 8;
/// So long may a server go on with a disk that failed before it is killed.
const GRACE: Duration = Duration::from_millis(700);

/// Compiled here: it is small, and a C compiler is needed for the build anyway.
fn shim(folder: &Path) -> PathBuf {
    need("/usr/bin/cc", "gcc");
    let (source, shim) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/crash/shim.c"), folder.join("shim.so"));
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    shim
}

struct Fault<'a> {
    shim: &'a Path,
    how: &'static str,
    nth: usize,
}

impl Fault<'_> {
    fn environment(&self, stage: &Stage) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", self.shim.display().to_string()),
            ("CRASH_FAULT", self.how.to_owned()),
            ("CRASH_FAULT_AT", self.nth.to_string()),
            ("CRASH_FAULT_FOLDER", stage.state().display().to_string()),
            ("CRASH_FAULT_MARK", stage.path("mark").display().to_string()),
        ]
    }
}

fn happened(stage: &Stage) -> Option<String> {
    std::fs::read_to_string(stage.path("mark")).ok()
}

/// How many calls a story makes that is not disturbed.
async fn writes(stage: &mut Stage, case: &Case, shim: &Path) -> usize {
    let fault = Fault { shim, how: "", nth: 0 };
    let environment = fault.environment(stage);
    let told = stage.tell(case, &environment).await;
    assert_eq!((stage.check(case, &told), told.deaths), (Ok(()), 0), "{}", texts(&told.incident));
    happened(stage).expect("the shim counts nothing: does SQLite call libc by its symbols?").parse().unwrap()
}

/// A story on a disk that fails. Whether it came so far.
async fn fail(stage: &mut Stage, case: &Case, fault: &Fault<'_>) -> bool {
    let _ = std::fs::remove_file(stage.path("mark"));
    let environment = fault.environment(stage);
    let (nth, how) = (fault.nth, fault.how);
    stage.fresh().await;
    stage.ground.come_of_age(stage.root()).await;
    let begun = stage.begin(case);
    let mut acknowledged = false;
    match stage.try_start(&environment).await {
        // What cannot be opened is named, with what is wrong with it.
        Err((status, said)) => {
            assert_eq!(status.code(), Some(1), "{how} at {nth}: {status}: {said}");
            let reason = ["paramedic.db", "ledger.key", "store"].iter().any(|word| said.contains(word));
            assert!(reason, "{how} at {nth}: it did not start and does not say why: {said}");
        }
        Ok(()) => {
            let mut grace = Instant::now() + Duration::from_secs(30);
            let (mut failed, mut resolved) = (false, false);
            while Instant::now() < grace && stage.is_alive() {
                if !acknowledged {
                    acknowledged = stage.post("/webhooks/alertmanager", "", case.body(true).to_string()).await == Some(200);
                }
                if !failed && happened(stage).is_some() {
                    (failed, grace) = (true, Instant::now() + GRACE);
                }
                // Whatever it is, it answers.
                let incident = stage.get("/api/incidents/INC-1").await;
                let verifies = incident.as_ref().is_some_and(|incident| kinds(incident).contains(&"verify_started"));
                if verifies && !resolved {
                    resolved = stage.post("/webhooks/alertmanager", "", case.body(false).to_string()).await == Some(200);
                }
                if !failed && incident.is_some_and(|incident| is_over(&incident) && is_told(&incident)) {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
    if happened(stage).is_none() {
        // The last signature, and the database's own end.
        stage.end().await;
    }
    let failed = happened(stage).is_some();
    stage.kill().await;
    // The disk is well again.
    stage.start(&[]).await;
    if acknowledged {
        let there = stage.until_there().await;
        assert!(there, "{how} at {nth}: acknowledged and lost: {}", stage.log());
    }
    let told = stage.go_on(case, begun).await;
    if let Err(why) = stage.check(case, &told) {
        panic!("{how} at {nth}: {why}\n{}", texts(&told.incident));
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_at_the_nth_write_loses_nothing_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shim = shim(folder.path());
    let mut stages = Vec::new();
    for _ in 0..3 {
        stages.push(Stage::new(Ground::here(None)).await);
    }
    let case = stages[0].case("restart_service").unwrap();
    let writes = writes(&mut stages[0], &case, &shim).await;
    assert!(writes > 50, "{writes} writes are no story");
    let step = if std::env::var_os("PARAMEDIC_CRASH_TABLE").is_some() { 1 } else { writes / SOME };
    let work: Vec<(usize, &'static str)> = (1..=writes).step_by(step).flat_map(|nth| WAYS.map(|how| (nth, how))).collect();
    let idle = Mutex::new(stages);
    let all = work.len();
    let failed: Vec<bool> = stream::iter(work)
        .map(async |(nth, how)| {
            let mut stage = idle.lock().await.pop().unwrap();
            let failed = fail(&mut stage, &case, &Fault { shim: &shim, how, nth }).await;
            idle.lock().await.push(stage);
            failed
        })
        .buffer_unordered(3)
        .collect()
        .await;
    let reached = failed.iter().filter(|failed| **failed).count();
    println!("{writes} writes in a story; {all} times it was told with one of them failing, {reached} times that was reached");
    // How often the server writes beside the story is a matter of time.
    assert!(reached * 10 >= all * 9, "the disk hardly ever failed");
}
