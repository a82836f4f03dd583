//! Random actions in random situations: no panic, and nothing is changed unless every rule of the design says so. The rules are
//! written down here a second time, from the facts alone.

use super::*;
use crate::domain::{DangerLevel, Mark, MarkKind, Service};
use proptest::prelude::*;

const SERVICES: [&str; 8] = ["api", "db", "pooler", "worker", "other", "responder", "paramedic", "ghost"];
const HOSTS: [&str; 4] = ["web-1", "web-2", "db-1", "ghost-host"];
const PATHS: [&str; 12] = [
    "/var/log/app/api",
    "/var/log/api",
    "/var/log/db",
    "/var/log/app",
    "/",
    "/etc",
    "/usr/lib",
    "/bin/x",
    "/var/log/app/../..",
    "var/log/app",
    "/var/log/app/paramedic/x",
    "/var/log/app/\0",
];
const TOOLS: [&str; 12] = [
    "restart_service",
    "clean_disk_space",
    "scale_service",
    "restart_connection_pool",
    "restart_consumers",
    "get_metrics",
    "update_config",
    "delete_database",
    "send_notification",
    "request_human_confirmation",
    "invented",
    "run_diagnosis_command",
];

const COMMANDS: [&str; 7] = [
    "df -h",
    "cat /etc/hosts",
    "mkdir /srv/x",
    "rm /srv/x",
    "rm -rf /",
    "cat /var/lib/paramedic/paramedic.db",
    "systemctl restart paramedic",
];

fn a_service() -> impl Strategy<Value = ServiceName> {
    prop::sample::select(&SERVICES[..]).prop_map(service)
}

fn a_target() -> impl Strategy<Value = Target> {
    let some_host = prop::option::of(prop::sample::select(&HOSTS[..]).prop_map(host));
    (prop::option::of(a_service()), some_host).prop_map(|(service, host)| Target { service, host })
}

fn an_effect() -> impl Strategy<Value = Effect> {
    let paths = prop::collection::vec(prop::sample::select(&PATHS[..]).prop_map(str::to_owned), 0..3);
    prop_oneof![
        Just(Effect::Observe),
        Just(Effect::Talk),
        Just(Effect::Question),
        prop::collection::vec(a_service(), 0..3).prop_map(|services| Effect::Restart { services }),
        (paths, 0_u32..12).prop_map(|(paths, min_age_days)| Effect::Clean { paths, min_age_days }),
        (a_service(), 0_u32..5).prop_map(|(service, add)| Effect::Scale { service, add }),
        a_command(),
    ]
}

/// Mostly with the danger level that it has.
fn a_command() -> impl Strategy<Value = Effect> {
    let said = prop::option::weighted(0.2, prop::sample::select(DangerLevel::ALL.to_vec()));
    (prop::sample::select(&COMMANDS[..]), said).prop_map(|(command, said)| Effect::Command {
        command: command.to_owned(),
        danger: said.unwrap_or_else(|| crate::safety::command::classify(command).level),
    })
}

fn an_action() -> impl Strategy<Value = Action> {
    let tiers = [Tier::Observe, Tier::Reversible, Tier::Disruptive, Tier::Destructive];
    let tool = prop::sample::select(&TOOLS[..]);
    (tool, prop::sample::select(tiers.to_vec()), an_effect(), a_target(), any::<bool>()).prop_map(|(tool, tier, effect, target, honest)| {
        let made = action(tool, effect, target);
        if honest { made } else { Action { tier, ..made } }
    })
}

fn a_usage() -> impl Strategy<Value = Usage> {
    let counts = || prop::collection::vec((a_service(), 0_u32..5), 4..12).prop_map(|pairs| pairs.into_iter().collect());
    let hosts = prop::option::weighted(0.9, prop::collection::vec(prop::sample::select(&HOSTS[..]).prop_map(host), 0..4));
    let (actions, degraded) = (prop::option::weighted(0.9, 0_u32..12), prop::option::weighted(0.9, 0_u32..7));
    (counts(), counts(), actions, hosts, degraded).prop_map(|(restarts, scaled, actions, hosts, degraded)| Usage {
        restarts,
        scaled,
        actions,
        hosts,
        degraded,
    })
}

