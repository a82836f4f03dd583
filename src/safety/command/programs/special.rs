//! Programs with a rule of their own that no table says.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::secret::climbs;
use super::super::spec::{Program, low};
use super::super::syntax::{Kind, Word};
use super::by_table;
use crate::domain::DangerLevel::{self, Critical, High, Low, Medium, Safe};

pub fn texts(words: &[Word]) -> Vec<&str> {
    words[1.min(words.len())..].iter().map(|word| word.text.as_str()).collect()
}

pub fn noted(judge: &mut Judge, words: &[Word], level: DangerLevel, why: &str) -> Run {
    for word in &words[1.min(words.len())..] {
        if let Some(why) = word.unknown() {
            judge.note(&word.raw, level.max(Medium), format!("{why}: it may become anything the program understands"));
            judge.refuse_to_run(&word.raw, why);
        }
    }
    judge.note(&said(words), level, why);
    Run::plain(words)
}

/// Every word is text.
pub fn words(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    noted(judge, words, program.level, program.why)
}

/// gzip and its like: to the screen, or in place of the file.
pub fn compress(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let flags = ["-c", "-l", "-t", "--stdout", "--to-stdout", "--list", "--test"];
    let shown = words[1..].iter().any(|word| {
        let cluster =
            word.text.starts_with('-') && !word.text.starts_with("--") && word.text[1..].chars().all(|c| "cdklqtvfn123456789".contains(c));
        flags.contains(&word.text.as_str()) || (cluster && word.text[1..].contains(['c', 'l', 't']))
    });
    let known = words[1..].iter().filter(|word| word.text.starts_with('-')).all(|word| {
        let long =
            ["--stdout", "--to-stdout", "--list", "--test", "--decompress", "--uncompress", "--keep", "--quiet", "--verbose", "--force"];
        long.contains(&word.text.as_str())
            || word.text.trim_start_matches('-').chars().all(|c| "cdklqtvfn123456789".contains(c)) && !word.text.starts_with("--")
    });
    for word in words[1..].iter().filter(|word| !word.text.starts_with('-')) {
        judge.read(word, false);
    }
    let by_pipe = words[1..].iter().all(|word| word.text.starts_with('-'));
    let (level, why) = match (known, shown || by_pipe) {
        (true, true) => (Low, "shows what was packed"),
        (true, false) => (High, "replaces files"),
        (false, _) => (High, program.why),
    };
    noted(judge, words, level, why)
}

pub fn archive(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let texts = texts(words);
    let lists = match words[0].text.as_str() {
        "unzip" => matches!(texts.first(), Some(&("-l" | "-t" | "-Z" | "-v" | "-lv"))) && texts.len() == 2,
        "7z" | "7za" => matches!(texts.as_slice(), ["l" | "t", file] if !file.starts_with('-')),
        "ar" => matches!(texts.as_slice(), ["t" | "tv", _]),
        _ => false,
    };
    noted(judge, words, if lists { Low } else { High }, if lists { "lists an archive" } else { program.why })
}

pub fn jq(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    const JQ: Program = low("jq", "").raised(&[("-f= --from-file= -L= --slurpfile= --rawfile= --run-tests", Medium, "reads another file")]);
    let mut kept = Vec::new();
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.text.as_str() {
            "--arg" | "--argjson" => {
                kept.extend(words.iter().skip(at + 1).take(2).filter(|word| word.unknown().is_some()).cloned());
                at += 2;
            }
            _ => kept.push(word.clone()),
        }
        at += 1;
    }
    let scan = judge.scan(&[&JQ, program], &kept, false);
    scan.operands.iter().skip(1).for_each(|word| judge.read(word, false));
    if scan.operands.first().is_some_and(|word| word.text.contains("import") || word.text.contains("include")) {
        judge.note(&said(words), Medium, "loads a module");
    }
    let level = if scan.operands.len() > 1 { program.level } else { Safe };
    judge.note(&said(words), level, program.why);
    Run::plain(words)
}

pub fn tee(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let appends = scan.options.iter().any(|option| matches!(option.as_str(), "-a" | "--append"));
    let files: Vec<&&Word> =
        scan.operands.iter().filter(|word| !matches!(word.text.as_str(), "/dev/null" | "/dev/stderr" | "/dev/stdout")).collect();
    files.iter().for_each(|word| judge.change(word));
    let (level, why) = match (files.is_empty(), appends) {
        (true, _) => (Low, "passes text on"),
        (false, true) => (Medium, "writes at the end of files"),
        (false, false) => (High, "overwrites files"),
    };
    judge.note(&said(words), level, why);
    Run::plain(words)
}

pub fn getent(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let secret = scan.operands.first().is_some_and(|word| matches!(word.text.as_str(), "shadow" | "gshadow"));
    if secret {
        judge.note(&said(words), High, "shows passwords");
        judge.refuse_to_run(&said(words), "it may show a secret, and what is shown is kept and told");
    }
    judge.note(&said(words), program.level, program.why);
    Run::plain(words)
}

