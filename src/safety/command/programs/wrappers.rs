//! Programs that run another one: what they run counts for itself, and they count on top of it. A wrapper whose own options are not
//! understood may run any of the words behind it.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Need, Program, program, safe};
use super::super::syntax::{Kind, Word};
use super::variable;
use crate::domain::DangerLevel::{self, Critical, High, Low, Medium, Safe};

const POWERS: &str = "asks for somebody else's powers";

pub const TABLE: &[Program] = &[
    safe("env", "-i0v -u= --ignore-environment --null --unset= --debug").judged(argv).raised(&[("-C= --chdir= -S= --split-string= --block-signal? --default-signal? --ignore-signal?", High, "runs text, or runs it elsewhere")]),
    safe("nohup", "").judged(argv),
    safe("nice", "-n= -# --adjustment=").judged(argv),
    safe("ionice", "-t -c= -n= --class= --classdata= --ignore").judged(argv).raised(&[("-p= -P= -u= --pid= --pgid= --uid=", Medium, "changes what processes get")]),
    safe("timeout", "-fpv -k= -s= --preserve-status --foreground --kill-after= --signal= --verbose").judged(argv).needing(&[Need::Forks]),
    safe("stdbuf", "-i= -o= -e= --input= --output= --error=").judged(argv),
    safe("time", "-pqv -f= --portability --verbose --format= --quiet").judged(stripped).raised(&[("-o= -a --output= --append", High, "writes a file")]),
    safe("command", "-p").judged(stripped).raised(&[("-v -V", Medium, "belongs to the shell")]),
    program("builtin exec coproc", Medium, "belongs to the shell", "-cl -a=").judged(argv),
    program("sudo", Medium, POWERS, "-ABbEHKklnNPSvV -C= -g= -h= -p= -r= -t= -T= -U= -u= --user= --group= --non-interactive --stdin --preserve-env? --set-home --list --validate --login-class= --prompt=")
        .judged(argv)
        .raised(&[("-i -s --login --shell", High, "opens a shell"), ("-e --edit", High, "edits a file"), ("-R= -D= --chroot= --chdir=", High, "runs it elsewhere")]),
    program("doas pkexec gosu su-exec runas", Medium, POWERS, "-nL -u= --user= --disable-internal-agent").judged(argv).raised(&[("-s -C=", High, "opens a shell, or reads who may do what elsewhere")]),
    program("su runuser", Medium, POWERS, "").judged(switch_user),
    program("setsid daemonize fakeroot catchsegv unbuffer rlwrap systemd-inhibit dbus-run-session choom cgexec chpst softlimit envdir setuidgid eatmydata", Medium, "runs another program in an unusual way", "-cfw").judged(argv),
    program("taskset chrt", Medium, "changes what processes get", "-acp --all-tasks --cpu-list --pid -f -r -b -o -i -m").judged(bound),
    program("numactl", Safe, "shows or sets where memory comes from", "-sHh -N= -m= -C= -l -i= -p= --show --hardware --cpunodebind= --membind= --physcpubind= --localalloc --interleave= --preferred=").judged(argv),
    program("chroot faketime flock", High, "runs another program in another place", "-ensuxFov -w= -E= -c= --userspec= --groups= --skip-chdir").judged(argv),
    program("nsenter unshare setpriv capsh firejail bwrap proot systemd-nspawn systemd-run prlimit-run torsocks proxychains proxychains4 cpulimit", High, "runs another program with other rights or in another place", "").judged(rest),
    program("strace ltrace gdbserver valgrind perf-record", High, "looks into other programs, their secrets included", "").judged(rest),
    program("xargs", Medium, "takes its arguments from another command's output", "-0ortx -a= -d= -E= -I= -L= -n= -P= -s= -e? -i? -l? --null --no-run-if-empty --verbose --exit --arg-file= --delimiter= --max-args= --max-lines? --max-procs= --replace? --max-chars= --show-limits")
        .judged(xargs)
        .raised(&[("-p --interactive", Medium, "waits at a terminal")])
        .needing(&[Need::Forks]),
    program("watch", Medium, "goes on until it is stopped, and runs its text in a shell", "-bcCdegtwx -n= -q= -d? --beep --color --differences? --errexit --chgexit --interval= --no-title --precise --exec --no-wrap --equexit=").judged(text),
    program("eval", Medium, "runs text in the shell", "").judged(text),
    program("ssh autossh mosh sshpass", Medium, "goes to another machine with whatever keys are here", "-46CGgKkqTtVvXxYyn -b= -B= -c= -e= -i= -l= -m= -p= -P= -Q= -M=")
        .judged(ssh)
        .raised(&[
            ("-o= -F= -J= -I= -E= -S= -O=", High, "reads its orders from elsewhere, or runs a program on the way"),
            ("-L= -R= -D= -w= -W= -A -N -f -s -y -a", High, "opens a way for others"),
        ]),
    program("parallel entr script expect busybox toybox screenrun atd-run", High, "runs other programs, or text in a shell", "").judged(rest),
    program("sh bash dash ash zsh ksh mksh rbash fish csh tcsh pwsh xonsh nu", Medium, "is a shell", "").judged(shell),
];

