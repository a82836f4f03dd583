//! What a long history costs: intake, the list and one incident's fold with 10,000 and with many more incidents stored.

use super::alerts::{alert, body, post};
use super::history;
use super::median;
use super::server::{Ground, Server, service};
use super::speed::millis;
use std::time::Instant;

const SMALL: u64 = 10_000;

/// FIGURES_STORED: how many more; a million takes long to write.
pub async fn run() {
    let large = std::env::var("FIGURES_STORED").ok().map_or(1_000_000, |count| count.parse().expect("FIGURES_STORED is a number"));
    let ground = Ground::new(&[service("api", None)]).await;
    let mut before: Option<[f64; 3]> = None;
    for (from, to) in [(0, SMALL), (SMALL, large)] {
        history::write(&ground.path("state/paramedic.db"), from, to, false).await;
        let now = measured(&ground, to).await;
        let [intake, list, fold] = now;
        let compared = before.map_or_else(String::new, |[a, b, c]| format!(" | {:.2}x, {:.2}x, {:.2}x", intake / a, list / b, fold / c));
        println!(
            "with {to} incidents stored: intake {intake:.2} ms, list of 50 {list:.2} ms, one incident {fold:.2} ms (medians){compared}"
        );
        before = Some(now);
    }
}

async fn measured(ground: &Ground, stored: u64) -> [f64; 3] {
    let server = Server::start(ground).await;
    let http = super::server::http();
    let (mut intake, mut list, mut fold) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..300 {
        let firing = body("api", &[alert("HighRequestLatency", "api", stored * 2 + n, false)]);
        let begun = Instant::now();
        assert!(post(&http, &server.webhook(), &firing).await);
        intake.push(millis(begun.elapsed()));
        let begun = Instant::now();
        server.get(&http, "/api/incidents?limit=50").await;
        list.push(millis(begun.elapsed()));
        let begun = Instant::now();
        server.get(&http, &format!("/api/incidents/INC-{}", 1 + n * 31)).await;
        fold.push(millis(begun.elapsed()));
    }
    [intake, list, fold].map(median)
}
