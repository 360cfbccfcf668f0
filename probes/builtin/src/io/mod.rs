//! `io`: latency by stage, errors, volume and page cache of block devices.
//!
//! Owns the programs (`io.bpf.c` and its headers), their jobs and the tables. `kernel` runs the programs and reads
//! what they counted, `devices` finds what a device is called, `account` adds up and `series` keeps and shows it by
//! device, `failure` says what failed; `probe` is the loop. The host as a whole is observed, there is no scope.

mod account;
mod devices;
pub(crate) mod failure;
mod jobs;
mod kernel;
mod probe;
mod series;
mod tables;
mod triggers;

probe_kit::bpf_object!("io");

use crate::params::params;
use probe_core::{Descriptor, Row as _, ScopeUse, SubProbe, SubProbes};

const TRACE: &str = "io_trace";
const ERR: &str = "io_err";
const COUNT: &str = "io_count";
const CACHE: &str = "page_cache";

/// The feature.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "io",
    summary: "Latency by stage, errors, volume and page cache of block devices.",
    sub_probes: &[
        SubProbe::new(TRACE, "How long requests take, in all, until the driver has them, and in the device."),
        SubProbe::new(ERR, "Failed requests."),
        SubProbe::new(COUNT, "Bytes read and written."),
        SubProbe::new(CACHE, "Pages of files and devices that are loaded, read and made dirty in memory."),
    ],
    scope: ScopeUse::None,
    params: params![SAMPLE_PERIOD, DEV_NAME],
    tables: &[
        tables::IoLatency::TABLE,
        tables::IoErr::TABLE,
        tables::IoCount::TABLE,
        tables::IoPagecache::TABLE,
    ],
    triggers: triggers::TRIGGERS,
    needs: jobs::NEEDS,
    build: Some(|env| Box::new(probe::Io::new(env))),
};

/// Which tables are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one for each sub-probe
struct Groups {
    trace: bool,
    err: bool,
    count: bool,
    cache: bool,
}

impl Groups {
    fn of(wanted: &SubProbes) -> Self {
        Self {
            trace: wanted.has(TRACE),
            err: wanted.has(ERR),
            count: wanted.has(COUNT),
            cache: wanted.has(CACHE),
        }
    }

    /// What the programs shall do, with a record of each failure if `tell`.
    fn doing(self, tell: bool) -> u32 {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        bit(self.trace, bpf::IO_TIMES)
            | bit(self.count, bpf::IO_BYTES)
            | bit(self.err, bpf::IO_ERRORS)
            | bit(self.err && tell, bpf::IO_TELL)
    }
}
