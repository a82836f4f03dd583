//! How many people must agree to an action, and how: by plain configuration and by policies, the stricter wins. And whether those who
//! did are still enough when it is to be done.

use super::approvers::{Approvers, NotAllowed};
use super::policy::Policies;
use super::signature;
use crate::domain::{Action, Approval, Decision, Facts, Opinion, Principal, Request, Tier, Vote};
use std::collections::BTreeSet;

/// What a grant needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    pub quorum: u32,
    pub signature: bool,
}

/// The configuration of `consent`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConsentRules {
    pub quorum: u32,
    pub destructive_quorum: u32,
    pub signature: SignatureRules,
}

/// Tiers for which each approver signs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct SignatureRules {
    pub reversible: bool,
    pub disruptive: bool,
    pub destructive: bool,
}

impl Default for ConsentRules {
    fn default() -> Self {
        Self { quorum: 1, destructive_quorum: 2, signature: SignatureRules::default() }
    }
}

/// What the configuration and the policies want, the stricter of both. An error is a human's answer to why nobody can be asked.
pub fn needed(action: &Action, opinions: &[Opinion], rules: &ConsentRules, policies: &Policies) -> Result<Consent, String> {
    let (plain, by_policy) = (consent(action, rules), policies.consent(facts(opinions)?)?);
    Ok(Consent { quorum: plain.quorum.max(by_policy.quorum), signature: plain.signature || by_policy.signature })
}

/// May this person's yes to this request count, by the policies?
pub fn may_approve(by: &Principal, request: &Request, approvers: &Approvers, policies: &Policies, facts: &Facts) -> Result<(), NotAllowed> {
    policies.may_approve(approvers.voter(by, request.quorum), Some(&request.requester), facts).map_err(NotAllowed::Policy)
}

/// When it is to be done: is as much consent there as the policies want by the facts of now, from people whose yes still counts?
pub fn released(
    approval: &Approval,
    opinions: &[Opinion],
    rules: &ConsentRules,
    approvers: &Approvers,
    policies: &Policies,
) -> Result<(), String> {
    let request = &approval.request;
    let needed = needed(&request.action(), opinions, rules, policies)?;
    if request.quorum < needed.quorum || (needed.signature && !request.signature) {
        return Err("fewer or weaker approvals were asked for than are needed now".to_owned());
    }
    let facts = facts(opinions)?;
    let mut granted = approval.votes.iter().filter(|vote| vote.decision == Decision::Grant);
    granted.try_for_each(|vote| may_approve(&vote.by, request, approvers, policies, facts)).map_err(|e| e.to_string())
}

/// What the policies judged by.
pub fn facts(opinions: &[Opinion]) -> Result<&Facts, String> {
    let grounds = opinions.iter().find_map(|opinion| opinion.grounds.as_ref());
    grounds.map(|grounds| &grounds.facts).ok_or_else(|| "no policy was asked about it".to_owned())
}

/// By plain configuration. A question authorises nothing: one answer is enough.
pub fn consent(action: &Action, rules: &ConsentRules) -> Consent {
    let SignatureRules { reversible, disruptive, destructive } = rules.signature;
    if !action.effect.changes_something() {
        return Consent { quorum: 1, signature: false };
    }
    let (quorum, signature) = match action.tier {
        // An effect in a tier that has none: as strict as there is.
        Tier::Observe | Tier::Destructive => (rules.destructive_quorum.max(rules.quorum), destructive),
        Tier::Disruptive => (rules.quorum, disruptive),
        Tier::Reversible => (rules.quorum, reversible),
    };
    Consent { quorum: quorum.max(1), signature }
}

/// Have enough people approved exactly this request, by what is configured now? Every vote is looked at again: whoever is no approver
/// any more, and a signature that does not fit, stops it.
pub fn consented(approval: &Approval, approvers: &Approvers) -> Result<(), String> {
    let request = &approval.request;
    let mut people = BTreeSet::new();
    for vote in approval.votes.iter().filter(|vote| vote.decision == Decision::Grant) {
        counts(vote, approval, approvers)?;
        people.insert(vote.by.name.as_str());
    }
    match u32::try_from(people.len()) {
        Ok(count) if count >= request.quorum.max(1) => Ok(()),
        _ => Err(format!("{} of {} approvals are there", people.len(), request.quorum)),
    }
}

