//! Signatures of approvers' own SSH keys, in the format of `ssh-keygen -Y sign`. The server holds public keys only: it can check a
//! signature and never make one. What is signed is the request's SHA-256 as 64 hexadecimal digits, without a line break.

use crate::domain::Digest;
use ssh_key::{Algorithm, PublicKey, SshSig};

/// Of `ssh-keygen -Y sign -n`: a signature made for anything else (a commit, a file) approves nothing.
pub const NAMESPACE: &str = "approval@paramedic";

/// A signature longer than this is none.
const LONGEST: usize = 8 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature cannot be read ({0}): expected what `ssh-keygen -Y sign -n {NAMESPACE}` writes")]
    Unreadable(String),
    #[error("the signature was made for `{0}`: expected -n {NAMESPACE}")]
    OtherPurpose(String),
    #[error("the signature is by a key that the configuration does not list for {0} (approvers: ssh_keys)")]
    OtherKey(String),
    #[error("the signature does not fit this request's digest")]
    Wrong,
    #[error("`{0}` is no public key: expected a line such as `ssh-ed25519 AAAA… name`")]
    NoKey(String),
    #[error("{0} keys are not taken: expected ssh-ed25519 or sk-ssh-ed25519@openssh.com")]
    OtherAlgorithm(String),
}

/// A line of an `id_ed25519.pub`.
pub fn key_of(line: &str) -> Result<PublicKey, SignatureError> {
    let shown = || line.chars().take(40).collect::<String>();
    let key = PublicKey::from_openssh(line.trim()).map_err(|_| SignatureError::NoKey(shown()))?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::SkEd25519 => Ok(key),
        other => Err(SignatureError::OtherAlgorithm(other.to_string())),
    }
}

/// Is `pem` a signature of the digest by one of these keys?
pub fn verify(pem: &str, digest: &Digest, name: &str, keys: &[PublicKey]) -> Result<(), SignatureError> {
    if pem.len() > LONGEST {
        return Err(SignatureError::Unreadable(format!("{} bytes", pem.len())));
    }
    let signature = SshSig::from_pem(pem.trim()).map_err(|e| SignatureError::Unreadable(e.to_string()))?;
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::OtherPurpose(signature.namespace().chars().take(80).collect()));
    }
    let key = keys.iter().find(|key| key.key_data() == signature.public_key());
    let key = key.ok_or_else(|| SignatureError::OtherKey(name.to_owned()))?;
    key.verify(NAMESPACE, digest.0.as_bytes(), &signature).map_err(|_| SignatureError::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_key::{HashAlg, LineEnding, PrivateKey, rand_core::OsRng};

    fn key() -> PrivateKey {
        PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap()
    }

    fn signed(key: &PrivateKey, namespace: &str, text: &str) -> String {
        key.sign(namespace, HashAlg::Sha512, text.as_bytes()).unwrap().to_pem(LineEnding::LF).unwrap()
    }

    #[test]
    fn a_signature_counts_for_its_digest_its_key_and_its_purpose_alone() {
        let (ana, eve) = (key(), key());
        let digest = Digest("ab".repeat(32));
        let keys = [ana.public_key().clone()];
        let check = |pem: &str| verify(pem, &digest, "ana", &keys);
        let good = signed(&ana, NAMESPACE, &digest.0);
        assert_eq!(check(&good), Ok(()));
        assert_eq!(check(&format!("\n{good}\n")), Ok(()));
        assert_eq!(check(&signed(&ana, NAMESPACE, &"cd".repeat(32))), Err(SignatureError::Wrong));
        assert_eq!(check(&signed(&ana, NAMESPACE, &format!("{}\n", digest.0))), Err(SignatureError::Wrong));
        assert_eq!(check(&signed(&eve, NAMESPACE, &digest.0)), Err(SignatureError::OtherKey("ana".into())));
        assert_eq!(check(&signed(&ana, "git", &digest.0)), Err(SignatureError::OtherPurpose("git".into())));
        assert!(matches!(check("yes"), Err(SignatureError::Unreadable(_))));
        assert!(matches!(check(&"x".repeat(9_000)), Err(SignatureError::Unreadable(_))));
        assert_eq!(verify(&good, &digest, "ana", &[]), Err(SignatureError::OtherKey("ana".into())));
    }

    #[test]
    fn only_keys_that_can_be_checked_are_taken() {
        assert!(key_of(&key().public_key().to_openssh().unwrap()).is_ok());
        assert!(matches!(key_of("ssh-ed25519 nonsense"), Err(SignatureError::NoKey(_))));
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc= x";
        assert!(matches!(key_of(ecdsa), Err(SignatureError::OtherAlgorithm(_) | SignatureError::NoKey(_))));
    }
}
