//! Storms: ten thousand alerts of one cause, a hundred services at once, and which of many goes first.

use super::app::lines;
use super::{Hook, Setup, TestApp, firing};
use crate::server::until;
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A debug build on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(300);

/// In a group of its own, as `group_by: ['...']` makes them.
fn down(n: usize) -> Hook {
    let instance = format!("10.0.{}.{}:9100", n / 250, n % 250);
    let labels = [("service", "api-gateway"), ("severity", "critical"), ("instance", instance.as_str())];
    firing("ServiceDown", &labels).in_group(&format!("{{}}:{{instance=\"{instance}\"}}"))
}

/// Bodies as they come: of 64 alerts of one group, and single ones of a group each.
fn bodies(alerts: impl Iterator<Item = Hook>) -> Vec<Hook> {
    let (mut bodies, mut body): (Vec<Hook>, Vec<Hook>) = (Vec::new(), Vec::new());
    for (n, hook) in alerts.enumerate() {
        match n % 80 {
            0..64 => body.push(hook.in_group("{}:{alertname=\"ServiceDown\"}")),
            _ => bodies.push(hook),
        }
        if n % 80 == 63 {
            bodies.extend(std::mem::take(&mut body).into_iter().reduce(Hook::and));
        }
    }
    bodies.extend(body.into_iter().reduce(Hook::and));
    bodies
}

/// As so many doors at once as Alertmanager has groups, within reason.
async fn pour(app: &TestApp, bodies: &[Hook]) {
    let (url, client) = (format!("{}/webhooks/alertmanager", app.base()), reqwest_client());
    let bodies: Vec<String> = bodies.iter().map(|hook| hook.body().to_string()).collect();
    for some in bodies.chunks(32) {
        let posts = some.iter().map(|body| async {
            let answer = client.post(&url).body(body.clone()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        });
        futures::future::join_all(posts).await;
    }
}

fn reqwest_client() -> reqwest::Client {
    paramedic::clients::http::client(Duration::from_secs(60)).unwrap()
}

fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    line.unwrap_or_default() / 1024
}

