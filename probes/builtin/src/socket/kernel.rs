//! The programs at work: loaded, attached, asked; their maps read and tidied. What the numbers mean is others'.

use super::bpf::{
    self, OpenSocketSkel, SOCKET_LOST_BACKEND, SOCKET_LOST_END, SOCKET_TELL_TCP, SOCKET_TELL_UDP, SocketSkel,
    SocketSkelBuilder, closed_key, closed_value, drop_counts, drop_key, endpoint_counts, endpoint_key,
    held_socket, listen_key, listen_value, udp_counts, udp_key,
};
use super::jobs::{self, Gives, HELD, JOBS};
use super::listeners::{Place, process};
use super::tables::LATENCY_BOUNDS;
use super::tcp::owner_there;
use super::{TCP, UDP};
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use probe_core::{Outcome, ProbeError, Scope, SubProbes};
use probe_kit::bpf::{Bpf, ObjectSpec, ScopeSlot, Storage, abi, cost, drain, iterate, raised, snapshot};
use probe_kit::clock::{boot_ns, monotonic_ns};
use probe_kit::kernel::Kernel;
use std::collections::HashMap;
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Series of each kind that there is room for with each MB of `ringbuf_map_size`.
pub(super) const ENDPOINTS: u32 = 5120;

/// Records of one pass are cut off here, and that is counted: about 75,000 holders of sockets.
const MAX_PASS: usize = 8 << 20;

/// The loaded object.
pub(super) struct Source<'o> {
    object: Bpf<SocketSkel<'o>>,
    kernel: &'static Kernel,
    room: u32,
    lost: [u64; REASONS.len() + 1],
}

/// The names of losses that the programs count.
const REASONS: [(&str, u32); 3] = [
    ("map_full", abi::GOPHER_LOST_MAP),
    ("end_missed", SOCKET_LOST_END),
    ("backend_not_asked", SOCKET_LOST_BACKEND),
];

/// Nanoseconds in a clock tick of `/proc/<pid>/stat`, and after which time a process has executed what it was forked for.
const TICK_NS: u64 = 10_000_000;
const SETTLES_NS: u64 = 1_000_000_000;

