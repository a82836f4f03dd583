//! One run of the hand: read a request, judge it by the allow-list, perform it, reply, leave one line in the host's log. A
//! refusal is a reply like any other. Nothing but the reply goes to stdout.

use super::{AllowList, HandReply, HandRequest, HandResult, MAX_REQUEST, Op, Terms, VERSION};
use crate::clients::fleet::{Limits, error::excerpt, local};
use crate::clients::sandbox::Sandbox;
use crate::domain::Time;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A caller who says nothing is not waited for.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// What sshd tells about the caller; for the log only, never obeyed.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// `SSH_CONNECTION`
    pub connection: Option<String>,
    /// `SSH_ORIGINAL_COMMAND`
    pub command: Option<String>,
}

/// What this host says a caller may have: its allow-list, and the terms of the certificate that let the caller in.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    pub allow_list: &'a Path,
    pub terms: Option<&'a Terms>,
}

/// Fails only if the reply cannot be written.
pub async fn serve<R, W>(bounds: Bounds<'_>, caller: &Caller, stdin: R, mut stdout: W, now: Time, limits: &Limits) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let began = Instant::now();
    let reply = match read(stdin, bounds.terms, now).await {
        Ok(request) => {
            let result = perform(bounds, &request.op, now, limits).await;
            log(caller, &request.request, &request.op.summary(), &result, began.elapsed());
            reply(request.request, result)
        }
        Err(why) => {
            let result = HandResult::Refused { why };
            log(caller, "unreadable", "none", &result, began.elapsed());
            reply("unreadable".to_owned(), result)
        }
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    stdout.write_all(&bytes).await?;
    stdout.flush().await
}

fn reply(request: String, result: HandResult) -> HandReply {
    HandReply { version: VERSION, request, result }
}

async fn read(stdin: impl AsyncRead + Unpin, terms: Option<&Terms>, now: Time) -> Result<HandRequest, String> {
    let mut bytes = Vec::new();
    let mut bounded = stdin.take(MAX_REQUEST as u64 + 1);
    match tokio::time::timeout(READ_LIMIT, bounded.read_to_end(&mut bytes)).await {
        Err(_) => return Err(format!("no whole request on stdin within {} s", READ_LIMIT.as_secs())),
        Ok(Err(e)) => return Err(format!("the request cannot be read: {e}")),
        Ok(Ok(_)) if bytes.len() > MAX_REQUEST => return Err(format!("the request is longer than {MAX_REQUEST} bytes")),
        Ok(Ok(_)) => {}
    }
    if let Some(terms) = terms {
        terms.check(&bytes, now)?;
    }
    let request: HandRequest =
        serde_json::from_slice(&bytes).map_err(|e| format!("not a request of version {VERSION}: {e}; it began {}", excerpt(&bytes)))?;
    if request.version != VERSION {
        return Err(format!("the request has version {}: expected {VERSION}, both ends need the same paramedic", request.version));
    }
    Ok(request)
}

async fn perform(bounds: Bounds<'_>, op: &Op, now: Time, limits: &Limits) -> HandResult {
    let list = match AllowList::load(bounds.allow_list) {
        Ok(list) => list,
        Err(why) => return HandResult::Refused { why },
    };
    match list.check(op).and_then(|()| list.admit(bounds.terms, op, now)) {
        Ok(()) => HandResult::from_local(local::perform(op, list.log_roots(), now, limits, &sandbox(bounds.allow_list)).await),
        Err(why) => HandResult::Refused { why },
    }
}

/// The hand's own settings are nobody's to read.
fn sandbox(allow_list: &Path) -> Sandbox {
    Sandbox { hidden: allow_list.parent().map(Path::to_owned).into_iter().collect(), ..Sandbox::default() }
}

/// To the host's syslog; to stderr where there is none. Everything in it is a stranger's text: escaped and cut.
fn log(caller: &Caller, request: &str, op: &str, result: &HandResult, took: Duration) {
    let outcome = match result {
        HandResult::Done(_) => "done".to_owned(),
        HandResult::Refused { why } => format!("refused {}", excerpt(why.as_bytes())),
        HandResult::TimedOut { what, .. } => format!("timed out {}", excerpt(what.as_bytes())),
        HandResult::Failed { why, .. } => format!("failed {}", excerpt(why.as_bytes())),
    };
    let said = |text: &Option<String>| text.as_ref().map_or("none".to_owned(), |text| excerpt(text.as_bytes()));
    let line = format!(
        "request={} op={} outcome={outcome} took_ms={} from={} asked_command={}",
        excerpt(request.as_bytes()),
        excerpt(op.as_bytes()),
        took.as_millis(),
        said(&caller.connection),
        said(&caller.command),
    );
    // Facility authpriv, severity info: where sshd's own lines about the same connection are.
    let datagram = format!("<86>paramedic-hand[{}]: {line}", std::process::id());
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(datagram.as_bytes(), "/dev/log")
    });
    if sent.is_err() {
        eprintln!("paramedic-hand: {line}");
    }
}
