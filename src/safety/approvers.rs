//! Who may decide, by plain configuration: one person, several doors. Doubt denies: who is not named is nobody.

use crate::domain::{Principal, Via};
use ssh_key::PublicKey;

/// One person, however they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    pub name: String,
    /// Slack user id.
    pub slack: Option<String>,
    /// Login on the server's machine.
    pub login: Option<String>,
    /// May decide over the HTTP API: has a token of their own there.
    pub api: bool,
    pub ssh_keys: Vec<PublicKey>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvers {
    pub people: Vec<Approver>,
    /// `slack.approvers`: user ids that may decide without being named as people.
    pub slack_ids: Vec<String>,
}

/// A human as policies know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voter<'a> {
    pub by: &'a Principal,
    /// Named under `approvers`: the same person at every door.
    pub named: bool,
    pub groups: &'static [&'static str],
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("you are not on the list of approvers (slack.approvers, or approvers: slack): nothing was decided")]
    Slack,
    #[error("login `{0}` is none of the approvers (approvers: login): nothing was decided")]
    Login(String),
    #[error("`{0}` is no approver with a token: nothing was decided")]
    Token(String),
    #[error("this needs two different people, and only those named under `approvers` are known apart: nothing was decided")]
    Unnamed,
    #[error("{0}: nothing was decided")]
    Policy(String),
}

impl Approvers {
    /// The person behind what a door knows: a Slack user id, a login, the name that a token belongs to. Where several people must
    /// approve, only named ones count: nobody else is known to be one person.
    pub fn person(&self, who: &str, via: Via, quorum: u32) -> Result<Principal, NotAllowed> {
        let is = |claimed: &Option<String>| !who.is_empty() && claimed.as_deref() == Some(who);
        let known = self.people.iter().find(|person| match via {
            Via::Slack => is(&person.slack),
            Via::Cli => is(&person.login),
            Via::Api => person.api && person.name == who,
        });
        if let Some(person) = known {
            return Ok(Principal { name: person.name.clone(), via });
        }
        if !self.admits_unnamed(who, via) {
            return Err(match via {
                Via::Slack => NotAllowed::Slack,
                Via::Cli => NotAllowed::Login(who.to_owned()),
                Via::Api => NotAllowed::Token(who.to_owned()),
            });
        }
        if quorum > 1 { Err(NotAllowed::Unnamed) } else { Ok(Principal { name: who.to_owned(), via }) }
    }

    /// Somebody without a name: on Slack's own list; or, as long as nobody is named at all, whoever may open the store.
    fn admits_unnamed(&self, who: &str, via: Via) -> bool {
        match via {
            Via::Slack => !who.is_empty() && self.slack_ids.iter().any(|id| id == who),
            Via::Cli => !who.is_empty() && self.people.is_empty(),
            Via::Api => false,
        }
    }

    /// Would this principal, as it was recorded, still be taken?
    pub fn still(&self, by: &Principal, quorum: u32) -> bool {
        match self.named(&by.name) {
            Some(person) => match by.via {
                Via::Slack => person.slack.is_some(),
                Via::Cli => person.login.is_some(),
                Via::Api => person.api,
            },
            None => quorum == 1 && self.admits_unnamed(&by.name, by.via),
        }
    }

    pub fn named(&self, name: &str) -> Option<&Approver> {
        self.people.iter().find(|person| person.name == name)
    }

    /// What policies are told of a principal.
    pub fn voter<'a>(&self, by: &'a Principal, quorum: u32) -> Voter<'a> {
        let named = self.named(&by.name).is_some();
        let listed = named || by.via == Via::Slack;
        Voter { by, named, groups: if listed && self.still(by, quorum) { &["approvers"] } else { &[] } }
    }

    /// The keys that sign for somebody.
    pub fn keys_of(&self, name: &str) -> &[PublicKey] {
        self.named(name).map_or(&[], |person| &person.ssh_keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ana() -> Approver {
        Approver { name: "ana".into(), slack: Some("U0ANA".into()), login: Some("ana.k".into()), api: true, ssh_keys: Vec::new() }
    }

    fn name(approvers: &Approvers, who: &str, via: Via, quorum: u32) -> Option<String> {
        let person = approvers.person(who, via, quorum).ok();
        assert!(person.as_ref().is_none_or(|by| approvers.still(by, quorum)), "{who} via {via}");
        person.map(|by| by.name)
    }

    #[test]
    fn one_person_has_one_name_at_every_door_and_nobody_else_has_it() {
        let approvers = Approvers { people: vec![ana()], slack_ids: vec!["U0BEN".into()] };
        for (who, via) in [("U0ANA", Via::Slack), ("ana.k", Via::Cli), ("ana", Via::Api)] {
            assert_eq!(name(&approvers, who, via, 2).as_deref(), Some("ana"), "{via}");
        }
        for (who, via) in
            [("ana", Via::Slack), ("U0ANA", Via::Cli), ("ana", Via::Cli), ("U0ANA", Via::Api), ("", Via::Slack), ("", Via::Cli)]
        {
            assert_eq!(name(&approvers, who, via, 1), None, "{who} via {via}");
        }
        assert_eq!(name(&approvers, "U0BEN", Via::Slack, 1).as_deref(), Some("U0BEN"));
        assert_eq!(approvers.person("U0BEN", Via::Slack, 2), Err(NotAllowed::Unnamed));
    }

    #[test]
    fn without_named_people_whoever_may_open_the_store_decides_alone() {
        let nobody = Approvers::default();
        assert_eq!(name(&nobody, "root", Via::Cli, 1).as_deref(), Some("root"));
        assert_eq!(name(&nobody, "root", Via::Cli, 2), None);
        for (who, via) in [("U0ANA", Via::Slack), ("ana", Via::Api)] {
            assert_eq!(name(&nobody, who, via, 1), None, "{via}");
        }
    }

    #[test]
    fn whoever_was_taken_off_the_list_is_not_taken_any_more() {
        let by = |via| Principal { name: "ana".into(), via };
        let with = |person: Approver| Approvers { people: vec![person], slack_ids: Vec::new() };
        assert!(with(ana()).still(&by(Via::Slack), 2));
        assert!(!with(Approver { slack: None, ..ana() }).still(&by(Via::Slack), 1));
        assert!(!with(Approver { api: false, ..ana() }).still(&by(Via::Api), 1));
        assert!(!with(Approver { name: "ben".into(), ..ana() }).still(&by(Via::Cli), 1));
    }
}
