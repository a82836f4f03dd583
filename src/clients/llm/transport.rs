//! How a question reaches the model's server: the status is looked at before the body is parsed, the body is read up to a limit,
//! and what may pass is tried again, twice, at growing and scattered intervals or as late as the server asks.

use super::LlmError;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use futures::StreamExt as _;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use std::hash::{BuildHasher as _, Hasher as _};
use std::{future::Future, pin::Pin, task::Context, task::Poll, time::Duration};

const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// A server that asks for more is taken at its word: it is busy.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Of an error's body, for humans.
const SHOWN: usize = 300;

#[derive(Debug, Clone)]
pub struct Transport {
    client: reqwest::Client,
}

impl Transport {
    pub fn new(client: reqwest::Client) -> Self {
        Self { client }
    }
}

impl tower::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let client = self.client.clone();
        Box::pin(async move { send(&client, &factory).await.map_err(|error| OpenAIError::Boxed(Box::new(error))) })
    }
}

/// Why an attempt failed, and whether another may help.
enum Failed {
    ForGood(LlmError),
    Passing { last: String, wait: Option<Duration> },
}

async fn send(client: &reqwest::Client, factory: &HttpRequestFactory) -> Result<Response, LlmError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (last, wait) = match attempt(client, factory).await {
            Ok(response) => return Ok(response),
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::Passing { last, wait }) => (last, wait),
        };
        if attempts == ATTEMPTS {
            return Err(LlmError::Unavailable { attempts, last });
        }
        match wait {
            Some(wait) if wait > LONGEST_PAUSE => return Err(LlmError::Busy(wait)),
            Some(wait) => tokio::time::sleep(wait).await,
            None => tokio::time::sleep(scattered(FIRST_PAUSE * 2_u32.pow(attempts - 1))).await,
        }
    }
}

async fn attempt(client: &reqwest::Client, factory: &HttpRequestFactory) -> Result<Response, Failed> {
    let request = factory.build().await.map_err(|error| Failed::ForGood(LlmError::Unreadable(error.to_string())))?;
    let response = client.execute(request).await.map_err(|error| unreachable_server(&error))?;
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    let body = read(response).await?;
    if status.is_success() {
        return whole(body);
    }
    let said = shown(&body);
    let passing = status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if passing && !said.contains("insufficient_quota") {
        let last = format!("{}: {said}", status.as_u16());
        return Err(Failed::Passing { last, wait });
    }
    Err(Failed::ForGood(LlmError::Refused { status: status.as_u16(), said }))
}

/// An answer that is not JSON is refused here, because the library would log it whole.
fn whole(body: Vec<u8>) -> Result<Response, Failed> {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
        return Err(Failed::ForGood(LlmError::Unreadable(format!("not JSON: {error}: {}", shown(&body)))));
    }
    Ok(Response::from(http::Response::new(body)))
}

async fn read(response: Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| unreachable_server(&error))?;
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Failed::ForGood(LlmError::TooLarge(LARGEST_ANSWER)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A timeout is not tried again: it took all the time there is.
fn unreachable_server(error: &reqwest::Error) -> Failed {
    if error.is_timeout() && !error.is_connect() {
        return Failed::ForGood(LlmError::Timeout(Duration::ZERO));
    }
    let mut last = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        last = format!("{last}: {inner}");
        source = inner.source();
    }
    Failed::Passing { last, wait: None }
}

/// One line of an error body, whatever it is: JSON with a text or a number for a code, HTML, nothing.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let message = serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|json| {
        let error = json.get("error").unwrap_or(&json);
        let text = error.as_str().or_else(|| error.get("message")?.as_str())?.to_owned();
        let code = error.get("code").and_then(|code| code.as_str());
        let code = code.map_or_else(String::new, |code| format!(" ({code})"));
        Some(text + &code)
    });
    let line = message.unwrap_or_else(|| text.into_owned());
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if line.trim().is_empty() { "no reason given".to_owned() } else { line }
}

/// Between half and one and a half times as long, so that replicas do not return in step.
fn scattered(pause: Duration) -> Duration {
    let random = std::hash::RandomState::new().build_hasher().finish() % 1000;
    pause / 2 + pause * u32::try_from(random).unwrap_or(500) / 1000
}
