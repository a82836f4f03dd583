//! An ssh-agent as the signer (draft-miller-ssh-agent): one request, one answer, over its socket. The key never comes here.

use super::GrantError;
use ed25519_dalek::Signer;
use ssh_key::public::KeyData;
use ssh_key::{PublicKey, Signature};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// An answer is a signature: more than this is none.
const LARGEST: u32 = 16 * 1024;
/// An agent that asks a human first is not waited for: an incident is.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Agent {
    socket: PathBuf,
    public: PublicKey,
    /// Why the last signature failed: the trait's error has no room for it.
    failed: Mutex<Option<String>>,
}

impl Agent {
    pub fn new(socket: PathBuf, public: PublicKey) -> Self {
        Self { socket, public, failed: Mutex::new(None) }
    }

    pub fn explain(&self, error: GrantError) -> GrantError {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(why) => GrantError::Agent { socket: self.socket.clone(), why },
            None => error,
        }
    }

    fn ask(&self, message: &[u8]) -> Result<Signature, String> {
        let blob = self.public.to_bytes().map_err(|e| e.to_string())?;
        let answer = self.exchange(&request(&blob, message)?).map_err(|e| e.to_string())?;
        let Some((&SIGN_RESPONSE, signature)) = answer.split_first() else {
            return Err(format!(
                "it does not sign with {}: is the key added (ssh-add), and may it be used?",
                self.public.fingerprint(Default::default())
            ));
        };
        let (length, signature) = signature.split_first_chunk::<4>().ok_or("its answer is too short")?;
        let signature = signature.get(..u32::from_be_bytes(*length) as usize).ok_or("its answer is too short")?;
        Signature::try_from(signature).map_err(|e| format!("its signature cannot be read: {e}"))
    }

    fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(request)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > LARGEST {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length as usize];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// Length, kind, key, text, no flags.
fn request(key: &[u8], message: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = vec![SIGN_REQUEST];
    for part in [key, message] {
        body.extend(u32::try_from(part.len()).map_err(|e| e.to_string())?.to_be_bytes());
        body.extend(part);
    }
    body.extend(0_u32.to_be_bytes());
    let length = u32::try_from(body.len()).map_err(|e| e.to_string())?;
    Ok([&length.to_be_bytes()[..], &body].concat())
}

impl Signer<Signature> for Agent {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, ed25519_dalek::SignatureError> {
        self.ask(message).map_err(|why| {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            ed25519_dalek::SignatureError::new()
        })
    }
}

impl From<&Agent> for KeyData {
    fn from(agent: &Agent) -> Self {
        agent.public.key_data().clone()
    }
}
