//! `${VAR}` and `KEY_file`: secrets come from the environment or from files, never from the YAML itself.

use super::Complaint;
use super::document::Document;
use crate::domain::Problem;
use crate::redaction::{Redactor, Secret};
use serde::Deserialize;

/// Keys whose value may be given as `KEY_file`.
const SECRETS: [&str; 9] =
    ["webhook_token", "token", "api_key", "bot_token", "signing_secret", "app_token", "routing_key", "password", "url"];

/// What is kept out of everything that is stored, said or logged, besides the shapes that are always known.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactKeys {
    /// Regular expressions of an operator's own; a first group is the secret, else the whole.
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(skip)]
    pub secrets: Vec<Secret>,
}

impl RedactKeys {
    pub fn build(&self) -> Result<Redactor, Vec<Problem>> {
        let each = self.patterns.iter().enumerate();
        let wrong = |(index, pattern): (usize, &String)| {
            let error = Redactor::new(&[], std::slice::from_ref(pattern)).err()?;
            Some(Problem::new(format!("redact.patterns[{index}]"), error.to_string()))
        };
        let problems: Vec<Problem> = each.filter_map(wrong).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Redactor::new(&self.secrets, &self.patterns).map_err(|e| vec![Problem::new("redact", e.to_string())])
    }

    /// Secrets that would be found in innocent texts, and are therefore not looked for.
    pub fn warnings(&self) -> Vec<String> {
        let plain = self.secrets.iter().filter(|secret| !Redactor::searches_for(&secret.value));
        let warn = |secret: &Secret| {
            format!("{} is too short or too plain a word to be kept out of logs and messages: expected 12 characters or more", secret.name)
        };
        plain.map(warn).collect()
    }
}

impl Document {
    /// Every secret that stands in it, once its variables and files are filled in; of an address, the password.
    pub fn secrets(&mut self) -> Vec<Secret> {
        let mut secrets = Vec::new();
        let mut take = |path: &str, text: &str| {
            let key = path.rsplit('.').next().unwrap_or(path);
            let value = match key {
                _ if key == "url" || key.ends_with("_url") => login(text),
                _ if is_secret(key) || Redactor::names_a_secret(key) => Some(text.trim().to_owned()),
                _ => None,
            };
            secrets.extend(value.map(|value| Secret { name: path.to_owned(), value }));
            Ok(None)
        };
        self.each_text(&mut take, &mut Vec::new());
        secrets
    }

    /// Replaces `${VAR}` in every text, then reads the `KEY_file`s. `$$` stands for a dollar.
    pub fn expand(&mut self, environment: &dyn Fn(&str) -> Option<String>, complaints: &mut Vec<Complaint>) {
        let mut shown = Vec::new();
        let mut remember = |name: &str| environment(name).inspect(|value| shown.push(value.clone()));
        self.each_text(&mut |_, text| expand(text, &mut remember), complaints);
        shown.iter().for_each(|value| self.hide(value));
        self.each_file_key(&is_secret, complaints);
        self.each_text(&mut |path, text| filled(path, text), complaints);
    }
}

/// The password of `scheme://user:password@host`, as it is meant.
fn login(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (_, password) = rest.rsplit_once('@')?.0.split_once(':')?;
    // A plus is a plus here, unlike in a form.
    let form = password.replace('+', "%2B");
    form_urlencoded::parse(form.as_bytes()).next().map(|(name, _)| name.into_owned())
}

pub fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// An empty secret is one that everybody knows: a token that opens to no token, a signature that anybody can make.
fn filled(path: &str, text: &str) -> Result<Option<String>, String> {
    let key = path.rsplit('.').next().unwrap_or(path);
    match is_secret(key) && text.trim().is_empty() {
        true => Err("expected a value, it is empty: leave the key out where it is not wanted".to_owned()),
        false => Ok(None),
    }
}

pub fn expand(text: &str, environment: &mut dyn FnMut(&str) -> Option<String>) -> Result<Option<String>, String> {
    if !text.contains('$') {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            out.push_str(&environment(name).ok_or_else(|| format!("the environment has no {name}: expected it to be set"))?);
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::{Document, expand};

    fn environment(name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cret".to_owned())
    }

    #[test]
    fn a_variable_is_replaced_and_an_absent_one_is_named() {
        assert_eq!(expand("Bearer ${TOKEN}!", &mut environment).unwrap().unwrap(), "Bearer s3cret!");
        assert_eq!(expand("$$5 and a$b", &mut environment).unwrap().unwrap(), "$5 and a$b");
        assert!(expand("${NOPE}", &mut environment).unwrap_err().contains("NOPE"));
        assert_eq!(expand("plain", &mut environment).unwrap(), None);
    }

    /// What `expand` complains about in this file.
    fn complaints_of(yaml: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paramedic.yaml");
        std::fs::write(&path, yaml).unwrap();
        std::fs::write(folder.path().join("blank"), "\n").unwrap();
        let mut complaints = Vec::new();
        let mut document = Document::open(&path, &mut complaints).unwrap();
        document.expand(&|name| (name == "EMPTY").then(String::new), &mut complaints);
        document.read::<crate::config::file::MainFile>(&mut complaints);
        complaints.iter().map(|complaint| complaint.message.clone()).collect()
    }

    #[test]
    fn an_empty_secret_is_refused_wherever_it_comes_from() {
        let empty = "expected a value, it is empty: leave the key out where it is not wanted";
        for token in ["webhook_token: ${EMPTY}", "webhook_token: '  '", "webhook_token_file: blank"] {
            assert_eq!(complaints_of(&format!("server:\n  {token}\n")), [format!("server.webhook_token: {empty}")], "{token}");
        }
        assert_eq!(complaints_of("slack: {bot_token: a, app_token: b, signing_secret: '', channel: c}").len(), 1);
    }

    #[test]
    fn a_secret_file_that_is_not_there_is_one_complaint() {
        let told = complaints_of("server: {webhook_token_file: nowhere}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("server.webhook_token_file: ") && told[0].contains("nowhere"), "{told:?}");
    }
}
