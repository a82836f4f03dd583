//! Layer 4, policies in Cedar: who may do what to which service or host, who may approve it, and how many it takes. The texts come in
//! as arguments; a set that does not pass the strict check against the schema is never used.
//!
//! Cedar skips a policy that fails while it is evaluated, a forbid too; here any such failure denies.

mod load;
mod names;
mod scene;
mod shape;

pub use load::PolicyProblem;

use super::approvers::{Approvers, Voter};
use super::consent::Consent;
use crate::domain::{Digest, Facts, Grounds, Inventory, Layer, Opinion, Resource, Verdict};
use cedar_policy::{Authorizer, Decision, EntityUid, PolicySet, Request, Response};
use scene::{Count, Scene, Terms};
use std::collections::BTreeMap;

/// What policies are checked against and told, in Cedar's own schema language.
pub const SCHEMA: &str = include_str!("../../../config/policies/schema.cedarschema");

/// No action needs more approvers than this.
const MOST_APPROVERS: u32 = 5;

/// A policy as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub file: String,
    /// From 1.
    pub line: usize,
    pub reason: String,
    /// The services, hosts, groups and humans it names.
    names: Vec<(String, String)>,
}

pub struct Policies {
    /// By the question they are about, so that none is evaluated in vain.
    questions: BTreeMap<EntityUid, Question>,
    terms: Terms,
    written: BTreeMap<String, Written>,
    version: Digest,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies").field("version", &self.version).field("written", &self.written).finish_non_exhaustive()
    }
}

/// The policies that can have a word on one question.
struct Question {
    all: PolicySet,
    /// Without those that are about another agent by name.
    of_agent: BTreeMap<EntityUid, PolicySet>,
}

/// What the policies say to one question.
enum Answer {
    Permitted(Vec<String>),
    /// By these forbids; by none where no policy permits it.
    Refused(Vec<String>),
    Broken(String),
}

/// The end of a judgement about one resource.
struct Ruled {
    verdict: Verdict,
    reason: String,
    decided_by: Vec<String>,
}

impl Policies {
    /// SHA-256 over the names and texts of the files.
    pub fn version(&self) -> &Digest {
        &self.version
    }

    pub fn count(&self) -> usize {
        self.written.len()
    }

