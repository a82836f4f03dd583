//! Reading policies: parsed, named, and checked strictly against the schema. Whatever is wrong is told with file, line, column and what
//! was expected, all of it at once; a set with anything wrong is not used at all.

use super::names::{Names, Odd};
use super::scene::Terms;
use super::{Policies, Question, SCHEMA, Written, shape};
use crate::domain::{Agent, Digest, HostName, Inventory, ServiceName};
use crate::safety::Approvers;
use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// Something wrong in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyProblem {
    pub file: String,
    /// Line and column from 1; absent where the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    pub message: String,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl Policies {
    /// `files` are (name, text). At least one policy has to be there: none would deny everything.
    pub fn load(files: &[(String, String)]) -> Result<Self, Vec<PolicyProblem>> {
        let whole = |message: String| vec![PolicyProblem { file: "schema.cedarschema".into(), at: None, message }];
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| whole(e.to_string()))?;
        let terms = Terms::new().map_err(whole)?;
        let validator = Validator::new(schema);
        let mut shelf = Shelf::default();
        for (name, text) in files {
            let file = File { name, text };
            shelf.take(&file);
        }
        shelf.validate(&validator, &Names::of(SCHEMA).map_err(whole)?, files);
        let Shelf { set, written, mut problems } = shelf;
        // Cedar tells a mistake once for each action it matters to, in any order.
        problems.sort();
        problems.dedup_by(|next, first| next.file == first.file && next.at.is_some() && next.at == first.at);
        if !problems.is_empty() {
            return Err(problems);
        }
        let questions = by_question(&set, &terms).map_err(whole)?;
        Ok(Self { questions, terms, written, version: version(files) })
    }
}

/// The policies that can have a word on each question. The schema knows no groups of actions, and no agent is in anything.
fn by_question(all: &PolicySet, terms: &Terms) -> Result<BTreeMap<EntityUid, Question>, String> {
    let about = |policy: &Policy, question: &EntityUid| match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(action) => action == *question,
        ActionConstraint::In(actions) => actions.contains(question),
    };
    let set = |policies: Vec<Policy>| PolicySet::from_policies(policies).map_err(|e| e.to_string());
    let question = |question: &EntityUid| {
        let policies: Vec<Policy> = all.policies().filter(|policy| about(policy, question)).cloned().collect();
        let of = |agent: &EntityUid| policies.iter().filter(|policy| !is_of_another(policy, agent)).cloned().collect();
        let agents = [Agent::Diagnoser, Agent::Remediator, Agent::Notifier].map(|agent| terms.agent(agent)).into_iter();
        let of_agent = agents.map(|agent| set(of(&agent)).map(|set| (agent, set))).collect::<Result<_, String>>()?;
        Ok((question.clone(), Question { all: set(policies)?, of_agent }))
    };
    [&terms.execute, &terms.propose, &terms.approve, &terms.release].into_iter().map(question).collect()
}

fn is_of_another(policy: &Policy, agent: &EntityUid) -> bool {
    matches!(policy.principal_constraint(), PrincipalConstraint::Eq(named) if named != *agent)
}

