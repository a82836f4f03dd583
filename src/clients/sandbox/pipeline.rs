//! A plan, run: each stage a process in its own sandbox, its output the next one's input, one time limit for all of it. Whatever happens,
//! nothing of it is left running.

use super::told::{Ended, Kept, Told};
use super::{Order, Sandbox, SandboxError, Scope, inside, pinned};
use crate::safety::command::{Link, Need, Plan, PlanWord, Sink, Stage, Step};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

/// Of output, before the command is stopped for saying too much.
const FLOOD: usize = 8 * 1024 * 1024;
/// For the last words of what was stopped.
const AFTER_KILL: Duration = Duration::from_secs(2);
/// 128 and SIGSYS.
const FILTERED: i32 = 128 + 31;
/// Our own filter only refuses calls; it ends nobody but programs of another architecture.
const AROUND: &str = "a filter of system calls ended it: one around Paramedic, such as SystemCallFilter in its unit \
                      (see deploy/paramedic.service), or it is a 32-bit program";
const LAST_WORDS: u64 = 64 * 1024;

/// The environment of every program; a stage may add what only changes how its answer looks.
const ENVIRONMENT: [(&str, &str); 19] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LANG", "C.UTF-8"),
    ("TZ", "UTC"),
    ("HOME", "/nonexistent"),
    ("TERM", "dumb"),
    ("COLUMNS", "200"),
    ("PAGER", "cat"),
    ("SYSTEMD_PAGER", "cat"),
    ("SYSTEMD_COLORS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    // Stronger than what a repository says of itself: programs that it names are not asked.
    ("GIT_CONFIG_COUNT", "3"),
    ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
    ("GIT_CONFIG_VALUE_0", "false"),
    ("GIT_CONFIG_KEY_1", "core.hooksPath"),
    ("GIT_CONFIG_VALUE_1", "/dev/null"),
    ("GIT_CONFIG_KEY_2", "log.showSignature"),
    ("GIT_CONFIG_VALUE_2", "false"),
];

/// A stage with the files that its programs are.
struct Ready<'a> {
    stage: &'a Stage,
    programs: Vec<(usize, PathBuf)>,
}

/// Finds every program first: either all of it can be run, or none of it is.
pub async fn run(plan: &Plan, scope: Scope, sandbox: &Sandbox) -> Result<Told, SandboxError> {
    let began = Instant::now();
    let steps = plan.steps.iter().map(|step| ready(step, scope)).collect::<Result<Vec<_>, _>>()?;
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let (mut exit, mut ended) = (None, Ended::ByItself);
    for (link, stages) in &steps {
        let due = match link {
            Link::Always => true,
            Link::IfOk => exit.is_none_or(|code| code == 0),
            Link::IfFailed => exit.is_some_and(|code| code != 0),
        };
        let left = sandbox.limit.saturating_sub(began.elapsed());
        if !due {
            continue;
        }
        let mut running = Running::start(stages, scope, sandbox)?;
        ended = running.listen(left, scope, &mut stdout, &mut stderr).await;
        let codes = running.end().await;
        if codes.contains(&Some(i32::from(inside::REFUSED))) {
            return Err(SandboxError::Refused(refusal(&stderr.text(), &stdout.text())));
        }
        if codes.contains(&Some(FILTERED)) {
            return Err(SandboxError::NotConfined(AROUND.to_owned()));
        }
        exit = codes.last().copied().flatten().filter(|_| ended == Ended::ByItself);
        if ended != Ended::ByItself {
            break;
        }
    }
    let cut = stdout.cut() || stderr.cut();
    Ok(Told { exit, ended, stdout: stdout.text(), stderr: stderr.text(), cut, took_ms: began.elapsed().as_millis() as u64 })
}

fn ready(step: &Step, scope: Scope) -> Result<(Link, Vec<Ready<'_>>), SandboxError> {
    Ok((step.link, step.stages.iter().map(|stage| ready_stage(stage, scope)).collect::<Result<_, _>>()?))
}

fn ready_stage(stage: &Stage, scope: Scope) -> Result<Ready<'_>, SandboxError> {
    let named = stage.programs.iter().filter_map(|at| Some((*at, stage.words.get(*at)?)));
    let found = |(at, word): (usize, &PlanWord)| -> Result<(usize, PathBuf), SandboxError> {
        let file = pinned::find(&word.text)?;
        // A script would need a shell, and leave to start other programs.
        if scope == Scope::Read && !stage.needs.contains(&Need::Forks) && pinned::is_script(&file) {
            return Err(SandboxError::NotTrusted(
                word.text.clone(),
                format!("{} is a script here, not the program that was expected", file.display()),
            ));
        }
        Ok((at, file))
    };
    Ok(Ready { stage, programs: named.map(found).collect::<Result<_, _>>()? })
}

/// The processes of one pipeline. Dropped, it takes them all with it.
struct Running {
    children: Vec<Child>,
    groups: Vec<Pid>,
    out: Receiver,
    err: Receiver,
}

impl Drop for Running {
    fn drop(&mut self) {
        for group in &self.groups {
            // Gone already, most of the time.
            let _ = kill_process_group(*group, Signal::KILL);
        }
    }
}

