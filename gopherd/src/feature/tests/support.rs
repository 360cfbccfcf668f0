//! A few features and a client of them, who keeps what was accepted as the manager does.

use crate::feature::{Context, Edit, FeatureConfig, PidLookup, Plan, Problem, document, plan};
use probe_core::params::{
    DEV_NAME, DROPS_THR, ELF_PATH, FLAME_DIR, L7_PROTOCOL, LATENCY_THR, OFFLINE_THR, OUTPUT_DIR,
    PYROSCOPE_SERVER, REPORT_CPORT, REPORT_EVENT, REPORT_PERIOD, RES_UPPER_THR, RINGBUF_MAP_SIZE,
    SAMPLE_PERIOD, SVG_PERIOD,
};
use probe_core::{Descriptor, Env, Probe, ProbeError, ProcKey, ScopeUse, Starting, SubProbe};

probe_core::table! {
    /// A link.
    pub(super) struct Link = "tcp_link", entity "tcp_link", sub_probe "" {
        keys { client_ip }
        labels { role }
        counter rx_bytes: Bytes = "Bytes received.";
    }
}

struct Nothing;

impl Probe for Nothing {
    fn run(self: Box<Self>, _: Starting) -> Result<(), ProbeError> {
        Ok(())
    }
}

fn nothing(_: &Env) -> Box<dyn Probe> {
    Box::new(Nothing)
}

static COMMON: &[&probe_core::ParamSpec] = &[&REPORT_PERIOD, &REPORT_EVENT, &RES_UPPER_THR];

const fn sub(name: &'static str) -> SubProbe {
    SubProbe::new(name, "A part.")
}

const fn feature(name: &'static str, sub_probes: &'static [SubProbe], scope: ScopeUse) -> Descriptor {
    Descriptor {
        name,
        summary: "A feature.",
        sub_probes,
        scope,
        params: COMMON,
        tables: &[],
        triggers: &[],
        needs: &[],
        build: Some(nothing),
    }
}

static TCP: Descriptor = Descriptor {
    params: &[
        &REPORT_PERIOD,
        &REPORT_EVENT,
        &SAMPLE_PERIOD,
        &LATENCY_THR,
        &DROPS_THR,
        &RES_UPPER_THR,
        &REPORT_CPORT,
        &DEV_NAME,
        &RINGBUF_MAP_SIZE,
    ],
    tables: &[<Link as probe_core::Row>::TABLE],
    triggers: &[],
    ..feature(
        "tcp",
        &[sub("tcp_abnormal"), sub("tcp_windows"), sub("tcp_rtt"), sub("tcp_stats"), sub("tcp_delay")],
        ScopeUse::Processes,
    )
};

static BASEINFO: Descriptor = Descriptor {
    params: &[&REPORT_PERIOD, &REPORT_EVENT, &RES_UPPER_THR, &DROPS_THR, &DEV_NAME, &ELF_PATH],
    ..feature(
        "baseinfo",
        &[
            sub("cpu"),
            sub("mem"),
            sub("fs"),
            sub("host"),
            SubProbe { needs_scope: true, ..sub("proc") },
            SubProbe { needs_scope: true, needs_param: Some(&ELF_PATH), ..sub("con") },
        ],
        ScopeUse::ProcessesAndContainers,
    )
};

static PROC: Descriptor = Descriptor {
    params: &[&REPORT_PERIOD, &LATENCY_THR, &OFFLINE_THR],
    ..feature(
        "proc",
        &[SubProbe { aliases: &["base_metrics"], ..sub("proc_syscall") }, sub("proc_fs")],
        ScopeUse::ProcessesAndContainers,
    )
};

static L7: Descriptor = Descriptor {
    params: &[&REPORT_PERIOD, &L7_PROTOCOL],
    ..feature("l7", &[sub("l7_bytes_metrics"), sub("l7_rpc_metrics")], ScopeUse::ProcessesAndContainers)
};

static FLAMEGRAPH: Descriptor = Descriptor {
    params: &[&REPORT_PERIOD, &PYROSCOPE_SERVER, &SVG_PERIOD, &OUTPUT_DIR, &FLAME_DIR],
    ..feature("flamegraph", &[sub("oncpu"), sub("offcpu")], ScopeUse::Processes)
};

static IO: Descriptor = Descriptor {
    params: &[&REPORT_PERIOD, &SAMPLE_PERIOD, &LATENCY_THR],
    ..feature("io", &[sub("io_trace"), sub("io_err")], ScopeUse::None)
};

static LVS: Descriptor = feature("lvs", &[], ScopeUse::None);

static JVM: Descriptor = Descriptor { build: None, ..feature("jvm", &[], ScopeUse::Processes) };

/// The feature with this name.
pub(super) fn descriptor(name: &str) -> &'static Descriptor {
    [&TCP, &BASEINFO, &PROC, &L7, &FLAMEGRAPH, &IO, &LVS, &JVM]
        .into_iter()
        .find(|descriptor| descriptor.name == name)
        .unwrap_or_else(|| panic!("no feature {name}"))
}

/// Pids below this have a process.
pub(super) const PIDS: u32 = 1000;

/// A process table whose processes began at the same time.
#[derive(Debug)]
pub(super) struct Table {
    /// When.
    pub(super) start_ticks: u64,
    /// Pids below this have a process.
    pub(super) below: u32,
}

impl PidLookup for Table {
    fn process(&self, pid: u32) -> Option<ProcKey> {
        (pid < self.below).then_some(ProcKey { tgid: pid, start_ticks: self.start_ticks })
    }
}

/// One feature and whoever drives it.
#[derive(Debug)]
pub(super) struct Client {
    /// The feature.
    pub(super) descriptor: &'static Descriptor,
    /// What was accepted so far.
    pub(super) config: Option<FeatureConfig>,
    /// Whether the probe runs.
    pub(super) running: bool,
    /// Requests are lines of probes.init.
    pub(super) from_init: bool,
    /// The host's processes.
    pub(super) pids: Table,
}

impl Client {
    /// Of a feature that was never configured.
    pub(super) fn of(feature: &str) -> Self {
        Self {
            descriptor: descriptor(feature),
            config: None,
            running: false,
            from_init: false,
            pids: Table { start_ticks: 7, below: PIDS },
        }
    }

    /// Asks for `edit`; keeps the outcome if it is accepted.
    pub(super) fn ask(&mut self, edit: Result<Edit, Problem>) -> Result<Plan, Problem> {
        let cx = Context {
            descriptor: self.descriptor,
            current: self.config.as_ref(),
            running: self.running,
            pids: &self.pids,
            max_rules: 1000,
            from_init: self.from_init,
        };
        let plan = plan(&edit?, &cx)?;
        self.config = plan.config.clone();
        Ok(plan)
    }

    /// A PUT of the compatible door, without `json=`.
    pub(super) fn put(&mut self, json: &str) -> Result<Vec<String>, String> {
        let answer = self.ask(Edit::compat_text(json.as_bytes()));
        answer.map(|plan| plan.warnings).map_err(|problem| problem.to_string())
    }

    /// GET of the compatible door.
    pub(super) fn get(&self) -> serde_json::Value {
        document(self.descriptor, self.config.as_ref())
    }
}
