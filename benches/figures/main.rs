//! What it costs as a whole: the release binary, its store on this disk, peers on loopback. `make bench` runs all of it; FIGURES names
//! some: `FIGURES='intake speed' cargo bench --bench figures`. Prints medians, asserts no time; docs/benchmarks.md has the goals.

mod alerts;
mod history;
mod intake;
#[path = "../../tests/it/postgres/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests' own, of which a part is needed")]
mod postgres;
mod replicas;
mod server;
mod size;
mod soak;
mod speed;
mod start;

#[tokio::main]
async fn main() {
    let all = "start speed intake size replicas soak";
    let wanted = std::env::var("FIGURES").unwrap_or_else(|_| all.to_owned());
    for chapter in wanted.split_whitespace() {
        match chapter {
            "start" => start::run().await,
            "speed" => speed::run().await,
            "intake" => intake::run().await,
            "size" => size::run().await,
            "replicas" => replicas::run().await,
            "soak" => soak::run().await,
            other => panic!("FIGURES names `{other}`: expected some of {all}"),
        }
    }
}

fn median(values: Vec<f64>) -> f64 {
    sorted(values, 0.5)
}

fn p99(values: Vec<f64>) -> f64 {
    sorted(values, 0.99)
}

fn sorted(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * share) as usize).or(values.last()).copied().unwrap_or(f64::NAN)
}
