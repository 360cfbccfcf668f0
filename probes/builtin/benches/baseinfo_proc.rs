//! CPU time of the process table: what one tick of `baseinfo`'s `proc` costs over 500 sleeping processes,
//! without page detail. Measured is the thread's CPU time, through the probe as the daemon runs it: with no
//! capability in effect but those that it raises itself.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probe_core::{
    Batch, Env, Link, Order, Outcome, ParamValue, Params, ProcKey, Scope, Signal, Starting, params,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::BorrowedFd;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

const PROCESSES: usize = 500;

/// Ticks before the measurement: descriptors are opened, limits read, at ever longer intervals.
const WARM_UP: u64 = 30;

/// Makes the probe tick without waiting, and tells the CPU time of the ticks after the warm-up.
struct Ticks {
    done: u64,
    until: u64,
    began: Duration,
    tell: Sender<Duration>,
}

fn cpu_time() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.try_into().unwrap_or(0), t.tv_nsec.try_into().unwrap_or(0))
}

impl Link for Ticks {
    fn wait(&mut self, _: Option<BorrowedFd<'_>>, _: Instant) -> Signal {
        if self.done == WARM_UP {
            self.began = cpu_time();
        }
        if self.done == self.until {
            let _ = self.tell.send(cpu_time() - self.began);
            return Signal::Stop;
        }
        self.done += 1;
        Signal::Deadline
    }
    fn send(&mut self, batch: Batch) {
        assert!(batch.rows().len() >= PROCESSES, "every process has a row");
    }
    fn report(&mut self, _: Outcome) {}
    fn memory(&mut self, _: u64) {}
}

/// Runs the probe over `scope` for `ticks` and returns their CPU time.
fn run(scope: &Scope, ticks: u64) -> Duration {
    let mut settings = Params::default();
    settings.set(&params::SMAPS, ParamValue::Int(0));
    let order = Order {
        sub_probes: ["proc"].into_iter().collect(),
        scope: scope.clone(),
        params: Arc::new(settings),
        ..Order::default()
    };
    let (tell, told) = channel();
    let link = Ticks { done: 0, until: WARM_UP + ticks, began: Duration::ZERO, tell };
    let build = probes::find("baseinfo").and_then(|feature| feature.build).expect("baseinfo is built");
    build(&Env::default()).run(Starting::new(Box::new(link), order)).expect("it runs");
    told.recv().expect("measured")
}

#[allow(clippy::disallowed_methods)] // processes to look at, no measurement
fn sleepers() -> Vec<Child> {
    (0..PROCESSES).map(|_| Command::new("sleep").arg("600").spawn().expect("sleep runs")).collect()
}

fn key(child: &Child) -> ProcKey {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("stat");
    let start = stat.split_whitespace().nth(21).and_then(|word| word.parse().ok()).expect("a start time");
    ProcKey { tgid: child.id(), start_ticks: start }
}

fn process_table(c: &mut Criterion) {
    let sets = capabilities(None).expect("asked");
    let lowered = CapabilitySets { effective: CapabilitySet::empty(), ..sets };
    set_capabilities(None, lowered).expect("less is always allowed");
    let mut children = sleepers();
    let chosen = Scope::Only(Arc::new(children.iter().map(key).collect()));
    let mut group = c.benchmark_group("baseinfo proc, CPU time of a tick");
    group.throughput(Throughput::Elements(PROCESSES as u64));
    group.bench_function("500 chosen processes", |b| b.iter_custom(|ticks| run(&chosen, ticks)));
    group.bench_function("whole host with these 500", |b| b.iter_custom(|ticks| run(&Scope::All, ticks)));
    group.finish();
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

criterion_group!(benches, process_table);
criterion_main!(benches);
