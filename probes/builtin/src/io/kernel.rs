//! The programs at work: loaded, attached by sub-probe, and read. What the numbers mean is others'.

use super::Groups;
use super::bpf::{
    self, IO_LOST_END, IO_LOST_IN_FLIGHT, IO_LOST_UNSEEN, IoSkel, IoSkelBuilder, io_bio, io_counts, io_name,
    io_pages, io_set,
};
use super::failure::Numbering;
use super::jobs::{Gives, JOBS};
use super::tables::LATENCY;
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{MapCore, MapFlags, MapHandle, num_possible_cpus};
use probe_core::{Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{Bpf, ObjectSpec, Storage, abi, cost, lookup, per_cpu, raised, snapshot};
use probe_kit::clock::monotonic_ns;
use probe_kit::kernel::{Kernel, Requirement};
use rustix::param::page_size;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;
use zerocopy::{FromBytes as _, IntoBytes as _};

/// A bio that nobody ends for so long was ended where no program saw it; it is thrown out when the map is full.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// What the maps by device may take on all CPUs together; they are made whole at the start.
const ROOM: usize = 16 << 20;
/// Devices that there is room for: `MAX_DEVICES` with up to 70 CPUs, the fewest with 565 and more.
const DEVICES: RangeInclusive<usize> = 64..=512;

/// Devices that there is room for on a host with so many CPUs.
fn room(cpus: usize) -> u32 {
    let fits = ROOM / (cpus.max(1) * (size_of::<io_counts>() + size_of::<io_pages>()));
    // Below 2^10.
    fits.clamp(*DEVICES.start(), *DEVICES.end()).try_into().unwrap_or(u32::MAX)
}

/// The kernels that number states of requests in the older way have this.
const ZONES_ARE_LOCKED: Requirement = Requirement::Field("elevator_type", "elevator_features");

/// What was lost, by the label of `gopherd_lost_total`.
pub(super) type Losses = Vec<(&'static str, u64)>;

/// The losses that the programs count.
const REASONS: [(&str, u32); 5] = [
    ("device_map_full", abi::GOPHER_LOST_MAP),
    ("failure_ring_full", abi::GOPHER_LOST_RING),
    (IN_FLIGHT, IO_LOST_IN_FLIGHT),
    ("request_begin_unseen", IO_LOST_UNSEEN),
    ("request_end_unseen", IO_LOST_END),
];
const IN_FLIGHT: &str = "request_map_full";

/// The loaded object.
pub(super) struct Source<'o> {
    object: Bpf<IoSkel<'o>>,
    numbering: Numbering,
    doing: u32,
    /// What of it was told.
    told: [u64; REASONS.len() + 1],
}

impl<'o> Source<'o> {
    /// Loads what `kernel` can do.
    pub(super) fn load(storage: &'o mut Storage, kernel: &Kernel) -> Result<Self, ProbeError> {
        let spec = ObjectSpec { name: "io", owner: "io", bytes: bpf::OBJECT, jobs: JOBS };
        let room = room(num_possible_cpus().map_err(|error| ProbeError::failed("counting CPUs", error))?);
        let object = Bpf::load::<IoSkelBuilder>(&spec, kernel, None, storage, |open| {
            let maps = &mut open.maps;
            for map in [&mut maps.devices, &mut maps.names, &mut maps.pages] {
                // Refused for a map that exists already only; these do not.
                let _ = map.set_max_entries(room);
            }
            if let Some(data) = open.maps.rodata_data.as_deref_mut() {
                data.bounds = *LATENCY;
                data.page_shift = page_size().trailing_zeros();
            }
        })?;
        let older = kernel.ask(ZONES_ARE_LOCKED).is_ok();
        let numbering = if older { Numbering::Older } else { Numbering::Newer };
        Ok(Self { object, numbering, doing: 0, told: [0; _] })
    }

    /// What this kernel gives.
    pub(super) fn gives(&self) -> Gives {
        Gives::of(self.object.plan())
    }

    /// How it numbers states.
    pub(super) fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// Attaches what `wanted` needs, and says what of it runs. Failures are told one by one if `tell`.
    pub(super) fn apply(&mut self, wanted: &SubProbes, tell: bool) -> io::Result<Outcome> {
        self.tell(wanted, tell);
        let outcome = self.object.apply(wanted);
        if self.doing & (bpf::IO_TIMES | bpf::IO_ERRORS) == 0 {
            // Their ends are not seen any more.
            self.forget_all()?;
        }
        Ok(outcome)
    }

    /// Only changes whether failures are told.
    pub(super) fn tell(&mut self, wanted: &SubProbes, tell: bool) {
        self.doing = Groups::of(wanted).doing(tell);
        let doing = self.doing;
        self.set(|data| data.doing = doing);
    }

    /// Sets the time between two samples.
    pub(super) fn sample_every(&mut self, period: Duration) {
        self.set(|data| data.sample_ns = period.as_nanos().try_into().unwrap_or(u64::MAX));
    }

    fn set(&mut self, change: impl FnOnce(&mut bpf::types::bss)) {
        if let Some(data) = self.object.skel_mut().maps.bss_data.as_deref_mut() {
            change(data);
        }
    }

    /// Ends a period; its number.
    pub(super) fn close(&mut self) -> u64 {
        let data = self.object.skel_mut().maps.data_data.as_deref_mut();
        data.map_or(0, |data| {
            let ended = data.period;
            data.period += 1;
            ended
        })
    }

    /// The ring of failures.
    pub(super) fn failures(&self) -> Result<MapHandle, ProbeError> {
        Ok(self.object.map("failures")?)
    }

    /// What each CPU counted, by device.
    pub(super) fn counts(&self) -> io::Result<Vec<(u32, Vec<io_counts>)>> {
        let _raised = raised();
        let map = &self.object.skel().maps.devices;
        devices(map).map(|device| Ok((device, per_cpu(map, &device)?))).collect()
    }

    /// What was counted of page caches, by device.
    pub(super) fn pages(&self) -> io::Result<Vec<(u32, io_pages)>> {
        let _raised = raised();
        let map = &self.object.skel().maps.pages;
        let sum = |cpus: Vec<io_pages>| {
            cpus.iter().fold(io_pages::default(), |sum, cpu| io_pages {
                accessed: sum.accessed + cpu.accessed,
                buffers_dirtied: sum.buffers_dirtied + cpu.buffers_dirtied,
                loaded: sum.loaded + cpu.loaded,
                dirtied: sum.dirtied + cpu.dirtied,
            })
        };
        devices(map).map(|device| Ok((device, sum(per_cpu(map, &device)?)))).collect()
    }

    /// What the kernel called the disk with this number when it was first seen.
    pub(super) fn name(&self, device: u32) -> Option<String> {
        let name: io_name = lookup(&self.object.skel().maps.names, &device).ok()??;
        let text = name.text.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty())
    }

    /// Makes room: the device is gone.
    pub(super) fn forget(&self, device: u32) {
        let _raised = raised();
        let maps = &self.object.skel().maps;
        for map in [&maps.devices as &dyn MapCore, &maps.names, &maps.pages] {
            // Absent is as good as removed.
            let _ = map.delete(device.as_bytes());
        }
    }

    /// Nothing is under way any more.
    fn forget_all(&self) -> io::Result<()> {
        self.forget_bios(u64::MAX)?;
        let map = &self.object.skel().maps.requests;
        let _raised = raised();
        for set in 0..map.max_entries() {
            map.update(set.as_bytes(), io_set::default().as_bytes(), MapFlags::ANY)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Throws out bios that began before `before`.
    fn forget_bios(&self, before: u64) -> io::Result<()> {
        let map = &self.object.skel().maps.bios;
        let all = snapshot::<u64, io_bio>(map)?.entries;
        let _raised = raised();
        for (key, _) in all.iter().filter(|(_, bio)| bio.begun < before) {
            // One that has ended meanwhile is gone already.
            let _ = map.delete(key.as_bytes());
        }
        Ok(())
    }

    /// What was lost since the last time.
    pub(super) fn losses(&mut self) -> io::Result<Losses> {
        let object = self.object.skel().object();
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
        if now.iter().any(|(name, count)| *name == IN_FLIGHT && *count > 0) {
            let age = FORGOTTEN.as_nanos().try_into().unwrap_or(u64::MAX);
            self.forget_bios(monotonic_ns().saturating_sub(age))?;
        }
        Ok(now)
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().collect()
    }
}

/// The keys of a map by device. While it is read, programs add to it and nobody removes.
fn devices(map: &dyn MapCore) -> impl Iterator<Item = u32> + '_ {
    let keys = map.keys().take(map.max_entries() as usize);
    keys.filter_map(|key| u32::read_from_bytes(&key).ok())
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
