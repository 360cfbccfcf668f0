//! The rows of UDP: bytes by process and socket, and drops, whose process the last pass knows. Pure.

use super::bpf::{drop_counts, drop_key, held_socket, udp_counts, udp_key};
use super::jobs::Gives;
use super::labels;
use super::listeners::process;
use super::tables::EndpointUdp;
use super::tcp::{IDLE, Showing};
use probe_core::{Baseline, Batch, ProcKey, Subject};
use std::collections::HashMap;
use std::time::Instant;

#[derive(Debug)]
struct Held {
    counts: udp_counts,
    drops: drop_counts,
    touched: Instant,
    news: bool,
    shown: bool,
}

/// Every row, and what the kernel said last.
#[derive(Debug)]
pub(super) struct Datagrams {
    rows: HashMap<udp_key, Held>,
    seen: HashMap<udp_key, (udp_counts, Instant)>,
    dropped: HashMap<drop_key, drop_counts>,
    /// The processes that hold each socket, as of the last pass; the oldest.
    holders: HashMap<u64, udp_key>,
    limit: usize,
    refused: u64,
    ownerless: u64,
}

fn owner(key: &udp_key) -> ProcKey {
    ProcKey { tgid: key.tgid, start_ticks: key.start_ticks }
}

impl Datagrams {
    /// Room for `limit` rows.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            rows: HashMap::new(),
            seen: HashMap::new(),
            dropped: HashMap::new(),
            holders: HashMap::new(),
            limit,
            refused: 0,
            ownerless: 0,
        }
    }

    /// Takes note of a pass over every holder of every UDP socket.
    pub(super) fn pass(&mut self, held: &[held_socket]) {
        self.holders.clear();
        for held in held {
            let process = process(&held.owner);
            let key =
                udp_key { start_ticks: process.start_ticks, tgid: process.tgid, zero: 0, tuple: held.tuple };
            let holder = self.holders.entry(held.sk).or_insert(key);
            if (process.start_ticks, process.tgid) < (holder.start_ticks, holder.tgid) {
                *holder = key;
            }
        }
    }

    fn row(&mut self, key: udp_key, now: Instant) -> Option<&mut Held> {
        if !self.rows.contains_key(&key) && self.rows.len() >= self.limit {
            self.refused += 1;
            return None;
        }
        let row = self.rows.entry(key).or_insert_with(|| Held {
            counts: udp_counts::default(),
            drops: drop_counts::default(),
            touched: now,
            news: false,
            shown: false,
        });
        (row.touched, row.news) = (now, true);
        Some(row)
    }

    /// Takes note of what the kernel has counted.
    pub(super) fn count(&mut self, entries: &[(udp_key, udp_counts)], now: Instant) {
        let mut before = std::mem::take(&mut self.seen);
        for (key, counts) in entries {
            let old = before.remove(key);
            let base = old.map_or_else(udp_counts::default, |(counts, _)| counts);
            let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            let (sent, received) = (grown(counts.sent, base.sent), grown(counts.received, base.received));
            let quiet = sent + received == 0;
            let touched = old.map_or(now, |(_, touched)| if quiet { touched } else { now });
            self.seen.insert(*key, (*counts, touched));
            if quiet {
                continue;
            }
            if let Some(row) = self.row(*key, now) {
                row.counts.sent += sent;
                row.counts.received += received;
            }
        }
    }

    /// Takes note of what full sockets have dropped, after the pass that says whose they are.
    pub(super) fn drops(&mut self, entries: &[(drop_key, drop_counts)], now: Instant) {
        let before = std::mem::take(&mut self.dropped);
        for (key, counts) in entries {
            let base = before.get(key).copied().unwrap_or_default();
            let packets = counts.packets.checked_sub(base.packets).unwrap_or(counts.packets);
            let bytes = counts.bytes.checked_sub(base.bytes).unwrap_or(counts.bytes);
            self.dropped.insert(*key, *counts);
            if packets == 0 {
                continue;
            }
            // A socket that was connected since has another tuple; whose it is has not changed.
            let Some(holder) = self.holders.get(&key.sk).copied() else {
                self.ownerless += packets;
                continue;
            };
            if let Some(row) = self.row(udp_key { tuple: key.tuple, ..holder }, now) {
                row.drops.packets += packets;
                row.drops.bytes += bytes;
            }
        }
    }

    /// Entries of the kernel that nothing will be added to, or was for long.
    pub(super) fn stale(
        &self,
        alive: &dyn Fn(ProcKey) -> bool,
        now: Instant,
    ) -> (Vec<udp_key>, Vec<drop_key>) {
        let idle = |touched: &Instant| now.saturating_duration_since(*touched) >= IDLE;
        let counts = self.seen.iter().filter(|(key, (_, at))| idle(at) || !alive(owner(key)));
        let drops = self.dropped.keys().filter(|key| !self.holders.contains_key(&key.sk));
        (counts.map(|(key, _)| *key).collect(), drops.copied().collect())
    }

    /// The kernel has these entries no more.
    pub(super) fn removed(&mut self, counts: &[udp_key], drops: &[drop_key]) {
        for key in counts {
            self.seen.remove(key);
        }
        for key in drops {
            self.dropped.remove(key);
        }
    }

    /// Since the last call: things that found no room, and datagrams that were dropped by a socket that nobody held
    /// any more when it was looked for.
    pub(super) fn take_losses(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.refused), std::mem::take(&mut self.ownerless))
    }

    /// Adds the rows in scope to `out`, and forgets those that have ended or aged.
    pub(super) fn show(&mut self, showing: &Showing<'_>, now: Instant, out: &mut Batch) {
        self.rows.retain(|key, row| {
            let process = owner(key);
            let alive = (showing.alive)(process);
            let idle = now.saturating_duration_since(row.touched) >= IDLE;
            let show = if alive { showing.scope.contains(&process) && !idle } else { row.news || row.shown };
            if show {
                let text = text(key, row, showing.gives);
                if alive {
                    out.push(Subject::Process(process), Baseline::Zero, text);
                } else {
                    out.push_last(Subject::Process(process), Baseline::Zero, text);
                }
            }
            (row.shown, row.news) = (show, false);
            alive && !idle
        });
        out.complete::<EndpointUdp>();
    }

    /// Bytes that are held.
    pub(super) fn memory(&self) -> u64 {
        let row = size_of::<(udp_key, Held)>();
        let seen = size_of::<(udp_key, (udp_counts, Instant))>();
        let dropped = size_of::<(drop_key, drop_counts)>();
        (self.rows.capacity() * row
            + self.seen.capacity() * seen
            + self.dropped.capacity() * dropped
            + self.holders.capacity() * size_of::<(u64, udp_key)>()) as u64
    }
}

fn text(key: &udp_key, row: &Held, gives: Gives) -> EndpointUdp {
    let tuple = &key.tuple;
    EndpointUdp {
        tgid: labels::number(key.tgid),
        local_ip: labels::address(tuple.local_ip, tuple.family),
        local_port: labels::number(tuple.local_port),
        remote_ip: labels::address(tuple.peer_ip, tuple.family),
        remote_port: labels::number(tuple.peer_port),
        protocol: labels::number(tuple.family),
        udp_rcv_drops: gives.udp_rcv_drops.then_some(row.drops.bytes),
        udp_rcv_drop_packets: Some(row.drops.packets),
        bind_sends: gives.bind_sends.then_some(row.counts.sent),
        bind_rcvs: gives.bind_rcvs.then_some(row.counts.received),
    }
}