/// Waits until the inbox is empty and every alert is in a ledger.
async fn all_taken(app: &TestApp, what: &str) {
    let pool = sqlx::AnyPool::connect(&app.place.store_url()).await.unwrap();
    let (sql, end) = ("SELECT COUNT(*) FROM alerts WHERE state IN ('accepted', 'raised')", Instant::now() + PATIENCE);
    while sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await.unwrap() > 0 {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pool.close().await;
}

fn runs(incident: &Value) -> usize {
    lines(incident).iter().filter(|line| line.starts_with("run ")).count()
}

/// One service goes down and says so ten thousand times: before anybody looks, or while somebody is at it.
async fn ten_thousand_of_one_cause(mut app: TestApp, while_worked_on: bool) {
    const ALL: usize = 10_000;
    app.place.crash("api-gateway");
    let began = Instant::now();
    if while_worked_on {
        app.alertmanager(&down(0)).await;
        app.until_line(1, "run 1").await;
    }
    pour(&app, &bodies((0..ALL).map(down))).await;
    let accepted = began.elapsed();
    all_taken(&app, "every alert is in the ledger").await;
    let taken = began.elapsed();
    app.until_line(1, "signal independent good").await;
    let incident = app.incident(1).await;
    eprintln!(
        "10,000 alerts accepted after {accepted:.1?}, taken after {taken:.1?}; {} entries, {} kB shown, {} MB resident",
        incident["transcript"].as_array().unwrap().len(),
        incident.to_string().len() / 1024,
        resident_megabytes()
    );
    assert_eq!((incident["alerts_in_all"].as_u64(), incident["alerts_firing"].as_u64()), (Some(ALL as u64), Some(ALL as u64)));
    assert_eq!((app.incidents().await.len(), runs(&incident), app.place.starts("api-gateway")), (1, 1, 2), "{:#?}", lines(&incident));
    assert!(incident["transcript"].as_array().unwrap().len() < 1_000 && incident.to_string().len() < 1_500_000);
    let restarted = Instant::now();
    app.restart().await;
    app.incident(1).await;
    eprintln!("folded again after a restart in {:.1?}", restarted.elapsed());
    // All but one resolve: it goes on firing, and nothing was forgotten.
    pour(&app, &bodies((1..ALL).map(|n| down(n).resolved()))).await;
    all_taken(&app, "every end is in the ledger").await;
    assert_eq!(app.incident(1).await["alerts_firing"], 1);
    assert_ne!(app.incident(1).await["state"], "resolved");
    app.alertmanager(&down(0).resolved()).await;
    app.until(1, &["resolved"]).await;
    eprintln!("all over after {:.1?}, {} MB resident", began.elapsed(), resident_megabytes());
    let threads = app.slack.messages().iter().filter(|message| message.thread_ts.is_none()).count();
    assert_eq!((app.incidents().await.len(), threads, app.pages(1).len()), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_alerts_of_one_cause_are_one_incident_and_one_run() {
    ten_thousand_of_one_cause(TestApp::start().await, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_alerts_that_join_while_it_is_worked_on_change_nothing_about_that() {
    ten_thousand_of_one_cause(TestApp::start().await, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_alerts_on_postgres_are_one_incident_and_one_run() {
    ten_thousand_of_one_cause(Setup::default().postgres().start().await, false).await;
}

fn hundred_services(place: &super::Place) -> Value {
    let mut inventory = place.inventory();
    let more = (0..100).map(|n| {
        json!({ "name": format!("shop-{n}"), "hosts": [super::place::HOST], "reach": { "systemd": { "unit": format!("shop-{n}.service") } } })
    });
    inventory["services"].as_array_mut().unwrap().extend(more);
    inventory
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_alerts_of_a_hundred_services_are_one_page() {
    let mut app = Setup::default().inventory(hundred_services).start().await;
    let alert = |n: usize| {
        let (service, instance) = (format!("shop-{}", n % 100), format!("10.1.{}.{}:9100", n / 250, n % 250));
        let labels = [("service", service.as_str()), ("severity", "critical"), ("instance", instance.as_str())];
        firing("ServiceDown", &labels).in_group(&format!("{{}}:{{instance=\"{instance}\"}}"))
    };
    let began = Instant::now();
    // The first body names a hundred services already: all at once.
    let first = (0..100).map(alert).reduce(Hook::and).unwrap();
    app.alertmanager(&first).await;
    pour(&app, &bodies((100..10_000).map(alert))).await;
    let accepted = began.elapsed();
    all_taken(&app, "every alert is in a ledger").await;
    eprintln!("accepted after {accepted:.1?}, taken after {:.1?}, {} MB resident", began.elapsed(), resident_megabytes());
    app.until(1, &["escalated"]).await;
    let incident = app.incident(1).await;
    assert_eq!((app.incidents().await.len(), incident["level"].as_u64(), incident["alerts_in_all"].as_u64()), (1, Some(3), Some(10_000)));
    app.told(1).await;
    assert!(app.pages(1).len() <= 2, "one page, and one that there is more: {:?}", app.pages(1));
    assert_eq!(app.place.starts("api-gateway"), 1, "nothing is changed anywhere");
}

/// Everything at once, and one worker for all of it.
async fn mixed(setup: Setup) {
    let mut app = setup.with("planner", json!({ "workers": 1 })).start().await;
    let of = |name: &str, service: &str, severity: &str| {
        firing(name, &[("service", service), ("severity", severity)]).in_group(&format!("{name} {service} {severity}"))
    };
    let all = [
        of("DiskIsOdd", "mailer", "info"),
        of("HighRequestLatency", "orders", "warning"),
        of("SomethingOdd", "api-gateway", "critical"),
        of("DBCorruption", "orders-pool", "critical"),
    ];
    // One body, one commit: whoever is first has not been first by luck.
    let body = all.into_iter().reduce(Hook::and).unwrap().in_group("everything");
    app.alertmanager(&body).await;
    until("four incidents", async || app.incidents().await.len() == 4).await;
    let mut firsts = Vec::new();
    for id in 1..=4 {
        let incident = app.wait_for(id, "a first step", |incident| (lines(incident).len() > 2).then(|| incident.clone())).await;
        let third = incident["transcript"][2]["at"].as_str().unwrap().to_owned();
        firsts.push((third, format!("{}: {}", incident["alertname"].as_str().unwrap(), lines(&incident)[2])));
    }
    firsts.sort();
    let order: Vec<String> = firsts.into_iter().map(|(_, line)| line).collect();
    assert_snapshot!(order.join("\n"), @"
    DBCorruption: escalated: level 3: damaged or lost data gets worse by every hasty step; nothing is deleted, rebuilt or restarted
    SomethingOdd: escalated: there is neither a runbook nor a model for it
    HighRequestLatency: run 1 by runbook response_time_anomaly
    DiskIsOdd: escalated: there is neither a runbook nor a model for it
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_mixed_storm_pages_go_first_then_what_is_critical_then_the_rest() {
    mixed(Setup::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_mixed_storm_on_postgres_pages_go_first_then_what_is_critical_then_the_rest() {
    mixed(Setup::default().postgres()).await;
}
