//! Signed approvals, with the real ssh-keygen: what it signs is taken, what we sign it verifies, and nothing else counts.

use super::{Ran, Serving, configured, finish, run, run_with};
use crate::server::until;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SERVICES: &str = r#"services:
  - { name: cart, reach: { process: { command: [/bin/sleep, "100000"] } } }
"#;
const ANAS_TOKEN: &str = "token-of-ana-0001";

/// A fresh key pair in the folder; the public half's line.
fn key(folder: &Path, name: &str) -> String {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(folder.join(name)).status();
    assert!(made.unwrap().success());
    std::fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap().trim().to_owned()
}

/// The login under which these tests run.
fn login() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

/// A server that takes signed approvals only, and a question that waits in it.
async fn asked() -> (tempfile::TempDir, tempfile::TempDir, Serving) {
    let keys = tempfile::tempdir().unwrap();
    let ana = key(keys.path(), "ana");
    key(keys.path(), "eve");
    let main = json!({
        "server": { "webhook_token": super::TOKEN },
        "approvals": { "signature": { "reversible": "required" } },
        "approvers": [{ "name": "ana", "login": login(), "token": ANAS_TOKEN, "ssh_keys": [ana] }],
    });
    let yaml = main.as_object().unwrap().iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>();
    let folder = configured(&yaml, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    (folder, keys, server)
}

/// `ssh-keygen -Y sign` by hand, over what stands on stdin.
fn sign_by_hand(key: &Path, namespace: &str, text: &str) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(key);
    let ran = finish(command, text);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

/// `ssh-keygen -Y verify`, as an auditor has it: an allowed_signers file, the digest, the signature.
fn verify_by_hand(folder: &Path, public: &str, digest: &str, signature: &str) -> Ran {
    std::fs::write(folder.join("allowed_signers"), format!("ana namespaces=\"approval@paramedic\" {public}\n")).unwrap();
    std::fs::write(folder.join("signature"), signature).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.current_dir(folder).args(["-Y", "verify", "-f", "allowed_signers", "-I", "ana", "-n", "approval@paramedic", "-s", "signature"]);
    finish(command, digest)
}

fn digest_of(bytes: &str) -> String {
    let mut command = Command::new("sha256sum");
    command.env("LC_ALL", "C");
    finish(command, bytes).out.chars().take(64).collect()
}

async fn granted(server: &Serving) -> Value {
    server.until_incident("INC-1", "is scaled", |incident| super::kinds(incident).contains(&"finished") && scaled(incident)).await;
    let incident = server.incident("INC-1");
    incident["transcript"].as_array().unwrap().iter().find(|line| line["kind"] == "granted").unwrap().clone()
}

fn scaled(incident: &Value) -> bool {
    incident["actions"].as_array().unwrap().iter().any(|action| action["tool"] == "scale_service" && action["outcome"] == "succeeded")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_sign_the_real_ssh_keygen_verifies_and_a_bare_word_or_another_key_is_refused() {
    let (folder, keys, server) = asked().await;
    let (folder, keys) = (folder.path(), keys.path());
    let bare = run(folder, &["approve", "APR-1"]);
    assert_eq!(bare.err, "paramedic: APR-1 takes signed approvals only: paramedic approve APR-1 --sign-with KEY\n", "{bare:?}");
    let eves = run(folder, &["approve", "APR-1", "--sign-with", keys.join("eve").to_str().unwrap()]);
    assert!(eves.code == Some(1) && eves.err.contains("a key that the configuration does not list for ana"), "{eves:?}");
    let nothing = run(folder, &["approve", "APR-1", "--sign-with", "nowhere"]);
    assert!(nothing.code == Some(1) && nothing.err.contains("nowhere: expected a key file"), "{nothing:?}");
    assert!(server.incident("INC-1")["state"] == "awaiting_approval");

    let ran = run(folder, &["approve", "APR-1", "--sign-with", keys.join("ana").to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.out.starts_with("APR-1 granted: scale_service {"), "{ran:?}");
    let entry = granted(&server).await;
    assert_eq!(entry["text"], "APR-1 granted by ana via cli (signed)");
    // An auditor needs the ledger alone: the text, its SHA-256, the signature.
    let incident = server.incident("INC-1");
    let asked = incident["transcript"].as_array().unwrap().iter().find(|line| line["kind"] == "asked").unwrap().clone();
    let digest = digest_of(asked["request"].as_str().unwrap());
    let public = std::fs::read_to_string(keys.join("ana.pub")).unwrap();
    let signature = entry["votes"][0]["signature"].as_str().unwrap();
    let good = verify_by_hand(keys, &public, &digest, signature);
    assert!(good.code == Some(0) && good.out.starts_with("Good \"approval@paramedic\" signature for ana"), "{good:?}");
    let other = verify_by_hand(keys, &public, &digest_of("something else"), signature);
    assert_ne!(other.code, Some(0), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_real_ssh_keygen_signs_by_hand_is_taken_over_the_api_and_for_nothing_else() {
    let (folder, keys, server) = asked().await;
    let ana = keys.path().join("ana");
    let bytes = run(folder.path(), &["approvals", "APR-1", "--bytes"]).out;
    let digest = digest_of(&bytes);
    assert_eq!(run(folder.path(), &["approvals", "APR-1", "--digest"]).out, digest, "anybody can compute it");
    let shown = run(folder.path(), &["approvals", "APR-1"]);
    assert!(shown.out.contains(&format!("digest {}", &digest[..16])) && shown.out.contains("only signed approvals count"), "{}", shown.out);
    assert!(shown.out.contains("The planner's own words, checked by nobody") && shown.out.contains("│ "), "{}", shown.out);

    let http = paramedic::clients::http::client(Duration::from_secs(20)).unwrap();
    let send = async |decision: &str, signature: Option<&str>| {
        let body = json!({ "decision": decision, "digest": digest, "signature": signature });
        let request =
            http.post(format!("{}/api/approvals/APR-1/decide", server.url)).header("authorization", format!("Bearer {ANAS_TOKEN}"));
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, said) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        (status, said["error"].as_str().unwrap_or_default().to_owned())
    };
    let elsewhere = sign_by_hand(&ana, "git", &digest);
    let of_other = sign_by_hand(&ana, "approval@paramedic", &digest_of("something else"));
    let with_newline = sign_by_hand(&ana, "approval@paramedic", &format!("{digest}\n"));
    let eves = sign_by_hand(&keys.path().join("eve"), "approval@paramedic", &digest);
    for (signature, status, why) in [
        (None, 409, "takes signed approvals only"),
        (Some(&elsewhere), 400, "the signature was made for `git`"),
        (Some(&of_other), 400, "the signature does not fit this request's digest"),
        (Some(&with_newline), 400, "the signature does not fit this request's digest"),
        (Some(&eves), 400, "a key that the configuration does not list for ana"),
    ] {
        let (answered, said) = send("approve", signature.map(String::as_str)).await;
        assert!(answered == status && said.contains(why), "{answered} {said}");
    }
    let good = sign_by_hand(&ana, "approval@paramedic", &digest);
    assert_eq!(send("deny", Some(&good)).await, (409, "a signature approves APR-1: a denial has none".to_owned()));
    assert_eq!(send("approve", Some(&good)).await.0, 200);
    assert_eq!(granted(&server).await["text"], "APR-1 granted by ana via api (signed)");
}

/// An agent of its own, ended with the test.
struct Agent(Child, PathBuf);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_an_agent_holds_signs_too() {
    let (folder, keys, server) = asked().await;
    let socket = keys.path().join("agent.sock");
    let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let agent = Agent(child, socket);
    until("the agent listens", async || agent.1.exists()).await;
    let added = Command::new("ssh-add").arg("-q").arg(keys.path().join("ana")).env("SSH_AUTH_SOCK", &agent.1).status().unwrap();
    assert!(added.success());
    std::fs::remove_file(keys.path().join("ana")).unwrap();
    let public = keys.path().join("ana.pub");
    let args = ["approve", "APR-1", "--sign-with", public.to_str().unwrap()];
    let ran = run_with(folder.path(), &args, &[("SSH_AUTH_SOCK", agent.1.to_str().unwrap())]);
    assert!(ran.code == Some(0) && ran.out.starts_with("APR-1 granted: "), "{ran:?}");
    assert_eq!(granted(&server).await["text"], "APR-1 granted by ana via cli (signed)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_the_store_was_given_behind_our_back_is_looked_at_again_before_anything_is_done() {
    let (folder, keys, server) = asked().await;
    let digest = run(folder.path(), &["approvals", "APR-1", "--digest"]).out;
    let forged = sign_by_hand(&keys.path().join("eve"), "approval@paramedic", &digest);
    // Whoever may write the store writes a vote and a granted state; the key alone they do not have.
    force(folder.path(), "UPDATE approvals SET digest = digest WHERE id = 1", Some(forged)).await;
    let void = "APR-1 void: granted, but the signature is by a key that the configuration does not list for ana (approvers: ssh_keys)";
    handed_over(&server, void).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_written_anew_to_need_no_signature_is_not_the_one_that_was_asked() {
    let (folder, _keys, server) = asked().await;
    let text = run(folder.path(), &["approvals", "APR-1", "--bytes"]).out.replace("\"signature\":true", "\"signature\":false");
    let digest = digest_of(&text);
    let rewritten = format!("UPDATE approvals SET request = '{}', digest = '{digest}' WHERE id = 1", text.replace('\'', "''"));
    force(folder.path(), &rewritten, None).await;
    handed_over(&server, "APR-1 void: granted, but its text is not the one that the ledger asked with").await;
}

/// What somebody with the store in their hands can do: a vote, a granted state, a changed row, and a wake-up.
async fn force(folder: &Path, change: &str, signature: Option<String>) {
    sqlx::any::install_default_drivers();
    let store = folder.join("data/paramedic.db");
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}?mode=rw", store.display())).await.unwrap();
    let at = chrono::Utc::now();
    let state = json!({ "state": "granted", "by": { "name": "ana", "via": "cli" }, "at": at }).to_string();
    let mut together = pool.begin().await.unwrap();
    let vote =
        "INSERT INTO approval_votes (approval_id, place, name, decision, via, at, signature) VALUES (1, 1, 'ana', 'grant', 'cli', $1, $2)";
    sqlx::query(vote).bind(at.timestamp_millis()).bind(signature).execute(&mut *together).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(change.to_owned())).execute(&mut *together).await.unwrap();
    sqlx::query("UPDATE approvals SET state = 'granted', body = $1 WHERE id = 1").bind(state).execute(&mut *together).await.unwrap();
    sqlx::query("UPDATE incidents SET poke = poke + 1, wake_at = 0 WHERE id = 1").execute(&mut *together).await.unwrap();
    together.commit().await.unwrap();
    pool.close().await;
}

async fn handed_over(server: &Serving, void: &str) {
    server.until_incident("INC-1", "goes to a human", |incident| incident["state"] == "escalated").await;
    let incident = server.incident("INC-1");
    let lines: Vec<&str> = incident["transcript"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(lines.contains(&void) && !scaled(&incident), "{lines:#?}");
}
