//! What Prometheus sees of Paramedic itself: each metric that a shipped rule asks for is there before anything goes wrong.

use super::{TestApp, tales};
use crate::rules;
use crate::server::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_metric_that_a_shipped_rule_asks_for_is_exposed() {
    let mut app = TestApp::start().await;
    tales::crash(&mut app).await;
    let asked = rules::metrics();
    assert!(asked.len() > 15, "{asked:?}");
    for name in asked {
        until(&format!("{name} is exposed"), async || app.metrics().await.contains(&format!("# TYPE {name} "))).await;
    }
}

/// Taken, and raised by nobody: that is seen from outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_nobody_raises_are_counted_with_how_long_the_first_has_waited() {
    let mut app = TestApp::start().await;
    let waiting = async |app: &mut TestApp, line: &str| app.metrics().await.lines().any(|shown| shown == line);
    assert!(waiting(&mut app, "paramedic_alerts_waiting 0").await && waiting(&mut app, "paramedic_alerts_waiting_oldest_seconds 0").await);
    app.sql("CREATE TRIGGER stuck BEFORE INSERT ON incidents BEGIN SELECT RAISE(ABORT, 'stuck'); END").await;
    app.alertmanager(&tales::gateway_slow()).await;
    app.advance(chrono::Duration::minutes(10)).await;
    until("it waits", async || waiting(&mut app, "paramedic_alerts_waiting 1").await).await;
    let metrics = app.metrics().await;
    let age = metrics.lines().find_map(|line| line.strip_prefix("paramedic_alerts_waiting_oldest_seconds ")).unwrap();
    assert!(age.parse::<f64>().unwrap() >= 600.0, "{age}");
    app.sql("DROP TRIGGER stuck").await;
    app.until(1, &["awaiting_approval"]).await;
    until("none waits", async || waiting(&mut app, "paramedic_alerts_waiting 0").await).await;
}
