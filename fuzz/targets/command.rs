//! Shell commands: whatever is around a command, it never looks less dangerous than it is, and what is allowed has a plan.

use super::Target;
use paramedic::domain::{DangerLevel, Verdict};
use paramedic::safety::command::{FOLDERS, LONGEST, Reading, classify};

pub const TARGET: Target = Target {
    name: "command",
    check,
    seeds,
    words: &[
        " | ",
        " && ",
        " || ",
        " ; ",
        " & ",
        "$(",
        "`",
        "<(",
        ">(",
        " > ",
        " >> ",
        " 2>&1",
        " <<< ",
        "${x:-",
        "$((",
        "))",
        "{a,b}",
        "{1..9}",
        "$'\\x72'",
        "\\\"",
        "'\\''",
        " -exec ",
        " {} \\;",
        " {} +",
        "sudo ",
        "env ",
        "xargs ",
        "sh -c '",
        "eval ",
        "find / ",
        "awk '",
        "sed -n '",
        "tar ",
        "git ",
        "ssh ",
        "timeout 5 ",
        "nohup ",
        "rm -rf /",
        "/etc/shadow",
        "if ",
        "then ",
        "fi",
        "for x in ",
        "do ",
        "done",
        "case ",
        "esac",
        "function ",
        "[[ ",
        " ]]",
        "!",
        "~",
        "*",
        "?",
        "[a-z]",
        "!(x)",
        "--help",
        "curl ",
        "mysql -e '",
        "psql -c '",
        "kubectl ",
        "docker ",
        "systemctl ",
    ],
    longest: 4096,
};

/// What nobody may run, whatever stands beside it.
const WORST: &str = "rm -rf /";

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let reading = classify(&text);
    assert_eq!(reading, classify(&text), "the same command was judged in two ways");
    is_sound(&reading, &text);
    let beside = classify(&format!("{WORST}; {text}"));
    assert_eq!(beside.level, DangerLevel::Critical, "`{WORST}` before it goes unseen: {text:?}");
    // The lengths and counts that are refused may be reached by what is put around it.
    if text.len() + 64 < LONGEST && understood(&reading) {
        nothing_around_it_helps(&text, reading.level);
    }
}

fn is_sound(reading: &Reading, text: &str) {
    let worst = reading.parts.iter().map(|part| part.level).max();
    assert_eq!(worst, Some(reading.level), "{text:?}: {reading:?}");
    assert!(reading.deciding().is_some_and(|part| !part.why.is_empty()), "{text:?}: {reading:?}");
    match (reading.verdict(), &reading.plan) {
        (Verdict::Allow, Err(why)) => panic!("{text:?} is allowed and cannot be run: {why}"),
        (Verdict::Deny, Ok(plan)) => panic!("{text:?} is denied and has a plan: {plan:?}"),
        (Verdict::Allow, Ok(plan)) => {
            for stage in plan.steps.iter().flat_map(|step| &step.stages) {
                let name = stage.name();
                let folder = name.rsplit_once('/').map(|(folder, _)| folder);
                assert!(folder.is_none_or(|folder| FOLDERS.contains(&folder)), "{text:?} runs {name}");
            }
        }
        _ => {}
    }
}

/// Not refused as a whole: refusals are of the highest level whatever is added.
fn understood(reading: &Reading) -> bool {
    match (&reading.parts[..], &reading.plan) {
        ([only], Err(why)) => only.why != *why,
        _ => true,
    }
}

fn nothing_around_it_helps(text: &str, level: DangerLevel) {
    let around = |form: String, least: DangerLevel| {
        let found = classify(&form);
        assert!(found.level >= least, "{form:?} is {}, and {text:?} alone is {level}: {:?}", found.level, found.deciding());
    };
    around(format!("uptime; {text}"), level);
    if !text.contains('#') {
        around(format!("{text} ; {WORST}"), DangerLevel::Critical);
        around(format!("echo $( {text} )"), level);
    }
    if !text.contains('\'') {
        around(format!("sh -c '{text}'"), level);
    }
    if begins_with_a_program(text) {
        around(format!("sudo {text}"), level);
        around(format!("timeout 5 {text}"), level);
    }
}

/// Behind another program, an option, an assignment, a keyword or a sign of the shell's is something else.
fn begins_with_a_program(text: &str) -> bool {
    let first = text.trim_start().split(' ').next().unwrap_or_default();
    let keywords =
        ["coproc", "function", "time", "if", "for", "while", "until", "case", "select", "then", "else", "do", "exec", "command", "builtin"];
    first.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && first.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && !keywords.contains(&first)
}

fn seeds() -> Vec<Vec<u8>> {
    let corpus = super::file("tests/corpus/commands.tsv");
    let commands = corpus.lines().filter_map(|line| line.split('\t').nth(1)).map(str::to_owned);
    commands.chain(deep()).map(String::into_bytes).collect()
}

/// As long as a command may be, and as nested as it then can get: a grammar that walks it on the stack has to give up in time.
fn deep() -> Vec<String> {
    let filled = |start: &str, piece: &str, end: &str| {
        let pieces = (LONGEST - start.len() - end.len()) / piece.len();
        format!("{start}{}{end}", piece.repeat(pieces))
    };
    vec![
        filled("[[ ", "! ", "-n x ]]"),
        filled("[[ ", "a && ", "a ]]"),
        filled("[[ ", "a == a || ", "a ]]"),
        filled("", "! ", "ls"),
        filled("", "a[", ""),
        filled("", "A=1 ", "ls"),
        filled("a=(", "1 ", ")"),
        filled("echo $((", "-", "1))"),
        filled("echo $((", "1?1:", "1))"),
        filled("echo $((", "1+", "1))"),
        filled("echo ", "$x", ""),
        filled("echo \"", "$x", "\""),
        filled("echo ", "\"\"", ""),
        filled("echo ", "'a'\\\\", ""),
        filled("echo ", "${x", "}"),
        filled("echo ", "{a,", "}"),
        filled("echo ", "[a", "]"),
        filled("echo ", "\"$(", "\""),
        filled("", "ls|", "ls"),
        filled("", "ls;", "ls"),
        filled("", "ls&&", "ls"),
        filled("ls ", "<x ", ""),
        filled("ls ", "2>&1 ", ""),
        filled("ls ", "<<<x ", ""),
        filled("find / ", "-not ", "-name x"),
        filled("find / ", "! ", "-name x"),
        filled("awk '", "{", "}'"),
        filled("sed '", "s/a/b/;", "'"),
        filled("", "sudo ", "ls"),
        filled("", "env a=b ", "ls"),
        filled("", "unknown ", "ls"),
        filled("", "eval ", "ls"),
        filled("sh -c \"", "a;", "\""),
        filled("mysql -e '", "select ", "'"),
        filled("", "time ", "ls"),
        filled("", "case x in ", "esac"),
        filled("", "if true; then ", "fi"),
    ]
}
