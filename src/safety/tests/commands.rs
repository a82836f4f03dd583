//! Commands: the danger level decides, whatever a policy permits; and what a command is about is as bounded as any other action.

use super::*;
use crate::domain::DangerLevel;
use crate::safety::command::classify;

fn command(text: &str) -> Action {
    on("web-1", text, classify(text).level)
}

fn on(host_name: &str, text: &str, danger: DangerLevel) -> Action {
    let effect = Effect::Command { command: text.to_owned(), danger };
    action("run_diagnosis_command", effect, target(None, Some(host_name)))
}

#[test]
fn the_danger_level_decides() {
    use Verdict::{Allow, Confirm, Deny};
    for (text, verdict) in [
        ("df -h", Allow),
        ("cat /etc/hosts | grep -c local", Allow),
        ("mkdir /srv/x", Confirm),
        ("rm /srv/x", Confirm),
        ("systemctl restart nginx", Confirm),
        ("rm -rf /", Deny),
        ("df -h; mkfs.ext4 /dev/sda1", Deny),
        ("echo 'not closed", Deny),
    ] {
        assert_eq!(Facts::good().verdict(&command(text)), verdict, "{text}");
    }
}

#[test]
fn looking_goes_on_when_nothing_may_be_changed() {
    let strict = |f: &mut Facts| (f.level, f.mode, f.escalated, f.trust) = (Level::Three, Mode::Disabled, true, None);
    assert_eq!(Facts::good().with(strict).verdict(&command("df -h")), Verdict::Allow);
    assert_eq!(Facts::good().with(strict).verdict(&command("mkdir /srv/x")), Verdict::Deny);
}

#[test]
fn an_approval_is_for_this_command_and_never_for_a_critical_one() {
    let approved = |action: &Action| Facts::good().with(|f| f.approval = Some(granted(action)));
    let asked = command("rm /srv/x");
    assert_eq!(approved(&asked).verdict(&asked), Verdict::Allow);
    assert_eq!(approved(&asked).verdict(&command("rm /srv/y")), Verdict::Confirm);
    assert_eq!(approved(&asked).verdict(&on("web-1", "rm /srv/x", DangerLevel::Low)), Verdict::Deny);
    let critical = command("rm -rf /");
    assert_eq!(approved(&critical).verdict(&critical), Verdict::Deny);
}

#[test]
fn a_level_that_is_not_the_commands_own_is_denied() {
    for level in [DangerLevel::Safe, DangerLevel::Low, DangerLevel::Medium] {
        let lied = on("web-1", "rm -rf /", level);
        let denials = Facts::good().denials(&lied);
        assert!(denials.iter().any(|o| o.layer == Layer::Command && o.reason.contains("is CRITICAL, and was proposed as")), "{denials:?}");
    }
}

#[test]
fn what_is_understood_and_never_done_is_an_attempt_and_what_is_not_understood_is_none() {
    let critical = |text: &str| Facts::good().denials(&command(text)).iter().any(|opinion| opinion.critical);
    assert!(critical("rm -rf /") && critical("dd if=/dev/zero of=/dev/sda"));
    assert!(!critical("echo 'not closed") && !critical(&"x".repeat(1 << 20)));
    let denied = on("web-1", &"x".repeat(1 << 20), DangerLevel::Critical);
    Facts::good().denied_by(&denied, Layer::Command, "danger level CRITICAL");
}

#[test]
fn no_policy_makes_a_dangerous_command_harmless() {
    let all = "@id(\"all\")\n@reason(\"r\")\npermit (principal, action, resource);";
    let facts = Facts::good();
    let checker = SafetyChecker::new(facts.limits.clone(), super::policies::with(all));
    assert!(matches!(checker.rule(command("mkdir /srv/x"), &facts.situation()), Ruling::Confirm(..)));
    assert!(matches!(checker.rule(command("rm -rf /"), &facts.situation()), Ruling::Denied(..)));
}

#[test]
fn a_command_runs_on_a_host_of_the_incidents_only() {
    for text in ["df -h", "mkdir /srv/x"] {
        let level = classify(text).level;
        Facts::good().denied_by(&on("web-2", text, level), Layer::Scope, "host web-2 is not this incident's");
        Facts::good().denied_by(&on("nowhere", text, level), Layer::Scope, "host nowhere is not in the inventory");
        assert_ne!(Facts::good().verdict(&on("db-1", text, level)), Verdict::Deny, "what it depends on is its business");
        let nowhere = Action { target: target(None, None), ..command(text) };
        Facts::good().denied_by(&nowhere, Layer::Scope, "no host of the inventory to run it on");
    }
}

#[test]
fn paramedics_own_ground_is_neither_read_nor_changed() {
    for text in [
        "cat /var/log/app/paramedic/x.log",
        "ls /var/log/app/../app/paramedic",
        "grep -r x var/log/app/paramedic",
        "tail -n 5 < /var/log/app/paramedic/x",
        "cp -r /var/log/app /srv/copy",
        "systemctl restart paramedic",
        "systemctl stop paramedic.service",
    ] {
        let denials = Facts::good().denials(&command(text));
        assert!(denials.iter().any(|o| o.critical && o.layer == Layer::Floor), "{text}: {denials:?}");
    }
    assert_eq!(Facts::good().verdict(&command("cat /var/log/app/api/x.log")), Verdict::Allow);
}

#[test]
fn a_change_on_a_host_is_one_to_every_service_there() {
    let in_force = InForce { hands_off: vec![(service("api"), "by ana".into())], ..InForce::default() };
    let facts = Facts::good().with(|f| f.in_force = Some(in_force));
    facts.denied_by(&command("mkdir /srv/x"), Layer::Orders, "by ana");
    assert_eq!(facts.verdict(&command("df -h")), Verdict::Allow);
}

#[test]
fn commands_are_one_tools_business() {
    let effect = || Effect::Command { command: "mkdir /srv/x".into(), danger: DangerLevel::Medium };
    for tool in ["restart_service", "update_config", "clean_disk_space"] {
        let other = action(tool, effect(), target(None, Some("web-1")));
        assert!(Facts::good().denials(&other).iter().any(|o| o.layer == Layer::Boundary), "{tool}");
    }
    let other = action("run_diagnosis_command", Effect::Restart { services: vec![service("api")] }, target(Some("api"), None));
    assert!(Facts::good().denials(&other).iter().any(|o| o.layer == Layer::Boundary));
}
