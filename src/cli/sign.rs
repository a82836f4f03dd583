//! An approver's signature, made on the approver's side: by the key file itself, or by `ssh-keygen`, which knows passphrases, agents and
//! security keys. Nothing of the key is kept or sent.

use crate::domain::Digest;
use crate::safety::NAMESPACE;
use anyhow::{Context as _, bail};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Of the digest's 64 hexadecimal digits, in the format of `ssh-keygen -Y sign -n approval@paramedic`.
pub fn sign(key: &Path, digest: &Digest) -> anyhow::Result<String> {
    match PrivateKey::read_openssh_file(key) {
        Ok(private) if !private.is_encrypted() && private.algorithm() == Algorithm::Ed25519 => {
            let signature = private.sign(NAMESPACE, HashAlg::Sha512, digest.0.as_bytes()).context("sign the digest")?;
            Ok(signature.to_pem(LineEnding::LF)?)
        }
        // Encrypted, a security key's handle, or a public key whose private half an agent holds.
        _ => by_ssh_keygen(key, digest),
    }
}

fn by_ssh_keygen(key: &Path, digest: &Digest) -> anyhow::Result<String> {
    if !key.is_file() {
        bail!("{}: expected a key file of ssh-keygen (or the .pub of a key that an agent holds)", key.display());
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("start ssh-keygen: a key with a passphrase, or in an agent, is signed with by it")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(digest.0.as_bytes())?;
    }
    let signed = child.wait_with_output()?;
    if !signed.status.success() {
        bail!("ssh-keygen did not sign with {}", key.display());
    }
    String::from_utf8(signed.stdout).context("read ssh-keygen's signature")
}