fn version(files: &[(String, String)]) -> Digest {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort();
    let mut hash = Sha256::new();
    for part in sorted.iter().flat_map(|(name, text)| [name, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    Digest(hex::encode(hash.finalize()))
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    /// Line and column of a place in the text.
    fn at(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn problem(&self, offset: usize, message: impl Into<String>) -> PolicyProblem {
        PolicyProblem { file: self.name.to_owned(), at: Some(self.at(offset)), message: message.into() }
    }

    /// Cedar's own words, with where it points and what it would have expected.
    fn told(&self, wrong: &(impl Diagnostic + ?Sized), start: usize) -> PolicyProblem {
        let label = wrong.labels().and_then(|mut labels| labels.next());
        let offset = label.as_ref().map_or(start, |label| label.offset());
        let hint = label.as_ref().and_then(|label| label.label()).map_or(String::new(), |text| format!(": {text}"));
        let help = wrong.help().map_or(String::new(), |help| format!(" ({help})"));
        self.problem(offset, format!("{wrong}{hint}{help}"))
    }
}

#[derive(Default)]
struct Shelf {
    set: PolicySet,
    written: BTreeMap<String, Written>,
    problems: Vec<PolicyProblem>,
}

impl Shelf {
    fn take(&mut self, file: &File<'_>) {
        if let Some((offset, why)) = shape::too_much(file.text) {
            return self.problems.push(file.problem(offset, why));
        }
        let parsed: PolicySet = match file.text.parse() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let errors: cedar_policy::ParseErrors = errors;
                return self.problems.extend(errors.iter().map(|error| file.told(error, 0)));
            }
        };
        if parsed.templates().next().is_some() {
            self.problems.push(file.problem(0, "?principal and ?resource are slots of a template: expected policies that name theirs"));
        }
        for (offset, policy) in in_order(file, &parsed) {
            self.name(file, offset, policy);
        }
    }

    /// A verdict names its policy: each has an id and a reason of its own.
    fn name(&mut self, file: &File<'_>, offset: usize, policy: &Policy) {
        let annotation = |key: &str| policy.annotation(key).map(str::trim).filter(|text| !text.is_empty());
        let Some(reason) = annotation("reason") else {
            return self.problems.push(file.problem(offset, "a policy has to say why: expected @reason(\"…\") above it"));
        };
        let plain = |id: &&str| id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let Some(id) = annotation("id").filter(plain) else {
            let expected = "a policy has to have a name: expected @id(\"…\") above it, up to 64 letters, digits, `_` and `-`";
            return self.problems.push(file.problem(offset, expected));
        };
        let names =
            policy.entity_literals().into_iter().map(|uid| (uid.type_name().to_string(), uid.id().unescaped().to_owned())).collect();
        let written = Written { file: file.name.to_owned(), line: file.at(offset).0, reason: reason.to_owned(), names };
        if let Some(first) = self.written.get(id) {
            let message = format!("policy `{id}` is there already ({}:{})", first.file, first.line);
            return self.problems.push(file.problem(offset, message));
        }
        match self.set.add(policy.new_id(PolicyId::new(id))) {
            Ok(()) => drop(self.written.insert(id.to_owned(), written)),
            Err(e) => self.problems.push(file.problem(offset, e.to_string())),
        }
    }

    /// Strictly: an unknown attribute, a wrong type, a comparison that never holds. Then the names in what Cedar takes.
    fn validate(&mut self, validator: &Validator, names: &Names, files: &[(String, String)]) {
        let result = validator.validate(&self.set, ValidationMode::Strict);
        let errors: Vec<_> = result.validation_errors().map(|error| (error.policy_id(), error as &dyn Diagnostic)).collect();
        // That it never applies follows from what is wrong with it.
        let warnings = result.validation_warnings().map(|warning| (warning.policy_id(), warning as &dyn Diagnostic));
        let warnings: Vec<_> = warnings.filter(|(id, _)| errors.iter().all(|(other, _)| other != id)).collect();
        let refused: Vec<_> = errors.into_iter().chain(warnings).collect();
        for (id, diagnostic) in &refused {
            let problem = match self.place(id, files) {
                Some((file, start)) => file.told(*diagnostic, start),
                None => nowhere(diagnostic.to_string()),
            };
            self.problems.push(problem);
        }
        for policy in self.set.policies().filter(|policy| refused.iter().all(|(id, _)| *id != policy.id())) {
            let odd = match names.odd_in(policy) {
                Ok(None) => continue,
                Ok(Some(odd)) => odd,
                Err(why) => Odd { why, ..Odd::default() },
            };
            let message = format!("for policy `{}`, {}", policy.id(), odd.why);
            let problem = match self.place(policy.id(), files) {
                Some((file, start)) => file.problem(start + place_of(&odd, policy, &file.text[start..]), message),
                None => nowhere(message),
            };
            self.problems.push(problem);
        }
        if self.written.is_empty() && self.problems.is_empty() {
            let message = "no policy is there: expected at least one, or nothing would ever be permitted".to_owned();
            self.problems.push(PolicyProblem { file: files.first().map_or("*.cedar".into(), |(name, _)| name.clone()), at: None, message });
        }
    }

    /// The file that a policy stands in, and where it begins there.
    fn place<'a>(&self, id: &PolicyId, files: &'a [(String, String)]) -> Option<(File<'a>, usize)> {
        let written = self.written.get(AsRef::<str>::as_ref(id))?;
        let (name, text) = files.iter().find(|(name, _)| *name == written.file)?;
        let start = text.split_inclusive('\n').take(written.line - 1).map(str::len).sum();
        Some((File { name, text }, start))
    }
}