impl<'o> Source<'o> {
    /// Loads what this kernel can do, with room for so many series of each kind.
    pub(super) fn load(
        storage: &'o mut Storage,
        kernel: &'static Kernel,
        slot: &ScopeSlot,
        room: u32,
    ) -> Result<Self, ProbeError> {
        let spec = ObjectSpec { name: "socket", owner: "socket", bytes: bpf::OBJECT, jobs: JOBS };
        let configure = |open: &mut OpenSocketSkel<'o>| {
            if let Some(data) = open.maps.rodata_data.as_deref_mut() {
                data.gopher_scope_slot = slot.number();
                data.latency_bounds = LATENCY_BOUNDS;
            }
            let maps = &mut open.maps;
            for map in [
                &mut maps.tcp_endpoints,
                &mut maps.attempts,
                &mut maps.listeners,
                &mut maps.udp_endpoints,
                &mut maps.udp_drops,
            ] {
                // Refused for a map that exists already only; these do not.
                let _ = map.set_max_entries(room);
            }
        };
        let object = Bpf::load::<SocketSkelBuilder>(&spec, kernel, Some(slot.maps()), storage, configure)?;
        Ok(Self { object, kernel, room, lost: [0; _] })
    }

    /// Rows of each kind that there is room for.
    pub(super) fn room(&self) -> usize {
        self.room as usize
    }

    /// Which of the fields that not every kernel gives this one gives.
    pub(super) fn gives(&self) -> Gives {
        Gives::of(self.object.plan())
    }

    /// Attaches what `wanted` needs and nothing else, and says what runs of it.
    pub(super) fn apply(&mut self, wanted: &SubProbes) -> Outcome {
        let mut outcome = self.object.apply(wanted);
        jobs::name_absent(self.object.plan(), self.kernel, &mut outcome);
        let bit = |name: &str, bit: u32| if wanted.has(name) { bit } else { 0 };
        if let Some(data) = self.object.skel_mut().maps.bss_data.as_deref_mut() {
            data.tell = bit(TCP, SOCKET_TELL_TCP) | bit(UDP, SOCKET_TELL_UDP);
        }
        outcome
    }

    /// Tells connects one by one from now on, each with its client's port, or sums them up.
    pub(super) fn connects_apart(&mut self, apart: bool) {
        if let Some(data) = self.object.skel_mut().maps.bss_data.as_deref_mut() {
            data.connects_apart = apart.into();
        }
    }

    /// The ring of connects that are told one by one.
    pub(super) fn ended_connects(&self) -> Result<MapHandle, ProbeError> {
        Ok(self.object.map("ended_connects")?)
    }

    /// Every holder of every socket that is told of, TCP's and UDP's, and how many records were cut off at least.
    pub(super) fn pass(&self) -> io::Result<(Vec<held_socket>, Vec<held_socket>, u64)> {
        let Some(link) = self.object.link(HELD) else { return Ok((Vec::new(), Vec::new(), 0)) };
        let bytes = iterate(link, MAX_PASS)?;
        let cut = u64::from(bytes.len() >= MAX_PASS);
        let records = bytes.chunks_exact(size_of::<held_socket>());
        let records = records.filter_map(|record| held_socket::read_from_bytes(record).ok());
        let (tcp, udp) = records.partition(|record| i32::from(record.protocol) == libc_tcp());
        Ok((tcp, udp, cut))
    }

    /// Sockets that stopped to listen since the last call, in the order in which they did.
    pub(super) fn closed(&self) -> io::Result<Vec<(closed_key, closed_value)>> {
        let mut closed = drain(&self.object.skel().maps.closed_listeners)?.entries;
        closed.sort_by_key(|(key, _): &(closed_key, closed_value)| key.at);
        Ok(closed)
    }

    /// Tells the programs who listens where and whether that is in scope. `begun` is when the pass began that found
    /// `places`, or `None` when only the scope has changed since. Returns how many there was no room for.
    pub(super) fn tell_listeners(
        &self,
        places: &HashMap<listen_key, Place>,
        scope: &Scope,
        begun: Option<u64>,
    ) -> io::Result<u64> {
        let map = &self.object.skel().maps.listeners;
        let known: HashMap<listen_key, listen_value> = snapshot(map)?.entries.into_iter().collect();
        let _raised = raised();
        let mut refused = 0;
        let mut write = |key: &listen_key, old: Option<&listen_value>, owner, observed: bool| {
            let observed = u32::from(observed);
            if old.is_some_and(|old| old.observed == observed && process(&old.owner) == process(&owner)) {
                return;
            }
            let since = old.map(|old| old.since).or(begun).unwrap_or(0);
            let value = listen_value { owner, since, observed, zero: 0 };
            refused += u64::from(map.update(key.as_bytes(), value.as_bytes(), MapFlags::ANY).is_err());
        };
        for (key, place) in places {
            let old = known.get(key);
            if let Some(owner) = owner_there(&place.owners, old.map(|old| &old.owner)) {
                let observed = place.who.members.iter().any(|member| scope.contains(member));
                write(key, old, owner, observed);
            }
        }
        for (key, value) in known.iter().filter(|(key, _)| !places.contains_key(key)) {
            // What began to listen during the pass may have been missed by it.
            if begun.is_some_and(|begun| value.since < begun) {
                delete(map, key);
            } else {
                write(key, Some(value), value.owner, scope.contains(&process(&value.owner)));
            }
        }
        Ok(refused)
    }

    /// The clock for [`Source::tell_listeners`].
    pub(super) fn clock(&self) -> u64 {
        monotonic_ns()
    }

    /// For [`super::listeners::Listeners::pass`].
    pub(super) fn settled(&self) -> u64 {
        boot_ns().saturating_sub(SETTLES_NS) / TICK_NS
    }

    /// What was counted of TCP, and the number of the period that ends with this call.
    pub(super) fn tcp(&mut self, closes: bool) -> io::Result<(Vec<(endpoint_key, endpoint_counts)>, u64)> {
        let entries = snapshot(&self.object.skel().maps.tcp_endpoints)?.entries;
        let data = self.object.skel_mut().maps.data_data.as_deref_mut();
        let period = data.map_or(0, |data| {
            let period = data.period;
            data.period += u64::from(closes);
            period
        });
        Ok((entries, period))
    }

    /// What UDP sockets moved.
    pub(super) fn udp(&self) -> io::Result<Vec<(udp_key, udp_counts)>> {
        Ok(snapshot(&self.object.skel().maps.udp_endpoints)?.entries)
    }

    /// What full UDP sockets did not take.
    pub(super) fn udp_drops(&self) -> io::Result<Vec<(drop_key, drop_counts)>> {
        Ok(snapshot(&self.object.skel().maps.udp_drops)?.entries)
    }

    /// Makes room.
    pub(super) fn remove(&self, tcp: &[endpoint_key], udp: &[udp_key], drops: &[drop_key]) {
        let _raised = raised();
        let maps = &self.object.skel().maps;
        tcp.iter().for_each(|key| delete(&maps.tcp_endpoints, key));
        udp.iter().for_each(|key| delete(&maps.udp_endpoints, key));
        drops.iter().for_each(|key| delete(&maps.udp_drops, key));
    }

    /// What was lost since the last call, by reason.
    pub(super) fn losses(&mut self) -> io::Result<Vec<(&'static str, u64)>> {
        let object = self.object.skel().object();
        let mut now = Vec::with_capacity(self.lost.len());
        for (name, reason) in REASONS {
            now.push((name, cost::lost(object, reason)?));
        }
        now.push(("program_skipped", cost::recursion_misses(object)?.unwrap_or(0)));
        for ((_, count), told) in now.iter_mut().zip(&mut self.lost) {
            let before = std::mem::replace(told, *count);
            *count = count.saturating_sub(before);
        }
        Ok(now)
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().collect()
    }
}

fn libc_tcp() -> i32 {
    rustix::net::ipproto::TCP.as_raw().get().try_into().unwrap_or(6)
}

/// Absent is as good as removed.
fn delete<K: IntoBytes + Immutable>(map: &dyn MapCore, key: &K) {
    let _ = map.delete(key.as_bytes());
}
