//! The binary: parses the command line and runs it. Everything else is in the library.

use std::process::ExitCode;
use std::time::Duration;

/// What is still blocked in a system call when all is said and done (a name that does not resolve, a disk that does not answer) gets
/// this long; then the process ends without it.
const STRAGGLERS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = match paramedic::cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("paramedic: start the threads: {e}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run());
    runtime.shutdown_timeout(STRAGGLERS);
    code
}
