//! git: what only reads, and the many ways in which it starts other programs.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low, program, safe};
use super::super::syntax::Word;
use super::by_table;
use crate::domain::DangerLevel::{self, Critical, High, Medium};

const SHOW: &str = "-# -n= -p -u -s -z -w -b -c -g -i -E -F -P -R -S= -G= -L= -U= -M? -C? -D -O= -l= -q -v -a -t -r -m -1 --oneline --graph --decorate? --no-decorate --all --stat? --shortstat --numstat \
     --dirstat? --summary --name-only --name-status --patch --no-patch --raw --unified= --since= --until= --after= --before= --author= --committer= --grep= --invert-grep \
     --max-count= --skip= --merges --no-merges --first-parent --reverse --date= --date-order --topo-order --author-date-order --pretty? --format= --abbrev-commit --abbrev? \
     --no-abbrev-commit --follow --branches? --tags? --remotes? --color? --no-color --left-right --cherry-pick --cherry-mark --cherry --relative-date --parents --children \
     --simplify-merges --full-history --diff-filter= --no-renames --find-renames? --find-copies? --word-diff? --color-words? --minimal --patience --histogram --cached --staged \
     --merge-base --exit-code --quiet --check --no-prefix --relative? --no-textconv --no-ext-diff --full-index --binary --ignore-space-change --ignore-all-space \
     --ignore-blank-lines --function-context --inter-hunk-context= --text --walk-reflogs --source --use-mailmap --mailmap --no-walk --do-walk --show-pulls --dense --sparse \
     --boundary --count --not --exclude= --glob= --no-notes --notes? --show-notes? --stdin --encoding= --expand-tabs? --diff-merges= --cc --pickaxe-regex --pickaxe-all --compact-summary";
const RUNS: &[(&str, DangerLevel, &str)] = &[
    ("--ext-diff --textconv", High, "runs programs that the repository names"),
    ("--output=", High, "writes its result into a file"),
    ("--show-signature", Medium, "runs another program"),
    ("--no-index", Medium, "compares files that are in no repository"),
];

pub const TABLE: &[Program] = &[low("git", "-C= -P --no-pager --bare --no-replace-objects --literal-pathspecs --no-optional-locks --icase-pathspecs --version --html-path --man-path --info-path")
    .raised(&[
        ("-c= --config-env=", High, "a setting can name a program to run"),
        ("--exec-path? --git-dir= --work-tree= --namespace= --super-prefix=", High, "takes programs and settings from elsewhere"),
        ("-p --paginate --help", Medium, "starts a pager"),
    ])
    .with(&[
        low("log show diff whatchanged shortlog reflog range-diff", SHOW).raised(RUNS).judged(reads),
        low("diff-tree diff-index diff-files rev-list cherry format-patch-id", SHOW).raised(RUNS),
        safe("status", "-sbvz -u? --short --branch --porcelain? --long --verbose --untracked-files? --ignored? --ignore-submodules? --ahead-behind --no-ahead-behind --renames --no-renames --column? --show-stash"),
        safe("describe", "--all --tags --contains --abbrev= --candidates= --exact-match --debug --long --match= --exclude= --always --first-parent --dirty? --broken?"),
        safe("rev-parse", "-q --verify --short? --abbrev-ref? --symbolic --symbolic-full-name --show-toplevel --git-dir --is-inside-work-tree --is-bare-repository --show-prefix --all --branches? --tags? --quiet --absolute-git-dir"),
        low("blame annotate", "-bcefklnpstw -M? -C? -L= -S= --root --show-stats --porcelain --line-porcelain --incremental --encoding= --date= --abbrev= --show-email --since="),
        low("grep", "-aEFGhHIilLnopPqrvwWcz -A= -B= -C= -e= -m= --and --or --not --all-match --break --heading --cached --untracked --count --ignore-case --word-regexp --line-number --name-only --files-with-matches --max-depth= --threads= --column --fixed-strings --extended-regexp --perl-regexp --context= --after-context= --before-context= --show-function --function-context --color? --recurse-submodules --text --invert-match --quiet")
            .raised(&[("-O? --open-files-in-pager?", High, "runs another program"), ("-f=", Medium, "reads another file"), ("--no-index --textconv", Medium, "reads files that are in no repository")]),
        safe("ls-files ls-tree", "-cdmorstuvkzlfi -x= --cached --deleted --modified --others --ignored --stage --unmerged --exclude= --exclude-standard --full-name --error-unmatch --name-only --name-status --long --full-tree --abbrev? --format= -r -d"),
        low("cat-file show-ref name-rev merge-base for-each-ref count-objects verify-commit check-ignore check-attr var version", "-tpesvH -a --heads --tags --verify --hash? --abbrev? --quiet --dereference --sort= --format= --count= --contains? --merged? --no-merged? --points-at= --all --octopus --is-ancestor --fork-point --verbose --name-only --refs= --always --human-readable")
            .raised(&[("--textconv --filters", High, "runs programs that the repository names"), ("--shell --perl --python --tcl", Medium, "unusual")]),
        low("branch", "-avrql -i --all --remotes --verbose --list --contains? --no-contains? --merged? --no-merged? --sort= --points-at= --format= --show-current --column? --color? --abbrev= --ignore-case --quiet")
            .raised(&[("-d -D -m -M -c -C -f -u= -t? --delete --move --copy --force --set-upstream-to= --unset-upstream --track? --edit-description --create-reflog", High, "changes branches")])
            .judged(branch),
        low("tag", "-l -n? -i --list --contains? --no-contains? --merged? --no-merged? --sort= --points-at= --format= --column? --color? --ignore-case")
            .raised(&[("-d -a -s -f -m= -F= -u= --delete --annotate --sign --force --message= --file= --local-user= -v --verify", High, "changes tags, or runs another program")])
            .judged(branch),
        low("remote", "-v --verbose").with(&[low("get-url", "--all --push"), program("show", Medium, "goes to another machine", "-n"), program("add rename remove rm set-head set-branches set-url prune update", High, "changes where it gets its history from", "")]),
        low("stash", "").only_with(&[], High, "puts changes away").with(&[low("list show", SHOW).raised(RUNS), program("push save pop apply drop clear create store branch", High, "changes files", "")]),
        low("config", "-lz --list --show-origin --show-scope --local --global --system --worktree --name-only --null --includes --type= --bool --int --path")
            .raised(&[("-e --edit --add --unset --unset-all --replace-all --rename-section --remove-section -f= --file= --blob=", High, "changes settings, or reads them elsewhere"), ("--get= --get-all= --get-regexp=", DangerLevel::Low, "reads a setting")])
            .at_most(0, Medium, "may change a setting")
            .with(&[low("get list", "--all --regexp --show-origin --show-scope --global --local --system --name-only --default=")]),
        low("worktree submodule bisect notes lfs", "").with(&[low("list status summary log view ls-files env", "-v --porcelain --recursive")]),
        low("ls-remote", "-hqtbo --heads --tags --refs --quiet --exit-code --get-url --symref --sort=").raised(&[("--upload-pack= -o= --server-option=", High, "names a program to run")]).judged(ls_remote),
        program("push", High, "changes another repository", "").judged(push),
        program("filter-branch filter-repo gc prune repack reflog-expire update-ref replace fast-import", Critical, "removes history", ""),
        program("clone fetch pull", High, "fetches from elsewhere and starts programs", ""),
        program("checkout switch restore reset revert clean rm mv add commit merge rebase cherry-pick am apply init archive bundle difftool mergetool instaweb gui gitk citool daemon send-email request-pull p4 svn hook maintenance", High, "changes files, or starts other programs", ""),
    ])
    .judged(judge)];

