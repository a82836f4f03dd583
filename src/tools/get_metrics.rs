//! Prometheus queries.

use super::arguments::{read, schema, understood};
use super::{About, Bench, Ran, Tool, Understood};
use crate::clients::prometheus::Answer;
use crate::domain::{Effect, Outcome, Tier};
use crate::safety::AuthorizedAction;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Runs a PromQL query. Without `duration` the value now, with it (such as 30m) the samples of that time. Reads only.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// PromQL, up to 2,000 characters.
    query: String,
    /// How far back, such as 30m or 6h; at most 24h.
    #[serde(default)]
    duration: Option<String>,
}

/// Series in an output; more are counted, not shown.
const SERIES: usize = 20;

fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration: expected a number and s, m or h, at most 24h, such as 30m");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        _ => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).ok_or_else(wrong)?;
    if (1..=86_400).contains(&seconds) { Ok(seconds) } else { Err(wrong()) }
}

fn show(query: &str, answer: Answer) -> Outcome {
    let count = answer.result.len();
    let series: Vec<Value> = answer.result.into_iter().take(SERIES).map(relabel).collect();
    let said = format!("{count} series{}", if answer.warnings.is_empty() { "" } else { ", with warnings" });
    let output = json!({ "query": query, "series": series, "count": count, "cut": count > SERIES, "warnings": answer.warnings });
    Outcome::ok(said, output)
}

/// Prometheus says `metric`, planners read `labels`.
fn relabel(series: Value) -> Value {
    match series {
        Value::Object(mut fields) => {
            if let Some(metric) = fields.remove("metric") {
                fields.insert("labels".into(), metric);
            }
            Value::Object(fields)
        }
        other => other,
    }
}

pub struct GetMetrics;

#[async_trait]
impl Tool for GetMetrics {
    fn name(&self) -> &'static str {
        "get_metrics"
    }

    fn tier(&self) -> Tier {
        Tier::Observe
    }

    fn schema(&self) -> Value {
        schema::<Arguments>()
    }

    fn understand(&self, arguments: &Value, about: About<'_>) -> Result<Understood, String> {
        let arguments: Arguments = read(arguments)?;
        if arguments.query.trim().is_empty() || arguments.query.len() > 2_000 {
            return Err("expected `query`: PromQL of 1 to 2,000 characters".into());
        }
        arguments.duration.as_deref().map(seconds).transpose()?;
        understood(&arguments, about.target.clone(), Effect::Observe)
    }

    async fn run(&self, permit: AuthorizedAction, bench: &Bench) -> Ran {
        let Some(prometheus) = &bench.prometheus else {
            return Outcome::failed("no prometheus is configured (prometheus.url)").into();
        };
        let arguments: Arguments = match read(&permit.action().arguments) {
            Ok(arguments) => arguments,
            Err(e) => return Outcome::failed(e).into(),
        };
        let now = bench.clock.now().timestamp();
        let answer = match arguments.duration.as_deref().map(seconds) {
            Some(Ok(back)) => prometheus.range(&arguments.query, now - back, now, (back as f64 / 60.0).max(1.0)).await,
            Some(Err(e)) => return Outcome::failed(e).into(),
            None => prometheus.instant(&arguments.query).await,
        };
        match answer {
            Err(e) => Outcome::failed(e.to_string()).into(),
            Ok(answer) => show(&arguments.query, answer).into(),
        }
    }
}
