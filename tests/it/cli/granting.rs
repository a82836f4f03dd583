//! A certificate from both ends: the host's log names it, and the name leads to the one entry of the ledger that began the action.

use super::{BY_TOKEN, Serving, TOKEN, configured, run};
use crate::reaching::sshd::{ALLOWED, Sshd};
use crate::server::until;
use paramedic::domain::{Clock as _, SystemClock};
use paramedic::standins::{AlertmanagerStandin, Sample};
use serde_json::Value;
use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_id_in_the_hosts_log_leads_to_the_entry_that_began_the_action() {
    let sshd = Sshd::with_grants(ALLOWED);
    let old = sshd.path("logs/old.log");
    fs::write(&old, "12345").unwrap();
    let long_ago = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(30 * 86_400));
    File::options().write(true).open(&old).unwrap().set_times(long_ago).unwrap();
    let mut inventory = sshd.inventory(sshd.port, &sshd.path("known_hosts"), "api-gateway.service", sshd.ca());
    inventory["hosts"][0]["log_roots"] = Value::from(vec![sshd.path("logs").display().to_string()]);
    let folder = configured(BY_TOKEN, &inventory.to_string());
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    let full = Sample::firing("DiskSpaceLow", &[("instance", "web-1:9100")], "full", SystemClock.now());
    AlertmanagerStandin::new(server.url.trim_start_matches("http://").parse().unwrap(), TOKEN).post(&full.body()).await.unwrap();
    let cleaned = |incident: &Value| {
        incident["actions"].as_array().into_iter().flatten().any(|a| a["tool"] == "clean_disk_space" && a["outcome"] == "succeeded")
    };
    server.until_incident("INC-1", "has cleaned up", cleaned).await;
    assert!(!old.exists());

    let (issued, incident) = (sshd.audit_all(&folder.path().join("data/run/grants.log")), server.incident("INC-1"));
    let mut named = Vec::new();
    for record in &issued {
        // A certificate is written down a moment before the host sees it.
        let seen = format!("ID \"{}\" (serial {})", record.key_id, record.serial);
        until(&seen, async || sshd.log().contains(&seen)).await;
        let (name, tool) = record.key_id.split_once(' ').unwrap();
        let Some((_, seq)) = name.split_once('/') else { continue };
        let seq: i64 = seq.parse().unwrap();
        let entry = incident["transcript"].as_array().unwrap().iter().find(|line| line["seq"] == seq).unwrap();
        let tool = tool.split_once(' ').unwrap().0;
        assert!(entry["kind"] == "started" && entry["text"].as_str().unwrap().starts_with(&format!("started {tool} ")), "{name}: {entry}");
        named.push((tool, name));
    }
    let cleaning: Vec<&str> = named.iter().filter(|(tool, _)| *tool == "clean_disk_space").map(|(_, name)| *name).collect();
    assert_eq!(cleaning.len(), 1, "{named:?}");
    // As `paramedic ledger prove` names it.
    let (incident, seq) = cleaning[0].split_once('/').unwrap();
    let seq: i64 = seq.parse().unwrap();
    let exported = run(folder.path(), &["ledger", "export", "--jsonl", "--all"]).out;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["incident"] == incident && line["seq"] == seq), "{exported}");
}