/// Orders, trust and freezes, mostly none in the way.
fn an_authority() -> impl Strategy<Value = (Option<InForce>, Option<Trust>, Vec<FreezeWindow>)> {
    let hands_off = prop::collection::vec(a_service(), 0..2);
    let in_force = (prop::bool::weighted(0.1), hands_off, prop::bool::weighted(0.3)).prop_map(|(halted, services, some)| InForce {
        halts: halted.then(|| "halt by ana".to_owned()).into_iter().collect(),
        hands_off: services.into_iter().filter(|_| some).map(|name| (name, "by ana".to_owned())).collect(),
        count: 1,
    });
    let kinds = prop::sample::select(vec![MarkKind::Verified, MarkKind::Critical, MarkKind::Failed, MarkKind::Failed]);
    let trust = prop::collection::vec((kinds, 0..3_i64), 0..7).prop_map(|marks| {
        let mut trust = Trust::default();
        for (kind, n) in marks {
            let mark =
                Mark { agent: Proposer::Model, kind, incident: INCIDENT, seq: 1, place: n.to_string(), alertname: "A".into(), at: NOW };
            trust.take(&mark);
        }
        trust
    });
    let freeze = |services: Vec<&str>| {
        let window = json!({ "reason": "x", "from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z", "services": services });
        serde_json::from_value::<FreezeWindow>(window).unwrap()
    };
    let freezes = prop::sample::select(vec![vec![], vec![], vec![], vec![freeze(vec![])], vec![freeze(vec!["pooler", "other"])]]);
    let some = (prop::option::weighted(0.95, in_force), prop::option::weighted(0.95, trust), freezes);
    let none = Just((Some(InForce::default()), Some(Trust::default()), Vec::new()));
    prop_oneof![3 => none, 1 => some]
}

/// Does something of layers 8 and 9 stand against a change?
fn forbidden_today(action: &Action, f: &Facts) -> bool {
    let Some((in_force, trust)) = f.in_force.as_ref().zip(f.trust.as_ref()) else { return true };
    let mut touched: Vec<String> = match &action.effect {
        Effect::Restart { services } => services.iter().map(ToString::to_string).collect(),
        Effect::Scale { service, .. } => vec![service.to_string()],
        Effect::Command { .. } => {
            let here = |s: &&Service| action.target.host.as_ref().is_some_and(|host| s.hosts.contains(host));
            f.inventory.services().filter(here).map(|s| s.name.to_string()).collect()
        }
        _ => Vec::new(),
    };
    touched.extend(f.target.service.iter().chain(&action.target.service).map(ToString::to_string));
    let through =
        |name: &str| if name == "api" { vec!["api", "pooler", "worker"] } else { vec![name] }.into_iter().map(str::to_owned).collect();
    let in_hand = in_force.hands_off.iter().any(|(name, _)| {
        let parts: Vec<String> = through(name.as_str());
        parts.iter().any(|part| touched.contains(part))
    });
    let frozen = f.freezes.iter().any(|w| w.services.is_empty() || w.services.iter().any(|s| touched.contains(&s.to_string())));
    !in_force.halts.is_empty() || in_hand || frozen || trust.breaker().is_some()
}

fn facts() -> impl Strategy<Value = Facts> {
    let levels = prop::sample::select(vec![Level::One, Level::One, Level::Two, Level::Three]);
    let modes = prop::sample::select(vec![Mode::Auto, Mode::Auto, Mode::Review, Mode::Disabled]);
    let authority = an_authority();
    (levels, modes, prop::bool::weighted(0.1), a_target(), any::<bool>(), a_usage(), any::<bool>(), authority).prop_map(
        |(level, mode, escalated, about, about_api, usage, fresh, (in_force, trust, freezes))| {
            let good = Facts::good();
            let target = if about_api { good.target.clone() } else { about };
            let usage = if fresh { good.usage.clone() } else { usage };
            Facts { level, mode, escalated, target, usage, in_force, trust, freezes, ..good }
        },
    )
}

/// May this be changed at all, by the rules of the design? Level, mode and a human's word are looked at by the caller.
fn within_bounds(action: &Action, f: &Facts) -> bool {
    let near = ["api", "db", "pooler", "worker"];
    let own_scope = |name: &ServiceName| match f.target.service.as_ref().map(ServiceName::as_str) {
        Some("api") => near.contains(&name.as_str()),
        Some("db") => ["db", "other"].contains(&name.as_str()),
        Some(own) => own == name.as_str() && !["paramedic", "responder", "ghost"].contains(&own),
        None => false,
    };
    let budgets = f.usage.actions.is_some_and(|n| n < 10) && f.usage.degraded.is_some_and(|n| n < 5) && f.usage.hosts.is_some();
    let target_known = action.target.service.as_ref().is_none_or(|s| s.as_str() != "ghost")
        && action.target.host.as_ref().is_none_or(|h| h.as_str() != "ghost-host");
    let by_effect = match &action.effect {
        Effect::Restart { services } => {
            !services.is_empty() && services.iter().all(|s| own_scope(s) && f.usage.restarts.get(s).is_some_and(|n| *n < 3))
        }
        Effect::Scale { service, add } => own_scope(service) && *add >= 1 && f.usage.scaled.get(service).is_some_and(|n| n + add <= 2),
        Effect::Clean { paths, min_age_days } => {
            let clean_ones = ["/var/log/app/api", "/var/log/api", "/var/log/db"];
            *min_age_days >= 7 && !paths.is_empty() && paths.iter().all(|path| clean_ones.contains(&path.as_str()))
        }
        Effect::Command { command, danger } => {
            let of_mine = |s: &Service| own_scope(&s.name) && s.hosts.iter().any(|h| action.target.host.as_ref() == Some(h));
            let here = action.target.host.is_some()
                && (f.target.host == action.target.host || f.inventory.services().any(of_mine))
                && action.target.service.as_ref().is_none_or(own_scope);
            let confirmed = match command.as_str() {
                "mkdir /srv/x" => DangerLevel::Medium,
                "rm /srv/x" => DangerLevel::High,
                _ => return false,
            };
            here && *danger == confirmed
        }
        Effect::Observe | Effect::Talk | Effect::Question => true,
    };
    let runs = matches!(action.effect, Effect::Command { .. });
    if runs != (action.tool == "run_diagnosis_command") {
        return false;
    }
    let known = runs || TOOLS[..5].contains(&action.tool.as_str()) || action.tool == "update_config";
    budgets && target_known && by_effect && known && !f.escalated && action.tier > Tier::Observe
}

