//! Tales that are told more than once: undisturbed, and with the server killed at any entry. Each goes on from whatever state the
//! incident is really in.

use super::{ANA, Hook, TestApp, firing};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub fn gateway_down() -> Hook {
    firing("ServiceDown", &[("service", "api-gateway"), ("severity", "critical")])
}

pub fn gateway_slow() -> Hook {
    firing("HighRequestLatency", &[("service", "api-gateway"), ("severity", "warning")])
}

pub fn disk_low() -> Hook {
    firing("DiskSpaceLow", &[("instance", "app-server-01:9100"), ("severity", "warning")])
}

pub fn corruption() -> Hook {
    firing("DBCorruption", &[("service", "orders"), ("severity", "critical")])
}

/// A service dies, and its alert resolves once something was done about it.
pub async fn crash(app: &mut TestApp) -> String {
    app.place.crash("api-gateway");
    mended_when_handled(app, &gateway_down()).await
}

/// Two old files and what must stay: a young one, a link, and what the link points to.
pub async fn disk(app: &mut TestApp) -> String {
    let logs = app.place.path("logs");
    fs::create_dir_all(logs.join("app")).unwrap();
    let outside = app.place.path("outside.log");
    for (path, days) in [(logs.join("app/old.log"), 30), (logs.join("old.gz"), 8), (logs.join("young.log"), 6), (outside.clone(), 30)] {
        write_aged(&path, days);
    }
    symlink(&outside, logs.join("link.log")).unwrap();
    mended_when_handled(app, &disk_low()).await
}

pub fn write_aged(path: &Path, days: u64) {
    fs::write(path, "log line\n").unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
}

/// Posts it, waits until a fix was made or a human called, and lets the alert resolve.
async fn mended_when_handled(app: &mut TestApp, hook: &Hook) -> String {
    app.alertmanager(hook).await;
    app.wait_for(1, "a verified fix or an escalation", |incident| {
        let good = super::app::lines(incident).iter().any(|line| line.starts_with("signal independent good"));
        (good || incident["state"] == "escalated").then_some(())
    })
    .await;
    app.alertmanager(&hook.clone().resolved()).await;
    app.until(1, &["resolved", "closed"]).await
}

/// A slow service: a human is asked, decides in Slack with this button, and the alert resolves.
pub async fn latency(app: &mut TestApp, button: &str) -> String {
    app.alertmanager(&gateway_slow()).await;
    app.until(1, &["awaiting_approval"]).await;
    app.click(button, ANA).await;
    app.until(1, &["verifying", "escalated"]).await;
    app.alertmanager(&gateway_slow().resolved()).await;
    app.until(1, &["resolved", "closed"]).await
}

/// A damaged database and a model that begs to delete it; the alert resolves when everything has been said.
pub async fn begging(app: &mut TestApp) -> String {
    app.alertmanager(&corruption()).await;
    app.until_line(1, "asked APR-").await;
    app.alertmanager(&corruption().resolved()).await;
    app.until(1, &["resolved", "closed"]).await
}
