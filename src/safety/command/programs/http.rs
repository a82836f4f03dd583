//! curl, wget and their like: asking this machine's own services reads. Going elsewhere, sending, writing and credentials are
//! somebody's to confirm.

use super::super::away;
use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low};
use super::super::syntax::Word;
use crate::domain::DangerLevel::{self, High, Low, Medium};

const CURL: Program = low(
    "curl",
    "-sSfvikIgNjq046123 -m= -w= -A= -e= -r= -y= -Y= --silent --show-error --fail --fail-with-body --fail-early --verbose --include --insecure --head --globoff --no-buffer --max-time= --connect-timeout= \
     --write-out= --user-agent= --referer= --range= --http1.0 --http1.1 --http2 --http2-prior-knowledge --http3 --compressed --retry= --retry-delay= --retry-max-time= --retry-connrefused --retry-all-errors \
     --ipv4 --ipv6 --tlsv1.2 --tlsv1.3 --tlsv1 --tls-max= --no-keepalive --no-progress-meter --progress-bar -# --raw --path-as-is --max-redirs= --limit-rate= --speed-time= --speed-limit= --disable \
     --keepalive-time= --no-alpn --trace-time --max-filesize= --get -G --no-sessionid --expect100-timeout= --local-port= --tcp-nodelay --ssl-reqd --styled-output --json-output",
)
.raised(&[
    ("-o= --output=", High, "writes a file"),
    ("-O -J -R --remote-name --remote-header-name --remote-name-all --create-dirs --output-dir= --remote-time -D= --dump-header= -c= --cookie-jar= --trace= --trace-ascii= --stderr= --hsts= --alt-svc= --libcurl= --etag-save=", High, "writes a file"),
    ("-d= --data= --data-raw= --data-binary= --data-ascii= --data-urlencode= --json= -F= --form= --form-string= -T= --upload-file= --mail-from= -Q= --quote= --url-query=", High, "sends something"),
    ("-X= --request=", High, "asks for a change"),
    ("-L --location", Medium, "follows wherever it is sent, to other machines too"),
    ("-H= --header= --proxy-header=", Medium, "sends a header that may ask for something else, or of another machine"),
    ("--interface= --url=", Medium, "names an address in an unusual way"),
    ("-u= --user= -n --netrc --netrc-file= --netrc-optional --oauth2-bearer= -E= --cert= --key= --pass= --negotiate --ntlm --digest --basic --anyauth -b= --cookie= --aws-sigv4= --delegation= -U= --proxy-user=", Medium, "uses credentials"),
    ("--resolve= -x= --proxy= --preproxy= --socks4= --socks5= --socks5-hostname= --socks4a= --unix-socket= --abstract-unix-socket= --connect-to= --dns-servers= --doh-url= --noproxy= --haproxy-protocol", High, "goes another way than its address says"),
    ("-K= --config= --cacert= --capath= --engine= --egd-file= --random-file= -C= --continue-at= --crlfile= --proto= --proto-default= --proto-redir= --ftp-port= -P= --krb= -t= --telnet-option=", High, "reads its orders from elsewhere, or speaks something else than HTTP"),
    ("-Z --parallel --next -: --location-trusted", Medium, "asks more than one"),
]);

const WGET: Program = low(
    "wget",
    "-qSvdc46 -T= -t= -U= -w= --quiet --spider --server-response --timeout= --tries= --no-check-certificate --no-verbose -nv --max-redirect= --user-agent= --dns-timeout= --connect-timeout= --read-timeout= \
     --no-proxy --no-cache --content-on-error --inet4-only --inet6-only --no-hsts --retry-connrefused --show-progress --progress= --save-headers -O= --output-document=",
)
.raised(&[
    ("-P= --directory-prefix= -o= --output-file= -a= --append-output= --save-cookies= -r --recursive -m --mirror -p --page-requisites -k -K -N -x -b --background --warc-file= --hsts-file= --rejected-log=", High, "writes files"),
    ("--post-data= --post-file= --body-data= --body-file= --method=", High, "sends something"),
    ("-i= --input-file= -B= -e= --execute= --config= --use-askpass= --load-cookies= --ca-certificate= --certificate= --private-key=", High, "reads its orders or keys from elsewhere"),
    ("--user= --password= --http-user= --http-password= --header= --ask-password --proxy-user= --proxy-password=", Medium, "uses credentials"),
]);

