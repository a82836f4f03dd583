//! A YAML file that knows its lines: values are read with serde, and whatever is wrong is told with the file, the line and
//! what was expected, all of it at once.

use super::tree::{Node, Spot, TextChange, join, segments, spot};
use crate::domain::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A file larger than this is no configuration.
const LIMIT: u64 = 4 * 1024 * 1024;
/// Lists and maps in one another. Reading recurses over them: the 64 that the library allows overflow a worker thread's stack.
const DEEPEST: usize = 24;
/// Errors told of one file; a reader who has mended so many asks again.
const MOST: usize = 50;

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Complaint {
    pub file: PathBuf,
    /// From 1; absent where the file as a whole is meant.
    pub line: Option<u64>,
    pub message: String,
}

impl Complaint {
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, message: message.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    root: Spot,
    /// Values from the environment or from secret files: never shown in a complaint.
    hidden: Vec<String>,
    /// Where secrets were read from.
    pub secret_files: Vec<PathBuf>,
    /// Paths whose value came from a flag or a variable.
    overridden: Vec<String>,
}

impl Document {
    pub fn open(path: &Path, complaints: &mut Vec<Complaint>) -> Option<Self> {
        match read_text(path) {
            Ok(text) => Self::parse(path, &text, complaints),
            Err(why) => {
                complaints.push(Complaint::of_file(path, why));
                None
            }
        }
    }

