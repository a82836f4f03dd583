//! Runbooks: a file that is refused says where; one that is taken can be walked to its end, the same way each time, and hands no hostile
//! text to a tool that acts.

use super::Target;
use paramedic::config::runbook_of;
use paramedic::domain::{
    Alert, AlertStatus, Entry, Fingerprint, HostName, Incident, IncidentId, Level, PlannerKind, Recorded, ServiceName, Target as Place,
    Time,
};
use paramedic::planner::{Next, Runbook, ToolShapes};
use paramedic::tools;
use std::path::Path;
use std::sync::LazyLock;

pub const TARGET: Target = Target {
    name: "runbook",
    check,
    seeds,
    words: &[
        "name: ",
        "why: ",
        "steps:\n",
        "  - id: ",
        "    tool: ",
        "    args: { ",
        "    when: ",
        "    reason: ",
        "    optional: true\n",
        "verify:\n",
        "  expect: ",
        "  within: 5m\n",
        "restart_service",
        "check_service_status",
        "get_service_logs",
        "get_metrics",
        "\"{{ incident.service }}\"",
        "{{ alert.labels.instance }}",
        "{{ alert.annotations.summary }}",
        "{% for x in range(9) %}",
        "{% endfor %}",
        "{% set a = alert %}",
        "{% if ",
        "{% endif %}",
        "|attr('annotations')",
        "|replace('a', 'b')",
        "|tojson",
        "|default('x')",
        "steps.status.output",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "|\n",
        ">-\n",
        "{a: {a: ",
        "[[[[",
        "\"\\U0001F600\"",
        "- - - -",
    ],
    longest: 4096,
};

/// Stands in texts of the alert that anybody could have written.
const PLANTED: &str = "planted-by-an-attacker";
/// No runbook of the size tried here has more.
const STEPS: i64 = 200;

static TOOLS: LazyLock<ToolShapes> = LazyLock::new(tools::shapes);

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Path::new("runbook.yaml");
    match runbook_of(path, &text, &TOOLS) {
        Err(complaints) => super::complaints_have_places(&text, &complaints),
        Ok(runbook) => walk(&runbook, &text),
    }
}

fn walk(runbook: &Runbook, text: &str) {
    let mut incident = incident();
    for turn in 0..STEPS {
        let next = runbook.next(&incident);
        assert_eq!(next, runbook.next(&incident), "the next step is not the same twice");
        let step = match next {
            Next::Propose(proposal) => {
                let shape = TOOLS.get(&proposal.tool).expect("a tool that is there");
                let arguments = proposal.arguments.as_object().expect("arguments by name");
                assert!(arguments.keys().all(|name| shape.arguments.contains(name)), "{proposal:?}");
                let leaked = shape.acts && proposal.arguments.to_string().contains(PLANTED) && !text.contains(PLANTED);
                assert!(!leaked, "an acting tool is given what anybody could have written: {proposal:?}");
                proposal.step.expect("a step by its id")
            }
            Next::Skip { step, why } => {
                assert!(!why.is_empty());
                step
            }
            Next::Wait { step } => panic!("waits for {step}, and nothing is under way"),
            Next::Done { .. } | Next::Fail { .. } => {
                // A check of the fix is read against every way the runbook can end.
                let _ = runbook.verification(&incident);
                return;
            }
        };
        let skipped = Entry::Skipped { step, why: "was looked at".into() };
        incident.apply(&recorded(incident.seq + 1, turn, skipped)).expect("a step can be skipped");
    }
    panic!("does not come to an end in {STEPS} steps");
}

fn recorded(seq: i64, second: i64, entry: Entry) -> Recorded {
    Recorded { seq, at: Time::from_timestamp(1_780_000_000 + second, 0).unwrap(), entry }
}

