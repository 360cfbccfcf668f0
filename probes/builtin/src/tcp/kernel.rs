//! The programs at work: loaded, attached by sub-probe, run over the open files, and emptied.

use super::Groups;
use super::bpf::{self, TcpSkel, TcpSkelBuilder};
use super::jobs::{DROPS, OUT_OF_MEMORY, PASS};
use super::labels::Key;
use super::tables::{BUF, DELAY, RTO, RTT, WIN};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use probe_core::{Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, ScopeSlot, Storage, abi, cost, drain, iterate, raised, snapshot};
use probe_kit::clock::boot_ns;
use probe_kit::kernel::Kernel;
use rustix::time::{ClockId, clock_getres};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

/// What the maps have room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Series of each map of a pair.
    pub(super) series: u32,
    /// Those of them that are sampled.
    pub(super) samples: u32,
    /// Sockets, of kernels without socket storage.
    pub(super) sockets: u32,
}

impl Room {
    /// For so many MB of `ringbuf_map_size`; with 1 both pairs of maps take about 6 MB of memory when they are full.
    pub(super) fn of(size: u32) -> Self {
        Self { series: 8192 * size, samples: 2048 * size, sockets: 16_384 * size }
    }
}

/// What the kernel counted since the last time.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) sums: Vec<(Key, bpf::tcp_sums)>,
    pub(super) samples: Vec<(Key, bpf::tcp_samples)>,
}

/// What was lost since the last time it was asked for, by the label of `gopherd_lost_total`.
pub(super) type Losses = Vec<(&'static str, u64)>;

/// The names of losses that the programs count.
const REASONS: [(&str, u32); 6] = [
    ("series_map_full", abi::GOPHER_LOST_MAP),
    ("owner_unknown", bpf::TCP_LOST_OWNER),
    ("socket_map_full", bpf::TCP_LOST_SOCKETS),
    ("sample_map_full", bpf::TCP_LOST_SAMPLES),
    ("listener_map_full", bpf::TCP_LOST_LISTENERS),
    ("socket_busy", bpf::TCP_LOST_BUSY),
];

/// The loaded object.
pub(super) struct Source<'o> {
    bpf: Bpf<TcpSkel<'o>>,
    pairs: [Pair; 2],
    pass: u32,
    /// Losses that were told already.
    told: [u64; REASONS.len() + 1],
}

/// Two maps, of which the programs write to one.
struct Pair {
    outer: MapHandle,
    inner: [MapHandle; 2],
    active: usize,
}

impl Pair {
    /// Makes the programs write to the other map, and returns the one that they have left. When this returns none of
    /// them can still write to it: for an update of a map of maps the kernel waits for those that run.
    fn change(&mut self) -> io::Result<&MapHandle> {
        let _rights = raised();
        let old = self.active;
        let new = 1 - old;
        let fd = self.inner[new].as_fd().as_raw_fd();
        self.outer.update(&0u32.to_ne_bytes(), &fd.to_ne_bytes(), MapFlags::ANY).map_err(io::Error::other)?;
        self.active = new;
        Ok(&self.inner[old])
    }
}

/// Nanoseconds of a jiffy: what the coarse clock counts in.
fn tick_ns() -> u64 {
    let tick = clock_getres(ClockId::MonotonicCoarse);
    u64::try_from(tick.tv_nsec).unwrap_or(0)
}

impl<'o> Source<'o> {
    /// Loads what `kernel` can do of `jobs`, observing `slot`'s processes.
    pub(super) fn load(
        storage: &'o mut Storage,
        kernel: &Kernel,
        slot: &ScopeSlot,
        jobs: &'static [Job],
        room: Room,
    ) -> Result<Self, ProbeError> {
        let spec = ObjectSpec { name: "tcp", owner: "tcp", bytes: bpf::OBJECT, jobs };
        let bpf = Bpf::load::<TcpSkelBuilder>(&spec, kernel, Some(slot.maps()), storage, |open| {
            if let Some(data) = open.maps.rodata_data.as_deref_mut() {
                data.gopher_scope_slot = slot.number();
                data.tick_ns = tick_ns();
                data.ring_at = room.series / 2;
                data.bounds_rtt = *RTT;
                data.bounds_win = *WIN;
                data.bounds_rto = *RTO;
                data.bounds_delay = *DELAY;
                data.bounds_buf = *BUF;
            }
            // Sizes can be set until the load; a map that is left out does not mind.
            let _ = open.maps.series_a.set_max_entries(room.series);
            let _ = open.maps.series_b.set_max_entries(room.series);
            let _ = open.maps.samples_a.set_max_entries(room.samples);
            let _ = open.maps.samples_b.set_max_entries(room.samples);
            let _ = open.maps.sockets_hash.set_max_entries(room.sockets);
        })?;
        let map = |name: &str| bpf.map(name).map_err(ProbeError::from);
        let pair = |outer, a, b| -> Result<Pair, ProbeError> {
            Ok(Pair { outer: map(outer)?, inner: [map(a)?, map(b)?], active: 0 })
        };
        let pairs = [pair("series", "series_a", "series_b")?, pair("samples", "samples_a", "samples_b")?];
        let mut source = Self { bpf, pairs, pass: 0, told: Default::default() };
        source.set(|data| data.attached_at = boot_ns());
        Ok(source)
    }

