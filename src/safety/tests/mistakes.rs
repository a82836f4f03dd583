//! Mistakes in policy files: each kind is told with its line, and a file that would break the reader is refused before it is read.

use super::policies::{files, said, with};
use super::*;
use Verdict::Deny;

#[test]
fn every_kind_of_mistake_is_told_with_its_line() {
    let rows: [(&str, &str, &str); 26] = [
        (
            "syntax",
            "@id(\"x\")\n@reason(\"r\")\npermit (principal, action, resource) wenn { true };",
            "own.cedar:3:38: invalid policy condition: wenn (condition must be",
        ),
        ("unknown attribute of the context", &forbid("context.dangre > 3"), "own.cedar:4:8: for policy `x`, attribute `dangre` "),
        ("unknown attribute of the resource", &forbid("resource.tag == \"x\""), "own.cedar:4:8: for policy `x`, attribute `tag` "),
        // Cedar itself takes these four.
        (
            "unknown attribute behind has",
            &forbid("context.level == 2 || (context has strom && context.strom)"),
            "own.cedar:4:43: for policy `x`, `context` has no `strom`: expected one of actions_left, approvers, hour,",
        ),
        (
            "unknown attribute that must be absent",
            &forbid("!(context has strom)"),
            "own.cedar:4:22: for policy `x`, `context` has no `strom`",
        ),
        (
            "unknown attribute of the resource behind has",
            &forbid("context.storm || resource has enviroment"),
            "own.cedar:4:38: for policy `x`, `resource` has no `enviroment`: expected one of environment, owner, tags, via",
        ),
        (
            "unknown attribute in a branch that is never taken",
            &forbid("false && context.dangre == 1 || context.storm"),
            "own.cedar:4:25: for policy `x`, `context` has no `dangre`",
        ),
        // And of numbers it knows no bounds.
        (
            "a level that there is not",
            &forbid("context.hour > 4 && context.level == 4"),
            "own.cedar:4:45: for policy `x`, `context.level` is never 4: expected 1 to 3",
        ),
        (
            "another one, on a line of its own, the other way round",
            &forbid("context.storm ||\n  0 != context.level"),
            "own.cedar:5:3: for policy `x`, `context.level` is never 0: expected 1 to 3",
        ),
        (
            "a weekday that there is not, in a set",
            &forbid("[6, 7, 8].contains(context.weekday)"),
            "own.cedar:4:15: for policy `x`, `context.weekday` is never 8: expected 1 to 7",
        ),
        ("an hour that there is not", &forbid("context.hour == 24"), "own.cedar:4:24: for policy `x`, `context.hour` is never 24"),
        ("a risk that there is not", &forbid("context.risk == -1"), "own.cedar:4:24: for policy `x`, `context.risk` is never -1"),
        ("more approvers than may be", &forbid("context.approvers == 6"), "own.cedar:4:29: for policy `x`, `context.approvers` is never 6"),
        (
            "unknown tier in a set",
            &forbid("[Tier::\"observe\", Tier::\"odd\"].contains(context.tier)"),
            "own.cedar:4:26: for policy `x`: entity `Tier::\"odd\"` is of an enumerated",
        ),
        (
            "unknown tool",
            &forbid("context.tool == Tool::\"restart_servce\""),
            "own.cedar:4:24: for policy `x`: entity `Tool::\"restart_servce\"` is of an enumerated",
        ),
        (
            "unknown mode",
            &forbid("context.mode == Mode::\"manual\""),
            "own.cedar:4:24: for policy `x`: entity `Mode::\"manual\"` is of an enumerated",
        ),
        (
            "unknown agent",
            &scope("principal == Agent::\"remediatr\", action, resource"),
            "own.cedar:3:22: for policy `x`: entity `Agent::\"remediatr\"`",
        ),
        (
            "unknown action",
            &scope("principal, action == Action::\"excute\", resource"),
            "own.cedar:3:30: for policy `x`, unrecognized action",
        ),
        (
            "unknown kind",
            &scope("principal is Robot, action, resource"),
            "own.cedar:3:22: for policy `x`, unrecognized entity type `Robot`",
        ),
        ("wrong type", &forbid("context.level == \"1\""), "own.cedar:4:8: the types Long and String are not compatible (for policy `x`"),
        (
            "optional attribute",
            &forbid("context.requester == Human::\"ana\""),
            "own.cedar:4:8: for policy `x`, unable to guarantee safety of access to optional attribute `requester`",
        ),
        (
            "never holds",
            &scope("principal == Agent::\"diagnoser\", action == Action::\"approve\", resource"),
            "own.cedar:1:1: for policy `x`, ",
        ),
        ("no id", "@reason(\"r\")\nforbid (principal, action, resource);", "own.cedar:1:1: a policy has to have a name: expected @id"),
        ("odd id", "@id(\"a b\")\n@reason(\"r\")\nforbid (principal, action, resource);", "own.cedar:1:1: a policy has to have a name"),
        (
            "no reason",
            "\n// why?\n@id(\"x\")\nforbid (principal, action, resource);",
            "own.cedar:3:1: a policy has to say why: expected @reason",
        ),
        (
            "template",
            "@id(\"x\")\n@reason(\"r\")\npermit (principal == ?principal, action, resource);",
            "own.cedar:1:1: ?principal and ?resource are slots",
        ),
    ];
    let mut wrong = Vec::new();
    for (row, text, expected) in rows {
        let problems = Policies::load(&files(text)).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        if told.len() != 1 || !told[0].starts_with(expected) {
            wrong.push(format!("{row}: expected {expected}\n    told {told:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_number_can_be_is_no_mistake() {
    for condition in [
        "context.level == 1 || context.level != 3",
        "[1, 2, 3].contains(context.level)",
        "context.hour == 0 && context.weekday == 7 && context.risk == 100",
        "context.approvers == 5 && context.signed == 0",
        "context.restarts_left == 1000 || context.hour < 24",
    ] {
        let problems = Policies::load(&files(&forbid(condition))).err();
        assert_eq!(problems, None, "{condition}");
    }
}

fn forbid(condition: &str) -> String {
    format!("@id(\"x\")\n@reason(\"r\")\nforbid (principal, action, resource)\nwhen {{ {condition} }};")
}

fn scope(scope: &str) -> String {
    format!("@id(\"x\")\n@reason(\"r\")\nforbid ({scope});")
}

#[test]
fn what_would_end_the_parsers_stack_is_refused_and_what_is_merely_long_is_not() {
    let told = |text: &str| Policies::load(&files(text)).err().map(|problems| problems[0].to_string());
    for (open, close) in [("(", ")"), ("[", "]"), ("{a: ", "}")] {
        let deep = told(&forbid(&format!("{}true{}", open.repeat(100_000), close.repeat(100_000)))).unwrap();
        assert!(deep.starts_with("own.cedar:4:") && deep.contains("nested too deeply: expected at most 24"), "{deep}");
    }
    assert!(told(&forbid(&format!("{}true", "if context.storm then true else ".repeat(100)))).unwrap().contains("and 64 `if`"));
    let long = told(&format!("// ours\n{}", forbid(&format!("true{}", " && context.storm".repeat(100_000))))).unwrap();
    assert!(long.starts_with("own.cedar:1:1: one policy is longer than 4096 bytes"), "{long}");
    // As deep, and as long, as is taken.
    assert_eq!(told(&forbid(&format!("{}context.storm{}", "(".repeat(23), ")".repeat(23)))), None);
    // Too long to be asked on this stack, or not: it is never skipped.
    let chain = with(&forbid(&format!("context.storm{} || true", " || context.level > 3".repeat(160))));
    assert_eq!(said(&chain, &Facts::good(), &restart(&["api"])).0, Deny);
    assert_eq!(told(&forbid(&format!("{}true", "if context.storm then false else ".repeat(60)))), None);
    // Brackets and ifs in strings and remarks are no structure.
    let brackets = format!("// {}\n{}", "(".repeat(500), forbid(&format!("resource.owner == \"\\\"{}\"", "if (".repeat(500))));
    assert_eq!(told(&brackets), None);
}

#[test]
fn all_mistakes_are_told_at_once_and_an_id_is_given_once() {
    let text = "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action, resource) when { context.nope };\n\n@id(\"look\")\n@reason(\"r\")\nforbid (principal, action, resource);\n@id(\"b\")\nforbid (principal, action, resource);";
    let told: Vec<String> = Policies::load(&files(text)).unwrap_err().iter().map(ToString::to_string).collect();
    let begins = |line: &str| told.iter().filter(|told| told.starts_with(line)).count();
    assert!(begins("own.cedar:3:") >= 1, "{told:?}");
    assert_eq!(begins("own.cedar:5:1: policy `look` is there already (boundary.cedar:"), 1, "{told:?}");
    assert_eq!(begins("own.cedar:8:1: a policy has to say why"), 1, "{told:?}");
    let empty = [("own.cedar".to_owned(), "// nothing\n".to_owned())];
    assert_eq!(
        Policies::load(&empty).unwrap_err()[0].to_string(),
        "own.cedar: no policy is there: expected at least one, or nothing would ever be permitted"
    );
}

#[test]
fn a_policy_that_names_what_nobody_knows_is_a_mistake() {
    let text = "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action, resource in Host::\"web-1\")\nwhen { resource == Service::\"apii\" || resource == Service::\"api\" };\n\
                @id(\"b\")\n@reason(\"r\")\nforbid (principal in Group::\"admins\", action == Action::\"approve\", resource);\n\
                @id(\"c\")\n@reason(\"r\")\nforbid (principal, action, resource in Host::\"web-9\");";
    let told: Vec<String> = with(text).strangers(&inventory(), &["approvers"]).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "own.cedar:1:1: service `apii` is not listed in services.yaml",
            "own.cedar:5:1: there is no group `admins`: expected one of approvers",
            "own.cedar:8:1: host `web-9` is not listed in services.yaml",
        ]
    );
}