/// Where it stands in the text that begins with its policy, below the annotations: an attribute first, of a number the nearest to it.
fn place_of(odd: &Odd, policy: &Policy, text: &str) -> usize {
    let above = policy.annotations().filter_map(|(_, value)| Some(text.find(&format!("\"{value}\""))? + value.len() + 2)).max();
    let above = above.unwrap_or(0);
    let alone = |at: usize, length: usize| {
        let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !text[..at].ends_with(part_of_word) && !text[at + length..].starts_with(part_of_word)
    };
    let places = |what: &str| -> Vec<usize> {
        let all = text[above..].match_indices(what).map(|(at, _)| above + at);
        all.filter(|at| alone(*at, what.len())).collect()
    };
    let attributes = places(&odd.attribute);
    let numbers = odd.number.map_or(Vec::new(), |number| places(&number.to_string()));
    let nearest = numbers.into_iter().min_by_key(|number| attributes.iter().map(|at| at.abs_diff(*number)).min());
    nearest.or_else(|| attributes.first().copied()).unwrap_or(0)
}

fn nowhere(message: String) -> PolicyProblem {
    PolicyProblem { file: "the policies".into(), at: None, message }
}

/// The policies as they stand in the file; Cedar numbers them in that order.
fn in_order<'a>(file: &File<'_>, parsed: &'a PolicySet) -> Vec<(usize, &'a Policy)> {
    let number = |policy: &Policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX);
    let mut policies: Vec<&Policy> = parsed.policies().collect();
    policies.sort_by_key(|policy| number(policy));
    let mut from = 0;
    let mut placed = Vec::new();
    for policy in policies {
        let text = policy.to_cedar();
        let found = text.and_then(|text| Some((file.text.get(from..)?.find(text.as_str())? + from, text.len())));
        let (offset, length) = found.unwrap_or((from, 0));
        from = offset + length;
        placed.push((offset, policy));
    }
    placed
}

pub fn strangers(written: &BTreeMap<String, Written>, inventory: &Inventory, groups: &[&str]) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    for policy in written.values() {
        let unknown = policy.names.iter().filter_map(|(kind, name)| match kind.as_str() {
            "Service" if ServiceName::parse(name).ok().and_then(|name| inventory.service(&name)).is_none() => {
                Some(format!("service `{name}` is not listed in services.yaml"))
            }
            "Host" if HostName::parse(name).ok().and_then(|name| inventory.host(&name)).is_none() => {
                Some(format!("host `{name}` is not listed in services.yaml"))
            }
            "Group" if !groups.contains(&name.as_str()) => {
                Some(format!("there is no group `{name}`: expected one of {}", groups.join(", ")))
            }
            "Nowhere" if name != "nowhere" => Some(format!("`{name}` is not nowhere: expected Nowhere::\"nowhere\"")),
            _ => None,
        });
        problems.extend(unknown.map(|message| PolicyProblem { file: policy.file.clone(), at: Some((policy.line, 1)), message }));
    }
    problems
}

/// Humans that no decision will ever come from: a forbid for one of them would forbid nothing.
pub fn nobodies(written: &BTreeMap<String, Written>, approvers: &Approvers) -> Vec<PolicyProblem> {
    let humans =
        |policy: &Written| policy.names.iter().filter(|(kind, _)| kind == "Human").map(|(_, name)| name.clone()).collect::<Vec<_>>();
    let each = written.values().flat_map(|policy| humans(policy).into_iter().map(move |name| (policy, name)));
    let strange = each.filter_map(|(policy, name)| Some((policy, unknown(&name, approvers)?)));
    strange.map(|(policy, message)| PolicyProblem { file: policy.file.clone(), at: Some((policy.line, 1)), message }).collect()
}

fn unknown(name: &str, approvers: &Approvers) -> Option<String> {
    let mut people = approvers.people.iter();
    let known_as = match name.split_once('/') {
        None if approvers.named(name).is_some() => return None,
        None => return Some(format!("nobody under `approvers` is named `{name}`")),
        Some(("slack", id)) => people.find(|person| person.slack.as_deref() == Some(id)),
        Some(("cli", login)) => people.find(|person| person.login.as_deref() == Some(login)),
        Some(_) => return Some(format!("`{name}`: expected the name of an approver, slack/USER_ID or cli/LOGIN")),
    };
    known_as.map(|person| format!("`{name}` is named under `approvers`: expected Human::\"{}\", which they are at every door", person.name))
}
