//! The process: flags, configuration, log, run, exit code.
//!
//! Exit codes: 0 an orderly end; 1 it could not start, or not go on (`--check-config`: the configuration is
//! unusable); 2 wrong flags (`--check-config`: only lines of probes.init are bad). Signals are in
//! `gopherd::signals`.

use clap::Parser;
use gopherd::cli::Cli;
use gopherd::config::{Loaded, find, load};
use gopherd::{app, http, privilege};
use std::io::Write;
use std::process::ExitCode;

/// Freed memory goes back to the kernel within milliseconds, from whichever thread it was allocated by: after a flood of
/// clients the daemon is as small as before.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    probe_kit::c_heap::share();
    let cli = Cli::parse();
    if cli.dump_openapi {
        return print(&http::openapi(), 0);
    }
    if cli.list_probes {
        return print(&app::list_probes(), 0);
    }
    if cli.list_capabilities {
        return print(&privilege::list(), 0);
    }
    if let Err(errno) = privilege::lower() {
        return complain(&format!("error: capabilities cannot be taken out of effect: {errno}"));
    }
    if cli.check_config {
        let (report, code) = app::check_config(cli.config.as_deref(), cli.settings());
        return print(&report, code);
    }
    let config = cli.config.as_deref();
    let sources = find::gather(config, &app::CONFIG_FILES, std::env::vars_os(), cli.settings());
    match load(&sources) {
        Ok(loaded) => start(&cli, loaded),
        Err(rejected) => {
            let all = rejected.faults.iter().map(|fault| format!("error: {fault}"));
            complain(&all.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Gives up what is not needed, builds the runtime and runs the daemon in it. One thread: the manager's task and the signals need no more,
/// and HTTP has workers of its own.
fn start(cli: &Cli, loaded: Loaded) -> ExitCode {
    let kept = privilege::give_up(&loaded.config.limits.capabilities);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("error: the runtime cannot be made: {error}")),
    };
    let ended = runtime.block_on(app::run(cli, loaded, &kept));
    // Without this the runtime would wait for threads that a dead file system holds.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("error: {error:#}")),
    }
}

fn print(text: &str, code: u8) -> ExitCode {
    // Whoever closes our output early has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn complain(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(1)
}