/// `wrapper [options] [NAME=value…] [operands] program …`
fn argv(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level, program.why);
    if words.iter().any(|word| word.text.starts_with("-S") || word.text.starts_with("--sp")) && program.is_called("env") {
        judge.any_tail(words);
        words.iter().for_each(|word| judge.hidden_in(&word.text));
    }
    let Some(at) = inner(judge, program, words) else { return Run::plain(words) };
    let found = judge.program(&words[at..]);
    if program.needs.contains(&Need::Forks) {
        super::git::unbounded(judge, &words[at]);
    }
    if program.level > Safe {
        judge.refuse_to_run(&words[0].raw, "is not run around another program");
        return Run::plain(words);
    }
    Run::wrapping(words, found, at, &[])
}

/// `taskset -p 12` asks, with a mask before the number it changes.
fn bound(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let texts: Vec<&str> = words[1..].iter().map(|word| word.text.as_str()).collect();
    match texts.as_slice() {
        ["-p" | "-cp" | "-pc", pid] if pid.bytes().all(|c| c.is_ascii_digit()) => {
            judge.note(&said(words), Safe, "shows what a process gets");
            Run::plain(words)
        }
        _ => argv(judge, program, words),
    }
}

/// The wrapper makes no difference here, or belongs to a shell: what it wraps is run instead.
fn stripped(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level, program.why);
    match inner(judge, program, words) {
        Some(at) => judge.program(&words[at..]),
        None => {
            judge.hinder(&said(words), "only the shell answers this");
            Run::plain(words)
        }
    }
}

/// Where the inner program begins. `None`: there is none, or nobody can say where.
fn inner(judge: &mut Judge, program: &Program, words: &[Word]) -> Option<usize> {
    let scan = judge.scan(&[program], &words[1..], true);
    if !scan.clear {
        judge.note(&said(words), High, "which program this would run cannot be said");
        judge.refuse_to_run(&words[0].raw, "its options are not understood");
        judge.any_tail(words);
        return None;
    }
    let mut at = 1 + scan.stopped?;
    while let Some((name, value)) = words.get(at).filter(|_| assigns(program)).and_then(|word| word.text.split_once('=')) {
        variable(judge, name, &Word { text: value.to_owned(), ..words[at].clone() });
        at += 1;
    }
    let skipped = match words[0].text.rsplit('/').next() {
        Some("timeout" | "taskset" | "chrt" | "chroot" | "faketime" | "flock" | "gosu" | "su-exec" | "setuidgid" | "envdir") => 1,
        _ => 0,
    };
    (at + skipped < words.len()).then_some(at + skipped)
}

