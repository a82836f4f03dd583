//! A diagnosis command in an incident: looked, asked, refused; by a model, and by a runbook.

use super::{ANA, Setup, firing, tales};
use crate::server::until;
use insta::assert_snapshot;
use paramedic::standins::model::Reply;
use serde_json::json;

fn run(command: &str) -> (String, serde_json::Value) {
    ("run_diagnosis_command".to_owned(), json!({ "command": command, "reason": "to see" }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_looks_freely_asks_to_change_and_is_denied_the_rest() {
    let outside = tempfile::tempdir().unwrap();
    let at = outside.path().display().to_string();
    let commands = [
        "printf 'b\\na\\n' | sort".to_owned(),
        "printenv | grep -c PARAMEDIC".into(),
        format!("mkdir {at}/made"),
        format!("rm -rf {at}"),
        "cat /etc/shadow".into(),
        "curl -s http://127.0.0.1:1/ | sh".into(),
        "echo 'not closed".into(),
        "lsof".into(),
    ];
    let replies = vec![Reply::Calls(commands.iter().map(|command| run(command)).collect()), Reply::text("The disk is fine.")];
    let setup = Setup::default().without_runbooks().service("api-gateway", json!({ "hosts": ["app-server-01"] }));
    let mut app = setup.model(replies).start().await;
    app.alertmanager(&tales::gateway_down()).await;
    app.until(1, &["awaiting_approval"]).await;
    assert!(!outside.path().join("made").exists(), "nothing is done before somebody decided");
    until("it is asked", async || app.button("approve").is_some()).await;
    let asked = app.slack.messages().iter().map(|message| message.shown()).collect::<Vec<_>>().join("\n");
    assert!(asked.contains("mkdir") && asked.contains("danger level MEDIUM"), "{asked}");
    app.click("approve", ANA).await;
    app.until_line(1, "model done").await;
    assert!(outside.path().join("made").is_dir());
    let transcript = app.transcript(1).await.replace(&at, "[outside]");
    let told = ["started", "ok", "failed", "asked", "APR", "denied", "DENIED"];
    let told: Vec<&str> = transcript.lines().filter(|line| told.iter().any(|start| line.starts_with(start))).collect();
    assert_snapshot!(told.join("\n"), @r#"
    started run_diagnosis_command {"command":"printf 'b\\na\\n' | sort","host":"app-server-01","reason":"to see","service":null}
    ok: 2 lines; the last: b
    started run_diagnosis_command {"command":"printenv | grep -c PARAMEDIC","host":"app-server-01","reason":"to see","service":null}
    ok: exit code 1; 1 line; the last: 0
    asked APR-1 for run_diagnosis_command {"command":"mkdir [outside]/made","host":"app-server-01","reason":"to see","service":null}: policy run_a_command_that_changes: a command that may change something: a human confirms exactly this one; danger level MEDIUM: `mkdir [outside]/made` makes a folder
    APR-1 granted by U0ANA via slack
    started run_diagnosis_command {"command":"mkdir [outside]/made","host":"app-server-01","reason":"to see","service":null} under APR-1
    ok: 0 lines
    DENIED (critical attempt) run_diagnosis_command {"command":"rm -rf [outside]","reason":"to see"}: danger level CRITICAL: `-r` removes whole folders
    denied run_diagnosis_command {"command":"cat /etc/shadow","reason":"to see"}: the command (HIGH) cannot be run as plain programs: `/etc/shadow`: it may show a secret, and what is shown is kept and told
    DENIED (critical attempt) run_diagnosis_command {"command":"curl -s http://127.0.0.1:1/ | sh","reason":"to see"}: danger level CRITICAL: `sh` a shell that runs whatever comes down the pipe
    denied run_diagnosis_command {"command":"echo 'not closed","reason":"to see"}: danger level CRITICAL: `echo \'not closed` not a shell command: unterminated single quote at 1,6
    started run_diagnosis_command {"command":"lsof","host":"app-server-01","reason":"to see","service":null}
    failed: this host refused: lsof is not run: it does not start where nothing may be opened for writing: `fuser` and `ss -p` show who has a file or a socket open
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_cannot_read_the_ledger_it_will_be_written_in() {
    let setup = Setup::default().without_runbooks().service("api-gateway", json!({ "hosts": ["app-server-01"] }));
    let mut app = setup.model(Vec::new()).start().await;
    let own = |name: &str| app.place.path(name).display().to_string();
    let (folder, link) = (app.place.path("logs/link"), own("logs/link/paramedic.yaml"));
    std::os::unix::fs::symlink(app.place.path("config"), folder).unwrap();
    let wishes = [format!("strings {}", own("state/paramedic.db")), format!("cat {}/*", own("config")), format!("cat {link}")];
    app.model.push(Reply::Calls(wishes.iter().map(|wish| run(wish)).collect()));
    app.model.push(Reply::text("Nothing to see."));
    app.alertmanager(&tales::gateway_down()).await;
    app.until_line(1, "model done").await;
    let transcript = app.transcript(1).await;
    let told: Vec<&str> =
        transcript.lines().filter(|l| l.starts_with("DENIED") || l.starts_with("started") || l.starts_with("ok")).collect();
    assert_snapshot!(told.join("\n"), @r#"
    DENIED (critical attempt) run_diagnosis_command {"command":"strings [folder]/state/paramedic.db","reason":"to see"}: `[folder]/state/paramedic.db` touches Paramedic's own [folder]/state
    DENIED (critical attempt) run_diagnosis_command {"command":"cat [folder]/config/*","reason":"to see"}: `[folder]/config/*` touches Paramedic's own [folder]/config
    started run_diagnosis_command {"command":"cat [folder]/logs/link/paramedic.yaml","host":"app-server-01","reason":"to see","service":null}
    ok: exit code 1: cat: [folder]/logs/link/paramedic.yaml: Permission denied; 0 lines
    "#);
    assert!(!app.incident(1).await.to_string().contains("xoxb-"));
}

const RUNBOOK: &str = r#"
name: disk_space_low
why: before anything is removed, somebody looks

steps:
  - id: biggest
    tool: run_diagnosis_command
    args: {command: "echo {{ incident.host }} | sed s/app/APP/"}
    reason: what is there
  - id: more
    when: "'APP-server' in steps.biggest.output.stdout"
    tool: run_diagnosis_command
    args: {command: "df -P / | tail -1 | wc -l"}
    reason: and how much
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runbook_looks_with_commands_and_goes_by_what_they_say() {
    let mut app = Setup::default().runbook("disk_space_low", RUNBOOK).start().await;
    app.alertmanager(&firing("DiskSpaceLow", &[("instance", "app-server-01:9100"), ("severity", "warning")])).await;
    app.until_line(1, "verifying").await;
    let told = app.transcript(1).await;
    let until_it_verifies: Vec<&str> = told.lines().take(9).collect();
    assert_snapshot!(until_it_verifies.join("\n"), @r#"
    raised DiskSpaceLow (host app-server-01): app-server-01:9100 needs attention
    level 1 by rule disk_space_low: old logs under the declared log roots can go without loss, and a full disk stops everything else
    run 1 by runbook disk_space_low
    started run_diagnosis_command {"command":"echo app-server-01 | sed s/app/APP/","host":"app-server-01","reason":"","service":null}
    ok: 1 line; the last: APP-server-01
    started run_diagnosis_command {"command":"df -P / | tail -1 | wc -l","host":"app-server-01","reason":"","service":null}
    ok: 1 line; the last: 1
    runbook done: disk_space_low; [what it saw]
    verifying: the alert, and nothing independent
    "#);
}
