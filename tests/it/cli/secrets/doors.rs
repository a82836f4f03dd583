//! The doors for humans and other machines: what each of them shows, and what it does with a secret that is put into it.

use super::{APPROVER, HOOK, OPEN, SlackStandin, Surfaces, foreign, percent};
use crate::cli::{Serving, run_with};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paramedic::clients::http::client;
use paramedic::domain::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// As whoever starts the server has it: what a human types is looked through too, with what their configuration says.
pub(super) const ENVIRONMENT: [(&str, &str); 2] = [("HOOK", HOOK), ("APPROVER", APPROVER)];

/// A human's reason, with a secret that was pasted into it.
pub(super) fn reason(place: &str) -> String {
    let token = [HOOK.to_owned(), STANDARD.encode(format!("a{HOOK}")), hex::encode(HOOK), percent(HOOK, true)].join(" ");
    format!("{OPEN} password={} {APPROVER} {token}", foreign(place))
}

pub(super) struct Doors<'a> {
    pub folder: &'a Path,
    pub server: &'a Serving,
    pub seen: &'a mut Surfaces,
}

impl Doors<'_> {
    fn ran(&mut self, args: &[&str]) -> String {
        let ran = run_with(self.folder, args, &ENVIRONMENT);
        self.seen.add(&format!("paramedic {}", args[..args.len().min(2)].join(" ")), format!("{}\n{}", ran.out, ran.err));
        ran.out
    }

    async fn get(&mut self, path: &str, token: &str) -> Vec<u8> {
        let answer =
            client(Duration::from_secs(20)).unwrap().get(format!("{}{path}", self.server.url)).bearer_auth(token).send().await.unwrap();
        let found = answer.status().is_success();
        let body = answer.bytes().await.unwrap().to_vec();
        assert!(found, "{path}: {}", String::from_utf8_lossy(&body));
        self.seen.add(path, body.clone());
        body
    }

    async fn post(&mut self, path: &str, token: &str, body: &str) -> u16 {
        let request = client(Duration::from_secs(20)).unwrap().post(format!("{}{path}", self.server.url)).bearer_auth(token);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let status = answer.status().as_u16();
        self.seen.add(path, answer.bytes().await.unwrap());
        status
    }

    /// APR-1 waits. It is looked at from every side, and granted over the API by whoever has a token of their own.
    pub async fn approvals(&mut self) {
        for args in
            [&["approve"][..], &["approvals"], &["approvals", "APR-1"], &["approvals", "APR-1", "--bytes"], &["approvals", "--json"]]
        {
            self.ran(args);
        }
        self.get("/api/approvals", HOOK).await;
        let approval: Value = serde_json::from_slice(&self.get("/api/approvals/APR-1", APPROVER).await).unwrap();
        let digest = approval["digest"].as_str().unwrap_or_else(|| panic!("{approval:#}")).to_owned();
        let decide = "/api/approvals/APR-1/decide";
        let typed = json!({ "decision": format!("{APPROVER} password={}", foreign("decision")), "digest": digest }).to_string();
        assert_eq!(self.post(decide, APPROVER, &typed).await, 400);
        assert_eq!(self.post(decide, foreign("decision"), &typed).await, 401);
        assert_eq!(self.post(decide, APPROVER, &json!({ "decision": "approve", "digest": digest }).to_string()).await, 200);
        self.ran(&["approvals", "--all"]);
        self.get("/api/approvals?state=all", APPROVER).await;
    }

    /// Orders by the command line, by Slack and by the file; and what is in force because of them.
    pub async fn orders(&mut self, slack: &SlackStandin) {
        self.ran(&["hands-off", "cart", "--reason", &reason("order's reason")]);
        let (url, now) = (self.server.url.clone(), SystemClock.now());
        let said = slack.command(&url, &format!("halt {}", reason("slash command")), "U0ANA", now).await.unwrap();
        self.seen.add("slash command", said.to_string());
        std::fs::write(self.folder.join("data/HALT"), reason("halt file")).unwrap();
        for args in [&["orders"][..], &["orders", "--all"], &["orders", "--json"], &["trust"], &["trust", "--json"]] {
            self.ran(args);
        }
        let explained = self.ran(&["explain", "--service", "cart", "--tool", "restart_service"]);
        assert!(explained.contains("hands off cart"), "{explained}");
        self.ran(&["explain", "--service", "cart", "--tool", "restart_service", "--json"]);
        for path in ["/api/orders", "/api/trust", "/metrics"] {
            self.get(path, HOOK).await;
        }
        std::fs::remove_file(self.folder.join("data/HALT")).unwrap();
        let said = slack.command(&url, "orders", "U0ANA", now).await.unwrap();
        self.seen.add("slash command", said.to_string());
        // The one who may not order is told so, and what they typed is not said again.
        self.ran(&["resume", "--reason", &reason("order's reason")]);
    }

    /// The ledger as it leaves the machine, and the actions judged again by an edited policy.
    pub async fn ledger(&mut self) {
        for args in
            [&["ledger", "verify"][..], &["ledger", "prove", "INC-1/1"], &["ledger", "export"], &["ledger", "export", "--jsonl", "--all"]]
        {
            self.ran(args);
        }
        let note = String::from_utf8(self.get("/ledger/checkpoint", HOOK).await).unwrap();
        let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
        assert!((20..256).contains(&size), "one tile: {note}");
        self.get(&format!("/ledger/tile/0/000.p/{size}"), HOOK).await;
        self.get(&format!("/ledger/tile/entries/000.p/{size}"), HOOK).await;
        let own = "@id(\"never\")\n@reason(\"nothing at all\")\nforbid (principal, action, resource);\n";
        std::fs::write(self.folder.join("config/policies/own.cedar"), own).unwrap();
        for args in [&["policy", "replay"][..], &["policy", "replay", "--json"]] {
            let replayed = self.ran(args);
            assert!(replayed.contains("restart_service"), "{replayed}");
        }
        std::fs::remove_file(self.folder.join("config/policies/own.cedar")).unwrap();
    }
}

/// Looked at and not empty: a surface that shows nothing proves nothing.
pub(super) fn were_looked_at(seen: &Surfaces) {
    for surface in [
        "/api/approvals",
        "paramedic approvals APR-1",
        "/api/approvals/APR-1/decide",
        "/api/orders",
        "paramedic orders --all",
        "slash command",
        "paramedic explain --service",
        "paramedic ledger export",
    ] {
        let marked = seen.sees(surface, "[redacted: ");
        assert!(
            marked && (seen.sees(surface, OPEN) || surface.ends_with("decide")),
            "{surface} was not looked at: {}",
            String::from_utf8_lossy(&seen.0[surface])
        );
    }
}
