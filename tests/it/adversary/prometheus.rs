//! A Prometheus on loopback whose metric names and errors say whatever an attacker wrote there. Speaks the query API as far as it is used.

use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// By the service that a query names.
pub type Texts = Arc<Mutex<BTreeMap<String, String>>>;

pub struct Prometheus {
    pub url: String,
    /// Names of metrics.
    pub names: Texts,
    /// Errors, for queries with `broken` in them.
    pub errors: Texts,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Prometheus {
    pub async fn start() -> Self {
        let (names, errors) = (Texts::default(), Texts::default());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (known, wrong) = (names.clone(), errors.clone());
        let router = Router::new().fallback(move |uri: Uri, body: Bytes| {
            let asked = format!("{uri} {}", String::from_utf8_lossy(&body));
            let answer = answer(&asked, &known, &wrong);
            async move { answer }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, names, errors, server }
    }
}

fn answer(asked: &str, names: &Texts, errors: &Texts) -> Response {
    let of = |texts: &Texts| {
        let texts = texts.lock().unwrap();
        texts.iter().find(|(service, _)| asked.contains(&format!("of_{service}_"))).map(|(_, text)| text.clone())
    };
    if asked.contains("broken") {
        let error = of(errors).unwrap_or_else(|| "parse error".into());
        return (StatusCode::BAD_REQUEST, Json(json!({ "status": "error", "errorType": "bad_data", "error": error }))).into_response();
    }
    let name = of(names).unwrap_or_else(|| "up".into());
    let series = json!({ "metric": { "__name__": name, "job": "node" }, "value": [1_772_000_000, "1"] });
    Json(json!({ "status": "success", "data": { "resultType": "vector", "result": [series] } })).into_response()
}
