//! Layer 1: what is never done, whoever asks.

use super::*;
use crate::safety::is_forbidden;

#[test]
fn the_forbidden_tools_are_critical_by_name_alone() {
    let checker = checker(&Limits::default());
    for tool in
        ["delete_database", "drop_table", "delete_data", "database_failover", "modify_security_policy", "modify_secrets", "git_force_push"]
    {
        let opinion = checker.screen(tool).unwrap();
        assert!(is_forbidden(tool) && opinion.critical && opinion.verdict == Verdict::Deny && opinion.layer == Layer::Floor, "{tool}");
    }
    for tool in ["rm", "", "RESTART_SERVICE", "restart_service ", "delete_database\0"] {
        let opinion = checker.screen(tool).unwrap();
        assert!(!opinion.critical && opinion.verdict == Verdict::Deny && opinion.layer == Layer::Boundary, "{tool:?}");
    }
    assert!(checker.screen("restart_service").is_none() && checker.screen("update_config").is_none());
}

#[test]
fn protected_paths_and_what_lies_below_them_are_critical() {
    // Even if somebody got such a root into the inventory.
    let protected = [
        "/",
        "/etc",
        "/etc/cron.d",
        "/usr",
        "/usr/share/doc",
        "/bin",
        "/bin/x",
        "//etc",
        "/./etc",
        "/etc/",
        "/boot",
        "/proc/1",
        "/sys",
        "/dev",
        "/dev/disk",
        "/dev/shm",
    ];
    for path in protected {
        let denials = Facts::good().denials(&clean(&[path], 30));
        assert!(denials.iter().any(|o| o.critical && o.layer == Layer::Floor && o.reason.ends_with("is protected")), "{path}: {denials:?}");
    }
    for near in ["/dev/shm/app/log", "/etcetera/log", "/usrlog", "/home/app/etc"] {
        let denials = Facts::good().denials(&clean(&[near], 30));
        assert!(denials.iter().all(|o| o.layer == Layer::Scope && !o.critical), "{near}: {denials:?}");
    }
}

#[test]
fn a_path_that_climbs_is_relative_or_holds_a_nul_is_critical() {
    for path in ["/var/log/app/../../../etc", "/var/log/app/..", "var/log/app", "", ".", "../x", "/var/log/app\0/x", "~/logs"] {
        let denials = Facts::good().denials(&clean(&[path], 30));
        let plain = denials.iter().any(|o| o.critical && o.layer == Layer::Floor && o.reason.contains("is not a plain absolute path"));
        assert!(plain, "{path:?}: {denials:?}");
    }
    let mixed = Facts::good().denials(&clean(&["/var/log/api", "/etc"], 30));
    assert_eq!(mixed.iter().filter(|o| o.critical).count(), 1, "one bad path among good ones: {mixed:?}");
}

#[test]
fn its_own_ground_is_never_cleaned_from_above_or_below() {
    let own = |path: &str| Facts::good().denials(&clean(&[path], 30)).into_iter().find(|o| o.critical);
    for path in ["/var/log/app/paramedic", "/var/log/app/paramedic/run", "/var/log/app", "/var/lib/paramedic/x", "/var/log"] {
        assert!(own(path).is_some(), "{path}");
    }
    assert!(own("/var/log/app/paramedic/run").unwrap().reason.contains("Paramedic's own /var/log/app/paramedic"));
    assert!(own("/var/log/app/api").is_none() && own("/var/log/app/paramedics").is_none());
}

#[test]
fn younger_files_than_seven_days_are_never_cleaned() {
    for (days, allowed) in [(0, false), (6, false), (7, true), (365, true)] {
        let action = clean(&["/var/log/app/api"], days);
        assert_eq!(Facts::good().verdict(&action) == Verdict::Allow, allowed, "{days} days");
    }
    Facts::good().denied_by(&clean(&["/var/log/app/api"], 6), Layer::Floor, "min_age_days is 6: expected 7 or more");
}

#[test]
fn paramedic_never_touches_its_own_service() {
    for own in ["paramedic", "responder"] {
        for action in [restart(&[own]), scale(own, 1), restart(&["api", own])] {
            let denials = Facts::good().denials(&action);
            assert!(denials.iter().any(|o| o.critical && o.reason == format!("{own} is Paramedic itself")), "{action:?}: {denials:?}");
        }
    }
}
