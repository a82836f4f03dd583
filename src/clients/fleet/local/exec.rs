//! Runs one program of the operating system by its absolute path: argv, an environment of our own, a time limit, bounded
//! output. Never a shell, never the caller's environment.

use super::HERE;
use crate::clients::fleet::ReachError;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

pub struct Output {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    /// The beginning of stdout was left out.
    pub cut: bool,
    pub stderr: Vec<u8>,
}

/// `acts`: the program changes something, so that a time-out leaves its effect unknown.
pub async fn run(argv: &[&str], keep: usize, limit: Duration, acts: bool) -> Result<Output, ReachError> {
    let what = argv.join(" ");
    let failed = |why: String, maybe_done: bool| ReachError::Failed { what: what.clone(), place: HERE.to_owned(), why, maybe_done };
    let [program, arguments @ ..] = argv else {
        return Err(failed("no program given".to_owned(), false));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        // Times in UTC and messages in English, so that they can be parsed.
        .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SYSTEMD_COLORS", "0"), ("PATH", "/usr/bin:/bin")])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(e.to_string(), false))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::join!(last_of(stdout, keep), last_of(stderr, 4 * 1024));
        Ok::<_, std::io::Error>((stdout?, stderr?.0, child.wait().await?))
    };
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(((stdout, cut), stderr, status))) => Ok(Output { code: status.code(), stdout, cut, stderr }),
        Ok(Err(e)) => Err(failed(e.to_string(), acts)),
        Err(_) => Err(ReachError::TimedOut { what: what.clone(), place: HERE.to_owned(), after: limit, maybe_done: acts }),
    }
}

/// Reads to the end and keeps the last `keep` bytes.
async fn last_of(reader: Option<impl AsyncRead + Unpin>, keep: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let Some(mut reader) = reader else { return Ok((Vec::new(), false)) };
    let mut kept = Vec::new();
    let mut cut = false;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let n = reader.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..n]);
        // Room for twice as much, so that the front is moved seldom.
        if kept.len() > 2 * keep {
            kept.drain(..kept.len() - keep);
            cut = true;
        }
    }
    if kept.len() > keep {
        kept.drain(..kept.len() - keep);
        cut = true;
    }
    Ok((kept, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_runs_without_the_callers_environment_and_its_end_is_kept() {
        let out = run(&["/usr/bin/env"], 1_000, Duration::from_secs(5), false).await.unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("TZ=UTC") && !text.contains("HOME="), "{text}");
        let out = run(&["/usr/bin/seq", "100000"], 7, Duration::from_secs(5), false).await.unwrap();
        assert_eq!((out.stdout.as_slice(), out.cut), (b"100000\n".as_slice(), true));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_and_an_acting_one_is_in_doubt() {
        let error = run(&["/bin/sleep", "60"], 10, Duration::from_millis(50), true).await.err().unwrap();
        assert!(matches!(error, ReachError::TimedOut { .. }) && error.maybe_done(), "{error}");
        let error = run(&["/no/such/program"], 10, Duration::from_secs(1), true).await.err().unwrap();
        assert!(!error.maybe_done(), "{error}");
    }
}
