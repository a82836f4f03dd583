//! The one constructor of HTTP clients: a TLS provider is there before the first handshake, every call has a timeout, and
//! no redirect is followed (credentials go where the configuration says and nowhere else).

use std::{sync::Once, time::Duration};

#[derive(Debug, thiserror::Error)]
#[error("build an HTTP client")]
pub struct HttpError(#[from] reqwest::Error);

/// A connection that is not there after this long counts as down, however patient the call is.
const CONNECT: Duration = Duration::from_secs(5);

/// `timeout` covers a whole call, the body included.
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