fn assigns(program: &Program) -> bool {
    program.is_called("env") || program.is_called("sudo")
}

/// Any of the words behind it may be the program.
pub fn rest(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level.max(High), program.why);
    judge.refuse_to_run(&said(words), "what it would run cannot be bounded");
    judge.any_tail(words);
    Run::plain(words)
}

/// The daemon runs it, outside any sandbox of ours.
pub fn in_container(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), High, program.why);
    judge.any_tail(words);
    Run::plain(words)
}

fn xargs(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level, program.why);
    let Some(at) = inner(judge, program, words) else { return Run::plain(words) };
    let unknown = Word::opaque("{}", "whatever comes down the pipe");
    let filled = words[at..].iter().map(|word| if word.text.contains("{}") { unknown.clone() } else { word.clone() });
    let filled: Vec<Word> = filled.chain([unknown.clone()]).collect();
    let before = judge.obstacle.is_some();
    let found = judge.program(&filled);
    // Not knowing the arguments does not keep a confirmed xargs from running.
    if !before && found.words.len() == filled.len() && judge.level() < Critical && !is_shell(&words[at]) {
        judge.obstacle = None;
    }
    let programs = [0].into_iter().chain(found.programs.iter().map(|index| index + at)).collect();
    Run { words: words.to_vec(), programs, needs: found.needs }
}

fn is_shell(word: &Word) -> bool {
    super::known(word.text.rsplit('/').next().unwrap_or_default()).is_some_and(|program| program.is_called("sh"))
}

/// The operands together are text for a shell.
fn text(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level, program.why);
    let scan = judge.scan(&[program], &words[1..], true);
    if !scan.clear {
        judge.any_tail(words);
    }
    judge.refuse_to_run(&words[0].raw, "its text would be run by a shell");
    match scan.stopped {
        Some(at) => handed_to_a_shell(judge, &words[1 + at..]),
        None => judge.note(&said(words), High, "what it would run cannot be said"),
    }
    Run::plain(words)
}

fn handed_to_a_shell(judge: &mut Judge, words: &[Word]) {
    if let Some(word) = words.iter().find(|word| word.kind != Kind::Literal) {
        let level = if matches!(word.kind, Kind::Opaque(_)) { Critical } else { Medium };
        judge.note(&word.raw, level, "text for a shell that cannot be read beforehand");
    }
    let joined: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    judge.reread(&joined.join(" "));
}

fn ssh(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level, program.why);
    judge.refuse_to_run(&words[0].raw, "other machines are reached by their own hand");
    let scan = judge.scan(&[program], &words[1..], true);
    for word in words.iter().filter(|word| word.text.contains('=')) {
        judge.hidden_in(word.text.split_once('=').map_or("", |(_, value)| value));
    }
    match scan.stopped.map(|at| &words[at + 2..]) {
        Some([]) | None => judge.note(&said(words), Medium, "opens a shell there"),
        // Options may stand behind the host too.
        Some(command) if !scan.clear || command[0].text.starts_with('-') || words[0].text != "ssh" => {
            judge.note(&said(words), High, "what it runs there cannot be said");
            judge.any_tail(words);
        }
        Some(command) => handed_to_a_shell(judge, command),
    }
    Run::plain(words)
}

/// `su - user -c 'text'`
fn switch_user(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), program.level, program.why);
    judge.refuse_to_run(&words[0].raw, "is not run around another program");
    let mut texts = 0;
    for (at, word) in words.iter().enumerate().skip(1) {
        let next = words.get(at + 1);
        let attached = word.text.strip_prefix("--command=").or_else(|| word.text.strip_prefix("--session-command="));
        match (attached, word.text.as_str(), next) {
            (Some(text), ..) => judge.reread(text),
            (None, "-c" | "--command" | "--session-command", Some(next)) => handed_to_a_shell(judge, std::slice::from_ref(next)),
            _ => continue,
        }
        texts += 1;
    }
    if texts == 0 {
        judge.note(&said(words), High, "opens a shell, or runs what follows");
        judge.any_tail(words);
    }
    Run::plain(words)
}