/// Subcommands that show differences by whatever program the repository names, unless they are told not to.
const BY_PROGRAMS: [&str; 7] = ["log", "show", "diff", "whatchanged", "diff-tree", "diff-index", "diff-files"];

pub fn judge(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    let mut run = by_table(judge, &mut vec![program], words, words);
    let scan = judge.scan(&[program], &words[1..], true);
    let Some(at) = scan.stopped.map(|at| at + 1) else { return run };
    // Files outside a repository are compared where `-C` leads.
    // One that begins with `/` forgets those before it.
    let folder = scan.given(&["-C"]).fold(Vec::new(), |mut folder, word| {
        if word.text.starts_with('/') {
            folder.clear();
        }
        folder.push(word.text.as_str());
        folder
    });
    for word in words[at + 1..].iter().filter(|word| !folder.is_empty() && !word.text.starts_with('-')) {
        let path = word.text.rsplit(':').next().unwrap_or_default();
        let below = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", folder.join("/")) };
        judge.read(&Word { text: below, ..word.clone() }, false);
    }
    if BY_PROGRAMS.contains(&words[at].text.as_str()) {
        let told = ["--no-ext-diff", "--no-textconv"].map(Word::literal);
        run.words.splice(at + 1..at + 1, told);
    }
    run
}

/// Around git, a program that starts others lets git do so too, and a repository names many.
pub fn unbounded(judge: &mut Judge, name: &Word) {
    if name.text.rsplit('/').next() == Some("git") {
        judge.note(&name.raw, Medium, "may start what the repository names, since what is around it starts programs");
    }
}

/// `reflog expire` and `delete` forget history; everything else here reads.
fn reads(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let forgets = words.first().is_some_and(|word| word.text == "reflog")
        && scan.operands.first().is_some_and(|word| !matches!(word.text.as_str(), "show" | "exists" | "list" | "HEAD"));
    let (level, why) = if forgets { (High, "may remove history") } else { (program.level, program.why) };
    // Outside a repository `git diff` compares any two files; `rev:path` shows a file of the past.
    for word in &scan.operands {
        let path = word.text.rsplit(':').next().unwrap_or_default();
        judge.read(&Word { text: path.to_owned(), ..(*word).clone() }, path.starts_with('/'));
    }
    judge.note(&said(words), level, why);
    Run::plain(words)
}

/// A name alone makes a branch or a tag.
fn branch(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let lists = ["-l", "--list", "-a", "-r", "-v", "--contains", "--merged", "--no-merged", "--points-at", "--show-current", "-n"];
    let asked = scan.operands.is_empty() || scan.options.iter().any(|option| lists.contains(&option.as_str()));
    let (level, why) = if asked { (program.level, program.why) } else { (High, "makes or moves a branch or tag") };
    judge.note(&said(words), level, why);
    Run::plain(words)
}

/// `ext::` runs its address as a command.
fn ls_remote(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[program], &words[1..], false);
    let named = |word: &&Word| word.text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    let (level, why) = if scan.operands.iter().all(named) {
        (Medium, "goes to another machine")
    } else {
        (High, "goes to an address that may start a program")
    };
    judge.note(&said(words), level, why);
    Run::plain(words)
}

fn push(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    let forced = words[1..].iter().any(|word| {
        let text = word.text.as_str();
        let short = text.starts_with('-') && !text.starts_with("--") && text.contains(['f', 'd']);
        short
            || text.starts_with('+')
            || text.starts_with(':')
            || ["--f", "--de", "--mi", "--pr"].iter().any(|long| text.starts_with(long))
            || word.unknown().is_some()
    });
    let (level, why) = if forced { (Critical, "overwrites or removes history elsewhere") } else { (High, "changes another repository") };
    judge.note(&said(words), level, why);
    Run::plain(words)
}
