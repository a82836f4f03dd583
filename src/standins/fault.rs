//! A peer's bad days, told beforehand: the next answers, in order, then normal again.

use axum::http::{HeaderName, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers this status, such as 500.
    Status(u16),
    /// 429, with this many seconds in `Retry-After`.
    TooMany(u64),
    /// 400, with this body.
    Refused(&'static str),
    /// Does what was asked, then fails to say so: 500 after the effect.
    DoneButLost,
}

#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<VecDeque<Fault>>,
    lasting: Mutex<Option<Fault>>,
    /// Of one method alone.
    of_method: Mutex<BTreeMap<&'static str, Fault>>,
}

impl Faults {
    /// The next `times` requests meet it.
    pub fn plan(&self, fault: Fault, times: usize) {
        super::serve::lock(&self.planned).extend(std::iter::repeat_n(fault, times));
    }

    /// Every request meets it that meets no planned one, until this is told otherwise.
    pub fn last(&self, fault: Option<Fault>) {
        *super::serve::lock(&self.lasting) = fault;
    }

    /// The same for one method of the peer's.
    pub fn last_for(&self, method: &'static str, fault: Option<Fault>) {
        let mut of_method = super::serve::lock(&self.of_method);
        match fault {
            Some(fault) => drop(of_method.insert(method, fault)),
            None => drop(of_method.remove(method)),
        }
    }

    pub(super) fn next(&self, method: &str) -> Option<Fault> {
        if let Some(fault) = super::serve::lock(&self.of_method).get(method) {
            return Some(*fault);
        }
        let planned = super::serve::lock(&self.planned).pop_front();
        planned.or(*super::serve::lock(&self.lasting))
    }
}

impl Fault {
    /// The answer; `body` is what the peer writes with a 429.
    pub(super) fn answer(self, body: &'static str) -> Response {
        const JSON: (HeaderName, &str) = (axum::http::header::CONTENT_TYPE, "application/json");
        match self {
            Self::TooMany(after) => {
                let headers = [(RETRY_AFTER, after.to_string()), (JSON.0, JSON.1.to_owned())];
                (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
            }
            Self::Refused(why) => (StatusCode::BAD_REQUEST, [JSON], why).into_response(),
            Self::Status(code) => StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
            Self::DoneButLost => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
