//! The authority that signs: a key in a file that nobody else may read, or one that an ssh-agent holds and never gives out. Opened
//! anew for each grant, so that a key that was replaced is used and one that was taken away is not.

use super::agent::Agent;
use super::{Grant, Record, Wanted};
use crate::domain::{SshCa, Time};
use ssh_key::{Algorithm, PrivateKey, PublicKey};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    #[error("{0}: {1}")]
    Read(PathBuf, std::io::Error),
    #[error("{}: others may read it (mode {mode:o}, owner {owner}): expected 0600 and the user that Paramedic runs as", path.display())]
    Open { path: PathBuf, mode: u32, owner: u32 },
    #[error("{}: {why}", path.display())]
    Key { path: PathBuf, why: String },
    #[error("source_address `{0}`: expected an address or a network, such as 10.0.0.5 or 10.0.0.0/28")]
    Source(String),
    #[error("neither a key file nor an agent is named under ssh_ca")]
    Nothing,
    #[error("the agent at {}: {why}", socket.display())]
    Agent { socket: PathBuf, why: String },
    #[error("the clock says {0}: no certificate can be made for that")]
    Clock(Time),
    #[error("the certificate for `{0}` is not what was wanted: it is not used")]
    NotAsWanted(String),
    #[error("write below {0}: {1}")]
    Write(PathBuf, std::io::Error),
    #[error("make a certificate: {0}")]
    Certificate(#[from] ssh_key::Error),
}

#[derive(Debug)]
enum Signer {
    File(Box<PrivateKey>),
    Agent(Box<Agent>),
}

/// Blocks for as long as a disk or an agent takes.
#[derive(Debug)]
pub struct Authority<'a> {
    settings: &'a SshCa,
    signer: Signer,
}

impl<'a> Authority<'a> {
    pub fn open(settings: &'a SshCa) -> Result<Self, GrantError> {
        if let Some(wrong) = settings.source_address.iter().find(|source| !is_source(source)) {
            return Err(GrantError::Source(wrong.clone()));
        }
        let signer = match (&settings.key_file, &settings.agent_socket, &settings.public_key_file) {
            (Some(path), _, _) => Signer::File(Box::new(private(path)?)),
            (None, Some(socket), Some(public)) => Signer::Agent(Box::new(Agent::new(socket.clone(), public_key(public)?))),
            _ => return Err(GrantError::Nothing),
        };
        Ok(Self { settings, signer })
    }

    /// Made, read back, and written down in `log`: there is no other way to a grant.
    pub fn grant(&self, wanted: &Wanted, log: &Path) -> Result<Grant, GrantError> {
        let grant = match &self.signer {
            Signer::File(key) => Grant::make(key.as_ref(), self.settings, wanted),
            Signer::Agent(agent) => Grant::make(agent.as_ref(), self.settings, wanted).map_err(|e| agent.explain(e)),
        }?;
        Record::write(&grant, wanted, log)?;
        Ok(grant)
    }
}

fn private(path: &Path) -> Result<PrivateKey, GrantError> {
    let read = |e| GrantError::Read(path.to_owned(), e);
    let found = std::fs::metadata(path).map_err(read)?;
    let (mode, owner) = (found.permissions().mode() & 0o777, found.uid());
    let me = rustix::process::geteuid().as_raw();
    // root may look at what belongs to the account that Paramedic runs as: `paramedic check`.
    let ours = me == 0 || owner == me;
    if mode & 0o077 != 0 || !ours {
        return Err(GrantError::Open { path: path.to_owned(), mode, owner });
    }
    let why = |why: String| GrantError::Key { path: path.to_owned(), why };
    let key =
        PrivateKey::from_openssh(std::fs::read_to_string(path).map_err(read)?).map_err(|e| why(format!("expected an OpenSSH key: {e}")))?;
    if key.is_encrypted() {
        return Err(why("it has a passphrase: let an ssh-agent hold it, and name agent_socket and public_key_file".into()));
    }
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key),
        other => Err(why(format!("expected an ed25519 key, it is {other}"))),
    }
}

fn public_key(path: &Path) -> Result<PublicKey, GrantError> {
    let text = std::fs::read_to_string(path).map_err(|e| GrantError::Read(path.to_owned(), e))?;
    let key = PublicKey::from_openssh(text.trim());
    let key = key.map_err(|e| GrantError::Key { path: path.to_owned(), why: format!("expected an OpenSSH public key: {e}") })?;
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key),
        other => Err(GrantError::Key { path: path.to_owned(), why: format!("expected an ed25519 key, it is {other}") }),
    }
}

/// sshd refuses a certificate with a broken list; a list that it would not read as we do is refused here.
fn is_source(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| (1..=most).contains(&bits)))
}
