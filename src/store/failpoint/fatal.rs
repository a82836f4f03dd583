//! Ends this process by SIGKILL at a point that the environment names: `PARAMEDIC_FAILPOINT=result(restart_service):1`, the name, what is
//! passed there (none: whatever it is), and the how manieth time. `PARAMEDIC_FAILPOINT_TRACE` names a file that gets a line for each point
//! passed. `PARAMEDIC_FAILPOINT_PAUSES=1` stops the process there until somebody lets it go on, instead of ending it. Compiled only with the
//! feature `failpoints`.

use super::Point;
use rustix::process::{Signal, getpid, kill_process};
use std::fs::File;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const POINT: &str = "PARAMEDIC_FAILPOINT";
const PAUSES: &str = "PARAMEDIC_FAILPOINT_PAUSES";
const TRACE: &str = "PARAMEDIC_FAILPOINT_TRACE";
/// As for other mistakes in how a program is called.
const EX_USAGE: i32 = 64;

struct Plan {
    fatal: Option<Fatal>,
    pauses: bool,
    trace: Option<File>,
}

struct Fatal {
    point: Point,
    what: Option<String>,
    left: AtomicU64,
}

pub(super) fn pass(point: Point, what: impl FnOnce() -> String) {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let plan = PLAN.get_or_init(plan);
    let about = plan.fatal.as_ref().filter(|fatal| fatal.point == point);
    if about.is_none() && plan.trace.is_none() {
        return;
    }
    let what = what();
    if let Some(mut file) = plan.trace.as_ref() {
        // One write a line: several threads pass at once.
        let _ = file.write_all(format!("{}({what})\n", point.name()).as_bytes());
    }
    let fatal = about.filter(|fatal| fatal.what.as_ref().is_none_or(|wanted| *wanted == what));
    if fatal.is_some_and(|fatal| fatal.left.fetch_sub(1, Ordering::SeqCst) == 1) {
        if plan.pauses {
            let _ = kill_process(getpid(), Signal::STOP);
            return;
        }
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort();
    }
}

fn plan() -> Plan {
    let fatal = std::env::var(POINT).ok().map(|text| {
        read(&text).unwrap_or_else(|| {
            eprintln!("{POINT}={text}: expected NAME:NTH or NAME(WHAT):NTH, such as result(restart_service):1");
            std::process::exit(EX_USAGE);
        })
    });
    let trace = std::env::var_os(TRACE).and_then(|path| File::options().create(true).append(true).open(path).ok());
    Plan { fatal, pauses: std::env::var_os(PAUSES).is_some(), trace }
}

fn read(text: &str) -> Option<Fatal> {
    let (place, nth) = text.rsplit_once(':')?;
    let left = nth.parse::<u64>().ok().filter(|nth| *nth > 0)?;
    let (name, what) = match place.split_once('(') {
        None => (place, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?.to_owned())),
    };
    let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
    Some(Fatal { point, what, left: AtomicU64::new(left) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_what_passes_it_and_how_often() {
        let fatal = read("before_append(raised+classified):2").unwrap();
        assert_eq!((fatal.point, fatal.what.as_deref(), fatal.left.into_inner()), (Point::BeforeAppend, Some("raised+classified"), 2));
        assert_eq!(read("acknowledge:1").unwrap().what, None);
        for broken in ["", "acknowledge", "acknowledge:0", "acknowledge:x", "nowhere:1", "dispatch(x:1"] {
            assert!(read(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> = Point::ALL.into_iter().map(Point::name).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
