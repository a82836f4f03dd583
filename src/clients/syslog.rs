//! One line to a syslog: the machine's own (a Unix socket, RFC 3164) or another one's (UDP, RFC 5424). Facility log audit (13),
//! severity notice (5).

use crate::domain::Time;
use std::fmt;
use std::net::{ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;

const PRIORITY: u8 = 13 * 8 + 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syslog {
    Unix(PathBuf),
    Udp(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a syslog: expected unix:/dev/log or udp://HOST:514")]
pub struct AddressError(String);

impl FromStr for Syslog {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.into()));
        }
        let peer = text.strip_prefix("udp://").and_then(|peer| peer.rsplit_once(':'));
        match peer {
            Some((host, port)) if !host.is_empty() && port.parse().is_ok_and(|port: u16| port > 0) => {
                Ok(Self::Udp(format!("{host}:{port}")))
            }
            _ => Err(AddressError(text.to_owned())),
        }
    }
}

impl fmt::Display for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(peer) => write!(f, "udp://{peer}"),
        }
    }
}

impl Syslog {
    /// Sends a line. That it was sent is all that can be known: a syslog does not answer. Blocks for a moment.
    pub fn send(&self, line: &str, now: Time) -> std::io::Result<()> {
        let pid = std::process::id();
        match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                let text = format!("<{PRIORITY}>{} paramedic[{pid}]: {line}", now.format("%b %e %H:%M:%S"));
                socket.send_to(text.as_bytes(), path)?;
            }
            Self::Udp(peer) => {
                let address = peer.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("the name has no address"))?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let text = format!("<{PRIORITY}>1 {} - paramedic {pid} - - {line}", now.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
                UdpSocket::bind(any)?.send_to(text.as_bytes(), address)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_and_anything_else_is_named() {
        for good in ["unix:/dev/log", "udp://loghost:514", "udp://[::1]:514"] {
            assert_eq!(good.parse::<Syslog>().unwrap().to_string(), good);
        }
        for bad in ["", "/dev/log", "unix:dev/log", "udp://loghost", "udp://:514", "udp://h:0", "tcp://h:1"] {
            assert!(bad.parse::<Syslog>().is_err(), "{bad}");
        }
    }
}
