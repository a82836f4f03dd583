//! Which system calls a program in the sandbox does not get: whatever reaches beyond reading. A filter of the kernel's (seccomp); it stays
//! with the program and all that it starts.

use super::{SandboxError, Scope};
use crate::safety::command::Need;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, sock_filter};
use std::collections::{BTreeMap, BTreeSet};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Never, for nobody: other programs' memory, mounts, modules, the machine itself, and ways around this filter.
const NEVER: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_open_by_handle_at,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_vhangup,
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_nfsservctl,
];
/// What Landlock does not keep from changing: modes, owners, times, attributes; and, where there is no Landlock, names too.
const CHANGES: &[i64] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
];
/// `fchmodat2`, newer than the library's list.
const FCHMODAT2: i64 = 452;
#[cfg(target_arch = "x86_64")]
const OLD_CHANGES: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_creat,
];
#[cfg(target_arch = "x86_64")]
const OLD_NEVER: &[i64] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CHANGES: &[i64] = &[libc::SYS_renameat];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NEVER: &[i64] = &[];

/// Terminals' input, and flags of files that a mode does not cover.
const BAD_IOCTLS: [u64; 7] = [0x5412, 0x541c, 0x4008_6602, 0x4004_6602, 0x401c_5820, 0x4004_9409, 0x4020_940d];

/// Installs the filter for this thread. `landlocked`: Landlock keeps files from being written; else this has to.
pub fn install(scope: Scope, needs: &BTreeSet<Need>, landlocked: bool) -> Result<(), SandboxError> {
    let failed = |why: String| SandboxError::NotConfined(format!("seccomp: {why}"));
    let denied = compile(rules(scope, needs, landlocked).map_err(|e| failed(e.to_string()))?, libc::EPERM).map_err(&failed)?;
    // Libraries fall back to the older call only if the newer one is said not to exist.
    let absent = [libc::SYS_clone3, libc::SYS_openat2].map(|call| (call, Vec::new())).into();
    let absent = compile(absent, libc::ENOSYS).map_err(&failed)?;
    for program in [denied, absent] {
        seccompiler::apply_filter(&program).map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, String> {
    let arch = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| e.to_string())?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch).map_err(|e| e.to_string())?;
    let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| e.to_string())?;
    Ok(without_other_tables(program))
}

/// On x86-64 the same calls have a second set of numbers (x32), which a list of numbers does not see: such a call is refused.
fn without_other_tables(program: BpfProgram) -> BpfProgram {
    const LOAD: u16 = 0x20;
    const AT_LEAST: u16 = 0x35;
    const ANSWER: u16 = 0x06;
    if !cfg!(target_arch = "x86_64") {
        return program;
    }
    let guard = [
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: AT_LEAST, jt: 0, jf: 1, k: 0x4000_0000 },
        sock_filter { code: ANSWER, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::EPERM as u32 },
    ];
    guard.into_iter().chain(program).collect()
}

fn rules(scope: Scope, needs: &BTreeSet<Need>, landlocked: bool) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = NEVER.iter().chain(OLD_NEVER).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![other_families(needs)?]);
    rules.insert(libc::SYS_socketpair, vec![other_families(&[Need::Unix].into())?]);
    rules.insert(libc::SYS_ioctl, BAD_IOCTLS.iter().map(|number| equals(1, *number)).collect::<Result<_, _>>()?);
    if scope == Scope::Change {
        return Ok(rules);
    }
    rules.extend(CHANGES.iter().chain(OLD_CHANGES).chain(&[FCHMODAT2]).map(|call| (*call, Vec::new())));
    if !needs.contains(&Need::KernelLog) {
        rules.insert(libc::SYS_syslog, Vec::new());
    }
    if !needs.contains(&Need::Forks) {
        no_forks(&mut rules)?;
    }
    // Landlock keeps signals in, in kernels that can; without it nobody is signalled at all.
    if !needs.contains(&Need::Forks) || !landlocked {
        rules.extend([libc::SYS_tkill, libc::SYS_rt_sigqueueinfo, libc::SYS_pidfd_send_signal].map(|call| (call, Vec::new())));
        // Signal 0 only asks.
        let real = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
        rules.insert(libc::SYS_kill, vec![SeccompRule::new(vec![real])?]);
    }
    if !landlocked {
        only_reading_opens(&mut rules)?;
    }
    Ok(rules)
}

/// Threads are no processes: `clone` for them is let through.
fn no_forks(rules: &mut Rules) -> Result<(), seccompiler::BackendError> {
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_fork, libc::SYS_vfork].map(|call| (call, Vec::new())));
    let thread = libc::CLONE_THREAD as u64;
    let no_thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_thread])?]);
    Ok(())
}

fn only_reading_opens(rules: &mut Rules) -> Result<(), seccompiler::BackendError> {
    let writing = [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_APPEND];
    let opens = |argument: u8| {
        let one = |flag: &i32| {
            let flag = *flag as u64;
            SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)?])
        };
        writing.iter().map(one).collect::<Result<Vec<_>, _>>()
    };
    rules.insert(libc::SYS_openat, opens(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, opens(1)?);
    Ok(())
}

/// Sockets of every family but those that the program needs.
fn other_families(needs: &BTreeSet<Need>) -> Result<SeccompRule, seccompiler::BackendError> {
    let mut families: Vec<i32> = Vec::new();
    for need in needs {
        match need {
            Need::Unix => families.push(libc::AF_UNIX),
            Need::Netlink | Need::Firewall => families.push(libc::AF_NETLINK),
            Need::Internet => families.extend([libc::AF_INET, libc::AF_INET6]),
            Need::Forks | Need::Processes | Need::KernelLog | Need::Signals => {}
        }
    }
    let others: Result<Vec<_>, _> =
        families.iter().map(|family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family as u64)).collect();
    match others?.as_slice() {
        // A rule needs a condition: every family is at least 0.
        [] => SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ge, 0)?]),
        others => SeccompRule::new(others.to_vec()),
    }
}

fn equals(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
}
