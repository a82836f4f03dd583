//! Keys. A private key is one line as Go's note tools write it (`PRIVATE+KEY+name+hash+base64`), a public one is C2SP's vkey
//! (`name+hash+base64`). The name of a log's key is the log's origin. A private key is never printed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use signed_note::{Signer, StandardSigner, StandardVerifier, Verifier, key_id};

/// Signature types of the signed-note specification.
const ED25519: u8 = 0x01;
const COSIGNATURE: u8 = 0x04;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not a private key: expected one line `PRIVATE+KEY+NAME+HASH+BASE64` (paramedic ledger keygen writes one)")]
    Private,
    #[error("not a log's public key: expected `NAME+HASH+BASE64` of type 1 (paramedic ledger key prints it)")]
    Log,
    #[error("not a witness's public key: expected `NAME+HASH+BASE64` of type 4 (paramedic witness prints it)")]
    Witness,
}

/// A log's or witness's name: no white space, no plus, at most 200 bytes.
pub fn is_origin(text: &str) -> bool {
    signed_note::is_key_name_valid(text) && text.len() <= 200 && !text.chars().any(char::is_control)
}

/// The line of a new private key, from 32 random bytes.
pub fn new_private_key(name: &str, seed: &[u8; 32]) -> String {
    let public = typed(ED25519, &SigningKey::from_bytes(seed).verifying_key());
    format!("PRIVATE+KEY+{name}+{:08x}+{}\n", key_id(name, &public), STANDARD.encode([&[ED25519], seed.as_slice()].concat()))
}

fn typed(kind: u8, key: &VerifyingKey) -> Vec<u8> {
    [&[kind], key.as_bytes().as_slice()].concat()
}

/// Signs a log's checkpoints.
pub struct LogKey {
    signer: StandardSigner,
    public: String,
}

impl LogKey {
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        let (name, key) = private(line)?;
        let signer = StandardSigner::new(line.trim()).map_err(|_| KeyError::Private)?;
        Ok(Self { signer, public: signed_note::new_ed25519_verifier_key(&name, &key.verifying_key()) })
    }

    pub fn name(&self) -> &str {
        self.signer.name()
    }

    /// The vkey that others verify with.
    pub fn public(&self) -> &str {
        &self.public
    }

    pub(super) fn signer(&self) -> &dyn Signer {
        &self.signer
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The name and the key of a private key's line.
fn private(line: &str) -> Result<(String, SigningKey), KeyError> {
    let line = line.trim();
    let signer = StandardSigner::new(line).map_err(|_| KeyError::Private)?;
    let encoded = line.splitn(5, '+').last().ok_or(KeyError::Private)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Private)?;
    let seed: &[u8; 32] = bytes.get(1..).and_then(|seed| seed.try_into().ok()).ok_or(KeyError::Private)?;
    Ok((signer.name().to_owned(), SigningKey::from_bytes(seed)))
}

/// Verifies a log's checkpoints.
#[derive(Clone)]
pub struct PublicLogKey {
    verifier: StandardVerifier,
    vkey: String,
}

impl PublicLogKey {
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let vkey = vkey.trim();
        Ok(Self { verifier: StandardVerifier::new(vkey).map_err(|_| KeyError::Log)?, vkey: vkey.to_owned() })
    }

    /// The log's origin.
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    pub(super) fn verifier(&self) -> StandardVerifier {
        self.verifier.clone()
    }
}

impl std::fmt::Debug for PublicLogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PublicLogKey").field(&self.vkey).finish()
    }
}

/// Co-signs checkpoints of other people's logs, with the time at which it saw them.
pub struct CosignerKey {
    name: String,
    key: SigningKey,
}

impl CosignerKey {
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        let (name, key) = private(line)?;
        Ok(Self { name, key })
    }

    pub fn public(&self) -> String {
        let key = typed(COSIGNATURE, &self.key.verifying_key());
        format!("{}+{:08x}+{}", self.name, key_id(&self.name, &key), STANDARD.encode(&key))
    }

    /// The signature line over a checkpoint's text, at a time in seconds since 1970.
    pub fn cosign(&self, text: &[u8], time: u64) -> String {
        let signature = self.key.sign(&cosigned(text, time));
        let id = key_id(&self.name, &typed(COSIGNATURE, &self.key.verifying_key()));
        let bytes = [&id.to_be_bytes()[..], &time.to_be_bytes(), &signature.to_bytes()].concat();
        format!("— {} {}\n", self.name, STANDARD.encode(bytes))
    }
}

impl std::fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CosignerKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// tlog-cosignature's message.
fn cosigned(text: &[u8], time: u64) -> Vec<u8> {
    [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat()
}

/// Verifies a witness's cosignatures.
#[derive(Debug, Clone)]
pub struct PublicWitnessKey {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl PublicWitnessKey {
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let (name, rest) = vkey.trim().split_once('+').ok_or(KeyError::Witness)?;
        let (id, encoded) = rest.split_once('+').ok_or(KeyError::Witness)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Witness)?;
        let (kind, public) = bytes.split_first().ok_or(KeyError::Witness)?;
        let public: &[u8; 32] = public.try_into().map_err(|_| KeyError::Witness)?;
        let key = VerifyingKey::from_bytes(public).map_err(|_| KeyError::Witness)?;
        let expected = key_id(name, &bytes);
        if *kind != COSIGNATURE || !is_origin(name) || id != format!("{expected:08x}") {
            return Err(KeyError::Witness);
        }
        Ok(Self { name: name.to_owned(), id: expected, key })
    }
}

impl Verifier for PublicWitnessKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk::<8>() else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.key.verify_strict(&cosigned(message, u64::from_be_bytes(*time)), &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_its_halves_are_told_apart() {
        let line = new_private_key("paramedic/test", &[7; 32]);
        let (log, witness) = (LogKey::parse(&line).unwrap(), CosignerKey::parse(&line).unwrap());
        assert_eq!((log.name(), PublicLogKey::parse(log.public()).unwrap().name()), ("paramedic/test", "paramedic/test"));
        assert_eq!(PublicWitnessKey::parse(&witness.public()).unwrap().name, "paramedic/test");
        assert_eq!(PublicLogKey::parse(&witness.public()).unwrap_err(), KeyError::Log);
        assert_eq!(PublicWitnessKey::parse(log.public()).unwrap_err(), KeyError::Witness);
        assert!(!format!("{log:?} {witness:?}").contains(line.trim().rsplit('+').next().unwrap()));
        for wrong in ["", "PRIVATE+KEY+a+b", log.public(), &line.replace("test", "tes")] {
            assert_eq!(LogKey::parse(wrong).unwrap_err(), KeyError::Private, "{wrong}");
            assert_eq!(CosignerKey::parse(wrong).unwrap_err(), KeyError::Private, "{wrong}");
        }
    }

    /// The example of the signed-note tools.
    #[test]
    fn a_key_of_other_tools_is_understood() {
        let line = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        assert_eq!(LogKey::parse(line).unwrap().public(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    }

    #[test]
    fn a_name_is_one_word() {
        assert!(is_origin("example.com/log42") && is_origin("paramedic/0a1b2c"));
        assert!(!is_origin("") && !is_origin("a b") && !is_origin("a+b") && !is_origin("a\u{7}") && !is_origin(&"a".repeat(201)));
    }
}
