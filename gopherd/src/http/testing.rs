//! A served daemon for tests: the real routes over a real manager, with tiny probes on real threads, and
//! stand-ins for the parts beside it that only answer what a test put into them.

use super::{ENCODERS, Exposition, Metrics, Parts, SaveError, Saver, Spooled, Targets, View};
use crate::cost::{FeatureCost, SubProbeCost};
use crate::feature::{PidLookup, Selection};
use crate::manager::{Limits, World, manager};
use crate::readiness::Readiness;
use actix_web::web::Bytes;
use gopher_api::{DaemonStatus, LogLevel, Saved, SpoolDocument, SpoolSink, Target, TargetPage, Verdict};
use probe_core::{
    Batch, Descriptor, Env, Order, Outcome, ParamSpec, Poll, Polled, Probe, ProbeError, ProcKey, Resolved,
    ScopeUse, Starting, SubProbe, Tick, Wake, params,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The `drops_thr` that makes the fake probe fail.
const FAILS: i64 = 11;

/// The one with which its readings find that it is refused everywhere.
const BLIND: i64 = 12;

#[derive(Default)]
struct Fake {
    blind: bool,
    read: bool,
}

impl Poll for Fake {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        if order.params.int(&params::DROPS_THR) == FAILS {
            return Err(ProbeError::failed("attaching", "no luck"));
        }
        let mut outcome = Outcome::all(&order.sub_probes);
        outcome.miss("broken", "kernel BTF");
        self.blind = order.params.int(&params::DROPS_THR) == BLIND;
        if self.blind && self.read {
            outcome.blind("first", "it is refused everywhere");
        }
        Ok(outcome)
    }

    fn poll(&mut self, _: Tick, _: &mut Batch) -> Result<(), ProbeError> {
        self.read = true;
        Ok(())
    }

    fn changed(&mut self) -> bool {
        self.blind
    }
}

/// Is not attached before [`open_gate`], so a start can be caught unfinished.
struct Slow;

static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Lets every [`Slow`] probe go on.
pub(crate) fn open_gate() {
    *GATE.0.lock().expect("the gate") = true;
    GATE.1.notify_all();
}

impl Probe for Slow {
    fn run(self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        drop(GATE.1.wait_while(GATE.0.lock().expect("the gate"), |open| !*open).expect("the gate"));
        let outcome = Outcome::all(&start.order().sub_probes);
        let mut running = start.attached(outcome)?;
        while !matches!(running.wait(None), Wake::Stop) {}
        Ok(())
    }
}

const fn sub(name: &'static str, default: bool) -> SubProbe {
    SubProbe { default, ..SubProbe::new(name, "A part.") }
}

static SUBS: &[SubProbe] = &[sub("first", true), sub("broken", false)];
static PARAMS: [&ParamSpec; 2] = [&params::REPORT_PERIOD, &params::DROPS_THR];

const fn feature(name: &'static str, build: Option<probe_core::Build>) -> Descriptor {
    Descriptor {
        name,
        summary: "A feature of the tests.",
        sub_probes: SUBS,
        scope: ScopeUse::Processes,
        params: &PARAMS,
        tables: &[],
        triggers: &[],
        needs: &[],
        build,
    }
}

static TCP: Descriptor = feature("tcp", Some(|_| Box::new(Polled(Fake::default()))));
static IO: Descriptor = feature("io", Some(|_| Box::new(Polled(Fake::default()))));
static SLOW: Descriptor = feature("slow", Some(|_| Box::new(Slow)));
static PLANNED: Descriptor = feature("planned", None);

#[derive(Debug)]
struct NoWorld;

impl PidLookup for NoWorld {
    fn process(&self, _: u32) -> Option<ProcKey> {
        None
    }
}

