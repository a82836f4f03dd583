//! JUnit's XML, for whatever shows test results.

use super::Played;

pub fn render(played: &[Played]) -> String {
    let failed = played.iter().filter(|p| !p.failures.is_empty()).count();
    let time: f64 = played.iter().map(|p| p.took.as_secs_f64()).sum();
    let cases: Vec<String> = played.iter().map(case).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"paramedic chaos\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{time:.3}\">\n{}  </testsuite>\n</testsuites>\n",
        played.len(),
        cases.concat()
    )
}

fn case(p: &Played) -> String {
    let head = format!("    <testcase classname=\"chaos\" name=\"{}\" time=\"{:.3}\">\n", escape(&p.name), p.took.as_secs_f64());
    let failure = match p.failures.first() {
        None => String::new(),
        Some(first) => format!("      <failure message=\"{}\">{}</failure>\n", escape(first), escape(&p.failures.join("\n"))),
    };
    format!("{head}{failure}      <system-out>{}</system-out>\n    </testcase>\n", escape(&p.transcript.join("\n")))
}

/// Characters that XML cannot hold become a replacement character.
fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\n' | '\t' => c.to_string(),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}'.to_string(),
            c => c.to_string(),
        })
        .collect()
}
