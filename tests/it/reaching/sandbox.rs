//! The sandbox of diagnosis commands, on this kernel: real programs, and `probe.py`, which tries what a hostile one would.

use super::need;
use insta::assert_snapshot;
use paramedic::clients::sandbox::{self, Ended, Order, REFUSED, Sandbox, SandboxError, Scope, Told};
use paramedic::safety::command::{Need, PlanWord, classify};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PARAMEDIC: &str = env!("CARGO_BIN_EXE_paramedic");
const PROBE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/reaching/probe.py");
/// Of an ordinary user.
const NOBODY: u32 = 65_534;

fn sandbox() -> Sandbox {
    Sandbox { program: PARAMEDIC.into(), ..Sandbox::default() }
}

/// As the tool runs it: read, and run by its level.
async fn run_in(command: &str, sandbox: &Sandbox) -> Result<Told, SandboxError> {
    let reading = classify(command);
    let scope = if reading.level.changes_something() { Scope::Change } else { Scope::Read };
    let plan = reading.plan.unwrap_or_else(|why| panic!("{command}: {why}"));
    sandbox::run(&plan, scope, sandbox).await
}

async fn run(command: &str) -> Told {
    run_in(command, &sandbox()).await.unwrap()
}

fn order(program: &Path, words: &[&str], scope: Scope, needs: &[Need]) -> Order {
    Order {
        words: words.iter().map(|word| PlanWord { text: (*word).to_owned(), pattern: false }).collect(),
        programs: vec![(0, program.to_owned())],
        scope,
        needs: needs.iter().copied().collect(),
        hidden: Vec::new(),
        input: None,
        cpu_seconds: 30,
    }
}