impl World for NoWorld {
    fn watch(&self, _: &'static str, _: &Selection, _: bool) -> Resolved {
        Resolved::default()
    }
    fn unwatch(&self, _: &'static str) {}
    fn open(&self, _: &'static str, _: u64) {}
    fn labels(&self, _: &'static str, _: &[(String, String)], _: &[String]) {}
    fn switch_off(&self, _: &'static str, _: Vec<&'static str>) {}
    fn close(&self, _: &'static str) {}
    fn allow(&self, _: &'static str, _: Option<u64>) {}
}

struct Beside {
    saved: Mutex<Result<Saved, SaveError>>,
    level: Mutex<LogLevel>,
}

/// The accept header of a scrape that shall panic.
pub(crate) const PANIC: &str = "application/panic";

impl Metrics for Beside {
    fn expose(&self, view: View, accept: Option<&str>, accept_encoding: Option<&str>) -> Exposition {
        assert_ne!(accept, Some(PANIC), "told to");
        let content_encoding =
            accept_encoding.is_some_and(|coding| coding.contains("gzip")).then_some("gzip");
        let body = Bytes::from(format!("# {view:?} {}\n", accept.unwrap_or("-")));
        Exposition { content_type: "text/plain; version=0.0.4; charset=utf-8", content_encoding, body }
    }

    fn series(&self, _: &str) -> u64 {
        7
    }

    fn lost(&self, _: &str) -> BTreeMap<String, u64> {
        BTreeMap::from([("probe/late_tick".to_owned(), 3)])
    }

    fn budget(&self, _: &str) -> Option<crate::budget::Figures> {
        None
    }

    fn cost(&self, _: &str) -> Option<FeatureCost> {
        let sub = SubProbeCost { name: "cpu", cpu: Some(5e-6), bpf: None, series: 4 };
        Some(FeatureCost {
            cpu: Some(7e-6),
            bpf: Some(3e-6),
            map_bytes: 4096,
            samples_per_s: Some(1.5),
            sub_probes: vec![sub],
            ..FeatureCost::default()
        })
    }

    fn daemon(&self) -> DaemonStatus {
        DaemonStatus { version: "1.2.3".into(), series: 7, ..DaemonStatus::default() }
    }
}

impl Targets for Beside {
    fn counts(&self, _: &str) -> gopher_api::Targets {
        gopher_api::Targets { processes: Some(2), containers: None }
    }

    fn list(&self, feature: &'static str, pid: Option<u32>) -> TargetPage {
        TargetPage {
            feature: feature.into(),
            whole_host: false,
            items: vec![Target {
                pid: 1,
                start_ticks: 2,
                comm: "init".into(),
                selector: "snoopers.proc_id[0]".into(),
                container_id: None,
            }],
            more: 0,
            containers: Vec::new(),
            more_containers: 0,
            verdict: pid.map(|pid| Verdict { pid, observed: pid == 1, reason: "because".into() }),
        }
    }

    fn tracker(&self) -> gopher_api::ProcessTracker {
        gopher_api::ProcessTracker::default()
    }
}

impl super::ContainerRuntimes for Beside {
    fn list(&self) -> Vec<gopher_api::ContainerRuntime> {
        vec![gopher_api::ContainerRuntime {
            name: "containerd".into(),
            version: Some("1.6.20".into()),
            socket: "/run/containerd/containerd.sock".into(),
            connected: true,
            error: None,
        }]
    }
}

impl Spooled for Beside {
    fn document(&self) -> SpoolDocument {
        let sink = SpoolSink { sink: "kafka".into(), pending_records: 3, ..SpoolSink::default() };
        SpoolDocument { max_bytes: 1 << 20, sinks: vec![sink], ..SpoolDocument::default() }
    }
    fn purge(&self, sink: &str) -> Option<u64> {
        (sink == "kafka").then_some(3)
    }
}

impl Saver for Beside {
    fn save(&self) -> Result<Saved, SaveError> {
        self.saved.lock().expect("saved").clone()
    }
}

impl super::LogLevel for Beside {
    fn get(&self) -> LogLevel {
        *self.level.lock().expect("level")
    }
    fn set(&self, level: LogLevel) {
        // A panic inside a handler, not inside the encoder.
        assert_ne!(level, LogLevel::Error, "told to");
        *self.level.lock().expect("level") = level;
    }
}

/// Parts with a manager that waits `start_deadline` for probes, and what saving answers.
pub(crate) fn parts_with(start_deadline: Duration, saved: Result<Saved, SaveError>) -> Parts {
    let (outlet, deliveries) = std::sync::mpsc::sync_channel(64);
    std::thread::Builder::new()
        .name("drain".into())
        .spawn(move || while deliveries.recv().is_ok() {})
        .expect("a thread");
    let limits = Limits { start_deadline, ..Limits::default() };
    let features: &[&'static Descriptor] = &[&TCP, &IO, &SLOW, &PLANNED];
    let (manager, task) = manager(features, Env::default(), outlet, Box::new(NoWorld), limits);
    tokio::spawn(task);
    let beside = Arc::new(Beside { saved: Mutex::new(saved), level: Mutex::new(LogLevel::Info) });
    let readiness = Readiness::default();
    readiness.serving();
    Parts {
        manager,
        metrics: Arc::<Beside>::clone(&beside),
        targets: Arc::<Beside>::clone(&beside),
        runtimes: Arc::<Beside>::clone(&beside),
        live: Arc::default(),
        spool: Arc::<Beside>::clone(&beside),
        readiness,
        saver: Arc::<Beside>::clone(&beside),
        log_level: beside,
        env: Env::default(),
        body_timeout: Duration::from_secs(10),
        encoders: Arc::new(Semaphore::new(ENCODERS)),
        access: Arc::new(crate::access::Access::new(&crate::config::Config::default())),
        sending: crate::http::Sending::default(),
    }
}

/// Parts as a healthy daemon has them.
pub(crate) fn parts() -> Parts {
    parts_with(Duration::from_secs(30), Ok(Saved { file: "/etc/gopherd/probes.init".into(), features: 2 }))
}
