//! What the design says of the source, held against the source: floors, who may name which library, who may run a tool or make
//! an authorisation, and the house rules a compiler does not know.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Module and floor. Imports go down only; what stands on one floor does not know its neighbours.
const FLOORS: [(&str, u8); 19] = [
    ("domain", 0),
    ("safety", 1),
    ("classifier", 1),
    ("ledger", 1),
    ("redaction", 1),
    ("clients", 2),
    ("store", 3),
    ("planner", 3),
    ("notify", 3),
    ("credentials", 3),
    ("witness", 3),
    ("tools", 4),
    ("publish", 4),
    ("engine", 5),
    ("http", 6),
    ("detector", 6),
    // Loopback peers of the demo and the tests: beside the building, on a level with its doors.
    ("standins", 6),
    ("view", 6),
    ("config", 7),
];

/// Wiring: may name everything.
const WIRING: [&str; 4] = ["main", "lib", "app", "cli"];

/// Library and the modules that may name it.
const LIBRARIES: [(&str, &[&str]); 12] = [
    ("sqlx", &["store"]),
    // The application starts what http/ made.
    ("axum", &["http", "standins", "app"]),
    ("reqwest", &["clients"]),
    ("slack_morphism", &["clients"]),
    ("bollard", &["clients"]),
    ("openssh", &["clients"]),
    ("lettre", &["clients"]),
    ("async_openai", &["clients"]),
    ("prometheus_http_query", &["clients"]),
    ("kube", &["clients"]),
    ("landlock", &["clients"]),
    ("seccompiler", &["clients"]),
];

struct Source {
    /// Below `src/`, such as `store/ledger.rs`.
    path: String,
    /// The first part of it, without `.rs`.
    module: String,
    text: String,
}

/// A line of code, without its comment; strings are left as they are.
struct Line<'a> {
    number: usize,
    code: &'a str,
}

impl Source {
    /// Is the whole file a test module?
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    /// Production code: up to a test module that stands in the file itself.
    fn lines(&self) -> Vec<Line<'_>> {
        if self.is_test() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let all: Vec<&str> = self.text.lines().collect();
        for (index, line) in all.iter().enumerate() {
            let opens = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
            if line.trim() == "#[cfg(test)]" && all.get(index + 1).is_some_and(opens) {
                break;
            }
            let code = line.split("//").next().unwrap();
            // An address in a string is not a comment.
            let code = if line.contains("://") { line } else { code };
            lines.push(Line { number: index + 1, code });
        }
        lines
    }

    fn floor(&self) -> Option<u8> {
        FLOORS.iter().find(|(name, _)| *name == self.module).map(|(_, floor)| *floor)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
                sources.push(Source { path, module, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 50, "the source was not found below {}", root.display());
    sources
}

/// Modules named as `crate::NAME`, also inside `use crate::{a, b::c}`.
fn named_modules(code: &str) -> Vec<&str> {
    code.match_indices("crate::")
        .flat_map(|(at, prefix)| {
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(list) => list.split(['}', ',']).map(|part| word(part.trim())).collect(),
                None => vec![word(rest)],
            }
        })
        .collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

/// Does the code name this crate, as `name::` or `use name`, and not a module or method that is called the same?
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let free = !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
            && !code[..at].ends_with("crate::")
            && !code[..at].ends_with("self::")
            && !code[..at].ends_with("super::");
        free && code[at + name.len()..].starts_with("::")
    })
}

#[derive(Default)]
struct Complaints(String);

