//! One target under libFuzzer: `PARAMEDIC_FUZZ` names it, `PARAMEDIC_FUZZ_FOLDER` is where its seeds and its words are laid out for the
//! engine. scripts/fuzz.sh starts it.

#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

use std::path::PathBuf;
use std::sync::LazyLock;
use targets::{ALL, Target};

/// Enough for the engine's report.
const SIGNAL_STACK: usize = 256 * 1024;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    let wanted = std::env::var("PARAMEDIC_FUZZ").unwrap_or_default();
    let found = ALL.iter().find(|target| target.name == wanted);
    found.unwrap_or_else(|| fail(&format!("PARAMEDIC_FUZZ is `{wanted}`: expected one of {}", names.join(", "))))
});

libfuzzer_sys::fuzz_target!(init: prepare(), |bytes: &[u8]| {
    (TARGET.check)(bytes);
});

fn prepare() {
    let Some(folder) = std::env::var_os("PARAMEDIC_FUZZ_FOLDER").map(PathBuf::from) else {
        fail("PARAMEDIC_FUZZ_FOLDER is not set: expected a folder to work in (scripts/fuzz.sh sets both)");
    };
    if let Err(e) = lay_out(&folder) {
        fail(&format!("{}: {e}", folder.display()));
    }
    report_overflows();
}

fn lay_out(folder: &std::path::Path) -> std::io::Result<()> {
    let seeds = folder.join("seeds");
    std::fs::create_dir_all(&seeds)?;
    for (number, seed) in TARGET.seeds().iter().enumerate() {
        std::fs::write(seeds.join(format!("{number:04}")), seed)?;
    }
    let quoted = |word: &&str| format!("\"{}\"\n", word.bytes().map(|byte| format!("\\x{byte:02X}")).collect::<String>());
    std::fs::write(folder.join("words"), TARGET.words.iter().map(quoted).collect::<String>())?;
    std::fs::write(folder.join("longest"), TARGET.longest.to_string())
}

/// The engine's handler of a segmentation fault takes over whatever stack is set here; on the one that overflowed it could not run.
fn report_overflows() {
    let stack = vec![0_u8; SIGNAL_STACK].leak();
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIGNAL_STACK };
    // SAFETY: the stack lives for ever, and both structures are whole.
    let failed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaltstack(&raw const stack, std::ptr::null_mut()) != 0
            || libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()) != 0
    };
    if failed {
        fail("no stack for signals could be set");
    }
}

fn fail(why: &str) -> ! {
    eprintln!("fuzz: {why}");
    std::process::exit(2)
}
