//! `paramedic demo` and `paramedic chaos run`: the shows, their tables, their exit codes and JUnit's XML.

use super::{Ran, run};
use std::path::Path;

fn scenarios() -> String {
    format!("{}/chaos/scenarios", env!("CARGO_MANIFEST_DIR"))
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn the_demo_tells_its_four_stories_as_they_happened_without_anybody_at_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let table: Vec<&str> = ran.out.lines().skip_while(|line| !line.starts_with("INCIDENT")).collect();
    assert!(table[0].ends_with("AS TOLD"), "{}", ran.out);
    let alerts = ["ServiceDown", "DiskSpaceLow", "HighRequestLatency", "DBCorruption"];
    assert_eq!(table.len(), 1 + alerts.len(), "{}", ran.out);
    for (number, (row, alert)) in table[1..].iter().zip(alerts).enumerate() {
        assert!(row.starts_with(&format!("INC-{}", number + 1)) && row.contains(alert) && row.ends_with("  yes"), "{row}");
    }
    assert!(table[4].contains("delete_database (refused)") && table[4].contains("escalated"), "{}", table[4]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo leaves something behind");
}

#[test]
fn the_shipped_scenarios_pass_and_say_so_to_a_build_server() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["chaos", "run", &scenarios(), "--junit", "results.xml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((count(&ran.out, "\nPASS  "), count(&ran.out, "FAIL")), (3, 0), "{}", ran.out);
    let xml = std::fs::read_to_string(folder.path().join("results.xml")).unwrap();
    assert_eq!((count(&xml, "<testcase "), count(&xml, "<failure"), count(&xml, "</testcase>")), (3, 0, 3), "{xml}");
    assert!(xml.contains("tests=\"3\" failures=\"0\""), "{xml}");
}

/// The shipped crash, expecting `more` in place of its own expectations.
fn crash(folder: &Path, expectations: &str) -> Ran {
    let shipped = std::fs::read_to_string(format!("{}/02-service-crash.yaml", scenarios())).unwrap();
    let (story, _) = shipped.split_once("expected_actions:").unwrap();
    std::fs::write(folder.join("crash.yaml"), format!("{story}{expectations}\n")).unwrap();
    run(folder, &["chaos", "run", "crash.yaml", "--junit", "results.xml"])
}

#[test]
fn a_scenario_that_goes_otherwise_than_expected_fails_and_says_how() {
    let folder = tempfile::tempdir().unwrap();
    let ran = crash(folder.path(), "expected_actions: [scale_service]\nforbidden_actions: [restart_service]\nexpected_state: resolved");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("FAIL") && ran.out.contains("expected scale_service, which was not done"), "{}", ran.out);
    assert!(ran.out.contains("DANGER: restart_service was done") && !ran.out.contains("PASS"), "{}", ran.out);
    let xml = std::fs::read_to_string(folder.path().join("results.xml")).unwrap();
    assert!(xml.contains("tests=\"1\" failures=\"1\""), "{xml}");
    assert!(xml.contains("<failure message=\"expected scale_service, which was not done\">"), "{xml}");
}

#[test]
fn a_scenario_that_cannot_be_read_plays_nothing_and_is_told_by_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let ran = crash(folder.path(), "expected_actions: restart_service\nforbiden_actions: []\nexpected_state: fine");
    assert_eq!((ran.code, ran.out.as_str()), (Some(64), ""), "{ran:?}");
    let line =
        1 + std::fs::read_to_string(folder.path().join("crash.yaml")).unwrap().lines().position(|l| l.starts_with("expected_a")).unwrap();
    let mut told: Vec<&str> = ran.err.lines().collect();
    told.sort();
    let expected =
        ["expected_actions: invalid type", "forbiden_actions: unknown field `forbiden_actions`", "expected_state: unknown variant `fine`"];
    assert_eq!(told.len(), expected.len(), "{}", ran.err);
    for (offset, (told, expected)) in told.iter().zip(expected).enumerate() {
        assert!(told.starts_with(&format!("crash.yaml:{}: {expected}", line + offset)), "{expected}: {told}");
    }
    assert!(!folder.path().join("results.xml").exists());
    let none = run(folder.path(), &["chaos", "run", "nowhere"]);
    assert!(none.code == Some(1) && none.err.contains("nowhere"), "{none:?}");
}