    /// The path is only for the complaints.
    pub fn parse(path: &Path, text: &str, complaints: &mut Vec<Complaint>) -> Option<Self> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Some(Self {
                path: path.to_owned(),
                root: Spot { line: 1, node: Node::Map(Vec::new()) },
                hidden: Vec::new(),
                secret_files: Vec::new(),
                overridden: Vec::new(),
            });
        }
        let options = serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: DEEPEST } };
        match serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options) {
            Ok(root) => {
                Some(Self { path: path.to_owned(), root: spot(root), hidden: Vec::new(), secret_files: Vec::new(), overridden: Vec::new() })
            }
            Err(e) => {
                let line = e.location().map(|location| location.line());
                let message = e.to_string().lines().next().unwrap_or("not YAML").to_owned();
                complaints.push(Complaint { file: path.to_owned(), line, message });
                None
            }
        }
    }

    /// Reads the whole document as `T`. On an error the value it is about is put aside (here too, so that lines stay right)
    /// and reading goes on: one look finds all errors. What could be read comes back for further checks even so; whether it
    /// may be used, the complaints tell.
    pub fn read<T: DeserializeOwned>(&mut self, complaints: &mut Vec<Complaint>) -> Option<T> {
        let mut aside: BTreeSet<String> = BTreeSet::new();
        for _ in 0..MOST {
            let error = match serde_path_to_error::deserialize::<_, T>(self.root.value()) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let message = error.inner().to_string();
            let path = blamed(&error.path().to_string(), &message);
            if !follows(&path, &message, &aside) {
                complaints.push(self.complaint(&path, &message));
            }
            aside.insert(path.clone());
            if !self.root.remove(&segments(&path)) {
                return None;
            }
        }
        None
    }

    /// Passes on what was built, or tells what is wrong with the lines.
    pub fn check<T>(&self, built: Result<T, Vec<Problem>>, complaints: &mut Vec<Complaint>) -> Option<T> {
        match built {
            Ok(built) => Some(built),
            Err(problems) => {
                complaints.extend(problems.iter().map(|problem| self.complaint(&problem.path, &problem.message)));
                None
            }
        }
    }

    /// Never shows this value in a complaint.
    pub fn hide(&mut self, value: &str) {
        if !value.is_empty() {
            self.hidden.push(value.to_owned());
        }
    }

    pub fn complaint(&self, path: &str, message: &str) -> Complaint {
        let secret = path.rsplit('.').next().is_some_and(super::secrets::is_secret) && message.starts_with("invalid type");
        let message = if secret { "expected a text in quotes" } else { message };
        let message = &self
            .hidden
            .iter()
            .fold(message.to_owned(), |shown, value| if value.trim().is_empty() { shown } else { shown.replace(value, "(hidden)") });
        let message = &if self.overridden.iter().any(|over| over == path) {
            format!("{message} (given on the command line or in the environment)")
        } else {
            message.clone()
        };
        let message = if path.is_empty() || path == "." { message.to_owned() } else { format!("{path}: {message}") };
        Complaint { file: self.path.clone(), line: Some(self.root.line_of(path)), message }
    }

    /// One text, with its variables filled in; `Some(None)` where the document has none.
    pub fn text_at(
        &self,
        path: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        complaints: &mut Vec<Complaint>,
    ) -> Option<Option<String>> {
        let value = self.root.value().pointer(&format!("/{}", path.replace('.', "/"))).cloned();
        match value {
            Some(Value::String(text)) => match super::secrets::expand(&text, &mut |name| environment(name)) {
                Ok(expanded) => Some(Some(expanded.unwrap_or(text))),
                Err(why) => {
                    complaints.push(self.complaint(path, &why));
                    None
                }
            },
            None | Some(Value::Null) => Some(None),
            Some(_) => {
                complaints.push(self.complaint(path, "expected a text"));
                None
            }
        }
    }

    /// The value at a dotted path; none where it is absent or null.
    pub fn value_at(&self, path: &str) -> Option<Value> {
        self.root.value().pointer(&format!("/{}", path.replace('.', "/"))).filter(|value| !value.is_null()).cloned()
    }

    /// Keeps one section alone, a list of maps without some of their keys.
    pub fn keep(&mut self, section: &str, without: &[&str]) {
        let Node::Map(fields) = &mut self.root.node else { return };
        fields.retain(|(key, _)| key == section);
        let Some((_, Spot { node: Node::List(items), .. })) = fields.first_mut() else { return };
        for item in items {
            if let Node::Map(keys) = &mut item.node {
                keys.retain(|(key, _)| !without.contains(&key.as_str()));
            }
        }
    }

    /// Forgets every section but one; was there another of this name?
    pub fn keep_only(&mut self, section: &str, other: &str) -> bool {
        let Node::Map(fields) = &mut self.root.node else { return false };
        let there = fields.iter().any(|(key, _)| key == other);
        fields.retain(|(key, _)| key == section);
        there
    }

    /// Sets a value from outside the file (a flag, the environment).
    pub fn set(&mut self, path: &[&str], value: &str) {
        self.root.set(path, value);
        self.overridden.push(path.join("."));
    }

    /// Visits every text with its path and may replace it.
    pub fn each_text(&mut self, change: TextChange<'_>, complaints: &mut Vec<Complaint>) {
        let mut problems = Vec::new();
        self.root.each_text(String::new(), change, &mut problems);
        complaints.extend(problems.iter().map(|problem: &Problem| self.complaint(&problem.path, &problem.message)));
    }

    /// Turns each `KEY_file: PATH` for which `is_secret(KEY)` holds into `KEY: CONTENT`.
    pub fn each_file_key(&mut self, is_secret: &dyn Fn(&str) -> bool, complaints: &mut Vec<Complaint>) {
        let folder = self.path.parent().map(Path::to_owned).unwrap_or_default();
        let mut problems = Vec::new();
        self.root.each_file_key(String::new(), &folder, is_secret, &mut self.hidden, &mut self.secret_files, &mut problems);
        complaints.extend(problems.iter().map(|problem: &Problem| self.complaint(&problem.path, &problem.message)));
    }
}

pub fn read_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
    if size > LIMIT {
        return Err(format!("{size} bytes are no configuration: expected at most {LIMIT}"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))
}

/// The path an error is about: of an unknown field, the field itself.
fn blamed(path: &str, message: &str) -> String {
    let path = path.trim_start_matches('.').replace(".?", "");
    match quoted(message, "unknown field") {
        Some(field) if path != field && !path.ends_with(&format!(".{field}")) => join(&path, &field),
        _ => path,
    }
}

/// The name in backquotes behind `what`.
fn quoted(message: &str, what: &str) -> Option<String> {
    let rest = message.strip_prefix(what)?.trim_start().strip_prefix('`')?;
    rest.split('`').next().map(str::to_owned)
}

/// Is this error only there because of what was put aside below it?
fn follows(path: &str, message: &str, aside: &BTreeSet<String>) -> bool {
    let missing = quoted(message, "missing field").is_some_and(|field| aside.contains(&join(path, &field)));
    missing || aside.iter().any(|below| below.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])))
}
