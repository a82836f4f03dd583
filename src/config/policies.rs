//! `policies/*.cedar` beside the main file. What is wrong in one is told with its line, like everything else.

use super::document::read_text;
use super::{Complaint, Embedded};
use crate::domain::Inventory;
use crate::safety::{Approvers, Policies, PolicyProblem, SCHEMA};
use std::path::{Path, PathBuf};

/// Who decides approvals by configuration: those under `approvers`, and `slack.approvers`.
pub const GROUPS: [&str; 1] = ["approvers"];

/// Names and texts, sorted by name.
type Texts = Vec<(String, String)>;

/// Read and checked. With an inventory, a policy that names a service or host which is not in it is a mistake too.
pub fn read(folder: &Path, inventory: Option<&Inventory>, complaints: &mut Vec<Complaint>) -> Option<Policies> {
    let texts = texts(folder, complaints)?;
    if texts.is_empty() {
        complaints
            .push(Complaint::of_file(folder, "no *.cedar is there: expected at least one policy, or nothing would ever be permitted"));
        return None;
    }
    match Policies::load(&texts) {
        Ok(policies) => {
            let strangers = inventory.map_or(Vec::new(), |inventory| policies.strangers(inventory, &GROUPS));
            complaints.extend(strangers.into_iter().map(|problem| complaint(folder, problem)));
            Some(policies)
        }
        Err(problems) => {
            complaints.extend(problems.into_iter().map(|problem| complaint(folder, problem)));
            None
        }
    }
}

/// Policies about humans that nobody can be.
pub fn nobodies(folder: &Path, policies: &Policies, approvers: &Approvers) -> Vec<Complaint> {
    policies.nobodies(approvers).into_iter().map(|problem| complaint(folder, problem)).collect()
}

fn complaint(folder: &Path, problem: PolicyProblem) -> Complaint {
    Complaint {
        line: problem.at.map(|(line, _)| line as u64),
        message: problem.at.map_or(String::new(), |(_, column)| format!("column {column}: ")) + &problem.message,
        file: folder.join(&problem.file),
    }
}

/// The schema is compiled in. A copy beside the policies that says something else misleads whoever reads it.
pub fn schema_warning(folder: &Path) -> Option<String> {
    let path = folder.join("schema.cedarschema");
    let other = std::fs::read_to_string(&path).is_ok_and(|text| text != SCHEMA);
    other.then(|| {
        format!("{} is not the schema that policies are checked against: `paramedic policy schema` prints that one", path.display())
    })
}

/// As they are inside the binary.
pub fn shipped() -> Result<Policies, Vec<PolicyProblem>> {
    let names = Embedded::iter().filter(|name| name.starts_with("policies/") && name.ends_with(".cedar"));
    let mut texts: Texts = names
        .filter_map(|name| {
            let text = String::from_utf8(Embedded::get(&name)?.data.into_owned()).ok()?;
            Some((name.trim_start_matches("policies/").to_owned(), text))
        })
        .collect();
    texts.sort();
    Policies::load(&texts)
}

fn texts(folder: &Path, complaints: &mut Vec<Complaint>) -> Option<Texts> {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(e) => {
            complaints.push(Complaint::of_file(folder, format!("cannot be read ({e}): expected a folder of policies")));
            return None;
        }
    };
    let paths = files.filter_map(|file| file.ok().map(|file| file.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "cedar")).collect();
    paths.sort();
    let before = complaints.len();
    let mut texts = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match read_text(&path) {
            Ok(text) => texts.push((name, text)),
            Err(why) => complaints.push(Complaint::of_file(&path, why)),
        }
    }
    (complaints.len() == before).then_some(texts)
}