    /// Changes what the programs are told while they run.
    fn set(&mut self, change: impl FnOnce(&mut bpf::types::bss)) {
        if let Some(data) = self.bpf.skel_mut().maps.bss_data.as_deref_mut() {
            change(data);
        }
    }

    /// The ring that wakes when a map is half full.
    pub(super) fn bell(&self) -> Result<MapHandle, ProbeError> {
        Ok(self.bpf.map("bell")?)
    }

    /// Attaches what `wanted` needs, and says what of it runs.
    pub(super) fn apply(&mut self, wanted: &SubProbes) -> Outcome {
        self.bpf.apply(wanted)
    }

    /// What is shown and sampled of `wanted`.
    pub(super) fn groups(&mut self, wanted: &SubProbes) -> Groups {
        let done = |job| self.bpf.plan().program_of(job).is_some();
        let groups = Groups::of(wanted, done(DROPS), done(OUT_OF_MEMORY));
        self.set(|data| data.sampled = groups.sampled());
        groups
    }

    /// Whether new series have the client's port.
    pub(super) fn client_ports(&mut self, on: bool) {
        self.set(|data| data.client_ports = on.into());
    }

    /// Reads every open socket in scope; with `listeners` also looks for the listening ports of all processes.
    pub(super) fn pass(&mut self, listeners: bool) -> io::Result<()> {
        self.pass += 1;
        let number = self.pass;
        self.set(|data| {
            data.pass = number;
            data.scan_listeners = listeners.into();
        });
        let Some(link) = self.bpf.link(PASS) else { return Ok(()) };
        // The program writes nothing: this runs it to the end.
        iterate(link, 1)?;
        self.set(|data| data.settled = number);
        if listeners {
            self.forget_listeners()?;
        }
        Ok(())
    }

    /// Takes ports out that the last pass did not find listening.
    fn forget_listeners(&self) -> io::Result<()> {
        let _rights = raised();
        let map = &self.bpf.skel().maps.listeners;
        for (key, listener) in snapshot::<bpf::tcp_listener_key, bpf::tcp_listener>(map)?.entries {
            if listener.seen < self.pass {
                // It may have begun to listen again this moment: then its connections are found by the next pass.
                let _ = map.delete(zerocopy::IntoBytes::as_bytes(&key));
            }
        }
        Ok(())
    }

    /// Takes out what was counted.
    pub(super) fn take(&mut self) -> io::Result<Taken> {
        self.set(|data| (data.fresh, data.rung) = (0, 0));
        let [series, samples] = &mut self.pairs;
        // In this order: a series is counted before it is sampled, so each that is sampled here is known.
        let samples = drain(samples.change()?)?.entries;
        let sums = drain(series.change()?)?.entries;
        Ok(Taken { sums, samples })
    }

    /// What was lost since the last time.
    pub(super) fn losses(&mut self) -> io::Result<Losses> {
        use libbpf_rs::skel::Skel as _;
        let object = self.bpf.skel().object();
        let mut now = Vec::with_capacity(REASONS.len() + 1);
        for (name, reason) in REASONS {
            now.push((name, cost::lost(object, reason)?));
        }
        now.push(("program_skipped", cost::recursion_misses(object)?.unwrap_or(0)));
        for ((_, count), told) in now.iter_mut().zip(&mut self.told) {
            let grown = count.saturating_sub(*told);
            *told = *count;
            *count = grown;
        }
        Ok(now)
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
