//! Landlock: the file system as a program in the sandbox sees it, TCP, and whom it may signal. Kernels that know less of it get what they
//! know; without any of it, nothing runs.

use super::{SandboxError, Scope, files};
use crate::domain::system_path;
use crate::safety::command::{FOLDERS, Need};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope as Signals, path_beneath_rules,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What loads a program's libraries; the kernel asks leave to execute it too.
const LOADERS: [&str; 5] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-riscv64-lp64d.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];
/// Where programs that start others find those.
const LIBRARIES: [&str; 5] = ["/usr/lib", "/usr/libexec", "/usr/share", "/lib", "/lib64"];

/// Holds this thread, and the program it becomes, to these files.
pub fn apply(scope: Scope, needs: &BTreeSet<Need>, programs: &[PathBuf], own: &[PathBuf]) -> Result<(), SandboxError> {
    let refused = |e: landlock::RulesetError| SandboxError::NotConfined(format!("Landlock: {e}"));
    let all = AccessFs::from_all(ABI::V5);
    let hidden = files::hidden(own)?;
    // The system's own places stay as they are, whatever a human confirmed.
    let (system, others): (Vec<_>, Vec<_>) = files::visible(&hidden).into_iter().partition(|path| system_path(path));
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(|_| absent())?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|set| set.handle_access(net(needs)))
        .and_then(|set| match signals(scope, needs) {
            // The library takes no empty set.
            none if none.is_empty() => Ok(set),
            kept => set.scope(kept),
        })
        .and_then(Ruleset::create)
        .map_err(refused)?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let open = if scope == Scope::Read { read } else { all & !AccessFs::Execute };
    let devices = AccessFs::ReadFile | AccessFs::WriteFile;
    let status = ruleset
        // Names are no secret.
        .add_rules(path_beneath_rules(["/"], AccessFs::ReadDir))
        .and_then(|set| set.add_rules(path_beneath_rules(&system, read)))
        .and_then(|set| set.add_rules(path_beneath_rules(&others, open)))
        .and_then(|set| set.add_rules(path_beneath_rules(["/dev/null", "/dev/tty"], devices)))
        .and_then(|set| {
            set.add_rules(path_beneath_rules(files::DEVICES.iter().chain(&kernel_log(needs)), BitFlags::from(AccessFs::ReadFile)))
        })
        .and_then(|set| set.add_rules(path_beneath_rules(executable(scope, needs, programs), AccessFs::Execute | AccessFs::ReadFile)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(refused)?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(absent()),
        _ if !status.no_new_privs => Err(SandboxError::NotConfined("new privileges could not be ruled out".to_owned())),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

fn absent() -> SandboxError {
    SandboxError::NotConfined("this kernel has no Landlock: expected Linux 5.13 or later with it switched on".to_owned())
}

/// Nobody listens; who needs no network connects nowhere either.
fn net(needs: &BTreeSet<Need>) -> BitFlags<AccessNet> {
    match needs.contains(&Need::Internet) {
        true => AccessNet::BindTcp.into(),
        false => AccessNet::BindTcp | AccessNet::ConnectTcp,
    }
}

fn signals(scope: Scope, needs: &BTreeSet<Need>) -> BitFlags<Signals> {
    let mut kept = BitFlags::EMPTY;
    if scope == Scope::Read && !needs.contains(&Need::Signals) {
        kept |= Signals::Signal;
    }
    if !needs.contains(&Need::Unix) {
        kept |= Signals::AbstractUnixSocket;
    }
    kept
}

fn kernel_log(needs: &BTreeSet<Need>) -> Vec<&'static str> {
    if needs.contains(&Need::KernelLog) { vec!["/dev/kmsg"] } else { Vec::new() }
}

/// The program itself; one that starts others gets the system's folders.
fn executable(scope: Scope, needs: &BTreeSet<Need>, programs: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = programs.iter().cloned().chain(LOADERS.iter().map(PathBuf::from)).collect();
    if scope == Scope::Change || needs.contains(&Need::Forks) {
        paths.extend(FOLDERS.iter().chain(&LIBRARIES).map(PathBuf::from));
    }
    paths.retain(|path| Path::new(path).exists());
    paths
}