pub fn sysctl(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    if scan.operands.iter().any(|word| word.text.contains('=')) {
        judge.note(&said(words), High, "changes the kernel's settings");
    }
    judge.note(&said(words), program.level, program.why);
    Run::plain(words)
}

/// `date +%s` shows, `date 0101…` sets.
pub fn date(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    if scan.operands.iter().any(|word| !word.text.starts_with('+')) {
        judge.note(&said(words), Critical, "sets the clock");
    }
    judge.note(&said(words), program.level, program.why);
    Run::plain(words)
}

/// nft puts its words together and reads them again, signs and all: `list tables ';' flush ruleset` does both.
pub fn tables(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let plain = |word: &Word| word.text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '=' | '/'));
    for word in words[1..].iter().filter(|word| !(word.is_literal() && plain(word))) {
        judge.note(&word.raw, Critical, "may begin another command, which may change the firewall");
    }
    by_table(judge, &mut vec![program], words, words)
}

/// rpm runs the scripts of a package to verify it, unless it is told not to.
pub fn rpm(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let scripts = !scan.has(&["--noscripts", "--noscript"]);
    if scripts && scan.has(&["-V", "--verify"]) {
        judge.note(&said(words), Medium, "runs what packages say to verify themselves: expected --noscripts");
    }
    by_table(judge, &mut vec![program], words, words)
}

/// `tree -Lo 2 FILE`: each letter of a cluster takes its value from the words that follow.
pub fn tree(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let cluster = |word: &&Word| word.text.len() > 2 && word.text.starts_with('-') && !word.text.starts_with("--");
    for word in words[1..].iter().filter(cluster).filter(|word| word.text.contains(['o', 'L', 'P', 'I', 'H', 'T'])) {
        // `-L2` is a number.
        if word.text.strip_prefix("-L").is_none_or(|rest| !rest.bytes().all(|c| c.is_ascii_digit())) {
            judge.note(&word.raw, High, "may write its output into a file");
        }
    }
    by_table(judge, &mut vec![program], words, words)
}

/// A configuration can load programs: only the machine's own is tried.
pub fn haproxy(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let own = |word: &Word| word.is_literal() && word.text.starts_with("/etc/haproxy") && !climbs(&word.text);
    for word in scan.given(&["-f"]).chain(scan.operands.iter().copied()).filter(|word| !own(word)) {
        judge.note(&word.raw, Medium, "is a configuration of somebody's, which can load programs");
    }
    by_table(judge, &mut vec![program], words, words)
}

/// `tune2fs -l DISK` alone reads.
pub fn superblock(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let lists = matches!(texts(words).as_slice(), ["-l", disk] if disk.starts_with("/dev/"));
    noted(judge, words, if lists { Low } else { program.level }, if lists { "shows a file system's figures" } else { program.why })
}

/// `exportfs -v` alone shows.
pub fn exports(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let lists = matches!(texts(words).as_slice(), [] | ["-v" | "-s"]);
    noted(judge, words, if lists { Low } else { program.level }, if lists { "shows what is exported" } else { program.why })
}

/// `who am i`
pub fn who(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    match texts(words).as_slice() {
        ["am", "i" | "I"] => noted(judge, words, program.level, program.why),
        _ => by_table(judge, &mut vec![program], words, words),
    }
}

/// Programs that take several commands in one line: each of them has to be one of those that read.
pub fn each(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    for word in scan.operands.iter().filter(|word| !(word.is_literal() && program.is_called(&word.text))) {
        judge.note(&word.raw, Critical, "is another command of the same line, which may do anything");
    }
    judge.note(&said(words), program.level, program.why);
    Run::plain(words)
}

/// One word that lists, alone or with plain options.
pub fn list_only(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let lists = texts(words).iter().any(|text| matches!(*text, "list" | "history" | "topology" | "show" | "cluster" | "state"))
        && words.iter().all(Word::is_literal);
    let ends = texts(words).iter().any(|text| {
        matches!(
            *text,
            "failover"
                | "switchover"
                | "promote"
                | "stop"
                | "restart"
                | "remove"
                | "reinit"
                | "pause"
                | "edit-config"
                | "register"
                | "unregister"
                | "standby"
                | "primary"
                | "node"
        )
    });
    let (level, why) = if lists && !ends { (Low, "shows how it is") } else { (program.level, program.why) };
    noted(judge, words, level, why)
}

pub fn crontab(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let lists = matches!(texts(words).as_slice(), ["-l"] | ["-l", "-u", _] | ["-u", _, "-l"]) && words[0].text == "crontab";
    noted(judge, words, if lists { Low } else { High }, if lists { "lists what is run when" } else { program.why })
}

