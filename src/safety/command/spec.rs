//! How a program is described: which options it has, what they take, what its operands are, what raises its level. Descriptions are
//! tables (`programs/`); this knows how to read one, not any program.
//!
//! An option list is words: `-abc` three flags, `-n=` one with a value, `-u?` one whose value can only be attached, `--all`, `--type=`,
//! `--color?`; what stands behind `=` says what the value names: `@` a file that is read, `^` a machine, `!` a machine or the path of a
//! socket, `%` a database; `-#` means that `-20` is an option. A program with `dashed` has long options behind one dash (`-noout`).

use super::judge::Judge;
use super::plan::Run;
use super::syntax::Word;
use crate::domain::DangerLevel;

/// What the operands are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// None are expected.
    Nothing,
    /// Anything; none of it is taken for a file.
    Text,
    /// Files that are named or counted, never shown.
    Names,
    /// Files whose contents come out.
    Contents,
    /// The same, whole folders included.
    Trees,
    /// Machines, or names that a resolver is asked for.
    Machines,
    /// The first is one, the rest is text.
    First,
    /// A pattern, unless one of these options gave it, then files whose contents come out.
    Pattern(&'static [&'static str]),
    /// Files and folders that are changed.
    Changed,
    /// The last is changed, those before it are read.
    Copied,
}

/// What a program needs of the sandbox beyond reading files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Sockets of this machine's daemons: D-Bus, Docker, a database.
    Unix,
    /// The kernel's own tables of sockets, routes and links.
    Netlink,
    /// The network.
    Internet,
    /// Other programs, started by it.
    Forks,
    /// Other processes' open files; Landlock hides those, so without it. Such a program shows no file's contents.
    Processes,
    /// The kernel's log.
    KernelLog,
    /// The tables of the firewall.
    Firewall,
    /// Asking whether another process is there.
    Signals,
}

pub type Special = fn(&mut Judge, &'static Program, &[Word]) -> Run;

#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its names, separated by blanks.
    pub names: &'static str,
    pub level: DangerLevel,
    pub why: &'static str,
    pub options: &'static str,
    /// Options that make it worse: an option list, the level, why.
    pub raises: &'static [(&'static str, DangerLevel, &'static str)],
    pub operands: Operands,
    /// Subcommands; the operands before one are none.
    pub subs: &'static [Program],
    pub needs: &'static [Need],
    pub dashed: bool,
    /// Reads only if one of these options is given; the level and the reason otherwise.
    pub only_with: Option<(&'static [&'static str], DangerLevel, &'static str)>,
    /// More operands than this do something else.
    pub at_most: Option<(usize, DangerLevel, &'static str)>,
    /// Judges what the table cannot say. It is called instead of the table's own reading.
    pub special: Option<Special>,
    /// Run as this instead: the same program without a script in between.
    pub run_as: &'static [&'static str],
}

/// A program that shows the machine's state.
pub const fn safe(names: &'static str, options: &'static str) -> Program {
    program(names, DangerLevel::Safe, "shows the state of the machine", options)
}

/// A program that reads.
pub const fn low(names: &'static str, options: &'static str) -> Program {
    program(names, DangerLevel::Low, "reads only", options)
}

pub const fn program(names: &'static str, level: DangerLevel, why: &'static str, options: &'static str) -> Program {
    Program {
        names,
        level,
        why,
        options,
        raises: &[],
        operands: Operands::Text,
        subs: &[],
        needs: &[],
        dashed: false,
        only_with: None,
        at_most: None,
        special: None,
        run_as: &[],
    }
}

impl Program {
    pub const fn on(self, operands: Operands) -> Self {
        Self { operands, ..self }
    }

    pub const fn raised(self, raises: &'static [(&'static str, DangerLevel, &'static str)]) -> Self {
        Self { raises, ..self }
    }

    pub const fn with(self, subs: &'static [Program]) -> Self {
        Self { subs, ..self }
    }

    pub const fn needing(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    pub const fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }

    pub const fn only_with(self, options: &'static [&'static str], level: DangerLevel, why: &'static str) -> Self {
        Self { only_with: Some((options, level, why)), ..self }
    }

    pub const fn at_most(self, operands: usize, level: DangerLevel, why: &'static str) -> Self {
        Self { at_most: Some((operands, level, why)), ..self }
    }

    pub const fn judged(self, special: Special) -> Self {
        Self { special: Some(special), ..self }
    }

    pub const fn why(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    pub const fn run_as(self, run_as: &'static [&'static str]) -> Self {
        Self { run_as, ..self }
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.names.split(' ').any(|known| known == name)
    }

    /// The worst that one of its options can make of it: what an argument nobody can read may be.
    pub fn worst(&self) -> DangerLevel {
        let shows_files = matches!(self.operands, Operands::Contents | Operands::Trees | Operands::Pattern(_));
        let least = if shows_files { DangerLevel::High } else { DangerLevel::Medium };
        let raised = self.raises.iter().map(|(_, level, _)| *level).max().unwrap_or(least);
        let subs = self.subs.iter().map(Self::worst).max().unwrap_or(least);
        let changed = matches!(self.operands, Operands::Changed | Operands::Copied);
        let protected = if changed { DangerLevel::Critical } else { least };
        let more = self.at_most.map_or(least, |(_, level, _)| level);
        [self.level, least, raised, subs, protected, more].into_iter().max().unwrap_or(DangerLevel::Critical)
    }
}

/// What a value names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    Text,
    File,
    Machine,
    Socket,
    Database,
}

/// What stands at the end of an entry of an option list.
pub const SIGNS: [char; 6] = ['=', '?', '@', '^', '!', '%'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// A value, attached or the next word.
    Value(Means),
    /// A value only if attached.
    Attached,
}

/// What a table says of one option.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub takes: Takes,
    pub raise: Option<(DangerLevel, &'static str)>,
}

/// The option of that spelling (`-n`, `--lines`).
pub fn option(tables: &[&Program], spelling: &str) -> Option<Known> {
    lookup(tables, |list, dashed| exact(list, spelling, dashed))
}

/// The option that `--lin` may be short for: getopt takes any beginning. Of several the worst.
pub fn abbreviated(tables: &[&Program], spelling: &str) -> Option<Known> {
    if !spelling.starts_with("--") || spelling.len() < 4 {
        return None;
    }
    let longer = |list: &'static str, _: bool| {
        list.split(' ').filter(|entry| entry.starts_with(spelling)).map(takes).max_by_key(|takes| matches!(takes, Takes::Value(_)))
    };
    let raises = tables.iter().flat_map(|table| table.raises);
    let worst = raises.filter_map(|(list, level, why)| Some(Known { takes: longer(list, false)?, raise: Some((*level, *why)) }));
    worst.max_by_key(|known| known.raise.map(|(level, _)| level)).or_else(|| lookup(tables, longer))
}

/// The innermost table first: `docker ps -l` is not `docker -l`.
fn lookup(tables: &[&Program], find: impl Fn(&'static str, bool) -> Option<Takes>) -> Option<Known> {
    tables.iter().rev().find_map(|table| {
        let raising = table.raises.iter().find_map(|(list, level, why)| {
            let takes = find(list, table.dashed)?;
            Some(Known { takes, raise: Some((*level, *why)) })
        });
        raising.or_else(|| find(table.options, table.dashed).map(|takes| Known { takes, raise: None }))
    })
}

fn exact(list: &'static str, spelling: &str, dashed: bool) -> Option<Takes> {
    let short = !dashed && !spelling.starts_with("--") && spelling.len() == 2;
    list.split(' ').find_map(|entry| {
        let name = entry.trim_end_matches(SIGNS);
        // `-abc` stands for three.
        let cluster = short && entry == name && !entry.starts_with("--") && entry.starts_with('-') && entry[1..].contains(&spelling[1..]);
        (name == spelling || cluster).then(|| takes(entry))
    })
}

fn takes(entry: &str) -> Takes {
    match entry.chars().last() {
        Some('?') => Takes::Attached,
        Some('@') => Takes::Value(Means::File),
        Some('^') => Takes::Value(Means::Machine),
        Some('!') => Takes::Value(Means::Socket),
        Some('%') => Takes::Value(Means::Database),
        Some('=') => Takes::Value(Means::Text),
        _ => Takes::Nothing,
    }
}
