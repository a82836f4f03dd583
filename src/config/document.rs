//! A YAML file that knows its lines: values are read with serde, and whatever is wrong is told with the file, the line and
//! what was expected, all of it at once.

use crate::domain::Problem;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A file larger than this is no configuration.
const LIMIT: u64 = 4 * 1024 * 1024;
/// Errors told of one file; a reader who has mended so many asks again.
const MOST: usize = 50;

/// Gets a text's path and the text; gives what stands there instead, or what is wrong with it.
type TextChange<'a> = &'a mut dyn FnMut(&str, &str) -> Result<Option<String>, String>;

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

/// A value with the line it stands on.
#[derive(Debug, Clone)]
struct Spot {
    line: u64,
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Scalar(Value),
    List(Vec<Spot>),
    Map(Vec<(String, Spot)>),
}

#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    root: Spot,
    /// Values from the environment or from secret files: never shown in a complaint.
    hidden: Vec<String>,
}

impl Document {
    pub fn open(path: &Path, complaints: &mut Vec<Complaint>) -> Option<Self> {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(why) => {
                complaints.push(Complaint::of_file(path, why));
                return None;
            }
        };
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Some(Self { path: path.to_owned(), root: Spot { line: 1, node: Node::Map(Vec::new()) }, hidden: Vec::new() });
        }
        match serde_saphyr::from_str::<Spanned<Node>>(&text) {
            Ok(root) => Some(Self { path: path.to_owned(), root: spot(root), hidden: Vec::new() }),
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
        let message = if path.is_empty() || path == "." { message.to_owned() } else { format!("{path}: {message}") };
        Complaint { file: self.path.clone(), line: Some(self.root.line_of(path)), message }
    }

    /// Sets a value from outside the file (a flag, the environment).
    pub fn set(&mut self, path: &[&str], value: &str) {
        self.root.set(path, value);
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
        self.root.each_file_key(String::new(), &folder, is_secret, &mut self.hidden, &mut problems);
        complaints.extend(problems.iter().map(|problem: &Problem| self.complaint(&problem.path, &problem.message)));
    }
}

fn read_text(path: &Path) -> Result<String, String> {
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

fn join(path: &str, field: &str) -> String {
    if path.is_empty() || path == "?" { field.to_owned() } else { format!("{path}.{field}") }
}

/// The name in backquotes behind `what`.
fn quoted(message: &str, what: &str) -> Option<String> {
    let rest = message.strip_prefix(what)?.trim_start().strip_prefix('`')?;
    rest.split('`').next().map(str::to_owned)
}

/// `rules[2].examples[0]` as `rules`, `2`, `examples`, `0`.
fn segments(path: &str) -> Vec<String> {
    path.replace('[', ".").replace(']', "").split('.').filter(|part| !part.is_empty() && *part != "?").map(str::to_owned).collect()
}

/// Is this error only there because of what was put aside below it?
fn follows(path: &str, message: &str, aside: &BTreeSet<String>) -> bool {
    let missing = quoted(message, "missing field").is_some_and(|field| aside.contains(&join(path, &field)));
    missing || aside.iter().any(|below| below.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])))
}

impl Spot {
    fn value(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Node::Map(fields) => Value::Object(fields.iter().map(|(key, spot)| (key.clone(), spot.value())).collect::<Map<_, _>>()),
        }
    }

    /// Takes a value out.
    fn remove(&mut self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let index = match &self.node {
            Node::Map(fields) => fields.iter().position(|(key, _)| key == first),
            Node::List(items) => first.parse::<usize>().ok().filter(|index| *index < items.len()),
            Node::Scalar(_) => None,
        };
        let Some(index) = index else { return false };
        match &mut self.node {
            Node::Map(fields) if rest.is_empty() => drop(fields.remove(index)),
            Node::List(items) if rest.is_empty() => drop(items.remove(index)),
            Node::Map(fields) => return fields[index].1.remove(rest),
            Node::List(items) => return items[index].remove(rest),
            Node::Scalar(_) => return false,
        }
        true
    }

    /// The line of the deepest part of the path that is there.
    fn line_of(&self, path: &str) -> u64 {
        let mut at = self;
        for part in segments(path) {
            let next = match &at.node {
                Node::Map(fields) => fields.iter().find(|(key, _)| *key == part).map(|(_, spot)| spot),
                Node::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                Node::Scalar(_) => None,
            };
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        at.line
    }

    fn set(&mut self, path: &[&str], value: &str) {
        let Some((first, rest)) = path.split_first() else {
            self.node = Node::Scalar(Value::String(value.to_owned()));
            return;
        };
        if !matches!(self.node, Node::Map(_)) {
            self.node = Node::Map(Vec::new());
        }
        let line = self.line;
        let Node::Map(fields) = &mut self.node else { return };
        match fields.iter_mut().find(|(key, _)| key == first) {
            Some((_, spot)) => spot.set(rest, value),
            None => {
                let mut spot = Self { line, node: Node::Map(Vec::new()) };
                spot.set(rest, value);
                fields.push(((*first).to_owned(), spot));
            }
        }
    }

    fn each_text(&mut self, path: String, change: TextChange<'_>, problems: &mut Vec<Problem>) {
        match &mut self.node {
            Node::Scalar(Value::String(text)) => match change(&path, text) {
                Ok(Some(new)) => *text = new,
                Ok(None) => {}
                Err(why) => problems.push(Problem::new(path, why)),
            },
            Node::Scalar(_) => {}
            Node::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.each_text(format!("{path}[{index}]"), change, problems);
                }
            }
            Node::Map(fields) => {
                for (key, spot) in fields {
                    spot.each_text(join(&path, key), change, problems);
                }
            }
        }
    }

    fn each_file_key(
        &mut self,
        path: String,
        folder: &Path,
        is_secret: &dyn Fn(&str) -> bool,
        hidden: &mut Vec<String>,
        problems: &mut Vec<Problem>,
    ) {
        let Node::Map(fields) = &mut self.node else { return };
        for (key, spot) in fields {
            let secret = key.strip_suffix("_file").filter(|name| is_secret(name)).map(str::to_owned);
            match (secret, &spot.node) {
                (Some(name), Node::Scalar(Value::String(file))) => {
                    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_else(|e| {
                        problems.push(Problem::new(join(&path, key), format!("{}: {e}", folder.join(file).display())));
                        // Stands in for the secret while the other errors are looked for; with this one nothing starts.
                        "unreadable".to_owned()
                    });
                    hidden.push(text.trim().to_owned());
                    spot.node = Node::Scalar(Value::String(text.trim_end_matches(['\n', '\r']).to_owned()));
                    *key = name;
                }
                _ => spot.each_file_key(join(&path, key), folder, is_secret, hidden, problems),
            }
        }
    }
}

fn spot(spanned: Spanned<Node>) -> Spot {
    Spot { line: spanned.referenced.line(), node: spanned.value }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            items.push(spot(item));
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let value: Spanned<Node> = map.next_value()?;
            // An empty value has no place of its own; the key has one.
            let line = key.referenced.line();
            fields.push((key.value, Spot { line, ..spot(value) }));
        }
        Ok(Node::Map(fields))
    }
}
