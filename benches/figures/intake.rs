//! Alerts taken a second beside the real Alertmanager: `wrk` posts the same alerts to both, each one another alert, in turns.
//! Paramedic answers once they are on the disk, Alertmanager once they are in its memory.

use super::median;
use super::server::{Ground, Server, service};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 5;
const SECONDS: u64 = 5;

struct Round {
    rate: f64,
    p99_ms: f64,
    refused: u64,
    /// Connections that broke, and requests that took longer than ten seconds.
    broken: String,
}

pub async fn run() {
    for each in [1, 64] {
        let (mut ours, mut theirs, mut ratios, mut waits, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let first = if round % 2 == 1 { Some(alertmanager(each).await) } else { None };
            let (our, kept, waiting) = paramedic(each).await;
            let their = match first {
                Some(their) => their,
                None => alertmanager(each).await,
            };
            waits.push(our.p99_ms / their.p99_ms);
            left.push(waiting as f64);
            for (who, round) in [("Paramedic", &our), ("Alertmanager", &their)] {
                if !round.broken.is_empty() {
                    println!("{who}: {}", round.broken);
                }
            }
            assert!(kept as f64 >= our.rate * SECONDS as f64 * 0.95, "{kept} alerts are on the disk, {} a second were accepted", our.rate);
            ratios.push(our.rate / their.rate);
            ours.push(our);
            theirs.push(their);
        }
        let of = |rounds: &[Round], value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        println!(
            "alerts taken a second, {each} a body, wrk -t2 -c32 | Paramedic, on the disk: {:.0} (p99 {:.1} ms, {} refused, {:.0} not yet raised at the end) | Alertmanager, in memory: {:.0} (p99 {:.1} ms, {} refused) | ratio {:.2}, of p99 {:.2}",
            of(&ours, |round| round.rate),
            of(&ours, |round| round.p99_ms),
            ours.iter().map(|round| round.refused).sum::<u64>(),
            median(left),
            of(&theirs, |round| round.rate),
            of(&theirs, |round| round.p99_ms),
            theirs.iter().map(|round| round.refused).sum::<u64>(),
            median(ratios),
            median(waits),
        );
    }
}

/// With the rows that are in the store afterwards, and how many of them no incident has yet.
async fn paramedic(each: usize) -> (Round, u64, u64) {
    let ground = Ground::new(&[service("api", None)]).await;
    let server = Server::start(&ground).await;
    let round = wrk(&ground, &server.webhook(), each, true);
    drop(server);
    let pool = sqlx::SqlitePool::connect(&ground.store_url()).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts").fetch_one(&pool).await.unwrap();
    let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts WHERE state = 'accepted'").fetch_one(&pool).await.unwrap();
    (round, kept as u64, waiting as u64)
}

async fn alertmanager(each: usize) -> Round {
    let ground = Ground::new(&[]).await;
    let config = ground.path("alertmanager.yml");
    std::fs::write(&config, "route: { receiver: nobody, group_by: [service] }\nreceivers: [{ name: nobody }]\n").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", ground.path("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--cluster.listen-address=", "--log.level=error"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("apt-get install prometheus-alertmanager");
    let _running = Ends(child);
    let base = format!("http://127.0.0.1:{port}");
    while !super::server::http().get(format!("{base}/-/ready")).send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wrk(&ground, &format!("{base}/api/v2/alerts"), each, false)
}

struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wrk(ground: &Ground, url: &str, each: usize, webhook: bool) -> Round {
    let script = ground.path("post.lua");
    std::fs::File::create(&script).unwrap().write_all(lua(each, webhook).as_bytes()).unwrap();
    let output = Command::new("wrk")
        .args(["-t2", "-c32", &format!("-d{SECONDS}s"), "--timeout", "10s", "--latency", "-s"])
        .arg(&script)
        .arg(url)
        .output()
        .expect("apt-get install wrk");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let word = |line: &str, at: usize| {
        let line = text.lines().map(str::trim).find(|known| known.starts_with(line));
        line.and_then(|line| line.split_whitespace().nth(at)).map(str::to_owned)
    };
    let refused = word("Non-2xx or 3xx responses:", 4).map_or(0, |count| count.parse().unwrap());
    let requests = word("Requests/sec:", 1).unwrap().parse::<f64>().unwrap() - refused as f64 / SECONDS as f64;
    let broken = text.lines().map(str::trim).find(|line| line.starts_with("Socket errors")).unwrap_or_default().to_owned();
    Round { rate: requests * each as f64, p99_ms: millis(&word("99%", 1).unwrap()), refused, broken }
}

fn millis(text: &str) -> f64 {
    let number = |unit: &str| text.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
    let of = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)].into_iter().find_map(|(unit, factor)| Some(number(unit)? * factor));
    of.unwrap_or_else(|| panic!("wrk says {text}"))
}

/// Every request has new alerts of one group: threads count up from places of their own.
fn lua(each: usize, webhook: bool) -> String {
    let alert = |more: &str| {
        format!(
            r#"'{{"labels":{{"alertname":"HighRequestLatency","service":"api","severity":"warning","instance":"web-' .. n .. ':9100"}},"annotations":{{"summary":"p99 of api on web-' .. n .. ' is 2.3 s"}},"startsAt":"2026-11-01T00:00:00Z","generatorURL":"http://prometheus.example:9090/graph"{more}}}'"#
        )
    };
    let (before, one, after) = match webhook {
        true => (
            r#"{"version":"4","groupKey":"{}:{service=\"api\"}","truncatedAlerts":0,"status":"firing","receiver":"paramedic","groupLabels":{"service":"api"},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://alertmanager.example:9093","alerts":["#,
            alert(r#","status":"firing","endsAt":"0001-01-01T00:00:00Z","fingerprint":"' .. string.format('%016x', n) .. '""#),
            "]}",
        ),
        false => ("[", alert(""), "]"),
    };
    let before = before.replace('\\', "\\\\");
    format!(
        "local threads = 0\nfunction setup(thread) thread:set('first', threads * 1e9); threads = threads + 1 end\n\
         local n = 0\nfunction init(args) n = first end\n\
         local headers = {{ ['Content-Type'] = 'application/json' }}\n\
         request = function()\n  local alerts = {{}}\n  for i = 1, {each} do n = n + 1; alerts[i] = {one} end\n\
           return wrk.format('POST', nil, headers, '{before}' .. table.concat(alerts, ',') .. '{after}')\nend\n"
    )
}
