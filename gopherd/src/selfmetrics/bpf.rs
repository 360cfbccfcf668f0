//! What BPF programs and maps cost: the `gopherd_bpf_*` families, of what the kit's meter has.

use super::{gauge, raise, raise_seconds, register};
use probe_kit::bpf::meter;
use prometheus::{Counter, CounterVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// The families.
#[derive(Debug)]
pub(super) struct BpfMetrics {
    run_time: CounterVec,
    runs: IntCounterVec,
    map_bytes: IntGaugeVec,
    measured: Counter,
}

impl BpfMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let run_time = Opts::new(
            "gopherd_bpf_run_seconds_total",
            "Time that the BPF program ran in the kernel, an estimate: measured for the share of the time that \
             gopherd_bpf_measured_seconds_total grows by, and scaled up.",
        );
        let runs = Opts::new(
            "gopherd_bpf_runs_total",
            "Times that the BPF program ran in the kernel, an estimate likewise.",
        );
        let map_bytes = Opts::new(
            "gopherd_bpf_map_bytes",
            "Memory of the probe's BPF maps, by the kernel's account; without the scope's, which all share.",
        );
        let measured = Opts::new(
            "gopherd_bpf_measured_seconds_total",
            "Time in which the kernel measured the run time of BPF programs.",
        );
        Ok(Self {
            run_time: register(registry, CounterVec::new(run_time, &["probe", "program"]))?,
            runs: register(registry, IntCounterVec::new(runs, &["probe", "program"]))?,
            map_bytes: register(registry, IntGaugeVec::new(map_bytes, &["probe"]))?,
            measured: register(registry, Counter::with_opts(measured))?,
        })
    }

    /// Brings all up to date. Where nothing can be measured there are no run times, rather than zeros.
    pub(super) fn read(&self) {
        let measured = meter::measured();
        raise_seconds(&self.measured, measured.as_secs_f64());
        if !measured.is_zero() {
            for total in meter::totals() {
                let labels = [total.owner, total.program.as_str()];
                raise_seconds(&self.run_time.with_label_values(&labels), total.run_time.as_secs_f64());
                raise(&self.runs.with_label_values(&labels), total.runs);
            }
        }
        for (owner, cost) in meter::owners() {
            self.map_bytes.with_label_values(&[owner]).set(gauge(cost.map_bytes));
        }
    }
}
