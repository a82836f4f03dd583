//! Alertmanager's matchers: what is read can be written down and read again as the same.

use super::Target;
use paramedic::classifier::{Labels, Matcher, parse_matchers};

pub const TARGET: Target = Target {
    name: "matcher",
    check,
    seeds,
    words: &["=~", "!~", "!=", "\\u0022", "\\U0001F600", "(?:", "(?i)", "|", ".*", "{2,9}", "[^a-z]", "\\\\p{L}", "näme", "alertname"],
    longest: 1024,
};

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_matchers(&text) {
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}");
            assert!(!error.what.is_empty() && error.text.chars().count() <= 81, "{error}");
        }
        Ok(matchers) => {
            assert!(!matchers.is_empty(), "no matcher matches everything");
            survives(&matchers, &text);
        }
    }
}

fn survives(matchers: &[Matcher], text: &str) {
    let written: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    let again = parse_matchers(&written.join(",")).unwrap_or_else(|error| panic!("{text:?} is written as {written:?}: {error}"));
    let rewritten: Vec<String> = again.iter().map(ToString::to_string).collect();
    assert_eq!(written, rewritten);
    for (before, after) in matchers.iter().zip(&again) {
        assert_eq!(before.name, after.name);
        for value in ["", "a", "Foo", "0", "a\nb", "é", text] {
            let labels = Labels::from([(before.name.clone(), value.to_owned())]);
            assert_eq!(before.matches(&labels), after.matches(&labels), "{written:?} on {value:?}");
        }
        let absent = Labels::new();
        assert_eq!(before.matches(&absent), after.matches(&absent), "{written:?} on nothing");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let quoted = super::file("config/classifier.yaml");
    let shipped = quoted.split('\'').filter(|piece| parse_matchers(piece).is_ok());
    let forms = [
        "alertname=Foo",
        "{ alertname =~ \"Foo|Bar\" , a=\"b c\", }",
        "\"näme\"=\"x\\\"y\",a!=b",
        "absent!~\".+\",b=\"\\u0041\\n\\t\\\\\"",
        "a=~\"(a{1000}){1000}\"",
        "a=~\"(?i)[a-z]+\\\\.(com|org)\"",
        "a=\"b",
        "\"a b\"=\"\"",
    ];
    shipped.chain(forms).map(|text| text.as_bytes().to_vec()).collect()
}