impl Complaints {
    fn add(&mut self, source: &Source, line: usize, rule: &str) {
        writeln!(self.0, "src/{}:{line}: {rule}", source.path).unwrap();
    }

    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

#[test]
fn imports_go_down_only_and_neighbours_do_not_know_each_other() {
    let mut complaints = Complaints::default();
    for source in &sources() {
        let Some(floor) = source.floor() else {
            if !WIRING.contains(&source.module.as_str()) {
                complaints.add(source, 1, &format!("module {} stands on no floor: say which in tests/it/architecture.rs", source.module));
            }
            continue;
        };
        for line in source.lines() {
            if line.code.trim_end().ends_with("crate::{") {
                complaints.add(source, line.number, "a list over several lines hides what is named: one `use crate::module` a line");
            }
            for name in named_modules(line.code).into_iter().filter(|name| *name != source.module) {
                let below = FLOORS.iter().any(|(module, other)| *module == name && *other < floor);
                // The view is how the API shows an incident; Slack's peer signs its clicks with the door's own routine.
                let known = matches!((source.module.as_str(), name), ("http", "view") | ("standins", "http"));
                if !below && !known && !name.is_empty() {
                    let rule = format!("{} (floor {floor}) names crate::{name}: imports go down only", source.module);
                    complaints.add(source, line.number, &rule);
                }
            }
        }
    }
    complaints.none();
}

#[test]
fn only_its_own_module_names_a_library() {
    let mut complaints = Complaints::default();
    for source in &sources() {
        for line in source.lines() {
            for (library, allowed) in LIBRARIES {
                if names_crate(line.code, library) && !allowed.contains(&source.module.as_str()) {
                    complaints.add(source, line.number, &format!("only {} may name {library}", allowed.join(", ")));
                }
            }
        }
    }
    complaints.none();
}

#[test]
fn a_write_transaction_is_the_stores_own_never_sqlxs() {
    let mut complaints = Complaints::default();
    for source in sources().iter().filter(|source| source.module == "store") {
        for line in source.lines().iter().filter(|line| line.code.contains(".begin()") && !line.code.contains("self.begin()")) {
            complaints.add(
                source,
                line.number,
                "sqlx' transactions lose count when a disk is full: use Store::begin (store/transaction.rs)",
            );
        }
    }
    complaints.none();
}

#[test]
fn only_the_gate_runs_a_tool_and_only_the_safety_checker_authorises() {
    let mut complaints = Complaints::default();
    let (mut runs, mut made) = (0, 0);
    for source in &sources() {
        for line in source.lines() {
            if line.code.contains("tool.run(") || (source.module != "store" && line.code.contains(".run(permit")) {
                runs += 1;
                if source.path != "engine/gate.rs" {
                    complaints.add(source, line.number, "only the engine's gate calls a tool's `run`");
                }
            }
            let literal = line.code.contains("AuthorizedAction {") && !line.code.contains("struct ") && !line.code.contains("impl ");
            if literal && !line.code.contains("-> AuthorizedAction {") {
                made += 1;
                if source.path != "safety/mod.rs" {
                    complaints.add(source, line.number, "an AuthorizedAction is made in safety/mod.rs only");
                }
            }
        }
    }
    complaints.none();
    // The scan itself must see what it forbids elsewhere.
    assert!(runs >= 1 && made >= 1, "{runs} runs of a tool and {made} authorisations were found");
    let safety = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/safety/mod.rs")).unwrap();
    let fields = safety.split_once("pub struct AuthorizedAction {").unwrap().1.split_once('}').unwrap().0;
    assert!(!fields.contains("pub"), "the fields of an AuthorizedAction are private: {fields}");
    let derived = safety.split_once("pub struct AuthorizedAction {").unwrap().0.lines().next_back().unwrap().to_owned();
    assert!(!derived.contains("Clone") && !derived.contains("Deserialize"), "permission is spent once and never read in: {derived}");
}

#[test]
fn nothing_is_left_undone_and_nothing_panics() {
    let mut complaints = Complaints::default();
    let forbidden = [
        ("todo!(", "nothing is left to do"),
        ("unimplemented!(", "nothing is left to do"),
        ("dbg!(", "no debugging output"),
        (".unwrap()", "no unwrap outside tests"),
        (".expect(", "no expect outside tests"),
        ("panic!(", "no panic outside tests"),
        ("unreachable!(", "no panic outside tests"),
        ("#[allow(", "say #[expect(lint, reason = \"...\")]"),
    ];
    for source in &sources() {
        for line in source.lines() {
            for (text, rule) in forbidden {
                if line.code.contains(text) {
                    complaints.add(source, line.number, rule);
                }
            }
        }
    }
    complaints.none();
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough_to_read() {
    let mut complaints = Complaints::default();
    for source in &sources() {
        if !source.text.starts_with("//!") {
            complaints.add(source, 1, "a file opens with `//!`: what it is for and what it must never do");
        }
        let lines = source.lines().len();
        if lines > 400 {
            complaints.add(source, lines, &format!("{lines} lines of production code are too many (400)"));
        }
    }
    complaints.none();
}

#[test]
fn judgement_and_nouns_know_no_async_and_no_clock() {
    let mut complaints = Complaints::default();
    for source in
        sources().iter().filter(|source| ["domain", "safety", "classifier", "ledger", "redaction"].contains(&source.module.as_str()))
    {
        for line in source.lines() {
            for (text, rule) in [
                ("async fn", "no async in judgement"),
                ("tokio::", "no runtime in judgement"),
                ("std::fs::", "no IO in judgement"),
                ("std::net::", "no IO in judgement"),
                ("std::process::", "no IO in judgement"),
                ("SystemTime::now", "time comes in as an argument"),
                ("Instant::now", "time comes in as an argument"),
                ("Utc::now", "time comes in as an argument"),
            ] {
                if line.code.contains(text) && source.path != "domain/time.rs" {
                    complaints.add(source, line.number, rule);
                }
            }
        }
    }
    complaints.none();
}

/// Nothing in the environment ends a server that was built for use.
#[test]
fn only_what_is_compiled_for_tests_knows_how_to_die() {
    let sources = sources();
    let named: Vec<&str> = sources.iter().filter(|source| source.text.contains("PARAMEDIC_FAILPOINT")).map(|s| s.path.as_str()).collect();
    assert_eq!(named, ["store/failpoint/fatal.rs"]);
    let parent = sources.iter().find(|source| source.path == "store/failpoint.rs").unwrap();
    assert!(parent.text.contains("#[cfg(feature = \"failpoints\")]\nmod fatal;"), "it is compiled in without the feature");
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(!manifest.lines().any(|line| line.starts_with("default =")), "no feature is on by default");
}

/// `docker build` sees what .dockerignore lets through, and Cargo refuses a manifest whose targets are not there.
#[test]
fn the_images_build_context_holds_every_target_of_the_manifest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (manifest, ignored) = (read("Cargo.toml"), read(".dockerignore"));
    for (kind, folder) in [("bench", "benches"), ("test", "tests"), ("example", "examples")] {
        let named = manifest.lines().any(|line| line == format!("[[{kind}]]"));
        let there = ignored.lines().any(|line| line == format!("!{folder}"));
        assert!(there || !named, "Cargo.toml names a {kind}: expected `!{folder}` in .dockerignore");
    }
}

/// A table that one of the stores lacks would be found by whoever first uses it there.
#[test]
fn both_stores_have_the_same_migrations() {
    let names = |store: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(store);
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