/// The process that becomes the program, before it is started.
fn confined(order: &Order) -> Command {
    let mut command = Command::new(PARAMEDIC);
    command.arg("sandbox").arg("--order").arg(serde_json::to_string(order).unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// `probe.py` with these arguments, in a sandbox; what it says.
fn probe(scope: Scope, needs: &[Need], arguments: &[&str]) -> String {
    let words: Vec<&str> = ["python3", PROBE].into_iter().chain(arguments.iter().copied()).collect();
    said(&mut confined(&order(&python(), &words, scope, needs)))
}

/// The same without one: what would have been possible.
fn unconfined(arguments: &[&str]) -> String {
    said(Command::new(python()).arg(PROBE).args(arguments).process_group(0))
}

fn python() -> PathBuf {
    need("/usr/bin/python3", "python3");
    Path::new("/usr/bin/python3").canonicalize().unwrap()
}

fn said(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    said.trim().to_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder with a file in it, in which an unconfined program could do what it likes.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "as it was\n").unwrap();
    let file = file.display().to_string();
    (folder, file)
}

#[test]
fn a_program_that_looks_writes_nowhere_in_no_way() {
    let (folder, file) = folder();
    let at = folder.path().join("inner").display().to_string();
    fs::create_dir(&at).unwrap();
    for needs in [&[][..], &[Need::Internet, Need::Unix, Need::Netlink, Need::Forks]] {
        let said = probe(Scope::Read, needs, &["write", &at, &file]);
        let refused = said.lines().filter(|line| line.ends_with(" EACCES") || line.ends_with(" EPERM")).count();
        assert_eq!((refused, said.lines().count()), (15, 15), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was\n");
    assert_eq!((fs::read_dir(&at).unwrap().count(), fs::read_dir(folder.path()).unwrap().count()), (0, 2));
    // The probe can do all of it where nobody keeps it from that.
    let free = unconfined(&["write", &at, &file]);
    assert!(free.lines().filter(|line| line.ends_with(" done")).count() >= 13, "{free}");
}

#[test]
fn a_program_that_sees_other_processes_writes_nowhere_either() {
    let (folder, file) = folder();
    let said = probe(Scope::Read, &[Need::Processes, Need::Netlink, Need::Unix], &["write", &folder.path().display().to_string(), &file]);
    assert_eq!(said.lines().filter(|line| line.ends_with(" EPERM")).count(), 15, "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was\n");
}

#[test]
fn a_confirmed_program_writes_files_but_none_of_the_systems() {
    let (folder, file) = folder();
    let at = folder.path().join("inner").display().to_string();
    fs::create_dir(&at).unwrap();
    let said = probe(Scope::Change, &[], &["write", &at, &file]);
    // The probe as root is nobody's owner: of its powers it has kept those over files.
    assert!(said.lines().filter(|line| line.ends_with(" done")).count() >= 13, "{said}");
    assert!(!Path::new(&file).exists());
    let writes = ["writes", "/etc/hostname", "/usr/bin/env", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/dev/null"];
    assert_snapshot!(probe(Scope::Change, &[], &writes), @"
    /etc/hostname EACCES
    /usr/bin/env EACCES
    /proc/sys/kernel/core_pattern EACCES
    /proc/sys/vm/drop_caches EACCES
    /dev/null done
    ");
    assert_snapshot!(probe(Scope::Change, &[], &["creates", "/etc/new", "/usr/lib/new", "/boot/new", "/new", "/dev/new"]), @"
    /etc/new EACCES
    /usr/lib/new EACCES
    /boot/new EACCES
    /new EACCES
    /dev/new EACCES
    ");
}

#[tokio::test]
async fn what_is_paramedics_own_is_not_there_for_any_program_under_any_name() {
    let ground = tempfile::tempdir().unwrap();
    let (own, beside) = (ground.path().join("own"), ground.path().join("beside"));
    for (folder, text) in [(&own, "the ledger"), (&beside, "a log")] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), text).unwrap();
    }
    symlink(own.join("file"), beside.join("link")).unwrap();
    let sandbox = Sandbox { hidden: vec![own.clone()], ..sandbox() };
    let at = |path: &Path, name: &str| path.join(name).display().to_string();
    assert_eq!(run_in(&format!("cat {}", at(&beside, "file")), &sandbox).await.unwrap().stdout, "a log");
    for path in [at(&own, "file"), at(&beside, "link"), at(&own, "*"), at(&beside, "../own/file")] {
        for command in [format!("cat {path}"), format!("head -1 < {}", path.replace('*', "file")), format!("grep -r ledger {path}")] {
            let heard = run_in(&command, &sandbox).await;
            let text = heard.as_ref().map_or_else(ToString::to_string, |told| format!("{}{}", told.stdout, told.stderr));
            assert!(text.contains("Permission denied") && !text.contains("the ledger"), "{command}: {heard:?}");
        }
    }
    // Confirmed by a human or not.
    let told = run_in(&format!("cp {} {}", at(&own, "file"), at(&beside, "copy")), &sandbox).await.unwrap();
    assert!(!beside.join("copy").exists() && told.stderr.contains("Permission denied"), "{told:?}");
    run_in(&format!("rm {}", at(&own, "file")), &sandbox).await.unwrap();
    assert_eq!(fs::read_to_string(own.join("file")).unwrap(), "the ledger");
}

#[test]
fn secrets_of_the_machine_are_not_there() {
    for scope in [Scope::Read, Scope::Change] {
        let said =
            probe(scope, &[Need::Internet, Need::Unix, Need::Forks], &["reads", "/etc/shadow", "/etc/gshadow", "/dev/mem", "/dev/kmsg"]);
        assert!(said.lines().all(|line| line.ends_with(" EACCES") || line.ends_with(" ENOENT")), "{said}");
        assert!(said.contains("/etc/shadow EACCES"), "{said}");
    }
    assert_eq!(probe(Scope::Read, &[], &["reads", "/etc/hosts", "/proc/meminfo"]), "/etc/hosts done\n/proc/meminfo done");
}

#[test]
fn a_program_gets_the_network_only_if_it_says_so_and_never_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for scope in [Scope::Read, Scope::Change] {
        let said = probe(scope, &[], &["net", &port]);
        assert_eq!(said, "connect EPERM\nlisten EPERM\ndatagrams EPERM\nraw packets EPERM\ndaemons EPERM", "{scope:?}");
        let said = probe(scope, &[Need::Internet], &["net", &port]);
        assert_eq!(said, "connect done\nlisten EACCES\ndatagrams done\nraw packets EPERM\ndaemons EPERM", "{scope:?}");
    }
}

#[tokio::test]
async fn curl_reaches_a_server_and_cat_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let n = peer.read(&mut request).unwrap();
        peer.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nwell\n").unwrap();
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let told = run(&format!("curl -s http://127.0.0.1:{port}/healthz")).await;
    assert_eq!((told.stdout.as_str(), told.exit), ("well\n", Some(0)), "{told:?}");
    assert!(server.join().unwrap().starts_with("GET /healthz"));
    assert!(run("ss -tln").await.stdout.contains("LISTEN"));
}

#[test]
fn calls_that_reach_beyond_a_program_are_refused() {
    let numbers = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_io_uring_setup,
        libc::SYS_open_by_handle_at,
        libc::SYS_settimeofday,
        libc::SYS_sethostname,
    ]
    .map(|number| number.to_string());
    let arguments: Vec<&str> = ["calls"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let needs = [Need::Unix, Need::Netlink, Need::Internet, Need::Forks, Need::Processes, Need::KernelLog, Need::Firewall, Need::Signals];
    for (scope, needs) in [(Scope::Read, &[][..]), (Scope::Read, &needs[..]), (Scope::Change, &needs[..])] {
        let said = probe(scope, needs, &arguments);
        assert!(said.lines().all(|line| line.ends_with(" EPERM")) && said.lines().count() == numbers.len(), "{scope:?} {needs:?}: {said}");
    }
    // Elsewhere this one is harmless and allowed.
    let unshare = libc::SYS_unshare.to_string();
    assert_eq!(unconfined(&["calls", &unshare]), format!("{unshare} done"));
}

#[test]
fn a_program_neither_touches_nor_reads_whoever_started_it_and_starts_nothing() {
    let me = std::process::id().to_string();
    assert_snapshot!(probe(Scope::Read, &[], &["powers", &me]), @"
    signal EPERM
    its environment EACCES
    its open files EACCES
    its memory EACCES
    a group of its own EPERM
    a session of its own EPERM
    a thread done
    a process EPERM
    a shell EACCES
    ");
}

#[tokio::test]
async fn the_environment_is_made_anew() {
    let told = run("printenv | sort").await;
    assert_snapshot!(told.stdout, @"
    COLUMNS=200
    GIT_CONFIG_COUNT=3
    GIT_CONFIG_KEY_0=core.fsmonitor
    GIT_CONFIG_KEY_1=core.hooksPath
    GIT_CONFIG_KEY_2=log.showSignature
    GIT_CONFIG_VALUE_0=false
    GIT_CONFIG_VALUE_1=/dev/null
    GIT_CONFIG_VALUE_2=false
    GIT_OPTIONAL_LOCKS=0
    GIT_PAGER=cat
    GIT_TERMINAL_PROMPT=0
    HOME=/nonexistent
    LANG=C.UTF-8
    PAGER=cat
    PATH=/usr/sbin:/usr/bin:/sbin:/bin
    SYSTEMD_COLORS=0
    SYSTEMD_PAGER=cat
    TERM=dumb
    TZ=UTC
    ");
}

#[tokio::test]
async fn nobody_gains_privileges() {
    let told = run("grep -E 'NoNewPrivs|Seccomp:|CapPrm|CapBnd' /proc/self/status").await;
    assert!(told.stdout.contains("NoNewPrivs:\t1") && told.stdout.contains("Seccomp:\t2"), "{told:?}");
    if !is_root() {
        return;
    }
    // Of root's powers one is left: reading what is not hidden.
    assert!(told.stdout.contains("CapPrm:\t0000000000000004") && told.stdout.contains("CapBnd:\t0000000000000004"), "{told:?}");
    // A program that makes root of anybody, and somebody.
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let id = folder.path().join("id");
    fs::copy("/usr/bin/id", &id).unwrap();
    fs::set_permissions(&id, Permissions::from_mode(0o4755)).unwrap();
    assert!(said(Command::new(&id).uid(NOBODY)).contains("euid=0(root)"), "the folder is mounted nosuid");
    let inside = said(confined(&order(&id, &["id", "-u"], Scope::Change, &[])).uid(NOBODY));
    assert_eq!(inside, NOBODY.to_string());
}

#[test]
fn the_limits_are_set() {
    assert_snapshot!(probe(Scope::Read, &[], &["limits"]), @"
    CORE 0 0
    CPU 30 30
    AS 4294967296 4294967296
    FSIZE 0 0
    NOFILE 1024 1024
    NPROC 512 512
    ");
    assert!(probe(Scope::Change, &[], &["limits"]).contains("FSIZE 1073741824 1073741824"));
}

#[test]
fn a_fork_bomb_goes_off_in_its_own_pocket() {
    // The kernel counts no processes of root's.
    let mut command = confined(&order(&python(), &["python3", PROBE, "bomb"], Scope::Change, &[]));
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    assert_eq!(said(&mut command), "stopped EAGAIN");
}

#[tokio::test]
async fn when_the_time_is_up_the_whole_family_goes() {
    let mark = format!("family-{}", std::process::id());
    let sandbox = Sandbox { limit: Duration::from_millis(1500), ..sandbox() };
    let command = format!("/usr/bin/python3 {PROBE} family {mark} 5 | cat");
    let told = run_in(&command, &sandbox).await.unwrap();
    assert_eq!((told.ended, told.exit, told.stdout.as_str()), (Ended::TimedOut, None, format!("started {mark}\n").as_str()), "{told:?}");
    super::until("the family is gone", async || !alive(&mark)).await;
}

#[tokio::test]
async fn a_command_that_is_given_up_leaves_nothing_behind() {
    let mark = format!("family-{}-dropped", std::process::id());
    let command = format!("/usr/bin/python3 {PROBE} family {mark} 2");
    let running = tokio::spawn(async move { run_in(&command, &sandbox()).await });
    super::until("the family is there", async || alive(&mark)).await;
    running.abort();
    super::until("the family is gone", async || !alive(&mark)).await;
}

/// Does a process have this among its words?
fn alive(mark: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let words = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    words.map(|words| String::from_utf8_lossy(&words).into_owned()).any(|words| words.split('\0').any(|word| word == mark))
}

#[tokio::test]
async fn pipes_lists_and_patterns_work_and_no_shell_reads_them() {
    let (folder, _) = folder();
    let at = folder.path().display().to_string();
    for name in ["b.log", "a.log", "-rf", "c d.log"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let heard = async |command: &str| {
        let told = run(command).await;
        (told.stdout.replace(&at, "[at]"), told.exit)
    };
    assert_eq!(heard("printf 'b\\na\\nb\\n' | sort | uniq -c | sort -rn").await, ("      2 b\n      1 a\n".into(), Some(0)));
    assert_eq!(heard("echo '$HOME;' '`id`' \"|\" '*'").await, ("$HOME; `id` | *\n".into(), Some(0)));
    assert_eq!(heard(&format!("echo {at}/*.log")).await, ("[at]/a.log [at]/b.log [at]/c d.log\n".into(), Some(0)));
    assert_eq!(heard(&format!("echo {at}/*.txt")).await, ("[at]/*.txt\n".into(), Some(0)));
    assert_eq!(heard("echo a; echo b && echo c || echo d").await, ("a\nb\nc\n".into(), Some(0)));
    assert_eq!(heard("grep -q nothing /etc/hostname && echo yes || echo no").await, ("no\n".into(), Some(0)));
    assert_eq!(heard("ls /no/such/folder 2>/dev/null").await, (String::new(), Some(2)));
    let told = run("ls /no/such/folder 2>&1 | wc -l").await;
    assert_eq!((told.stdout.trim(), told.stderr.as_str()), ("1", ""));
    assert_eq!(heard("yes | head -2").await, ("y\ny\n".into(), Some(0)));
    let told = run("wc -l < /etc/no-such-file || echo then").await;
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("then\n", "/etc/no-such-file: No such file or directory (os error 2)\n"));
}

/// Runs git as its owner would, outside any sandbox.
fn git(at: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"];
    let done = Command::new("git").arg("-C").arg(at).args(identity).args(arguments).output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {done:?}");
}

#[tokio::test]
async fn git_starts_nothing_that_a_repository_names() {
    let ground = tempfile::tempdir().unwrap();
    let (at, mark) = (ground.path().join("repository"), ground.path().join("started"));
    fs::create_dir(&at).unwrap();
    git(&at, &["init", "--quiet"]);
    for text in ["one\n", "two\n"] {
        fs::write(at.join("file"), text).unwrap();
        fs::write(at.join(".gitattributes"), "file diff=mine\n").unwrap();
        git(&at, &["add", "."]);
        git(&at, &["commit", "--quiet", "-m", text]);
    }
    let starts = format!("touch {}", mark.display());
    git(&at, &["config", "diff.mine.textconv", &starts]);
    git(&at, &["config", "core.fsmonitor", &starts]);
    let commands = ["status", "log -p", "show HEAD", "diff HEAD~1"];
    // Whoever runs git there without more ado starts it.
    for command in commands {
        git(&at, &command.split(' ').collect::<Vec<_>>());
        assert!(mark.exists(), "{command}");
        fs::remove_file(&mark).unwrap();
    }
    git(&at, &["config", "diff.external", &starts]);
    for (command, scope) in commands.iter().flat_map(|command| [(command, Scope::Read), (command, Scope::Change)]) {
        let reading = classify(&format!("git -C {} {command}", at.display()));
        let told = sandbox::run(&reading.plan.unwrap(), scope, &sandbox()).await.unwrap();
        assert!(told.exit == Some(0) && !told.stdout.is_empty(), "{command}: {told:?}");
        assert!(!mark.exists(), "{command}, {scope:?}: {told:?}");
    }
}

#[tokio::test]
async fn too_much_is_cut_with_a_mark_and_a_flood_is_stopped() {
    let told = run("seq 1 100000").await;
    assert!(told.cut && told.ended == Ended::ByItself && told.exit == Some(0), "{told:?}");
    assert!(told.stdout.starts_with("1\n2\n") && told.stdout.ends_with("\n100000\n") && told.stdout.contains(" of 588895 bytes cut …]"));
    assert!(told.stdout.len() < 25_000);
    let told = run("yes").await;
    assert_eq!((told.ended, told.exit, told.cut), (Ended::TooMuch, None, true));
}

#[tokio::test]
async fn only_the_systems_own_programs_are_run_wherever_they_are_named() {
    let (folder, _) = folder();
    let df = folder.path().join("df");
    fs::write(&df, "#!/bin/sh\necho replaced\n").unwrap();
    fs::set_permissions(&df, Permissions::from_mode(0o755)).unwrap();
    let why = classify(&format!("{} -h", df.display())).plan.unwrap_err();
    assert!(why.contains("only programs of the system's folders are run"), "{why}");
    let why = run_in("no-such-program --version", &sandbox()).await.unwrap_err().to_string();
    assert_snapshot!(why, @"no-such-program is not installed: expected it in /usr/bin, /bin, /usr/sbin, /sbin, /usr/local/bin, /usr/local/sbin");
    let why = run_in("lsof -i :80", &sandbox()).await.unwrap_err().to_string();
    assert!(why.starts_with("lsof is not run: it does not start where nothing may be opened for writing"), "{why}");
    // What looks like a program and is a script would need a shell.
    let script = confined(&order(&df, &["df"], Scope::Read, &[])).output().unwrap();
    assert!(!String::from_utf8_lossy(&script.stdout).contains("replaced"), "{script:?}");
}

/// On a thread whose kernel answers Landlock's calls like this: children inherit the filter.
fn with_landlock_answering<T: Send + 'static>(answer: SeccompAction, work: impl FnOnce() -> T + Send + 'static) -> T {
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let calls = calls.map(|call| (call, Vec::new())).into();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, answer, arch).unwrap();
    let filtered = move || {
        seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
        work()
    };
    std::thread::spawn(filtered).join().unwrap()
}

#[test]
fn where_the_kernel_has_no_landlock_nothing_is_run() {
    let absent = || SeccompAction::Errno(libc::ENOSYS as u32);
    for scope in [Scope::Read, Scope::Change] {
        let order = order(Path::new("/usr/bin/echo"), &["echo", "it runs"], scope, &[]);
        let done = with_landlock_answering(absent(), move || confined(&order).output().unwrap());
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert_eq!(done.status.code(), Some(i32::from(REFUSED)), "{said}");
        assert!(
            said.starts_with("paramedic sandbox: the sandbox refused: this kernel has no Landlock") && !said.contains("it runs"),
            "{said}"
        );
    }
    // What a service manager forbids it may end instead.
    for (answer, why) in [
        (absent(), "the sandbox refused: this kernel has no Landlock"),
        (SeccompAction::KillProcess, "the sandbox refused: a filter of system calls ended it"),
    ] {
        for command in ["echo it runs", "echo it runs | cat", "echo it runs 2>/dev/null | cat", "echo it runs 2>&1"] {
            let run = async move || run_in(command, &sandbox()).await;
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let error = with_landlock_answering(answer.clone(), move || runtime().block_on(run())).unwrap_err().to_string();
            assert!(
                error.starts_with(why) || (command.contains("null") && error == "the sandbox refused, and did not say why"),
                "{command}: {error}"
            );
        }
    }
}

#[test]
fn an_order_that_is_none_starts_nothing() {
    let done = Command::new(PARAMEDIC).args(["sandbox", "--order", "{}"]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(i32::from(REFUSED)));
    assert!(said.starts_with("paramedic sandbox: not an order: missing field `words`"), "{said}");
}
