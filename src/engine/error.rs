//! What can go wrong in a step, and how a panic becomes one of these instead of the end of a loop.

use crate::clients::alertmanager::AlertmanagerError;
use crate::domain::{IncidentId, SealError};
use crate::redaction::RedactError;
use crate::store::{InboxError, StoreError};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} was claimed and has no entries")]
    Vanished(IncidentId),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Alertmanager(#[from] AlertmanagerError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Redact(#[from] RedactError),
    #[error("the operating system gives no random bits: {0}")]
    NoRandomness(String),
    #[error("a panic: {0}")]
    Panicked(String),
}

/// A panic is a defect; it ends the step, never the worker.
pub(super) async fn unwound<T>(work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
            Err(EngineError::Panicked(said.unwrap_or_else(|| "no message".into())))
        }
    }
}