/// What an operator forbids of `db`: nothing, doing it unasked, anything; and whether that has been said.
const EDITS: [(&str, &str); 3] = [
    ("", ""),
    ("by_hand", "forbid (principal == Agent::\"remediator\", action == Action::\"execute\", resource == Service::\"db\");"),
    ("hands_off", "forbid (principal == Agent::\"remediator\", action, resource == Service::\"db\");"),
];

/// Each edit beside the shipped policies, read once.
fn edited(edit: usize) -> Arc<Policies> {
    static EDITED: LazyLock<Vec<Arc<Policies>>> = LazyLock::new(|| {
        let own = EDITS.map(|(id, text)| if id.is_empty() { String::new() } else { format!("@id(\"{id}\")\n@reason(\"r\")\n{text}") });
        own.iter().map(|own| super::policies::with(own)).collect()
    });
    EDITED[edit].clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_changed_but_within_every_bound(action in an_action(), facts in facts(), approve in any::<bool>(), edit in 0_usize..3) {
        let facts = if approve { facts.with(|f| f.approval = Some(granted(&action))) } else { facts };
        let on_db = facts.inventory.touched(&action).contains(&service("db"));
        let checker = SafetyChecker::new(facts.limits.clone(), edited(edit)).with_freezes(facts.freezes.clone());
        if let Ruling::Allowed(permit, _) = checker.rule(action.clone(), &facts.situation()) {
            prop_assert_eq!(permit.action(), &action);
            if action.effect.changes_something() {
                prop_assert!(within_bounds(&action, &facts), "{:?} was allowed", action);
                prop_assert!(facts.level != Level::Three && facts.mode != Mode::Disabled);
                let by_itself = facts.level == Level::One
                    && facts.mode == Mode::Auto
                    && action.tool != "update_config"
                    && action.tool != "run_diagnosis_command"
                    && action.tier != Tier::Destructive;
                prop_assert!(!forbidden_today(&action, &facts), "{:?} was allowed", action);
                let trusted = facts.trust.as_ref().is_some_and(|trust| trust.score() >= 300);
                prop_assert!(!on_db || edit != 2, "{:?} in spite of {:?}", action, EDITS[edit]);
                let by_itself = by_itself && trusted && !(on_db && edit == 1);
                prop_assert!(by_itself || permit.approval() == Some(ApprovalId(3)));
            }
        }
    }

    /// Whatever the layers say and whichever speaks first: one denial denies, one doubt asks, and a further opinion never loosens.
    #[test]
    fn the_strictest_opinion_wins_in_any_order(
        (said, again) in proptest::collection::vec(a_verdict(), 0..9).prop_flat_map(|said| (Just(said.clone()), Just(said).prop_shuffle())),
        more in a_verdict(),
    ) {
        let opinions = |said: &[Verdict]| -> Vec<Opinion> { said.iter().map(|verdict| Opinion::new(Layer::Floor, *verdict, "r")).collect() };
        let expected = match () {
            () if said.is_empty() || said.contains(&Verdict::Deny) => Verdict::Deny,
            () if said.contains(&Verdict::Confirm) => Verdict::Confirm,
            () => Verdict::Allow,
        };
        let first = crate::safety::strictest(&opinions(&said));
        prop_assert_eq!(first, expected);
        prop_assert_eq!(crate::safety::strictest(&opinions(&again)), expected);
        if !said.is_empty() {
            prop_assert!(crate::safety::strictest(&opinions(&[said, vec![more]].concat())) >= first);
        }
    }

    #[test]
    fn the_ruling_is_the_strictest_opinion(action in an_action(), facts in facts()) {
        let opinions = facts.checker().judge(&action, &facts.situation());
        prop_assert_eq!(facts.verdict(&action), crate::safety::strictest(&opinions));
    }
}

fn a_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Allow), Just(Verdict::Confirm), Just(Verdict::Deny)]
}

#[test]
fn the_random_facts_reach_every_verdict_for_changes() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..3_000 {
        let action = an_action().new_tree(&mut runner).unwrap().current();
        let facts = facts().new_tree(&mut runner).unwrap().current();
        if action.effect.changes_something() {
            *seen.entry(facts.verdict(&action)).or_insert(0) += 1;
        }
    }
    assert!(Verdict::Allow <= Verdict::Deny && seen.len() == 3, "{seen:?}: the property would be empty");
}
