//! What shows the environment of programs. That is where passwords are handed over, so all of it is as dangerous as a secret's file,
//! whichever program shows it: `ps e`, a unit's properties, a container's whole description. A description in full is taken for
//! dangerous too; fields that are asked for by name, and are not the environment, are not.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::Program;
use super::super::syntax::Word;
use super::by_table;
use crate::domain::DangerLevel::High;

pub const SHOWN: &str = "shows the environment of programs, passwords included";

/// `systemctl show` without properties, or with one of these.
pub fn systemctl(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let texts = || words[1..].iter().map(|word| word.text.as_str());
    let scan = judge.scan(&[program], &words[1..], false);
    let chosen = scan.given(&["-p", "-P", "--property"]).any(|word| !word.text.is_empty());
    let named = texts().map(str::to_lowercase).any(|text| text.contains("environ") || text.contains("credential"));
    if texts().any(|text| text == "show") && (named || !chosen) {
        judge.note(&said(words), High, SHOWN);
    }
    by_table(judge, &mut vec![program], words, words)
}

/// The journal keeps the environment of programs that crashed.
pub fn journal(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    if words[1..].iter().any(|word| word.text.to_lowercase().contains("environ")) {
        judge.note(&said(words), High, SHOWN);
    }
    by_table(judge, &mut vec![program], words, words)
}

/// Fields of a container, an image or a volume that are looked at; what lies below one is too.
const FIELDS: [&str; 28] = [
    ".State",
    ".Name",
    ".Id",
    ".ID",
    ".Created",
    ".RestartCount",
    ".Image",
    ".Config.Image",
    ".Config.User",
    ".Config.Hostname",
    ".Config.ExposedPorts",
    ".HostConfig.RestartPolicy",
    ".HostConfig.Memory",
    ".HostConfig.NetworkMode",
    ".NetworkSettings",
    ".LogPath",
    ".Mounts",
    ".Mountpoint",
    ".Driver",
    ".Size",
    ".RepoTags",
    ".IPAddress",
    ".Gateway",
    ".Source",
    ".Destination",
    ".Output",
    ".ExitCode",
    ".Architecture",
];

/// `docker inspect` without a format, or with one that shows more than these.
pub fn inspected(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let mut formats = scan.given(&["-f", "--format"]).peekable();
    if formats.peek().is_none() || !formats.all(|word| word.is_literal() && plain(&word.text)) {
        judge.note(&said(words), High, SHOWN);
    }
    by_table(judge, &mut vec![program], words, words)
}

/// Every `{{…}}` in it names such fields.
fn plain(format: &str) -> bool {
    let actions: Vec<&str> = format.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap_or_default()).collect();
    let looked_at =
        |word: &str| FIELDS.iter().any(|field| word.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    let word = |word: &str| matches!(word, "json" | "range" | "end" | "len" | "println") || looked_at(word);
    !actions.is_empty() && actions.iter().all(|action| action.split(' ').filter(|text| !text.is_empty()).all(word))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_format_is_plain_when_every_field_of_it_is() {
        for good in [
            "{{.State.Status}}",
            "{{ json .State }}",
            "{{.Name}} {{.RestartCount}}",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        ] {
            assert!(plain(good), "{good}");
        }
        for bad in [
            "",
            "json",
            "{{.}}",
            "{{json .}}",
            "{{.Config}}",
            "{{.Config.Env}}",
            "{{json .Config.Env}}",
            "{{.Name}} {{.Config.Env}}",
            "{{range .Mounts}}{{$.Config.Env}}{{end}}",
            "{{index .Config.Env 0}}",
            "{{with .Config}}{{.Env}}{{end}}",
            "{{.StateX}}",
            "{{(.Config).Env}}",
        ] {
            assert!(!plain(bad), "{bad}");
        }
    }
}
