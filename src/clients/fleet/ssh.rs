//! Asks the hand on another host through the system's ssh, one connection a request, each under a certificate of its own (`grant`) or,
//! weaker, under a key of long standing. Never asks for a password, never accepts an unknown host key, never reads the user's own SSH
//! configuration.

use super::error::excerpt;
use super::grant::{Authority, GrantError, Unpacked, Wanted};
use super::hand::{Answer, HandReply, HandRequest, MAX_REPLY, Op, VERSION};
use super::{Limits, ReachError};
use crate::domain::{Clock as _, Host, HostReach, SshCa, SystemClock};
use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Beside what the openssh crate sets. No agent, no forwarding, no second place for host keys.
const CONFIG: &str = "Host *\n  GlobalKnownHostsFile none\n  UpdateHostKeys no\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n  \
    IdentityAgent none\n  ForwardAgent no\n  ForwardX11 no\n  ClearAllForwardings yes\n  PermitLocalCommand no\n  ServerAliveCountMax 2\n  LogLevel ERROR\n";
/// What a host without a forced command would run; one with it runs that.
const COMMAND: &str = "paramedic hand";
/// A UNIX socket's path holds 107 bytes; ssh needs about 48 of them below the folder.
const LONGEST_DIR: usize = 59;
/// Longer than a command may take there.
const COMMAND_LIMIT: Duration = Duration::from_secs(40);
const CLOSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Ssh {
    dir: PathBuf,
    limits: Limits,
    ca: Option<SshCa>,
    /// Where each certificate is written down.
    grants: PathBuf,
}

/// An SSH host's settings, checked: none of them can be taken for an option.
struct Way<'a> {
    place: String,
    address: &'a str,
    port: u16,
    user: &'a str,
    key_file: Option<&'a Path>,
    known_hosts_file: &'a Path,
}

impl Ssh {
    /// `dir` holds control sockets and our ssh configuration; made when first needed. `grants` is the log of certificates.
    pub fn new(dir: PathBuf, limits: Limits, ca: Option<SshCa>, grants: PathBuf) -> Self {
        Self { dir, limits, ca, grants }
    }

    pub async fn ask(&self, host: &Host, request: &str, op: &Op) -> Result<Answer, ReachError> {
        let way = way(host)?;
        let message = HandRequest { version: VERSION, request: request.to_owned(), op: op.clone() };
        let message = serde_json::to_vec(&message).map_err(|e| unreachable(&way, format!("the request cannot be written: {e}")))?;
        let config = self.prepare().map_err(|e| unreachable(&way, e.to_string()))?;
        let granted = self.granted(&way, request, op, &message).await?;
        let session = self.connect(&way, &config, granted.as_ref()).await?;
        // The connection stands: key and certificate are of no further use.
        drop(granted);
        let limit = match op {
            // The host's own limit comes first.
            Op::Command { .. } => COMMAND_LIMIT,
            _ if op.acts() => self.limits.restart,
            _ => self.limits.observe,
        };
        let reply = match timeout(limit, exchange(&session, &message, &way.place)).await {
            Ok(reply) => reply,
            Err(_) => Err(ReachError::TimedOut {
                what: format!("`{}` by the hand", op.verb()),
                place: way.place.clone(),
                after: limit,
                maybe_done: op.acts(),
            }),
        };
        // Closed in any case, a hanging one included; that it would not close changes nothing about the answer.
        if timeout(CLOSE, session.close()).await.is_err() {
            tracing::warn!(host = way.place, "an ssh connection did not close in time");
        }
        reply.map_err(|error| if op.acts() { error } else { surely_not_done(error) })?.result.into_result(&way.place)
    }

    /// None where a key of long standing is used.
    async fn granted(&self, way: &Way<'_>, request: &str, op: &Op, message: &[u8]) -> Result<Option<Unpacked>, ReachError> {
        let ca = match (way.key_file, &self.ca) {
            (Some(_), _) => return Ok(None),
            (None, Some(ca)) => ca.clone(),
            (None, None) => return Err(unreachable(way, "neither key_file nor ssh_ca is configured".to_owned())),
        };
        let wanted = Wanted {
            host: way.place.clone(),
            about: format!("{request} ({})", op.summary()),
            request: message.to_vec(),
            // Not the story's clock: the host compares with its own.
            now: SystemClock.now(),
        };
        let (dir, log) = (self.dir.clone(), self.grants.clone());
        let made = tokio::task::spawn_blocking(move || grant(&ca, &wanted, &log, &dir)).await;
        let made = made.map_err(|e| unreachable(way, e.to_string()))?;
        made.map(Some).map_err(|e| unreachable(way, format!("no certificate: {e}")))
    }

