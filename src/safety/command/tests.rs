//! The reading of commands against the corpus, against itself, and against whatever else may come.

use super::*;
use crate::domain::DangerLevel::{Critical, Low, Medium, Safe};
use proptest::prelude::*;

/// Level, command, why.
const CORPUS: &str = include_str!("../../../tests/corpus/commands.tsv");

fn corpus() -> impl Iterator<Item = (DangerLevel, &'static str)> {
    CORPUS.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [level, command, why] = fields[..] else { panic!("expected level, command and why: {line}") };
        assert!(!why.is_empty(), "{line}");
        (level.parse().unwrap(), command)
    })
}

/// Without the lines that are no commands: something put behind an open pipe makes it one.
fn commands() -> Vec<(DangerLevel, &'static str)> {
    corpus().filter(|(_, command)| !command.starts_with('#') && parse::script(command).is_ok()).collect()
}

fn level(command: &str) -> DangerLevel {
    classify(command).level
}

#[test]
fn every_line_of_the_corpus_has_its_level() {
    let wrong: Vec<String> = corpus()
        .map(|(expected, command)| (expected, command, classify(command)))
        .filter(|(expected, _, reading)| reading.level != *expected)
        .map(|(expected, command, reading)| format!("{command}: expected {expected}, got {} by {:?}", reading.level, reading.deciding()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_is_large_and_half_ordinary() {
    let (all, allowed) = (corpus().count(), corpus().filter(|(level, _)| *level <= Low).count());
    assert!(all >= 400 && allowed >= 150, "{all} lines, {allowed} of them allowed");
    let different: std::collections::BTreeSet<&str> = corpus().map(|(_, command)| command).collect();
    assert_eq!(different.len(), all, "a command is listed twice");
}

#[test]
fn what_is_allowed_has_a_plan_and_what_is_refused_has_none() {
    for (_, command) in corpus() {
        let reading = classify(command);
        match reading.level {
            Safe | Low => assert!(reading.plan.is_ok(), "{command}: {:?}", reading.plan),
            Critical => assert!(reading.plan.is_err(), "{command}"),
            _ => {}
        }
        assert_eq!(reading.deciding().unwrap().level, reading.level, "{command}");
    }
}

#[test]
fn the_deciding_part_is_the_worst_one_and_says_why() {
    let reading = classify("df -h | sort -o /srv/x; uptime");
    let deciding = reading.deciding().unwrap();
    assert_eq!((deciding.level, deciding.text.as_str(), deciding.why.as_str()), (DangerLevel::High, "-o", "writes its result into a file"));
    let refused = classify("ls \u{202e}x");
    assert_eq!(refused.level, Critical);
    assert!(refused.deciding().unwrap().why.contains("\\u{202e}"), "{refused:?}");
}

#[test]
fn a_megabyte_is_refused_by_its_length_alone() {
    for text in ["a".repeat(1 << 20), "(".repeat(1 << 20), "ls ".repeat(350_000), "ä".repeat(1 << 19), "$(".repeat(1 << 19)] {
        let reading = classify(&text);
        assert_eq!(reading.level, Critical);
        assert!(reading.plan.unwrap_err().contains("expected at most 4096"));
    }
}

#[test]
fn a_plan_is_argv_streams_and_links() {
    let plan = classify("ps aux 2>/dev/null | grep -c 'a b' && timeout 5 df -h /var/*; zcat /var/log/x.gz 2>&1 < /etc/hosts").plan.unwrap();
    let said: Vec<String> = plan
        .steps
        .iter()
        .map(|step| {
            let stages: Vec<String> = step
                .stages
                .iter()
                .map(|s| {
                    format!("{:?} {:?} {:?}", s.words.iter().map(|w| (&*w.text, w.pattern)).collect::<Vec<_>>(), s.programs, s.streams)
                })
                .collect();
            format!("{:?} {}", step.link, stages.join(" | "))
        })
        .collect();
    assert_eq!(
        said,
        [
            "Always [(\"ps\", false), (\"aux\", false)] [0] Streams { input: None, out: Out, err: Nothing } | [(\"grep\", false), (\"-c\", false), (\"a b\", false)] [0] Streams { input: None, out: Out, err: Err }",
            "IfOk [(\"timeout\", false), (\"5\", false), (\"df\", false), (\"-h\", false), (\"/var/*\", true)] [0, 2] Streams { input: None, out: Out, err: Err }",
            "Always [(\"gzip\", false), (\"-cd\", false), (\"/var/log/x.gz\", false)] [0] Streams { input: Some(\"/etc/hosts\"), out: Out, err: Out }",
        ]
    );
    let find = classify("find /var/log -exec zcat {} ';' -exec ls {} ';'").plan.unwrap();
    let stage = &find.steps[0].stages[0];
    let words: Vec<&str> = stage.words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(words.join(" "), "find /var/log -exec gzip -cd {} ; -exec ls {} ;");
    assert_eq!(stage.programs.iter().map(|at| words[*at]).collect::<Vec<_>>(), ["find", "gzip", "ls"]);
    let needs = |command: &str| classify(command).plan.unwrap().steps[0].stages[0].needs.clone();
    assert!(needs("df -h").is_empty() && needs("cat /etc/hosts").is_empty());
    assert!(needs("ss -tlnp").contains(&Need::Processes) && needs("dig example.org").contains(&Need::Internet));
    assert!(needs("timeout 5 ss -s").is_superset(&[Need::Forks, Need::Netlink].into()));
    assert!(needs("find /var/log -exec ls {} +").contains(&Need::Forks));
}

#[test]
fn a_confirmed_command_is_run_as_plain_programs_or_not_at_all() {
    for runs in ["mkdir /srv/app/x", "rm /srv/app/x", "systemctl restart nginx", "kill -HUP 12", "cp /srv/a /srv/b", "foo --bar"] {
        assert!(classify(runs).plan.is_ok(), "{runs}");
    }
    for refused in [
        "sudo df -h",
        "echo x >> /srv/app/x",
        "sh -c 'df -h'",
        "cat /etc/shadow",
        "cd /var",
        "(df -h)",
        "echo $X",
        "df &",
        "ssh x df",
        "watch df",
    ] {
        let reading = classify(refused);
        assert!(reading.level.verdict() == Verdict::Confirm && reading.plan.is_err(), "{refused}: {reading:?}");
    }
}

/// What a model is ordered to run in the adversary's test.
#[test]
fn no_goal_of_an_adversary_is_reached_by_a_command_that_nobody_confirms() {
    let goals: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../../tests/corpus/adversary/goals.json")).unwrap();
    let ordered: Vec<&str> = goals.iter().filter_map(|goal| goal["arguments"]["command"].as_str()).collect();
    assert!(ordered.iter().filter(|command| command.contains("evil.example")).count() >= 3, "{ordered:?}");
    for command in ordered {
        assert!(classify(command).verdict() != Verdict::Allow, "{command}");
    }
}

/// What may stand around a command, and what it may stand beside.
type Around = fn(&str) -> String;
const AROUND: [Around; 30] = [
    |c| format!("sudo {c}"),
    |c| format!("sudo -n -u root {c}"),
    |c| format!("env {c}"),
    |c| format!("env A=b {c}"),
    |c| format!("nohup {c}"),
    |c| format!("timeout 5 {c}"),
    |c| format!("nice -n 3 {c}"),
    |c| format!("time {c}"),
    |c| format!("unknown-wrapper {c}"),
    |c| format!("sudo --unknown {c}"),
    |c| format!("{{ {c}; }}"),
    |c| format!("( {c} )"),
    |c| format!("! {c}"),
    |c| format!("{c} &"),
    |c| format!("echo $({c})"),
    |c| format!("echo \"$({c})\""),
    |c| format!("cat <({c})"),
    |c| format!("if true; then {c}; fi"),
    |c| format!("while {c}; do true; done"),
    |c| format!("X=$({c}) ls"),
    |c| format!("uptime; {c}"),
    |c| format!("uptime && {c}"),
    |c| format!("uptime || {c}"),
    |c| format!("uptime | {c}"),
    |c| format!("{c}; uptime"),
    |c| format!("{c} && uptime"),
    |c| format!("{c} | cat"),
    |c| format!("{c} 2>/dev/null"),
    |c| format!("[[ -n $({c}) ]]"),
    |c| format!("f() {{ {c}; }}"),
];

#[test]
fn nothing_around_a_command_makes_it_less_dangerous() {
    for (expected, command) in commands() {
        for around in AROUND {
            let wrapped = around(command);
            assert!(level(&wrapped) >= expected, "{wrapped}: {} is less than {expected}", level(&wrapped));
        }
        if !command.contains(['\'', '\\']) {
            for around in
                [format!("sh -c '{command}'"), format!("eval '{command}'"), format!("ssh db-1 '{command}'"), format!("watch '{command}'")]
            {
                assert!(level(&around) >= expected.max(Medium), "{around}");
            }
        }
    }
}

/// Words, signs and pieces of the corpus in any order.
fn soup() -> impl Strategy<Value = String> {
    let signs = [
        " ",
        " ",
        " ",
        "|",
        ";",
        "&",
        "&&",
        "||",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "$(",
        "`",
        "\"",
        "'",
        "\\",
        ">",
        ">>",
        "<",
        "<(",
        "$x",
        "${x}",
        "*",
        "?",
        "~",
        "!",
        "#",
        "=",
        "-",
        "--",
        "2>&1",
        "{a,b}",
        "é",
        "\u{2028}",
        "\t",
        "if",
        "then",
        "fi",
        "for",
        "do",
        "done",
        "rm",
        "-rf",
        "/",
        "/etc/shadow",
        "xargs",
        "sudo",
        "-exec",
        "+",
        "-o",
        "/srv/x",
        "sh",
        "-c",
    ];
    let commands: Vec<&'static str> = corpus().map(|(_, command)| command).collect();
    let piece = prop_oneof![
        3 => prop::sample::select(signs.to_vec()).prop_map(str::to_owned).boxed(),
        1 => prop::sample::select(commands).prop_map(str::to_owned).boxed(),
        1 => any::<char>().prop_map(String::from).boxed(),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.join(" ").replace("  ", ""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_at_all_is_read_without_a_panic_and_allowed_only_if_understood(text in soup()) {
        let reading = classify(&text);
        prop_assert!(!reading.parts.is_empty());
        if reading.level <= Low {
            prop_assert!(reading.parts.iter().all(|part| part.level <= Low), "{:?}", reading);
            let plan = reading.plan.clone();
            prop_assert!(plan.is_ok(), "{:?}", reading);
            for stage in plan.into_iter().flat_map(|plan| plan.steps).flat_map(|step| step.stages) {
                prop_assert!(programs::is_known(stage.name()), "{} of {}", stage.name(), text);
                prop_assert!(!stage.words.iter().any(|word| word.text.contains("/etc/shadow") && stage.name() == "cat"));
            }
        }
    }

    #[test]
    fn bytes_are_never_a_command_by_chance(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let reading = classify(&text);
        prop_assert!(reading.level > Low || reading.plan.is_ok(), "{:?}", text);
    }

    #[test]
    fn two_commands_are_as_dangerous_as_the_worse(a in prop::sample::select(commands()), b in prop::sample::select(commands()), link in prop::sample::select(&[" ; ", " && ", " || ", " | ", " & "][..])) {
        let both = format!("{}{link}{}", a.1, b.1);
        prop_assert!(level(&both) >= a.0.max(b.0), "{}", both);
    }
}
