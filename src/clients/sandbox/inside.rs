//! `paramedic sandbox`: a fresh process that gives up all it does not need, for good, and then becomes the program. What cannot be given up
//! ends it before the program begins.

use super::{SandboxError, Scope, confine, filter};
use crate::safety::command::{Need, PlanWord};
use rustix::process::{Resource, Rlimit, Signal, geteuid, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, clear_ambient_capability_set, remove_capability_from_bounding_set, set_no_new_privs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a process in its sandbox ends before the program began. No program of a plan ends like this by itself.
pub const REFUSED: u8 = 117;
/// Before what it says then.
pub const SAYS: &str = "paramedic sandbox: ";
/// Names that one pattern may stand for.
const MOST_MATCHES: usize = 5_000;
const GIB: u64 = 1 << 30;

/// One program to become, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub words: Vec<PlanWord>,
    /// The files that words at these places stand for; the first is the program's own.
    pub programs: Vec<(usize, PathBuf)>,
    pub scope: Scope,
    pub needs: BTreeSet<Need>,
    pub hidden: Vec<PathBuf>,
    /// Read instead of what comes in.
    pub input: Option<String>,
    pub cpu_seconds: u64,
}

/// Returns only if the program did not begin.
pub fn enter(order: &Order) -> Result<Infallible, SandboxError> {
    let files: Vec<PathBuf> = order.programs.iter().map(|(_, file)| file.clone()).collect();
    let Some(((0, program), words)) = order.programs.first().zip(Some(&order.words)) else {
        return Err(SandboxError::NotConfined("expected a program as the first word".to_owned()));
    };
    // Whoever waits for it is gone: then nobody reads what it finds either.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| SandboxError::NotConfined(format!("the end of its parent: {e}")))?;
    limit(order).map_err(|e| SandboxError::NotConfined(format!("limits: {e}")))?;
    give_up_powers(order).map_err(|e| SandboxError::NotConfined(format!("capabilities: {e}")))?;
    set_no_new_privs(true).map_err(|e| SandboxError::NotConfined(format!("privileges: {e}")))?;
    // Landlock also hides what others have open, which is what these programs are for: the filter keeps them from writing instead.
    let landlocked = order.scope == Scope::Change || !order.needs.contains(&Need::Processes);
    if landlocked {
        confine::apply(order.scope, &order.needs, &files, &order.hidden)?;
    }
    if let Some(input) = &order.input {
        let file = File::open(Path::new("/").join(input)).map_err(|e| SandboxError::NoInput(input.clone(), e))?;
        rustix::stdio::dup2_stdin(file).map_err(|e| SandboxError::NoInput(input.clone(), e.into()))?;
    }
    let arguments = arguments(order);
    filter::install(order.scope, &order.needs, landlocked)?;
    let name = words[0].text.rsplit('/').next().unwrap_or_default();
    let error = Command::new(program).arg0(name).args(arguments).current_dir("/").exec();
    Err(SandboxError::NotStarted(program.display().to_string(), error))
}

/// The words behind the program's name: patterns matched, wrapped programs by their files.
fn arguments(order: &Order) -> Vec<String> {
    let mut all = Vec::new();
    for (at, word) in order.words.iter().enumerate().skip(1) {
        match order.programs.iter().find(|(place, _)| *place == at) {
            Some((_, file)) => all.push(file.display().to_string()),
            None if word.pattern => all.extend(matches(&word.text)),
            None => all.push(word.text.clone()),
        }
    }
    all
}

/// As a shell in `/` would: the names that match, in order; the pattern itself if there is none.
fn matches(pattern: &str) -> Vec<String> {
    let options = glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let absolute = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/{pattern}") };
    let found = glob::glob_with(&absolute, options).into_iter().flatten().flatten();
    let shown = |path: PathBuf| {
        let text = path.display().to_string();
        if pattern.starts_with('/') { text } else { text.trim_start_matches('/').to_owned() }
    };
    let mut names: Vec<String> = found.take(MOST_MATCHES).map(shown).filter(|name| !name.starts_with('-')).collect();
    names.sort();
    if names.is_empty() { vec![pattern.to_owned()] } else { names }
}

fn limit(order: &Order) -> rustix::io::Result<()> {
    let most_file = if order.scope == Scope::Read { 0 } else { GIB };
    let limits = [
        (Resource::Core, 0),
        (Resource::Cpu, order.cpu_seconds),
        // kubectl and docker reserve a lot and use little of it.
        (Resource::As, 4 * GIB),
        (Resource::Fsize, most_file),
        (Resource::Nofile, 1024),
        // Root is exempt from this one: there the filter lets nobody fork who need not.
        (Resource::Nproc, 512),
    ];
    for (resource, most) in limits {
        let before = rustix::process::getrlimit(resource).maximum;
        let most = before.map_or(most, |before| before.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// What a program of root's keeps: reading whatever is there, and what its needs say. Others have nothing to give up.
fn give_up_powers(order: &Order) -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    if !geteuid().is_root() {
        return Ok(());
    }
    let kept = match order.scope {
        Scope::Read => CapabilitySet::DAC_READ_SEARCH | of_needs(&order.needs),
        Scope::Change => {
            CapabilitySet::CHOWN
                | CapabilitySet::DAC_OVERRIDE
                | CapabilitySet::DAC_READ_SEARCH
                | CapabilitySet::FOWNER
                | CapabilitySet::FSETID
                | CapabilitySet::KILL
                | CapabilitySet::SYS_NICE
                | of_needs(&order.needs)
        }
    };
    for capability in CapabilitySet::all().iter().filter(|capability| !kept.contains(*capability)) {
        match remove_capability_from_bounding_set(capability) {
            // An older kernel does not know it: then nobody has it.
            Err(rustix::io::Errno::INVAL) => {}
            other => other?,
        }
    }
    Ok(())
}

fn of_needs(needs: &BTreeSet<Need>) -> CapabilitySet {
    needs.iter().fold(CapabilitySet::empty(), |set, need| {
        set | match need {
            Need::Processes => CapabilitySet::SYS_PTRACE,
            Need::Internet => CapabilitySet::NET_RAW,
            Need::KernelLog => CapabilitySet::SYSLOG,
            Need::Firewall => CapabilitySet::NET_ADMIN,
            Need::Unix | Need::Netlink | Need::Forks | Need::Signals => CapabilitySet::empty(),
        }
    })
}