    async fn connect(&self, way: &Way<'_>, config: &Path, granted: Option<&Unpacked>) -> Result<Session, ReachError> {
        let unreachable = |why: String| unreachable(way, why);
        let Some(key) = granted.map(|granted| granted.key.as_path()).or(way.key_file) else {
            return Err(unreachable("there is no key".to_owned()));
        };
        let mut builder = SessionBuilder::default();
        builder
            .user(way.user.to_owned())
            .port(way.port)
            .keyfile(key)
            .known_hosts_check(KnownHosts::Strict)
            .user_known_hosts_file(way.known_hosts_file)
            .config_file(config)
            .control_directory(&self.dir)
            // Should we die in between, the connection ends by itself.
            .control_persist(ControlPersist::IdleFor(NonZeroUsize::MIN.saturating_add(29)))
            .server_alive_interval(Duration::from_secs(5))
            .connect_timeout(self.limits.connect.max(Duration::from_secs(1)));
        // ssh's own limit covers the connection and the key exchange; this one the rest of being let in.
        match timeout(self.limits.connect + CLOSE, builder.connect(way.address)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(e)) => Err(unreachable(told(&e))),
            Err(_) => Err(unreachable(format!("not let in within {} s", (self.limits.connect + CLOSE).as_secs_f32()))),
        }
    }

    fn prepare(&self) -> std::io::Result<PathBuf> {
        use std::os::unix::fs::DirBuilderExt;
        if self.dir.as_os_str().len() > LONGEST_DIR {
            let why = format!("{} is too long for control sockets: expected at most {LONGEST_DIR} bytes", self.dir.display());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let config = self.dir.join("config");
        if std::fs::read_to_string(&config).ok().as_deref() != Some(CONFIG) {
            let new = tempfile::NamedTempFile::new_in(&self.dir)?;
            std::fs::write(new.path(), CONFIG)?;
            new.persist(&config)?;
        }
        Ok(config)
    }
}

/// Written down before it is given.
fn grant(ca: &SshCa, wanted: &Wanted, log: &Path, dir: &Path) -> Result<Unpacked, GrantError> {
    Authority::open(ca)?.grant(wanted, log)?.unpack(dir)
}

fn unreachable(way: &Way<'_>, why: String) -> ReachError {
    ReachError::Unreachable { place: way.place.clone(), why: format!("ssh {}@{} port {}: {why}", way.user, way.address, way.port) }
}

/// From here on the hand may have got the request.
async fn exchange(session: &Session, request: &[u8], place: &str) -> Result<HandReply, ReachError> {
    let protocol = |why: String| ReachError::Protocol { place: place.to_owned(), why, maybe_done: true };
    let mut child = session
        .raw_command(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .await
        .map_err(|e| surely_not_done(protocol(told(&e))))?;
    let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let send = async {
        // A hand that reads nothing and says why is worth hearing: a broken pipe is not the end.
        if let Some(mut stdin) = stdin {
            let sent = stdin.write_all(request).await;
            sent.and(stdin.shutdown().await)
        } else {
            Ok(())
        }
    };
    let (sent, stdout, stderr) = tokio::join!(send, head_of(stdout, MAX_REPLY + 1), head_of(stderr, 4 * 1024));
    let stdout = stdout.map_err(|e| protocol(e.to_string()))?;
    let stderr = stderr.map_err(|e| protocol(e.to_string()))?;
    if stdout.len() > MAX_REPLY {
        return Err(protocol(format!("its reply is longer than {MAX_REPLY} bytes")));
    }
    if stdout.is_empty() {
        let ended = child.wait().await.map_or_else(|e| told(&e), |status| status.to_string());
        let sent = sent.map_or_else(|e| format!(", sending: {e}"), |()| String::new());
        return Err(protocol(format!("no reply; it ended with {ended}{sent}, stderr {}", excerpt(&stderr))));
    }
    let reply: HandReply = serde_json::from_slice(&stdout).map_err(|e| {
        let seen = excerpt(&stdout);
        protocol(format!("expected a reply of version {VERSION}: {e}; it began {seen}, stderr {}", excerpt(&stderr)))
    })?;
    if reply.version != VERSION {
        return Err(protocol(format!("its reply has version {}: expected {VERSION}", reply.version)));
    }
    Ok(reply)
}

/// At most `most` bytes; a stream that goes on beyond them is not listened to.
async fn head_of(reader: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(reader) = reader {
        reader.take(most as u64).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn surely_not_done(error: ReachError) -> ReachError {
    match error {
        ReachError::Protocol { place, why, .. } => ReachError::Protocol { place, why, maybe_done: false },
        other => other,
    }
}

/// The whole chain, on one line and not long: ssh's own words are in the innermost.
fn told(error: &openssh::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    let words: Vec<_> = text.split_whitespace().filter(|word| !word.starts_with("@@@")).collect();
    let flat: Vec<char> = words.join(" ").chars().collect();
    // ssh warns at length and says at the end what it came to.
    match flat.len() {
        0..=600 => flat.into_iter().collect(),
        long => flat[..300].iter().chain(&[' ', '…', ' ']).chain(&flat[long - 297..]).collect(),
    }
}

fn way(host: &Host) -> Result<Way<'_>, ReachError> {
    let HostReach::Ssh { address, port, user, key_file, known_hosts_file } = &host.reach else {
        return Err(ReachError::NotSupported {
            what: format!("SSH to {}", host.name),
            why: "the inventory does not say `reach: ssh`".to_owned(),
        });
    };
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
    };
    // ssh splits this option at blanks and expands `%` and `~` in it.
    let usable =
        |path: &Path| path.to_str().is_some_and(|p| p.starts_with('/') && !p.contains(|c: char| c.is_whitespace() || "%\"'\\".contains(c)));
    let problem = match () {
        () if !plain(address) => Some(format!("the address {} is none", excerpt(address.as_bytes()))),
        () if !plain(user) => Some(format!("the user {} is none", excerpt(user.as_bytes()))),
        () if !usable(known_hosts_file) => Some("known_hosts_file: expected an absolute path without blanks, quotes and %".to_owned()),
        () => None,
    };
    match problem {
        Some(why) => Err(ReachError::NotSupported { what: format!("SSH to {}", host.name), why }),
        None => Ok(Way { place: host.name.to_string(), address, port: *port, user, key_file: key_file.as_deref(), known_hosts_file }),
    }
}
