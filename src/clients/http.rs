//! The one constructor of HTTP clients: a TLS provider is there before the first handshake, every call has a timeout, and
//! no redirect is followed (credentials go where the configuration says and nowhere else).

use reqwest::Url;
use std::{net::IpAddr, sync::Once, time::Duration};

#[derive(Debug, thiserror::Error)]
#[error("build an HTTP client")]
pub struct HttpError(#[from] reqwest::Error);

/// A connection that is not there after this long counts as down, however patient the call is.
pub const CONNECT: Duration = Duration::from_secs(5);

/// `timeout` covers a whole call, the body included.
#[expect(clippy::disallowed_methods, reason = "this is the constructor that all others are sent to")]
pub fn client(timeout: Duration) -> Result<reqwest::Client, HttpError> {
    install_tls();
    let client = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT.min(timeout))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("paramedic/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

/// Chooses ring for the whole process, once. Clients that are not made by `client` call it first.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody installed one before: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// http or https, with a host.
pub fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty()))
}

/// An address that a secret may be sent to: https anywhere, plain http on loopback only.
pub fn safe_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    safe.then_some(url)
}

pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_sent_in_the_clear_to_another_machine() {
        for good in ["https://slack.com/api", "http://127.0.0.1:9/api", "http://localhost:9/api", "http://[::1]:9/api"] {
            assert!(safe_url(good).is_some(), "{good}");
        }
        for bad in ["http://slack.com/api", "http://127.0.0.1.evil.example/", "ftp://slack.com", "slack.com/api", ""] {
            assert!(safe_url(bad).is_none(), "{bad}");
        }
    }
}