pub fn packages(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let texts = texts(words);
    let mut plain = texts
        .iter()
        .filter(|text| !matches!(**text, "-a" | "-q" | "-l" | "--installed" | "--upgradable" | "--all-versions" | "-i" | "-s" | "-v"));
    let reads = match (words[0].text.as_str(), plain.next().copied().unwrap_or_default()) {
        ("apt", "list" | "show" | "search" | "policy" | "depends" | "rdepends") => true,
        ("yum" | "dnf" | "microdnf", "list" | "info" | "repolist" | "provides" | "search" | "check-update") => true,
        ("yum" | "dnf" | "microdnf", "history") => {
            matches!(texts.as_slice(), ["history"] | ["history", "list" | "info"] | ["history", "list" | "info", _])
        }
        ("zypper", "se" | "search" | "info" | "lu" | "list-updates" | "repos") => true,
        ("apk", "info" | "list" | "policy" | "version")
        | ("snap" | "flatpak", "list" | "changes")
        | ("brew", "list" | "info" | "outdated") => true,
        _ => false,
    };
    let options = plain.any(|text| text.starts_with('-'));
    noted(judge, words, if reads && !options { Low } else { High }, if reads { "shows software" } else { program.why })
}

pub fn language_packages(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let reads = match texts(words).as_slice() {
        ["--version" | "-V" | "version"] => true,
        ["list" | "freeze" | "check" | "show" | "info" | "outdated", rest @ ..] => {
            words[0].text.starts_with("pip")
                && rest.iter().all(|text| !text.starts_with('-') || matches!(*text, "--outdated" | "-v" | "--format=json"))
        }
        ["ls", rest @ ..] if words[0].text == "npm" => rest.iter().all(|text| matches!(*text, "-g" | "--depth=0" | "--all" | "--json")),
        _ => false,
    };
    noted(judge, words, if reads { Low } else { High }, if reads { "shows software" } else { program.why })
}

pub fn perf(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let version = matches!(texts(words).as_slice(), ["--version" | "-v" | "-V" | "version"]);
    if !version {
        judge.any_tail(words);
    }
    noted(judge, words, if version { Low } else { High }, program.why)
}

pub fn cloud(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let version = matches!(texts(words).as_slice(), ["--version" | "version" | "-v"]);
    let destroys = texts(words).iter().any(|text| {
        matches!(*text, "destroy" | "delete" | "rm" | "rb" | "remove" | "terminate" | "purge" | "nuke")
            || text.starts_with("delete-")
            || text.starts_with("terminate-")
            || text.starts_with("remove-")
    });
    let (level, why) = match (version, destroys) {
        (true, _) => (Low, "tells its version"),
        (false, true) => (Critical, "removes machines or data elsewhere"),
        (false, false) => (High, program.why),
    };
    words[1..].iter().filter(|word| word.text.contains(' ')).for_each(|word| judge.hidden_in(&word.text));
    noted(judge, words, level, why)
}

pub fn busctl(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let reads = words[0].text == "busctl"
        && matches!(texts(words).as_slice(), [] | ["list" | "status" | "tree"] | ["status" | "tree", _] | ["introspect", _, _]);
    if !reads {
        judge.any_tail(words);
    }
    noted(judge, words, if reads { Low } else { High }, program.why)
}

pub fn security_status(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let reads = match texts(words).as_slice() {
        ["status"] | ["status", "verbose" | "numbered"] => matches!(words[0].text.as_str(), "ufw" | "fail2ban-client"),
        ["status", jail] => words[0].text == "fail2ban-client" && !jail.starts_with('-'),
        flags => {
            words[0].text == "firewall-cmd"
                && !flags.is_empty()
                && flags.iter().all(|flag| {
                    flag.starts_with("--list-")
                        || flag.starts_with("--get-")
                        || matches!(*flag, "--state" | "--permanent")
                        || flag.starts_with("--zone=")
                })
        }
    };
    let (level, why) = if reads { (Low, "shows the firewall") } else { (program.level, program.why) };
    noted(judge, words, level, why)
}

pub fn service(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    let reads = matches!(texts(words).as_slice(), ["--status-all"] | [_, "status"])
        && words.iter().all(Word::is_literal)
        && !words[1].text.contains('/');
    let stops = texts(words).iter().any(|text| text.starts_with('-') && *text != "--status-all");
    let (level, why) = match (reads, stops) {
        // One unit with the end of its log.
        (true, _) if words.len() == 3 => (Low, "shows how a service is"),
        (true, _) => (Safe, "shows how services are"),
        (false, _) => (High, "changes what runs"),
    };
    if words.iter().any(|word| word.kind == Kind::Pattern) {
        judge.note(&said(words), High, "changes what runs");
    }
    noted(judge, words, level, why)
}

/// `fdisk -l` alone reads; whatever else is on the line may write.
pub fn partitions(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let lists = match texts(words).split_first() {
        Some((&("-l" | "--list"), disks)) => disks.iter().all(|disk| disk.starts_with("/dev/")),
        _ => false,
    };
    noted(judge, words, if lists { Low } else { program.level }, if lists { "lists partitions" } else { program.why })
}

/// `chage -l ana`
pub fn ageing(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let lists = matches!(texts(words).as_slice(), ["-l" | "--list", user] if !user.starts_with('-'));
    noted(judge, words, if lists { Low } else { program.level }, if lists { "shows when a password ends" } else { program.why })
}
