//! Alertmanager's sending side on loopback: posts webhook bodies of version "4" and tries again on 5xx, as the real one does.

use crate::clients::http::{HttpError, client};
use crate::domain::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// An alert to send, with its labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub starts_at: Time,
    /// Resolved since.
    pub ends_at: Option<Time>,
}

impl Sample {
    pub fn firing(alertname: &str, labels: &[(&str, &str)], summary: &str, now: Time) -> Self {
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
        let mut labels = own(labels);
        labels.insert("alertname".into(), alertname.to_owned());
        Self { labels, annotations: own(&[("summary", summary)]), starts_at: now, ends_at: None }
    }

    pub fn resolved(mut self, now: Time) -> Self {
        self.ends_at = Some(now);
        self
    }

    /// The body that Alertmanager would send for a group of this one alert.
    pub fn body(&self) -> Value {
        let status = if self.ends_at.is_some() { "resolved" } else { "firing" };
        let group = json!({ "alertname": self.labels.get("alertname") });
        json!({
            "version": "4", "groupKey": format!("{{}}:{{alertname=\"{}\"}}", self.labels.get("alertname").map_or("", String::as_str)),
            "truncatedAlerts": 0, "status": status, "receiver": "paramedic", "groupLabels": group, "commonLabels": self.labels,
            "commonAnnotations": self.annotations, "externalURL": "http://127.0.0.1:9093",
            "alerts": [{
                "status": status, "labels": self.labels, "annotations": self.annotations, "startsAt": self.starts_at.to_rfc3339(),
                "endsAt": self.ends_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_rfc3339()),
                "generatorURL": "http://127.0.0.1:9090/graph", "fingerprint": crate::domain::Fingerprint::of(&self.labels),
            }],
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the webhook answered {status}: {body}")]
    Refused { status: u16, body: String },
    #[error("the webhook cannot be reached: {0}")]
    Unreachable(String),
}

/// Posts to one receiver with its token.
#[derive(Debug, Clone)]
pub struct AlertmanagerStandin {
    url: String,
    token: String,
}

impl AlertmanagerStandin {
    pub fn new(receiver: SocketAddr, token: &str) -> Self {
        Self { url: format!("http://{receiver}/webhooks/alertmanager"), token: token.to_owned() }
    }

    /// Until it is taken: 5xx and a refused connection are tried again, 4xx is the end.
    pub async fn post(&self, body: &Value) -> Result<(), PostError> {
        let client = client(Duration::from_secs(10))?;
        let mut last = PostError::Unreachable("never tried".into());
        for _ in 0..TRIES {
            match client.post(&self.url).bearer_auth(&self.token).json(body).send().await {
                Err(e) => last = PostError::Unreachable(crate::clients::answer::chain(&e)),
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let (status, server) = (answer.status().as_u16(), answer.status().is_server_error());
                    last = PostError::Refused { status, body: answer.text().await.unwrap_or_else(|e| e.to_string()) };
                    if !server {
                        return Err(last);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last)
    }
}