    /// By id.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Written)> {
        self.written.iter().map(|(id, written)| (id.as_str(), written))
    }

    pub fn written(&self, id: &str) -> Option<&Written> {
        self.written.get(id)
    }

    /// Services, hosts and groups that policies name and nobody knows: a forbid for one of them would forbid nothing.
    pub fn strangers(&self, inventory: &Inventory, groups: &[&str]) -> Vec<PolicyProblem> {
        load::strangers(&self.written, inventory, groups)
    }

    /// Humans that policies name and nobody can be.
    pub fn nobodies(&self, approvers: &Approvers) -> Vec<PolicyProblem> {
        load::nobodies(&self.written, approvers)
    }

    /// Permitted to execute → allow; else permitted to propose → confirm; else deny. Of several resources the strictest counts.
    pub fn judge(&self, facts: Facts) -> Opinion {
        let each = facts.resources.iter().map(|resource| self.rule(&facts, resource));
        let strictest = each.reduce(|so_far, next| if next.verdict > so_far.verdict { next } else { so_far });
        let Ruled { verdict, reason, decided_by } = strictest.unwrap_or_else(|| Ruled::deny("there is nothing to judge it by".into()));
        let grounds = Grounds { policies: self.version.clone(), decided_by, facts };
        Opinion { grounds: Some(Box::new(grounds)), ..Opinion::new(Layer::Policy, verdict, reason) }
    }

    fn rule(&self, facts: &Facts, resource: &Resource) -> Ruled {
        let scene = match self.scene(facts, resource, None, Count::default()) {
            Ok(scene) => scene,
            Err(why) => return Ruled::deny(format!("the policies could not be asked: {why}")),
        };
        let agent = self.terms.agent(facts.agent);
        let forbidden = match self.ask(&scene, &agent, &self.terms.execute) {
            Answer::Permitted(by) => return self.ruled(Verdict::Allow, by),
            Answer::Broken(why) => return Ruled::deny(why),
            Answer::Refused(by) => by,
        };
        match self.ask(&scene, &agent, &self.terms.propose) {
            Answer::Permitted(by) if forbidden.is_empty() => self.ruled(Verdict::Confirm, by),
            Answer::Permitted(_) => self.ruled(Verdict::Confirm, forbidden),
            Answer::Broken(why) => Ruled::deny(why),
            Answer::Refused(by) => match forbidden.into_iter().chain(by).collect::<std::collections::BTreeSet<_>>() {
                none if none.is_empty() => Ruled::deny(format!("no policy permits {} on {}", facts.tool, resource.place)),
                all => self.ruled(Verdict::Deny, all.into_iter().collect()),
            },
        }
    }

    fn ruled(&self, verdict: Verdict, decided_by: Vec<String>) -> Ruled {
        Ruled { verdict, reason: self.reasons(&decided_by), decided_by }
    }

    /// `policy payments_by_hand: payments are never restarted unasked`.
    fn reasons(&self, ids: &[String]) -> String {
        let each = ids.iter().map(|id| match self.written.get(id) {
            Some(written) => format!("policy {id}: {}", written.reason),
            None => format!("policy {id}"),
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// May this human's yes count? Nobody approves a wish of their own, whatever the policies say.
    pub fn may_approve(&self, voter: Voter<'_>, requester: Option<&str>, facts: &Facts) -> Result<(), String> {
        let who = voter.by;
        if requester.is_some_and(|requester| requester == who.name) {
            return Err(format!("{who} asked for it and cannot approve it"));
        }
        for resource in &facts.resources {
            let count = Count { requester, ..Count::default() };
            let scene = self.scene(facts, resource, Some(voter), count)?;
            match self.ask(&scene, &self.terms.human(voter), &self.terms.approve) {
                Answer::Permitted(_) => {}
                Answer::Broken(why) => return Err(why),
                Answer::Refused(by) if by.is_empty() => return Err(format!("no policy lets {who} approve {}", facts.tool)),
                Answer::Refused(by) => return Err(self.reasons(&by)),
            }
        }
        if facts.resources.is_empty() { Err("there is nothing to judge it by".into()) } else { Ok(()) }
    }

    /// The fewest approvers that the policies let the action begin with.
    pub fn consent(&self, facts: &Facts) -> Result<Consent, String> {
        let agent = self.terms.agent(facts.agent);
        let mut needed: Option<Consent> = None;
        for resource in &facts.resources {
            let one = self.consent_on(facts, resource, &agent)?;
            needed = Some(match needed {
                None => one,
                Some(so_far) => Consent { quorum: so_far.quorum.max(one.quorum), signature: so_far.signature || one.signature },
            });
        }
        needed.ok_or_else(|| "there is nothing to judge it by".into())
    }

    fn consent_on(&self, facts: &Facts, resource: &Resource, agent: &EntityUid) -> Result<Consent, String> {
        for quorum in 1..=MOST_APPROVERS {
            for signed in [0, quorum] {
                let count = Count { approvers: quorum, signed, requester: None };
                let scene = self.scene(facts, resource, None, count)?;
                match self.ask(&scene, agent, &self.terms.release) {
                    Answer::Permitted(_) => return Ok(Consent { quorum, signature: signed > 0 }),
                    Answer::Refused(_) => {}
                    Answer::Broken(why) => return Err(why),
                }
            }
        }
        Err(format!("no policy releases {} on {}, however many approve it (up to {MOST_APPROVERS})", facts.tool, resource.place))
    }

    fn scene(&self, facts: &Facts, resource: &Resource, human: Option<Voter<'_>>, count: Count<'_>) -> Result<Scene, String> {
        self.terms.scene(facts, resource, human, count)
    }

    /// The request's shape is `scene`'s own and held against the schema by its test: to check it for each question took a fifth of the
    /// time. What a policy cannot read fails in the policy, and that denies.
    fn ask(&self, scene: &Scene, principal: &EntityUid, action: &EntityUid) -> Answer {
        let Scene { resource, context, entities } = scene;
        let Some(question) = self.questions.get(action) else {
            return Answer::Broken(format!("there is no question {action}"));
        };
        let set = question.of_agent.get(principal).unwrap_or(&question.all);
        match Request::new(principal.clone(), action.clone(), resource.clone(), context.clone(), None) {
            Ok(request) => answer(&Authorizer::new().is_authorized(&request, set, entities)),
            Err(e) => Answer::Broken(format!("the policies could not be asked: {e}")),
        }
    }
}

impl Ruled {
    fn deny(reason: String) -> Self {
        Self { verdict: Verdict::Deny, reason, decided_by: Vec::new() }
    }
}

/// A failing policy is not skipped: it could have been the forbid.
fn answer(response: &Response) -> Answer {
    let failed: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
    if !failed.is_empty() {
        return Answer::Broken(format!("a policy failed, which denies: {}", failed.join("; ")));
    }
    let mut by: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
    by.sort();
    match response.decision() {
        Decision::Allow => Answer::Permitted(by),
        Decision::Deny => Answer::Refused(by),
    }
}
