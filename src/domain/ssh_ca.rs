//! What certificates for SSH hosts are made of, as `services.yaml` says it under `ssh_ca`. Shape only; keys are read by the client.

use super::problem::Problem;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The certificate authority that hosts trust, and the terms of each certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshCa {
    /// The authority's private key (ed25519), readable by nobody else.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Or the socket of an ssh-agent that holds it, and its public half.
    #[serde(default)]
    pub agent_socket: Option<PathBuf>,
    #[serde(default)]
    pub public_key_file: Option<PathBuf>,
    /// The one principal of a certificate; `{host}` stands for the host's name, so that a certificate opens one host.
    #[serde(default = "principal")]
    pub principal: String,
    /// How long a certificate opens anything.
    #[serde(default = "minutes")]
    pub minutes: u32,
    /// Where Paramedic connects from, as hosts see it: addresses or networks (`10.0.0.5`, `10.0.0.0/28`).
    pub source_address: Vec<String>,
    /// The hand's command on the hosts.
    #[serde(default = "hand")]
    pub hand: String,
}

fn principal() -> String {
    "paramedic-{host}".to_owned()
}

fn minutes() -> u32 {
    5
}

fn hand() -> String {
    "/usr/local/bin/paramedic hand".to_owned()
}

impl SshCa {
    pub fn principal_of(&self, host: &str) -> String {
        self.principal.replace("{host}", host)
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let mut complain = |key: &str, message: &str| problems.push(Problem::new(format!("ssh_ca.{key}"), message));
        match (&self.key_file, &self.agent_socket, &self.public_key_file) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => {}
            _ => complain("key_file", "expected either key_file, or agent_socket and public_key_file"),
        }
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ',' | '"' | '\'' | '*' | '?' | '!'));
        if !plain(&self.principal) {
            complain("principal", "expected a name without blanks, commas, quotes and wildcards: an empty one would open everything");
        }
        if !(1..=60).contains(&self.minutes) {
            complain("minutes", "expected 1 to 60");
        }
        if self.source_address.is_empty() {
            complain("source_address", "expected at least one address or network that Paramedic connects from");
        }
        if !self.hand.starts_with('/')
            || self.hand.chars().any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\' | '$' | '`' | ';' | '&' | '|'))
        {
            complain("hand", "expected the command's absolute path and plain words, such as /usr/local/bin/paramedic hand");
        }
    }
}
