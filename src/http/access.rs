//! Who may knock: the webhook token, as a bearer token or as the password of basic auth, compared in constant time.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The credentials this server asks for; none on a loopback listener without a token.
#[derive(Debug, Default)]
pub struct Access(Option<SecretString>);

impl Access {
    pub fn new(token: Option<SecretString>) -> Self {
        Self(token)
    }

    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0 else { return true };
        // An empty secret is none: doubt denies.
        if token.expose_secret().is_empty() {
            return false;
        }
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(presented);
        shown.is_some_and(|shown| same(shown.as_bytes(), token.expose_secret().as_bytes()))
    }
}

/// Approvers' own tokens: whose is it?
#[derive(Debug, Default)]
pub struct ApproverTokens(Vec<(String, SecretString)>);

impl ApproverTokens {
    pub fn new(tokens: Vec<(String, SecretString)>) -> Self {
        Self(tokens)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every token is compared, so that the time tells nothing.
    pub fn whose(&self, headers: &HeaderMap) -> Option<&str> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(presented)?;
        let fits = |token: &SecretString| !token.expose_secret().is_empty() && same(shown.as_bytes(), token.expose_secret().as_bytes());
        self.0.iter().fold(None, |found, (name, token)| if fits(token) { Some(name.as_str()) } else { found })
    }
}

/// The secret of `Bearer SECRET` or `Basic base64(anybody:SECRET)`.
fn presented(authorization: &str) -> Option<String> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

/// Over digests, so that not even the length shows.
fn same(a: &[u8], b: &[u8]) -> bool {
    Sha256::digest(a).ct_eq(&Sha256::digest(b)).into()
}

pub async fn require(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    if access.admits(request.headers()) {
        return next.run(request).await;
    }
    refused()
}

pub fn refused() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"paramedic\"")];
    let message = "expected `Authorization: Bearer TOKEN`, or basic auth with the token as password (server.webhook_token)\n";
    (StatusCode::UNAUTHORIZED, challenge, message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_token_opens_as_bearer_and_as_password_and_nothing_else_does() {
        let access = Access::new(Some("s3cret".into()));
        assert!(access.admits(&with("Bearer s3cret")));
        assert!(access.admits(&with("basic YWxlcnRtYW5hZ2VyOnMzY3JldA==")));
        for wrong in ["Bearer s3cre", "Bearer", "s3cret", "Basic s3cret", "Bearer s3cret2", "Digest s3cret", "Basic Og=="] {
            assert!(!access.admits(&with(wrong)), "{wrong}");
        }
        assert!(!access.admits(&HeaderMap::new()));
        assert!(!Access::new(Some("".into())).admits(&with("Basic Og==")));
        assert!(Access::default().admits(&HeaderMap::new()));
    }
}
