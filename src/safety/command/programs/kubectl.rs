//! kubectl: what only reads, and which kinds of object hold secrets.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low, program, safe};
use super::super::syntax::Word;
use crate::domain::DangerLevel::{self, Critical, High, Medium};

pub const GLOBAL: &str = "-n= -v= -s= --namespace= --context= --cluster= --user= --request-timeout= --warnings-as-errors --v= --cache-dir= --match-server-version \
     --profile= --tls-server-name= --log-flush-frequency= --disable-compression";
pub const GLOBAL_RAISED: &[(&str, DangerLevel, &str)] = &[
    (
        "--kubeconfig= --token= --username= --password= --client-key= --client-certificate= --certificate-authority=",
        High,
        "takes credentials, and programs to run, from elsewhere",
    ),
    ("-s= --server= --as= --as-group= --as-uid=", Medium, "goes to another server, or as somebody else"),
    ("--profile= --profile-output= --cache-dir=", Medium, "writes files"),
    ("--insecure-skip-tls-verify?", Medium, "trusts whoever answers"),
];

const GET: &str = "-Aaow -l= -o= -L= -f? --all-namespaces --selector= --output= --watch --watch-only --show-labels --show-kind --no-headers --sort-by= --field-selector= \
     --ignore-not-found? --label-columns= --chunk-size= --template= --output-watch-events --server-print? --subresource= --allow-missing-template-keys? --show-managed-fields";

pub const SUBS: &[Program] = &[
    low("get", GET).raised(&[("-f= --filename= -k= --kustomize= -R --recursive --raw=", Medium, "reads another file, or any address of the server")]).judged(objects),
    low("describe", "-A -l= --all-namespaces --selector= --show-events? --chunk-size=").raised(&[("-f= --filename= -k= --kustomize= -R --recursive", Medium, "reads another file")]).judged(objects),
    low("logs log", "-fp -c= -l= --all-containers? --container= --follow --previous --since= --since-time= --tail= --timestamps --prefix --selector= --limit-bytes= --max-log-requests= --ignore-errors --all-pods? --pod-running-timeout=")
        .raised(&[("--insecure-skip-tls-verify-backend", Medium, "trusts whoever answers")]),
    safe("top", "-A -l= --all-namespaces --selector= --containers --sort-by= --no-headers --use-protocol-buffers? --sum --field-selector=").with(&[
        safe("pod pods po node nodes no", "-A -l= --all-namespaces --selector= --containers --sort-by= --no-headers --sum --field-selector= --show-capacity"),
    ]),
    safe("version cluster-info api-resources api-versions options", "-o= --client? --output= --short? --namespaced? --verbs= --api-group= --no-headers --cached --sort-by=").with(&[program("dump", High, "shows everything, secrets included", "")]),
    low("explain", "-o= --recursive? --api-version= --output="),
    low("events", "-Aw -o= --all-namespaces --for= --output= --types= --watch --no-headers"),
    safe("rollout", "").with(&[
        low("status history", "-w -o= -l= --watch? --revision= --timeout= --output= --selector="),
        program("restart undo pause resume", High, "changes what runs", ""),
    ]),
    safe("auth", "").with(&[low("can-i whoami", "-Aq -o= --all-namespaces --list --quiet --output= --subresource= --no-headers"), program("reconcile", Critical, "changes who may do what", "")]),
    safe("config", "").with(&[
        safe("current-context get-contexts get-clusters get-users", "-o= --output= --no-headers"),
        program("view", Medium, "shows the configuration", "-o= --output= --minify --flatten").raised(&[("--raw --flatten", High, "shows keys and passwords")]),
        program("use-context use set set-context set-cluster set-credentials delete-context delete-cluster delete-user rename-context unset", High, "changes which cluster is meant", ""),
    ]),
    low("diff wait", "--for= --timeout= -l= --selector= --all -A").raised(&[("-f= --filename= -k= -R", Medium, "reads another file, and starts a program to compare")]),
    program("exec", High, "runs a program inside a container", "").judged(super::wrappers::in_container),
    program("delete", High, "removes objects", "").judged(delete),
    program("drain cordon uncordon taint", High, "changes which machines take work", ""),
    program("port-forward proxy attach cp debug", High, "opens a way into a container", ""),
    program("apply create edit patch replace set scale autoscale label annotate expose run certificate kustomize plugin convert", High, "changes what runs", ""),
];

/// A format that is read from a file shows that file.
pub fn judge(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    for word in words.iter().filter(|word| word.text.contains("-file") || word.text.contains("templatefile")) {
        judge.note(&word.raw, High, "reads a file and shows it");
    }
    super::by_table(judge, &mut vec![&TABLE], words, words)
}

static TABLE: Program = low("kubectl", GLOBAL).raised(GLOBAL_RAISED).with(SUBS);

/// Objects that hold secrets, by any of their names.
fn objects(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let kept = without_health(&words[1..]);
    let scan = judge.scan(&[program, &KUBECTL], &kept, false);
    let text = said(words);
    let secret = scan.operands.iter().any(|word| {
        word.text.split(',').any(|part| {
            let kind = part.split('/').next().unwrap_or_default().to_lowercase();
            let kind = kind.split('.').next().unwrap_or_default();
            matches!(kind, "secret" | "secrets") || kind.contains("secret")
        })
    });
    if secret && program.is_called("get") {
        judge.note(&text, High, "shows secrets");
        judge.refuse_to_run(&text, "it may show a secret, and what is shown is kept and told");
    }
    let configured = scan.operands.iter().any(|word| matches!(word.text.split('/').next(), Some("configmap" | "configmaps" | "cm")));
    let whole = scan.options.iter().any(|option| matches!(option.as_str(), "-o" | "--output" | "--template"));
    judge.note(&text, if configured && (whole || program.is_called("describe")) { Medium } else { program.level }, program.why);
    Run::plain(words)
}

/// `--raw /readyz`: what the server is asked all the time.
fn without_health(words: &[Word]) -> Vec<Word> {
    let asked = |word: &Word| word.is_literal() && matches!(word.text.as_str(), "/readyz" | "/livez" | "/healthz" | "/version");
    let mut kept = Vec::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        match word.text.as_str() {
            "--" => {
                kept.push(word.clone());
                kept.extend(rest.by_ref().cloned());
            }
            "--raw" if rest.peek().is_some_and(|next| asked(next)) => {
                rest.next();
            }
            _ => kept.push(word.clone()),
        }
    }
    kept
}

const KUBECTL: Program = low("kubectl", GLOBAL).raised(GLOBAL_RAISED);

fn delete(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    let data = [
        "namespace",
        "namespaces",
        "ns",
        "pv",
        "pvc",
        "persistentvolume",
        "persistentvolumes",
        "persistentvolumeclaim",
        "persistentvolumeclaims",
        "crd",
        "crds",
        "customresourcedefinition",
        "node",
        "nodes",
        "no",
    ];
    let named = |word: &Word| data.iter().any(|kind| word.text.split([',', '/']).any(|part| part.eq_ignore_ascii_case(kind)));
    let all =
        words.iter().any(|word| word.text.starts_with("--all") || matches!(word.text.as_str(), "all" | "-A") || word.unknown().is_some());
    let (level, why) = match all || words[1..].iter().any(named) {
        true => (Critical, "removes data, or everything of a kind"),
        false => (High, "removes objects"),
    };
    judge.note(&said(words), level, why);
    Run::plain(words)
}
