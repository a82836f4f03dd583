//! `approvers` and `approvals`: people with their doors and keys, and how many of them must agree. What could never be granted, or
//! would let one person count twice, is refused here.

use crate::domain::Problem;
use crate::engine::AGENT;
use crate::safety::{Approver, Approvers, ConsentRules, SignatureRules, key_of};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use ssh_key::{HashAlg, PublicKey};
use std::collections::BTreeMap;

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// One person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproverKeys {
    pub name: String,
    #[serde(default)]
    pub slack: Option<String>,
    #[serde(default)]
    pub login: Option<String>,
    /// For the HTTP API.
    #[serde(default)]
    pub token: Option<SecretString>,
    /// Lines of `id_ed25519.pub`.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalKeys {
    /// To decide; then a human is paged.
    pub expire_seconds: i64,
    /// To begin what was granted, after that.
    pub execute_within: i64,
    pub quorum: u32,
    pub destructive_quorum: u32,
    pub signature: SignatureKeys,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignatureKeys {
    pub reversible: Need,
    pub disruptive: Need,
    pub destructive: Need,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    #[default]
    None,
    Required,
}

impl Default for ApprovalKeys {
    fn default() -> Self {
        let (settings, rules) = (crate::engine::Settings::default(), ConsentRules::default());
        Self {
            expire_seconds: settings.approval_expires.num_seconds(),
            execute_within: settings.execute_within.num_seconds(),
            quorum: rules.quorum,
            destructive_quorum: rules.destructive_quorum,
            signature: SignatureKeys::default(),
        }
    }
}

impl ApprovalKeys {
    pub fn rules(&self) -> ConsentRules {
        let required = |need| need == Need::Required;
        let SignatureKeys { reversible, disruptive, destructive } = self.signature;
        let signature =
            SignatureRules { reversible: required(reversible), disruptive: required(disruptive), destructive: required(destructive) };
        ConsentRules { quorum: self.quorum, destructive_quorum: self.destructive_quorum, signature }
    }

    /// Numbers out of range, and rules that these people could never fulfil.
    pub fn problems(&self, people: &[ApproverKeys]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, path: &str, expected: String| {
            if !holds {
                problems.push(Problem::new(format!("approvals.{path}"), expected));
            }
        };
        expect((5..=86_400).contains(&self.expire_seconds), "expire_seconds", "expected 5 to 86400".into());
        expect((1..=86_400).contains(&self.execute_within), "execute_within", "expected 1 to 86400 seconds".into());
        expect((1..=10).contains(&self.quorum), "quorum", "expected 1 to 10 people".into());
        let destructive = self.destructive_quorum;
        expect((1..=10).contains(&destructive), "destructive_quorum", "expected 1 to 10 people".into());
        let named = u32::try_from(people.len()).unwrap_or(u32::MAX);
        let enough = self.quorum < 2 || named >= self.quorum;
        expect(enough, "quorum", format!("{} people must approve and {named} are named: expected as many under `approvers`", self.quorum));
        let signers = people.iter().filter(|person| !person.ssh_keys.is_empty()).count();
        let all = self.rules().signature;
        for (tier, wanted) in [("reversible", all.reversible), ("disruptive", all.disruptive)] {
            let enough = !wanted || u32::try_from(signers).unwrap_or(u32::MAX) >= self.quorum;
            let expected = format!("{signers} approvers have ssh_keys: expected {}, or nobody could ever approve", self.quorum);
            expect(enough, &format!("signature.{tier}"), expected);
        }
        problems
    }
}