fn shell(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    judge.refuse_to_run(&said(words), "no shell is ever run");
    let (mut text, mut at) = (false, 1);
    while let Some(word) = words.get(at) {
        let flag = word.is_literal() && word.text.len() > 1 && word.text.starts_with(['-', '+']);
        match word.text.as_str() {
            "--version" | "--help" if words.len() == 2 => {
                judge.note(&said(words), Low, "tells its version");
                return Run::plain(words);
            }
            "--rcfile" | "--init-file" => {
                judge.note(&word.raw, High, "reads orders from a file");
                at += 1;
            }
            "-" | "-s" => break,
            _ if !flag => break,
            long if long.starts_with("--") => {}
            short => {
                if !short[1..].chars().all(|c| c.is_ascii_alphabetic()) {
                    judge.note(&word.raw, Critical, "no option of a shell");
                }
                text |= short.contains('c');
                at += usize::from(short.contains(['o', 'O']));
            }
        }
        at += 1;
    }
    match words.get(at) {
        Some(code) if text => {
            judge.note(&said(words), program.level, "runs text in a shell");
            handed_to_a_shell(judge, std::slice::from_ref(code));
        }
        Some(file) if !matches!(file.text.as_str(), "-" | "-s") => {
            let level = if file.is_literal() { High } else { Critical };
            judge.note(&said(words), level, "runs a file in a shell");
            judge.any_tail(words);
        }
        _ if judge.piped => judge.note(&said(words), Critical, "a shell that runs whatever comes down the pipe"),
        _ => judge.note(&said(words), High, "opens a shell"),
    }
    Run::plain(words)
}

/// python, perl and their like: code that is not read here, with one exception that only lays out JSON.
pub fn language(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let texts: Vec<&str> = words[1..].iter().map(|word| word.text.as_str()).collect();
    let python = program.is_called("python3") && words[0].text.contains("python");
    let all_literal = words.iter().all(Word::is_literal);
    let (level, why): (DangerLevel, &str) = match texts.as_slice() {
        ["--version" | "-V" | "-v" | "-version"] => (Low, "tells its version"),
        ["-m", "json.tool", rest @ ..]
            if python
                && all_literal
                && rest.iter().all(|o| matches!(*o, "--sort-keys" | "--compact" | "--no-ensure-ascii" | "--tab" | "--json-lines")) =>
        {
            (Low, "lays out JSON")
        }
        [] | ["-"] if judge.piped => (Critical, "runs whatever comes down the pipe"),
        _ if !all_literal => (Critical, "code that cannot be read beforehand"),
        _ => (High, program.why),
    };
    judge.note(&said(words), level, why);
    if level > Low {
        texts.iter().for_each(|text| judge.hidden_in(text));
    }
    Run::plain(words)
}

pub fn remote_copy(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let deletes = words.iter().any(|word| {
        word.text.starts_with("--del")
            || word.text.starts_with("--remove-s")
            || matches!(word.text.as_str(), "sync" | "purge" | "delete" | "move")
    });
    let (level, why) = if deletes { (Critical, "removes files") } else { (program.level, program.why) };
    judge.note(&said(words), level, why);
    words[1..].iter().filter(|word| word.text.contains([' ', '='])).for_each(|word| judge.hidden_in(&word.text));
    if let Some(last) = words.last() {
        judge.change(last);
    }
    Run::plain(words)
}

pub fn socat(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let starts = words[1..].iter().any(|word| {
        let text = word.text.to_lowercase();
        text.contains("exec:") || text.contains("system:") || text.contains("shell:") || !word.is_literal()
    });
    let (level, why) = if starts { (Critical, "gives a program to whoever connects") } else { (program.level, program.why) };
    judge.note(&said(words), level, why);
    Run::plain(words)
}
