//! `paramedic explain` and `paramedic policy`: every layer's opinion, the policy that decides with its line, and mistakes in policies.

use super::{configured, finish, paramedic, run, shipped};
use serde_json::Value;
use std::path::Path;

const SERVICES: &str = r#"hosts: [{ name: web-1, reach: { local: {} }, log_roots: [/var/log/app] }]
services:
  - { name: cart, environment: production, tags: [payments], hosts: [web-1], reach: { process: { command: [/bin/sleep, "1"] } } }
  - { name: shop, environment: staging, depends_on: [cart], reach: { process: { command: [/bin/sleep, "1"] } } }
"#;

const OWN: &str = r#"// Ours.
@id("payments_by_hand")
@reason("payments are never restarted unasked")
forbid (principal == Agent::"remediator", action == Action::"execute", resource)
when { resource.tags.contains("payments") };
"#;

const HOURS: &str = "hours: { zone: Europe/Berlin, from: \"09:00\", to: \"18:00\" }";

fn own(folder: &Path, text: &str) {
    std::fs::write(folder.join("config/policies/own.cedar"), text).unwrap();
}

fn explained(folder: &Path, args: &[&str]) -> Value {
    let ran = run(folder, &[&["explain", "--json"], args].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_restart_is_explained_layer_by_layer_down_to_the_line_of_the_policy() {
    let folder = configured(HOURS, SERVICES);
    own(folder.path(), OWN);
    let args = ["explain", "--service", "cart", "--tool", "restart_service", "--at", "2026-07-01T01:00:00Z"];
    let ran = run(folder.path(), &args);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let version = run(folder.path(), &["policy", "check"]).out.trim().rsplit(' ').next().unwrap().to_owned();
    let budgets = ran.out.lines().find(|line| line.starts_with("  budgets")).unwrap();
    assert!(budgets.starts_with("  budgets  assumed to be untouched (") && budgets.contains("there is no such file"), "{budgets}");
    let told = ran.out.replace(budgets, "  budgets  assumed").replace(&version, "[version]");
    insta::assert_snapshot!(told, @r#"
    restart_service {"host":null,"reason":"asked with paramedic explain","service":"cart"} on cart: confirm

      floor     allow    nothing that is never done
      boundary  allow    restart_service is known
      level     allow    level 1 acts within bounds
      level     allow    mode auto
      scope     allow    within what the incident may touch
      policy    confirm  policy payments_by_hand: payments are never restarted unasked
      budget    allow    restart 1 of 3 in an hour
      command   allow    no shell command
      risk      allow    risk 0.65 (disruptive 0.35, production +0.20, off-hours +0.10)
      trust     allow    the trust in model is 500
      freeze    allow    no window holds for it then
      orders    allow    nothing is halted, and nobody has it in hand

      policy   payments_by_hand, policies/own.cedar:2
      approve  1 human
      risk     0.65 (disruptive 0.35, production +0.20, off-hours +0.10)
      impact   users: those of cart, and of what depends on it: shop; downtime: seconds, while it restarts; data: none; requests under way are lost
      facts    remediator on cart, level 1, mode auto, 03 h, off-hours
      left     3 restarts, +2 instances, 10 actions
      budgets  assumed
      version  [version]
    "#);
    assert!(!folder.path().join("data/paramedic.db").exists(), "explaining writes nothing");
}

#[test]
fn level_mode_hour_arguments_and_reason_are_taken_from_the_command_line() {
    let folder = configured(HOURS, SERVICES);
    let restart = ["--service", "shop", "--tool", "restart_service", "--at", "2026-07-01T10:00:00Z"];
    let with = |more: &[&str]| explained(folder.path(), &[&restart, more].concat());
    let plain = with(&[]);
    assert_eq!((plain["verdict"].as_str(), plain["facts"]["risk"]["score"].as_f64()), (Some("allow"), Some(0.35)), "{plain:#}");
    assert_eq!(plain["decided_by"][0]["file"], "boundary.cedar");
    let line = plain["decided_by"][0]["line"].as_u64().unwrap() as usize;
    let boundary = std::fs::read_to_string(folder.path().join("config/policies/boundary.cedar")).unwrap();
    assert_eq!(boundary.lines().nth(line - 1), Some("@id(\"restart_service\")"));
    for (more, verdict) in [
        (["--level", "2"], "confirm"),
        (["--level", "3"], "deny"),
        (["--mode", "review"], "confirm"),
        (["--mode", "disabled"], "deny"),
        (["--reason", ""], "confirm"),
    ] {
        assert_eq!(with(&more)["verdict"], verdict, "{more:?}");
    }
    let scale = |add: &str| explained(folder.path(), &["--service", "shop", "--tool", "scale_service", "--arg", &format!("add={add}")]);
    assert_eq!((&scale("2")["verdict"], &scale("2")["approvers"]), (&Value::from("allow"), &Value::Null));
    let args = ["--host", "web-1", "--tool", "clean_disk_space", "--args", "{\"paths\": [\"/etc\"]}"];
    let clean = explained(folder.path(), &args);
    assert_eq!(clean["verdict"], "deny");
    assert!(clean["opinions"].as_array().unwrap().iter().any(|o| o["layer"] == "floor" && o["critical"] == true), "{clean:#}");
    let forbidden = explained(folder.path(), &["--service", "cart", "--tool", "delete_database"]);
    assert_eq!((&forbidden["verdict"], &forbidden["opinions"][0]["layer"]), (&"deny".into(), &"floor".into()));
}

#[test]
fn what_cannot_be_asked_is_a_usage_error_that_says_what_was_expected() {
    let folder = configured("", SERVICES);
    let rows: [(&[&str], &str); 7] = [
        (&["--tool", "restart_service", "--service", "a b"], "--service: `a b` is not a name"),
        (&["--tool", "restart_service", "--service", "nowhere"], "restart_service: service nowhere is not in the inventory"),
        (&["--tool", "restart_service", "--service", "cart", "--at", "3 AM"], "--at 3 AM: expected a time such as 2026-07-01T03:00:00Z"),
        (&["--tool", "restart_service", "--args", "[1]"], "--args: expected a JSON object"),
        (&["--tool", "restart_service", "--arg", "add"], "--arg add: expected KEY=VALUE"),
        (
            &["--tool", "restart_service", "--service", "cart", "--arg", "colour=red"],
            "restart_service: expected other arguments: unknown field `colour`",
        ),
        (&["--tool", "restart_service", "--level", "4"], "4 is not in 1..=3"),
    ];
    for (args, expected) in rows {
        let ran = run(folder.path(), &[&["explain"], args].concat());
        assert!(ran.code == Some(64) && ran.err.contains(expected) && ran.out.is_empty(), "{args:?}: expected {expected}, got {ran:?}");
    }
}

#[test]
fn mistakes_in_policies_stop_the_check_and_the_start_with_file_and_line() {
    let folder = configured("", SERVICES);
    let mistakes = "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action, resource)\nwhen { context.dangre };\n\
                    @reason(\"r\")\npermit (principal, action, resource);\n\
                    @id(\"b\")\n@reason(\"r\")\nforbid (principal, action, resource == Service::\"nobody\");\n";
    own(folder.path(), mistakes);
    let expected = [
        "config/policies/own.cedar:4: column 8: for policy `a`, attribute `dangre` in context",
        "config/policies/own.cedar:5: column 1: a policy has to have a name: expected @id",
    ];
    for command in [&["check"][..], &["serve"], &["policy", "check"], &["policy", "replay"]] {
        let ran = run(folder.path(), command);
        assert_eq!(ran.code, Some(64), "{command:?}: {ran:?}");
        let told: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("config/policies")).collect();
        assert_eq!(told.len(), 2, "{ran:?}");
        assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:#?}");
    }
    own(folder.path(), &mistakes.lines().skip(6).collect::<Vec<_>>().join("\n"));
    let ran = run(folder.path(), &["check"]);
    let told = "config/policies/own.cedar:1: column 1: service `nobody` is not listed in services.yaml";
    assert!(ran.code == Some(64) && ran.err.starts_with(told), "{ran:?}");
    own(folder.path(), "permit (");
    let ran = run(folder.path(), &["check"]);
    assert!(ran.code == Some(64) && ran.err.starts_with("config/policies/own.cedar:1: column 9: unexpected end of input"), "{ran:?}");
}

#[test]
fn without_policies_nothing_starts() {
    let folder = configured("", SERVICES);
    let policies = folder.path().join("config/policies");
    for name in ["boundary.cedar", "approvals.cedar"] {
        std::fs::remove_file(policies.join(name)).unwrap();
    }
    let ran = run(folder.path(), &["serve"]);
    assert!(ran.code == Some(64) && ran.err.starts_with("config/policies: no *.cedar is there: expected at least one policy"), "{ran:?}");
    std::fs::remove_dir_all(&policies).unwrap();
    let ran = run(folder.path(), &["serve"]);
    assert!(ran.code == Some(64) && ran.err.starts_with("config/policies: cannot be read (No such file"), "{ran:?}");
}

#[test]
fn policies_are_listed_and_their_schema_is_printed() {
    let folder = shipped();
    let ran = run(folder.path(), &["policy", "check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.lines().any(|line| line.starts_with("restart_service ") && line.contains("policies/boundary.cedar:")), "{}", ran.out);
    let schema = run(folder.path(), &["policy", "schema"]);
    let file = folder.path().join("config/policies/schema.cedarschema");
    assert_eq!(schema.out, std::fs::read_to_string(&file).unwrap());
    let edited = schema.out.replace("\"diagnoser\", ", "");
    std::fs::write(&file, edited).unwrap();
    let checked = run(folder.path(), &["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.out.contains("warning: config/policies/schema.cedarschema is not the schema that policies are checked against"),
        "{}",
        checked.out
    );
}

#[test]
fn thresholds_and_hours_are_checked_with_their_lines() {
    let main = "risk:\n  reason: 0.2\n  confirm: 0.9\nhours:\n  zone: Mars/Base\n  from: \"9\"\n  to: \"18:00\"\n";
    let folder = configured(main, SERVICES);
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    let expected = [
        "config/paramedic.yaml:3: risk.confirm: thresholds may be lowered, never raised: expected at most 0.70",
        "config/paramedic.yaml:5: hours.zone: `Mars/Base` is not a time zone: expected a name such as Europe/Berlin",
        "config/paramedic.yaml:6: hours.from: `9` is not a time: expected HH:MM",
    ];
    let mut told: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("config/")).collect();
    told.sort();
    assert_eq!(told.len(), expected.len(), "{}", ran.err);
    assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:#?}");
}

#[test]
fn a_command_is_read_part_by_part_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |args: &[&str], input: &str| finish(paramedic(folder.path(), &[&["explain", "--command"], args].concat()), input);
    let ran = explain(&["df -h | tail -1"], "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("SAFE     allow   df -h | tail -1\n"), "{}", ran.out);
    let ran = explain(&["touch here; df -h; sudo sh -c 'rm -rf /'"], "");
    assert!(ran.out.starts_with("CRITICAL deny"), "{}", ran.out);
    assert!(ran.out.lines().any(|line| line.trim_start().starts_with("> CRITICAL")), "{}", ran.out);
    let ran = explain(&["-", "--json"], "uptime\n\nkubectl get pods\necho $(\n");
    let levels: Vec<String> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["level"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((ran.code, levels), (Some(0), vec!["SAFE".into(), "LOW".into(), "CRITICAL".into()]), "{}", ran.out);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is ever run");
}
