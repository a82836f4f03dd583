//! A YAML document as a tree whose every value knows its line.

use crate::domain::Problem;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::fmt;
use std::path::{Path, PathBuf};

/// Gets a text's path and the text; gives what stands there instead, or what is wrong with it.
pub type TextChange<'a> = &'a mut dyn FnMut(&str, &str) -> Result<Option<String>, String>;

/// A value with the line it stands on.
#[derive(Debug, Clone)]
pub struct Spot {
    pub line: u64,
    pub node: Node,
}

#[derive(Debug, Clone)]
pub enum Node {
    Scalar(Value),
    List(Vec<Spot>),
    Map(Vec<(String, Spot)>),
}

impl Spot {
    pub fn value(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Node::Map(fields) => Value::Object(fields.iter().map(|(key, spot)| (key.clone(), spot.value())).collect::<Map<_, _>>()),
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, path: &[String]) -> bool {
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
    pub fn line_of(&self, path: &str) -> u64 {
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

    pub fn set(&mut self, path: &[&str], value: &str) {
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

    pub fn each_text(&mut self, path: String, change: TextChange<'_>, problems: &mut Vec<Problem>) {
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

    pub fn each_file_key(
        &mut self,
        path: String,
        folder: &Path,
        is_secret: &dyn Fn(&str) -> bool,
        hidden: &mut Vec<String>,
        files: &mut Vec<PathBuf>,
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
                    files.push(folder.join(file));
                    spot.node = Node::Scalar(Value::String(text.trim_end_matches(['\n', '\r']).to_owned()));
                    *key = name;
                }
                _ => spot.each_file_key(join(&path, key), folder, is_secret, hidden, files, problems),
            }
        }
    }
}

pub fn spot(spanned: Spanned<Node>) -> Spot {
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

pub fn join(path: &str, field: &str) -> String {
    if path.is_empty() || path == "?" { field.to_owned() } else { format!("{path}.{field}") }
}

/// `rules[2].examples[0]` as `rules`, `2`, `examples`, `0`.
pub fn segments(path: &str) -> Vec<String> {
    path.replace('[', ".").replace(']', "").split('.').filter(|part| !part.is_empty() && *part != "?").map(str::to_owned).collect()
}