pub fn curl(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let mut kept = Vec::new();
    let mut at = 1;
    // What the table would call dangerous, and is not with this value.
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).filter(|next| next.is_literal()).map(|next| next.text.as_str());
        let skipped = match (word.text.as_str(), next) {
            ("-o" | "--output", Some("/dev/null" | "-" | "/dev/stdout")) => 2,
            ("-o/dev/null" | "-o-" | "--output=/dev/null", _) => 1,
            ("-X" | "--request", Some("GET" | "HEAD" | "OPTIONS")) => 2,
            ("-H" | "--header", Some(header)) if is_harmless(header) => 2,
            ("-XGET" | "-XHEAD" | "-XOPTIONS" | "--request=GET" | "--request=HEAD", _) => 1,
            _ => 0,
        };
        if skipped == 0 {
            kept.push(word.clone());
        }
        at += skipped.max(1);
    }
    // A cluster that ends in `o` takes the next word: `-so /dev/null`.
    let harmless_sink = |pair: &[Word]| is_cluster_with(&pair[0], 'o') && pair[1].is_literal() && pair[1].text == "/dev/null";
    if let Some(found) = kept.windows(2).position(harmless_sink) {
        kept[found].text.pop();
        kept.remove(found + 1);
    }
    from_files(judge, &kept);
    let scan = judge.scan(&[&CURL], &kept, false);
    // A format is read from a file, and shown.
    for word in scan.given(&["-w", "--write-out"]).filter(|word| word.text.starts_with('@')) {
        judge.note(&word.raw, High, "reads a file and shows it");
    }
    let urls = scan.operands.clone();
    addresses(judge, words, &urls);
    valued_urls(judge, &kept);
    judge.note(&said(words), program.level, "asks over HTTP");
    Run::plain(words)
}

/// Says what kind of answer is wanted. Others may name another machine to a proxy here (`Host`), or another method than GET.
fn is_harmless(header: &str) -> bool {
    let name = header.split_once(':').map(|(name, _)| name.to_lowercase());
    name.is_some_and(|name| matches!(name.as_str(), "accept" | "accept-encoding" | "accept-language" | "cache-control"))
}

fn is_cluster_with(word: &Word, last: char) -> bool {
    let text = &word.text;
    word.is_literal()
        && text.starts_with('-')
        && !text.starts_with("--")
        && text.len() > 2
        && text.ends_with(last)
        && text[1..].chars().all(|c| "sSfvikILgNo".contains(c))
}

/// `-w @file`, `-H @file` read a file.
fn from_files(judge: &mut Judge, words: &[Word]) {
    for word in words.iter().filter(|word| word.text.contains("%output{")) {
        judge.note(&word.raw, High, "writes a file");
    }
    for word in words.iter().filter(|word| word.text.contains('@')) {
        let value = word.text.trim_start_matches("-w").trim_start_matches("-H").split('=').next_back().unwrap_or_default();
        if word.text.starts_with('@') || value.starts_with('@') {
            judge.note(&word.raw, High, "reads a file and may send it");
        }
    }
}

fn valued_urls(judge: &mut Judge, words: &[Word]) {
    for (at, word) in words.iter().enumerate() {
        let url = match word.text.strip_prefix("--url") {
            Some("") => words.get(at + 1),
            Some(_) => Some(word),
            None => None,
        };
        if let Some(url) = url {
            let plain = Word { text: url.text.trim_start_matches("--url=").to_owned(), ..url.clone() };
            judge.note(&url.raw, level(&plain).0, level(&plain).1);
        }
    }
}

pub fn wget(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    let scan = judge.scan(&[&WGET], &words[1..], false);
    let sinks = || scan.given(&["-O", "--output-document"]);
    let shows = sinks().next().is_some() || scan.has(&["--spider"]);
    if !shows || sinks().any(|word| !matches!(word.text.as_str(), "-" | "/dev/null")) {
        judge.note(&said(words), High, "writes a file");
    }
    // Of several the last one counts.
    let mut redirects = scan.given(&["--max-redirect"]).peekable();
    if redirects.peek().is_none() || !redirects.all(|word| word.text == "0") {
        judge.note(&said(words), Medium, "follows wherever it is sent, to other machines too: expected --max-redirect=0");
    }
    addresses(judge, words, &scan.operands);
    judge.note(&said(words), program.level, "asks over HTTP");
    Run::plain(words)
}

pub fn other(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    judge.note(&said(words), Medium, "asks over HTTP, in ways that are not read here");
    Run::plain(words)
}

fn addresses(judge: &mut Judge, words: &[Word], urls: &[&Word]) {
    if urls.is_empty() && !words.iter().any(|word| word.text.starts_with("--url") || word.text.starts_with("--ver") || word.text == "-V") {
        judge.note(&said(words), Medium, "no address is named");
    }
    for url in urls {
        let (level, why) = level(url);
        judge.note(&url.raw, level, why);
    }
}

