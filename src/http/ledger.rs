//! The ledger's log as C2SP's tlog-tiles serves it: checkpoint, tiles, bundles of leaves. Read only, and nothing beyond the newest
//! signed checkpoint.

use super::Doors;
use crate::ledger::TileId;
use crate::publish::{PublishError, bundle_bytes, tile_bytes};
use crate::store::StoreError;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A tile never changes. It may hold nothing secret, but who may read it is the operator's word: no shared cache.
const FOREVER: &str = "private, max-age=31536000, immutable";

pub async fn checkpoint(State(doors): State<Doors>) -> Response {
    match doors.engine.store().newest_checkpoint().await {
        Ok(Some(kept)) => {
            let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
            (headers, kept.note).into_response()
        }
        Ok(None) => (StatusCode::NOT_FOUND, "nothing is signed yet\n").into_response(),
        Err(e) => unreadable(&e),
    }
}

pub async fn tile(State(doors): State<Doors>, Path(path): Path<String>) -> Response {
    let (tile, entries) = match TileId::parse(&format!("tile/{path}")) {
        Ok(tile) => tile,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("{e}\n")).into_response(),
    };
    let store = doors.engine.store();
    let signed = match store.newest_checkpoint().await {
        Ok(kept) => kept.map_or(0, |kept| kept.size),
        Err(e) => return unreadable(&e),
    };
    if tile.end().is_none_or(|end| end > signed) {
        return (StatusCode::NOT_FOUND, "the newest checkpoint does not reach so far\n").into_response();
    }
    let bytes = if entries { bundle_bytes(store, tile).await } else { tile_bytes(store, tile).await };
    match bytes {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, FOREVER)], bytes).into_response(),
        Err(PublishError::Store(e)) => unreadable(&e),
        Err(e) => {
            tracing::error!(error = %e, %path, "a tile that was signed cannot be served");
            (StatusCode::INTERNAL_SERVER_ERROR, "a part of the log is missing; the server's log says which\n").into_response()
        }
    }
}

fn unreadable(cause: &StoreError) -> Response {
    tracing::error!(error = %cause, "the store could not be read for the ledger's log");
    (StatusCode::INTERNAL_SERVER_ERROR, "the store could not be read; the server's log says why\n").into_response()
}