impl Running {
    fn start(stages: &[Ready<'_>], scope: Scope, sandbox: &Sandbox) -> Result<Self, SandboxError> {
        let piped = |e| SandboxError::NotStarted("a pipe".to_owned(), e);
        let (out, out_end) = std::io::pipe().map_err(piped)?;
        let (err, err_end) = std::io::pipe().map_err(piped)?;
        let receiver = |end: PipeReader| Receiver::from_owned_fd(OwnedFd::from(end)).map_err(piped);
        let mut running = Self { children: Vec::new(), groups: Vec::new(), out: receiver(out)?, err: receiver(err)? };
        let mut input: Option<PipeReader> = None;
        for (at, ready) in stages.iter().enumerate() {
            let last = at + 1 == stages.len();
            let (next, writer) = match last {
                true => (None, out_end.try_clone().map_err(piped)?),
                false => std::io::pipe().map(|(reader, writer)| (Some(reader), writer)).map_err(piped)?,
            };
            let child = ready.start(input.take(), &writer, &err_end, scope, sandbox)?;
            running.groups.extend(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
            running.children.push(child);
            input = next;
        }
        Ok(running)
    }

    /// Reads until the last stage is done, the time is up, or it has heard enough.
    async fn listen(&mut self, limit: Duration, scope: Scope, stdout: &mut Kept, stderr: &mut Kept) -> Ended {
        let deadline = tokio::time::Instant::now() + limit;
        let (mut out, mut err) = (vec![0; 32 * 1024], vec![0; 32 * 1024]);
        let (mut out_open, mut err_open, mut last_open) = (true, true, true);
        while out_open || err_open || last_open {
            let Self { children, out: out_pipe, err: err_pipe, .. } = &mut *self;
            let Some(last) = children.last_mut() else { return Ended::ByItself };
            tokio::select! {
                read = out_pipe.read(&mut out), if out_open => out_open = take(read, &out, stdout),
                read = err_pipe.read(&mut err), if err_open => err_open = take(read, &err, stderr),
                _ = last.wait(), if last_open => {
                    last_open = false;
                    // Nobody reads the others any more; one that only reads can be ended, as a broken pipe would.
                    if scope == Scope::Read {
                        self.kill();
                    }
                }
                () = tokio::time::sleep_until(deadline) => return self.stop(Ended::TimedOut, stdout, stderr).await,
            }
            if stdout.all() + stderr.all() > FLOOD {
                return self.stop(Ended::TooMuch, stdout, stderr).await;
            }
        }
        Ended::ByItself
    }

    async fn stop(&mut self, ended: Ended, stdout: &mut Kept, stderr: &mut Kept) -> Ended {
        self.kill();
        // What was on its way is still worth hearing.
        let rest = async {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let (mut out_pipe, mut err_pipe) = ((&mut self.out).take(LAST_WORDS), (&mut self.err).take(LAST_WORDS));
            let _ = tokio::join!(out_pipe.read_to_end(&mut out), err_pipe.read_to_end(&mut err));
            (out, err)
        };
        if let Ok((out, err)) = tokio::time::timeout(AFTER_KILL, rest).await {
            stdout.push(&out);
            stderr.push(&err);
        }
        ended
    }

    fn kill(&self) {
        for group in &self.groups {
            let _ = kill_process_group(*group, Signal::KILL);
        }
    }

    /// Reaps them all; how each ended.
    async fn end(mut self) -> Vec<Option<i32>> {
        let mut codes = Vec::new();
        for child in &mut self.children {
            codes.push(child.wait().await.ok().and_then(|status| status.code().or(status.signal().map(|signal| 128 + signal))));
        }
        codes
    }
}

/// What a process said that did not get into its sandbox; where it says so depends on where the command sends it.
fn refusal(stderr: &str, stdout: &str) -> String {
    let line = stderr.lines().chain(stdout.lines()).find_map(|line| line.strip_prefix(inside::SAYS));
    line.unwrap_or("the sandbox refused, and did not say why").to_owned()
}

fn take(read: std::io::Result<usize>, buffer: &[u8], kept: &mut Kept) -> bool {
    match read {
        Ok(0) | Err(_) => false,
        Ok(n) => {
            kept.push(&buffer[..n]);
            true
        }
    }
}

impl Ready<'_> {
    fn start(
        &self,
        input: Option<PipeReader>,
        out: &PipeWriter,
        err: &PipeWriter,
        scope: Scope,
        sandbox: &Sandbox,
    ) -> Result<Child, SandboxError> {
        let failed = |e: std::io::Error| SandboxError::NotStarted(self.stage.name().to_owned(), e);
        let order = Order {
            words: self.stage.words.clone(),
            programs: self.programs.clone(),
            scope,
            needs: self.stage.needs.clone(),
            hidden: sandbox.hidden.clone(),
            input: self.stage.streams.input.clone(),
            cpu_seconds: sandbox.limit.as_secs().max(1),
        };
        let order = serde_json::to_string(&order).map_err(|e| failed(e.into()))?;
        let end = |sink: Sink| -> std::io::Result<Stdio> {
            match sink {
                Sink::Out => out.try_clone().map(Stdio::from),
                Sink::Err => err.try_clone().map(Stdio::from),
                Sink::Nothing => Ok(Stdio::null()),
            }
        };
        Command::new(&sandbox.program)
            .args(["sandbox", "--order", &order])
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(self.stage.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(end(self.stage.streams.out).map_err(failed)?)
            .stderr(end(self.stage.streams.err).map_err(failed)?)
            // A group of its own: the filter lets nobody leave it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)
    }
}
