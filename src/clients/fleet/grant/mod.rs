//! Grants: each request to an SSH host runs under an OpenSSH certificate made for it and for nothing else. One principal, minutes,
//! the hand with the digest of exactly this request as its forced command, a source address, no extension; the key id names incident
//! and action. The key is new each time and is gone when the connection stands. What was granted is written down first.

mod agent;
mod authority;
mod record;

pub use authority::{Authority, GrantError};
pub use record::Record;

use super::hand::Terms;
use crate::domain::{SshCa, Time};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::rand_core::{OsRng, RngCore as _};
use ssh_key::{Algorithm, Certificate, LineEnding, PrivateKey, SigningKey};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A host's clock may be this many seconds behind ours.
const SLACK: i64 = 60;
/// sshd writes the key id into its log.
const LONGEST_KEY_ID: usize = 200;

/// What a certificate is wanted for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The host's name in the inventory.
    pub host: String,
    /// Incident, the entry that says that the action began, what is asked: `INC-7/5 restart_service (restart api-gateway.service)`.
    pub about: String,
    /// The request, as the hand will read it.
    pub request: Vec<u8>,
    /// By the machine's clock, which hosts compare with their own.
    pub now: Time,
}

/// A key and the certificate that makes it good for one thing.
#[derive(Debug)]
pub struct Grant {
    pub key: PrivateKey,
    pub certificate: Certificate,
    pub terms: Terms,
}

impl Grant {
    fn make(ca: &impl SigningKey, settings: &SshCa, wanted: &Wanted) -> Result<Self, GrantError> {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
        let (after, before) = (wanted.now.timestamp() - SLACK, wanted.now.timestamp() + i64::from(settings.minutes) * 60);
        let seconds = |at: i64| u64::try_from(at).map_err(|_| GrantError::Clock(wanted.now));
        let terms = Terms::of(&wanted.request, OsRng.next_u64(), before);
        let mut builder = Builder::new_with_random_nonce(&mut OsRng, key.public_key(), seconds(after)?, seconds(before)?)?;
        builder.cert_type(CertType::User)?.serial(terms.serial)?.key_id(key_id(&wanted.about))?;
        builder.valid_principal(settings.principal_of(&wanted.host))?;
        builder.critical_option("force-command", format!("{} --only {terms}", settings.hand))?;
        builder.critical_option("source-address", settings.source_address.join(","))?;
        let grant = Self { certificate: builder.sign(ca)?, key, terms };
        grant.check(ca, settings, wanted)?;
        Ok(grant)
    }

    /// Read back as a host will read it: what is wrong here would be believed there.
    fn check(&self, ca: &impl SigningKey, settings: &SshCa, wanted: &Wanted) -> Result<(), GrantError> {
        let read = Certificate::from_openssh(&self.certificate.to_openssh()?)?;
        read.verify_signature()?;
        let options: Vec<&str> = read.critical_options().keys().map(String::as_str).collect();
        let lasts = read.valid_before().saturating_sub(read.valid_after());
        let holds = read.valid_principals() == [settings.principal_of(&wanted.host)]
            && options == ["force-command", "source-address"]
            && read.extensions().is_empty()
            && read.cert_type() == CertType::User
            && read.signature_key() == &ca.public_key()
            && lasts <= u64::from(settings.minutes) * 60 + SLACK.unsigned_abs();
        if holds { Ok(()) } else { Err(GrantError::NotAsWanted(read.key_id().to_owned())) }
    }

    /// Writes both where ssh finds them; the folder, for its owner alone, goes with what this gives.
    pub fn unpack(&self, below: &Path) -> Result<Unpacked, GrantError> {
        let io = |e: std::io::Error| GrantError::Write(below.to_owned(), e);
        // A folder of `tempfile` is its owner's alone.
        let folder = tempfile::Builder::new().prefix("grant-").tempdir_in(below).map_err(io)?;
        let key = folder.path().join("key");
        let private = self.key.to_openssh(LineEnding::LF)?;
        let certificate = self.certificate.to_openssh()?;
        for (path, text) in [(key.clone(), private.as_bytes()), (folder.path().join("key-cert.pub"), certificate.as_bytes())] {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
            file.write_all(text).map_err(io)?;
        }
        Ok(Unpacked { key, _folder: folder })
    }
}

/// A grant on the disk for as long as a connection is being made.
#[derive(Debug)]
pub struct Unpacked {
    pub key: PathBuf,
    _folder: tempfile::TempDir,
}

/// One line of printable text: it stands in the host's log.
fn key_id(about: &str) -> String {
    about.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(LONGEST_KEY_ID).collect()
}
