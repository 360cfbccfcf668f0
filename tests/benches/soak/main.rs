//! The daemon at work for hours, and whether anything of it grows: memory, descriptors, threads, BPF objects, series,
//! the spool.
//!
//! Owns how long it goes on and when a sample is taken. `load` is what happens on the host and at the doors, `sample` what
//! is measured, `report` the slopes and their verdicts. Each round ends with every feature on, under the same configuration
//! and with nothing going on: there a sample is taken, so that samples differ by what grew and by nothing else.
//!
//! `SOAK_SECONDS` is how long it takes (a day); SIGINT and SIGTERM end it after the round, with a report of what there is.

#![allow(clippy::print_stdout)] // what it says while it works, and its table, are what the program is for

mod load;
mod report;
mod sample;

use gopher_e2e::Setup;
use load::Load;
use report::Report;
use sample::Sample;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Of a round something happens for so long.
const WORK: Duration = Duration::from_secs(35);
/// Then nothing does: rows of what has ended are gone after three periods of five seconds.
const REST: Duration = Duration::from_secs(20);

static ENDS: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(86_400);
    let (begun, whole) = (Instant::now(), Duration::from_secs(seconds));
    listen_for_the_end();
    let setup = Setup::new().section("event", "timeout = 1");
    let mut daemon = setup.start();
    let mut load = Load::new(&setup);
    let mut report = Report::new(whole);
    let mut rounds = 0;
    while begun.elapsed() + WORK + REST <= whole && !ENDS.load(Relaxed) {
        load.work(&daemon, rounds, Instant::now() + WORK);
        load.all_on(&daemon);
        sleep(REST);
        if let Some(status) = daemon.ended() {
            eprintln!("{}", daemon.log());
            eprintln!("soak: the daemon ended: {status}");
            report.ended_early(format!("the daemon ended after {rounds} rounds: {status}"));
            break;
        }
        let sample = Sample::of(&daemon);
        println!("{:>6} s  {}", begun.elapsed().as_secs(), sample.line());
        report.add(begun.elapsed(), sample);
        rounds += 1;
    }
    let losses = if daemon.ended().is_none() { Sample::losses(&daemon) } else { "not known".to_owned() };
    report.done(&load.done(), &losses)
}

/// A thread of its own waits for signals.
fn listen_for_the_end() {
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            let mut terminate = tokio::signal::unix::signal(kind).expect("SIGTERM can be waited for");
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            eprintln!("soak: ends after this round");
            ENDS.store(true, Relaxed);
        });
    };
    thread::Builder::new().name("signals".into()).spawn(wait).expect("a thread");
}
