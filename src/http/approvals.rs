//! Approvals over HTTP: what waits, one of them, and an approver's decision. Each approver decides with a token of their own; the
//! webhook's token reads and never decides.

use super::{Doors, access};
use crate::domain::{ApprovalId, Decision, Via};
use crate::engine::Ballot;
use crate::store::{DecideError, StoreError};
use crate::view;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

const LIMIT: i64 = 200;

#[derive(Deserialize)]
pub struct Wanted {
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    decision: Word,
    /// Of what was read: twelve digits or more. An approval needs it.
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Approve,
    Deny,
}

/// Whoever may read incidents, and every approver.
pub async fn readers(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    if doors.access.admits(request.headers()) || doors.tokens.whose(request.headers()).is_some() {
        return next.run(request).await;
    }
    access::refused()
}

pub async fn list(State(doors): State<Doors>, Query(wanted): Query<Wanted>) -> Response {
    let all = match wanted.state.as_deref() {
        None | Some("" | "open") => false,
        Some("all") => true,
        Some(_) => return error(StatusCode::BAD_REQUEST, "state: expected open or all"),
    };
    match view::approvals(doors.engine.store(), all, LIMIT).await {
        Ok(approvals) => Json(approvals.iter().map(view::approval).collect::<Vec<_>>()).into_response(),
        Err(e) => unreadable(&e),
    }
}

pub async fn show(State(doors): State<Doors>, Path(id): Path<String>) -> Response {
    let id: ApprovalId = match id.parse() {
        Ok(id) => id,
        Err(e) => return error(StatusCode::BAD_REQUEST, &format!("{e}")),
    };
    match doors.engine.store().approval(id).await {
        Ok(Some(approval)) => Json(view::approval(&approval)).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, &format!("there is no approval {id}")),
        Err(e) => unreadable(&e),
    }
}

pub async fn decide(State(doors): State<Doors>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    if doors.tokens.is_empty() {
        let why = "nobody can decide over the API: no approver has a token (approvers: token). The webhook's token decides nothing";
        return error(StatusCode::FORBIDDEN, why);
    }
    let Some(who) = doors.tokens.whose(&headers) else {
        return error(StatusCode::UNAUTHORIZED, "expected `Authorization: Bearer TOKEN` with an approver's own token (approvers: token)");
    };
    let id: ApprovalId = match id.parse() {
        Ok(id) => id,
        Err(e) => return error(StatusCode::BAD_REQUEST, &format!("{e}")),
    };
    let body: Body = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(e) => {
            let expected = r#"expected {"decision": "approve" or "deny", "digest": "…", "signature": "…"}"#;
            return error(StatusCode::BAD_REQUEST, &doors.engine.redactor().text(&format!("{expected}: {e}")));
        }
    };
    let decision = match body.decision {
        Word::Approve if body.digest.is_none() => {
            return error(StatusCode::BAD_REQUEST, "expected `digest`: the first twelve digits, or more, of the request that you read");
        }
        Word::Approve => Decision::Grant,
        Word::Deny => Decision::Deny,
    };
    let ballot = Ballot { who: who.to_owned(), via: Via::Api, decision, shown: body.digest, signature: body.signature };
    match doors.engine.decide(id, ballot).await {
        Ok(approval) => Json(view::approval(&approval)).into_response(),
        Err(e) => undecided(&e),
    }
}

fn undecided(cause: &DecideError) -> Response {
    let status = match cause {
        DecideError::Unknown(_) => StatusCode::NOT_FOUND,
        DecideError::NotAllowed(_) => StatusCode::FORBIDDEN,
        DecideError::Signature(_) => StatusCode::BAD_REQUEST,
        DecideError::Earlier(_) | DecideError::OtherRequest(_) | DecideError::Illegal(_) => StatusCode::CONFLICT,
        DecideError::Store(StoreError::StrangeRow { .. }) => {
            tracing::error!(error = %cause, "an approval cannot be read");
            return error(StatusCode::CONFLICT, &format!("{cause}: it authorises nothing"));
        }
        DecideError::Store(_) => {
            tracing::error!(error = %cause, "a decision could not be stored");
            return error(StatusCode::SERVICE_UNAVAILABLE, "the decision could not be stored: try again");
        }
    };
    error(status, &cause.to_string())
}

fn unreadable(cause: &StoreError) -> Response {
    tracing::error!(error = %cause, "approvals could not be read for the API");
    let said = match cause {
        StoreError::StrangeRow { row, .. } => format!("{row} is not readable and authorises nothing; the server's log says why"),
        _ => "the store could not be read; the server's log says why".to_owned(),
    };
    error(StatusCode::INTERNAL_SERVER_ERROR, &said)
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
