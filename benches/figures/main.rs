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
    println!("{}", machine());
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

/// What it is measured on, and with.
fn machine() -> String {
    let said = |program: &str, argument: &str| {
        let output = std::process::Command::new(program).arg(argument).output().ok();
        let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().next().map_or_else(|| "not there".to_owned(), |line| line.trim().to_owned())
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor =
        processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?").trim_matches(['\t', ':', ' ']).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let folder = std::env::temp_dir();
    let disk = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(&folder).output().unwrap();
    let lines = [
        format!(
            "{} {}, {cores} x {processor}, {} on {}",
            said("uname", "-s"),
            said("uname", "-r"),
            folder.display(),
            String::from_utf8_lossy(&disk.stdout).trim()
        ),
        format!(
            "{} | {} | {}",
            concat!("paramedic ", env!("CARGO_PKG_VERSION")),
            said("wrk", "-v"),
            said("prometheus-alertmanager", "--version")
        ),
    ];
    lines.join("\n")
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