fn incident() -> Incident {
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let alert = Alert {
        status: AlertStatus::Firing,
        labels: pairs(&[("alertname", "ServiceDown"), ("service", "api"), ("instance", "10.0.0.11:9100"), ("message", PLANTED)]),
        annotations: pairs(&[("summary", PLANTED), ("runbook", PLANTED), ("description", PLANTED)]),
        starts_at: Time::from_timestamp(1_780_000_000, 0).unwrap(),
        ends_at: None,
        generator_url: PLANTED.into(),
        fingerprint: Fingerprint("c0ffee".into()),
        group_key: PLANTED.into(),
        origin: Default::default(),
    };
    let target = Place { service: Some(ServiceName::parse("api").unwrap()), host: Some(HostName::parse("web-1").unwrap()) };
    let entries = [
        Entry::Raised { alert, target },
        Entry::Classified { level: Level::One, rule: Some("rule".into()), why: "because".into(), runbook: Some("x".into()), mode: None },
        Entry::RunStarted { run: 1, planner: PlannerKind::Runbook, runbook: Some("x".into()) },
    ];
    let entries: Vec<Recorded> = (1..).zip(entries).map(|(seq, entry)| recorded(seq, 0, entry)).collect();
    Incident::replay(IncidentId(7), &entries).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let shipped = super::files("config/runbooks").into_iter().map(|(_, bytes)| bytes);
    let odd = [
        "",
        "name: x\nwhy: y\nsteps:\n  - { id: a, tool: get_metrics, reason: \"{{ alert.annotations.summary }}\", optional: true }\n",
        "name: x\nwhy: y\nsteps:\n  - id: a\n    tool: restart_service\n    args: { service: \"{{ incident.service }}\" }\n    when: alert.labels.instance is defined\n    reason: |\n      {% for x in range(3) %}{{ x }}{% endfor %}\nverify: { tool: check_service_status, args: {}, expect: ok and output.active, within: 1m30s }\n",
        "name: x\nsteps: [1, {id: a, id: b}]\nnope: &a [*a]\n",
    ];
    let odd = odd.map(str::to_owned).into_iter().chain(deep());
    shipped.chain(odd.map(String::into_bytes)).collect()
}

/// Conditions and templates that are nested as deeply as a file of some pages can hold: all of it walked on the stack.
fn deep() -> Vec<String> {
    let conditions = [
        ("", "(", "1", ")"),
        ("", "[", "1", "]"),
        ("", "{'a':", "1", "}"),
        ("", "not ", "1", ""),
        ("", "-", "1", ""),
        ("", "1+", "1", ""),
        ("", "1 ~ ", "1", ""),
        ("", "2**", "1", ""),
        ("", "1 and ", "1", ""),
        ("", "1 < ", "1", ""),
        ("", "1 if 1 else ", "1", ""),
        ("incident", ".a", "", ""),
        ("incident", "['a']", "", ""),
        ("incident", "|string", "", ""),
        ("incident", " is string", "", ""),
        ("'", "a", "'", ""),
    ];
    let of = |when: String, reason: String| {
        format!(
            "name: x\nwhy: y\nsteps:\n  - id: a\n    tool: get_metrics\n    args: {{}}\n    when: >-\n      {when}\n    reason: >-\n      {reason}\n"
        )
    };
    let mut files = Vec::new();
    for (start, open, middle, close) in conditions {
        for times in [100, 3000] {
            let when = format!("{start}{}{middle}{}", open.repeat(times), close.repeat(times));
            files.extend([of(when.clone(), "because".into()), of("1".into(), format!("{{{{ {when} }}}}"))]);
        }
    }
    for (open, close) in
        [("{% if 1 %}", "{% endif %}"), ("{% for x in [1] %}", "{% endfor %}"), ("{% set a %}", "{% endset %}"), ("{{ 1 }}", "")]
    {
        files.extend([50, 500].map(|times| of("1".into(), format!("{}x{}", open.repeat(times), close.repeat(times)))));
    }
    let nested = |open: &str, times: usize| format!("name: x\nwhy: y\nsteps: {}", open.repeat(times));
    files.extend([nested("[", 60), nested("[", 3000), nested("{a: ", 60), nested("{a: ", 3000), nested("- ", 60), nested("- ", 3000)]);
    files
}