fn counts(vote: &Vote, approval: &Approval, approvers: &Approvers) -> Result<(), String> {
    let request = &approval.request;
    if !approvers.still(&vote.by, request.quorum) {
        return Err(format!("{} is no approver by the server's configuration", vote.by));
    }
    match &vote.signature {
        Some(pem) => signature::verify(pem, approval.digest(), &vote.by.name, approvers.keys_of(&vote.by.name)).map_err(|e| e.to_string()),
        None if request.signature => Err(format!("the approval of {} is not signed", vote.by)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Effect, Sealed, ServiceName, Target, Time, Via};
    use crate::safety::Approver;
    use serde_json::json;
    use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, rand_core::OsRng};

    fn action(tier: Tier) -> Action {
        let api = ServiceName::parse("api").unwrap();
        let effect = Effect::Restart { services: vec![api.clone()] };
        let target = Target { service: Some(api), host: None };
        Action { tool: "restart_service".into(), tier, target, arguments: json!({}), effect, reason: String::new() }
    }

    fn asked(quorum: u32, signature: bool) -> Approval {
        let Action { tool, tier, target, arguments, effect, reason } = action(Tier::Disruptive);
        let request = Request {
            approval: crate::domain::ApprovalId(3),
            incident: crate::domain::IncidentId(7),
            requester: "agent".into(),
            tool,
            tier,
            target,
            arguments,
            effect,
            reasons: Vec::new(),
            words: reason,
            seen: Default::default(),
            policy_version: "p".into(),
            quorum,
            signature,
            asked_at: Time::UNIX_EPOCH,
            decide_by: Time::UNIX_EPOCH + chrono::Duration::seconds(300),
            execute_by: Time::UNIX_EPOCH + chrono::Duration::seconds(900),
            nonce: "n".into(),
        };
        Approval::asked(Sealed::seal(&request).unwrap())
    }

    fn vote(name: &str, signature: Option<String>) -> Vote {
        Vote { by: Principal { name: name.into(), via: Via::Api }, decision: Decision::Grant, at: Time::UNIX_EPOCH, signature }
    }

    fn people(named: &[(&str, &PrivateKey)]) -> Approvers {
        let person = |(name, key): &(&str, &PrivateKey)| Approver {
            name: (*name).into(),
            slack: None,
            login: None,
            api: true,
            ssh_keys: vec![key.public_key().clone()],
        };
        Approvers { people: named.iter().map(person).collect(), slack_ids: Vec::new() }
    }

    #[test]
    fn a_question_takes_one_and_a_destructive_action_takes_two() {
        let rules = ConsentRules { signature: SignatureRules { destructive: true, ..Default::default() }, ..Default::default() };
        let of = |action: &Action| consent(action, &rules);
        assert_eq!(of(&action(Tier::Reversible)), Consent { quorum: 1, signature: false });
        assert_eq!(of(&action(Tier::Disruptive)), Consent { quorum: 1, signature: false });
        assert_eq!(of(&action(Tier::Destructive)), Consent { quorum: 2, signature: true });
        assert_eq!(of(&action(Tier::Observe)), Consent { quorum: 2, signature: true }, "a liar gets the strictest");
        let question = Action { effect: Effect::Question, ..action(Tier::Observe) };
        assert_eq!(of(&question), Consent { quorum: 1, signature: false });
    }

    #[test]
    fn votes_are_looked_at_again_when_it_is_to_be_done() {
        let (ana, ben) =
            (PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap(), PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap());
        let both = people(&[("ana", &ana), ("ben", &ben)]);
        let sign = |key: &PrivateKey, approval: &Approval| {
            let signature = key.sign(signature::NAMESPACE, HashAlg::Sha256, approval.digest().0.as_bytes()).unwrap();
            Some(signature.to_pem(LineEnding::LF).unwrap())
        };
        let of = |approval: &Approval, votes: Vec<Vote>| consented(&Approval { votes, ..approval.clone() }, &both);
        let one = asked(1, false);
        assert_eq!(of(&one, vec![vote("ana", None)]), Ok(()));
        assert_eq!(of(&one, vec![vote("eve", None)]).unwrap_err(), "eve via api is no approver by the server's configuration");
        assert_eq!(of(&one, Vec::new()).unwrap_err(), "0 of 1 approvals are there");
        let two = asked(2, true);
        let signed = vec![vote("ana", sign(&ana, &two)), vote("ben", sign(&ben, &two))];
        assert_eq!(of(&two, signed.clone()), Ok(()));
        assert_eq!(of(&two, vec![signed[0].clone(), signed[0].clone()]).unwrap_err(), "1 of 2 approvals are there");
        let borrowed = vec![signed[0].clone(), vote("ben", signed[0].signature.clone())];
        assert!(of(&two, borrowed).unwrap_err().contains("a key that the configuration does not list for ben"));
        assert!(of(&two, vec![vote("ana", None), signed[1].clone()]).unwrap_err().ends_with("is not signed"));
        let of_another = vec![vote("ana", sign(&ana, &one)), signed[1].clone()];
        assert_eq!(of(&two, of_another).unwrap_err(), "the signature does not fit this request's digest");
    }
}