/// What is somebody's alone, by key and value, and whose it is.
type Taken = BTreeMap<(&'static str, String), String>;

/// All that is wrong at once.
pub fn build(people: &[ApproverKeys], slack_ids: &[String], webhook_token: Option<&SecretString>) -> Result<Approvers, Vec<Problem>> {
    let (mut problems, mut taken) = (Vec::new(), Taken::new());
    if let Some(token) = webhook_token {
        taken.insert(("token", token.expose_secret().to_owned()), "server.webhook_token".to_owned());
    }
    let each = people.iter().enumerate();
    let people = each.map(|(index, person)| person.build(&format!("approvers[{index}]"), &mut taken, &mut problems)).collect();
    let built = Approvers { people, slack_ids: slack_ids.to_vec() };
    if problems.is_empty() { Ok(built) } else { Err(problems) }
}

impl ApproverKeys {
    fn build(&self, at: &str, taken: &mut Taken, problems: &mut Vec<Problem>) -> Approver {
        if !is_name(&self.name) {
            let expected = format!("expected 1 to 64 letters, digits, `.`, `_` or `-`, and not `{AGENT}`, which asks");
            problems.push(Problem::new(format!("{at}.name"), expected));
        }
        let token = self.token.as_ref().map(|token| token.expose_secret().to_owned());
        if token.as_ref().is_some_and(|token| token.chars().count() < SHORTEST_TOKEN) {
            problems.push(Problem::new(format!("{at}.token"), format!("expected {SHORTEST_TOKEN} characters or more")));
        }
        let ssh_keys = self.keys(at, problems);
        let fingerprints = ssh_keys.iter().map(|key| ("ssh_keys", Some(key.fingerprint(HashAlg::Sha256).to_string())));
        // `ana` and `Ana` would be two people for a quorum.
        let doors = [
            ("name", Some(self.name.to_ascii_lowercase())),
            ("slack", self.slack.clone()),
            ("login", self.login.clone()),
            ("token", token),
        ];
        for (key, value) in doors.into_iter().chain(fingerprints).filter_map(|(key, value)| Some((key, value?))) {
            let own = format!("{at}.{key}");
            if let Some(other) = taken.insert((key, value), own.clone()) {
                problems.push(Problem::new(own, format!("is that of {other} too: expected one that is theirs alone")));
            }
        }
        let (name, slack, login) = (self.name.clone(), self.slack.clone(), self.login.clone());
        Approver { name, slack, login, api: self.token.is_some(), ssh_keys }
    }

    fn keys(&self, at: &str, problems: &mut Vec<Problem>) -> Vec<PublicKey> {
        let mut keys = Vec::with_capacity(self.ssh_keys.len());
        for (number, line) in self.ssh_keys.iter().enumerate() {
            match key_of(line) {
                Ok(key) => keys.push(key),
                Err(e) => problems.push(Problem::new(format!("{at}.ssh_keys[{number}]"), e.to_string())),
            }
        }
        keys
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(plain) && name != AGENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn people(value: serde_json::Value) -> Vec<ApproverKeys> {
        serde_json::from_value(value).unwrap()
    }

    fn told(value: serde_json::Value) -> Vec<String> {
        let token = SecretString::from("the webhook's token");
        let problems = build(&people(value), &[], Some(&token)).err().unwrap_or_default();
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn what_would_let_one_person_be_two_is_refused() {
        assert_eq!(told(json!([{ "name": "ana", "slack": "U1", "login": "a" }, { "name": "ben", "slack": "U2", "login": "b" }])), [""; 0]);
        let twice = json!([{ "name": "ana", "slack": "U1", "login": "a", "token": "0123456789abcdef" },
            { "name": "ben", "slack": "U1", "login": "a", "token": "0123456789abcdef" }]);
        let told_twice = told(twice);
        assert_eq!(told_twice.len(), 3, "{told_twice:?}");
        assert_eq!(told_twice[0], "approvers[1].slack: is that of approvers[0].slack too: expected one that is theirs alone");
        for name in ["ana", "Ana"] {
            assert_eq!(told(json!([{ "name": "ana" }, { "name": name }])).len(), 1);
        }
    }

    #[test]
    fn the_webhooks_token_the_agents_name_and_a_key_that_is_none_are_refused() {
        let shared = told(json!([{ "name": "ana", "token": "the webhook's token" }]));
        assert_eq!(shared, ["approvers[0].token: is that of server.webhook_token too: expected one that is theirs alone"]);
        assert_eq!(told(json!([{ "name": "ana", "token": "short" }])), ["approvers[0].token: expected 16 characters or more"]);
        assert!(told(json!([{ "name": "agent" }]))[0].starts_with("approvers[0].name: expected 1 to 64 letters"));
        assert!(
            told(json!([{ "name": "ana", "ssh_keys": ["ssh-ed25519 x"] }]))[0].starts_with("approvers[0].ssh_keys[0]: `ssh-ed25519 x`")
        );
    }

    #[test]
    fn rules_that_nobody_could_fulfil_are_refused() {
        let with = |keys: serde_json::Value, people: &[ApproverKeys]| -> Vec<String> {
            let keys: ApprovalKeys = serde_json::from_value(keys).unwrap();
            keys.problems(people).iter().map(|problem| problem.path.clone()).collect()
        };
        let two = people(json!([{ "name": "ana" }, { "name": "ben" }]));
        assert_eq!(with(json!({}), &[]), [""; 0]);
        assert_eq!(with(json!({ "quorum": 2 }), &two), [""; 0]);
        assert_eq!(with(json!({ "quorum": 2 }), &two[..1]), ["approvals.quorum"]);
        assert_eq!(with(json!({ "signature": { "disruptive": "required" } }), &two), ["approvals.signature.disruptive"]);
        let odd = json!({ "expire_seconds": 4, "execute_within": 0, "quorum": 0, "destructive_quorum": 11 });
        assert_eq!(with(odd, &two).len(), 4);
    }
}