/// This machine, elsewhere, or where a cloud keeps its keys.
fn level(url: &Word) -> (DangerLevel, &'static str) {
    let text = url.text.to_ascii_lowercase();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if rest.is_none() && text.contains("://") {
        return (High, "speaks something else than HTTP");
    }
    let authority = rest.unwrap_or(&text).split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || authority.contains(['{', '*', '\\', '%']) {
        return (High, "an address that is not what it looks like");
    }
    match away::host(authority) {
        "169.254.169.254" | "metadata.google.internal" | "metadata" | "fd00:ec2::254" | "100.100.100.200" | "169.254.170.2" => {
            (High, "asks where a cloud keeps its keys")
        }
        _ if !away::here(authority) => (Medium, "asks another machine"),
        // The text as it was written: paths have capitals.
        _ if is_looked_at(&url.text[url.text.len() - rest.unwrap_or(&text).len() + authority.len()..]) => (Low, "asks this machine"),
        _ => (Medium, "asks this machine for an address that may do something: a GET too can change things"),
    }
}

/// What a service of this machine is asked for without a human: paths, what may stand in their query, why.
/// Everything else is confirmed, since there are services that shut down, delete or show their secrets at a GET.
const LOOKED_AT: [(&[&str], &[&str], &str); 11] = [
    (&["", "/"], &[], "the front page, which every visitor asks for"),
    (
        &[
            "/health",
            "/healthz",
            "/healthcheck",
            "/health/live",
            "/health/ready",
            "/livez",
            "/readyz",
            "/ready",
            "/live",
            "/ping",
            "/-/healthy",
            "/-/ready",
            "/actuator/health",
        ],
        &[],
        "says whether it is well, and is asked all the time",
    ),
    (&["/metrics", "/actuator/prometheus", "/debug/vars"], &[], "figures, which are fetched all the time"),
    (
        &["/version", "/info", "/status", "/server-status", "/nginx_status", "/stub_status"],
        &["auto"],
        "says what it is and what it is doing",
    ),
    (
        &["/api/v1/query", "/api/v1/query_range", "/api/v1/query_exemplars"],
        &["query", "time", "start", "end", "step", "timeout"],
        "Prometheus works out what is asked, and changes nothing",
    ),
    (
        &[
            "/api/v1/targets",
            "/api/v1/alerts",
            "/api/v1/rules",
            "/api/v1/status/buildinfo",
            "/api/v1/status/runtimeinfo",
            "/api/v1/status/tsdb",
        ],
        &["state", "type", "limit"],
        "Prometheus says what it watches and how it is",
    ),
    (
        &["/api/v2/silences", "/api/v2/alerts"],
        &["filter", "active", "silenced", "inhibited", "unprocessed", "receiver"],
        "the Alertmanager says what it was told",
    ),
    (
        &[
            "/_cluster/health",
            "/_cat/health",
            "/_cat/nodes",
            "/_cat/indices",
            "/_cat/shards",
            "/_cat/allocation",
            "/_cluster/allocation/explain",
        ],
        &["pretty", "v", "h", "s", "bytes", "format", "human"],
        "Elasticsearch says how it is",
    ),
    (&["/api/health"], &[], "Grafana says whether it is well"),
    (&["/v1/sys/health", "/v1/sys/seal-status"], &["standbyok", "perfstandbyok"], "Vault says whether it is well"),
    (&["/v1/status/leader", "/v1/status/peers"], &[], "Consul says who leads it"),
];

/// A path with its query, as it stands behind the authority.
fn is_looked_at(address: &str) -> bool {
    let address = address.split('#').next().unwrap_or_default();
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    let mut names = query.into_iter().flat_map(|query| query.split('&')).map(|pair| pair.split('=').next().unwrap_or_default());
    LOOKED_AT.iter().find(|(paths, ..)| paths.contains(&path)).is_some_and(|(_, asked, _)| names.all(|name| asked.contains(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_looked_at_only_in_its_exact_spelling() {
        for (paths, asked, why) in LOOKED_AT {
            assert!(!why.is_empty());
            for path in paths {
                assert!(is_looked_at(path) && is_looked_at(&format!("{path}#x")), "{path}");
                assert!(asked.iter().all(|name| is_looked_at(&format!("{path}?{name}=1"))), "{path}");
                for bad in [
                    format!("{path}?action=delete"),
                    format!("{path}/../shutdown"),
                    format!("{path}%2e"),
                    format!("{path};x"),
                    format!("{path}\\x"),
                ] {
                    assert!(!is_looked_at(&bad), "{bad}");
                }
            }
        }
        let level = |text: &str| level(&Word::literal(text)).0;
        for (text, expected) in [
            ("localhost", Low),
            ("HTTP://LocalHost:8080/health", Low),
            ("localhost:8080/HEALTH", Medium),
            ("localhost?x", Medium),
            ("localhost:x@evil.example/health", High),
            ("https://[::1]:8443/healthz", Low),
            ("http://127.0.0.1.evil.example/health", Medium),
            ("http://METADATA.google.internal/", High),
            ("http://[fd00:ec2::254]/", High),
        ] {
            assert_eq!(level(text), expected, "{text}");
        }
    }
}
