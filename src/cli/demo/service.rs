//! The demo's service: writes a line now and then, until somebody ends it.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct DemoServiceArgs {
    name: String,
}

pub fn serve_badly(args: &DemoServiceArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for request in 1u64.. {
        writeln!(out, "{} info request {request} served", args.name)?;
        if request % 5 == 0 {
            writeln!(out, "{} error request {request} took 2.3 s: too few instances", args.name)?;
        }
        out.flush()?;
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(ExitCode::SUCCESS)
}
