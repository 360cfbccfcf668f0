//! Who listens where: the processes that hold each listening socket, and how the socket's drops grew. Pure.
//!
//! Sockets that listen at one address (SO_REUSEPORT, one a worker) are one place: the kernel does not say which of
//! them a connection came through.

use super::bpf::{closed_key, closed_value, held_socket, listen_key, socket_owner};
use probe_core::ProcKey;
use probe_kit::bpf::abi;
use std::collections::HashMap;

/// Under which name a socket is shown, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// The process, or the process group of those that share the socket.
    pub(super) tgid: u32,
    pub(super) comm: [u8; 16],
    /// Several processes share it.
    pub(super) multi: bool,
    /// Those that hold it, never none; the first stands for them all.
    pub(super) members: Vec<ProcKey>,
}

/// The key of a process.
pub(super) fn process(owner: &socket_owner) -> ProcKey {
    ProcKey { tgid: owner.tgid, start_ticks: owner.start_ticks }
}

impl Who {
    /// A process alone.
    pub(super) fn one(owner: &socket_owner) -> Self {
        Self { tgid: owner.tgid, comm: owner.comm, multi: false, members: vec![process(owner)] }
    }

    /// Those of `holders`, each with its process group; `None` if there are none.
    fn all(holders: &[(socket_owner, u32)]) -> Option<Self> {
        let (first, _) = holders.first()?;
        if holders.len() == 1 {
            return Some(Self::one(first));
        }
        // Workers that were made to lead groups of their own still share one socket: the oldest group's name.
        // Nobody but the kernel's own first processes is in group 0, and that is no name.
        let group = holders.iter().map(|(_, group)| *group).min().filter(|group| *group > 0);
        let group = group.unwrap_or(first.tgid);
        let leader = holders.iter().find(|(owner, _)| owner.tgid == group).map_or(first, |(owner, _)| owner);
        let mut members = vec![process(leader)];
        members.extend(holders.iter().map(|(owner, _)| process(owner)).filter(|p| *p != process(leader)));
        Some(Self { tgid: group, comm: leader.comm, multi: true, members })
    }
}

/// A place where somebody listens.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) who: Who,
    /// What the programs shall write down for a connection that comes in there.
    pub(super) owners: Vec<socket_owner>,
    /// A holder that lives in the socket's network namespace, through which its counters can be read.
    pub(super) window: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    inode: u64,
    drops: u64,
}

/// By how much the drops at a place grew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) key: listen_key,
    pub(super) drops: u64,
}

/// Every listening socket, as of the last pass.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    places: HashMap<listen_key, Place>,
    sockets: HashMap<u64, Known>,
    /// There was a pass: a socket that is seen now for the first time has dropped nothing before that.
    begun: bool,
}

/// Where a socket listens. A v4-mapped address is IPv4's, as the programs have it.
fn place_of(held: &held_socket) -> listen_key {
    let tuple = &held.tuple;
    let (mut ip, mut family) = (tuple.local_ip, tuple.family);
    if u32::from(family) == abi::GOPHER_FAMILY_IPV6 && ip[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
    {
        let mut mapped = [0; 16];
        mapped[..4].copy_from_slice(&ip[12..]);
        (ip, family) = (mapped, abi::GOPHER_FAMILY_IPV4.try_into().unwrap_or(family));
    }
    listen_key { ip, netns: held.netns, port: tuple.local_port, family }
}

impl Listeners {
    /// Forgets everything: nobody looked for a while.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes note of a pass over every holder of every listening socket.
    ///
    /// A process that was forked a moment ago holds what its parent holds, until it executes another program; so of
    /// those that started after `settled` (in clock ticks since boot) only the oldest holder counts.
    pub(super) fn pass(&mut self, held: &[held_socket], settled: u64) -> Vec<Grown> {
        let mut holders: HashMap<listen_key, Vec<(socket_owner, u32)>> = HashMap::new();
        let mut windows = HashMap::new();
        let mut sockets = HashMap::new();
        let mut grown: HashMap<listen_key, u64> = HashMap::new();
        for held in held {
            let key = place_of(held);
            let here = holders.entry(key).or_default();
            // Once for each thread with a table of files of its own, and for each descriptor.
            if !here.iter().any(|(owner, _)| process(owner) == process(&held.owner)) {
                here.push((held.owner, held.group));
            }
            if held.task_netns == held.netns {
                windows.entry(key).or_insert(held.owner.tgid);
            }
            if sockets.contains_key(&held.sk) {
                continue;
            }
            let before = match self.sockets.get(&held.sk) {
                Some(known) if known.inode == held.inode => known.drops,
                _ if self.begun => 0,
                _ => held.drops,
            };
            let drops = grown.entry(key).or_default();
            *drops = drops.saturating_add(held.drops.saturating_sub(before));
            sockets.insert(held.sk, Known { inode: held.inode, drops: held.drops });
        }
        self.sockets = sockets;
        self.begun = true;
        self.places = holders
            .into_iter()
            .filter_map(|(key, mut holders)| {
                holders.sort_by_key(|(owner, _)| (owner.start_ticks, owner.tgid));
                let oldest = holders.first().map(|(owner, _)| process(owner));
                holders.retain(|(owner, _)| owner.start_ticks <= settled || Some(process(owner)) == oldest);
                let who = Who::all(&holders)?;
                let owners = holders.into_iter().map(|(owner, _)| owner).collect();
                Some((key, Place { who, owners, window: windows.get(&key).copied() }))
            })
            .collect();
        grown.into_iter().map(|(key, drops)| Grown { key, drops }).collect()
    }

    /// Takes note that a socket stopped to listen; to be called before the pass that does not find it. Returns
    /// whose it was and by how much its drops grew.
    pub(super) fn closed(&mut self, key: &closed_key, value: &closed_value) -> (Who, Grown) {
        let before = match self.sockets.remove(&key.sk) {
            Some(known) => known.drops,
            None if self.begun => 0,
            None => value.drops,
        };
        let grown = Grown { key: value.key, drops: value.drops.saturating_sub(before) };
        (self.who(&value.owner, &value.key), grown)
    }

    /// Whose the place is: of all that held it, if `owner` is among them.
    fn who(&self, owner: &socket_owner, key: &listen_key) -> Who {
        match self.places.get(key) {
            Some(place) if place.who.members.contains(&process(owner)) => place.who.clone(),
            _ => Who::one(owner),
        }
    }

    /// Whose a connection is that came in at `port` of `owner`'s socket.
    pub(super) fn whose(&self, owner: &socket_owner, port: u16) -> Who {
        let mut shared = self.places.iter().filter(|(key, place)| {
            key.port == port && place.who.multi && place.who.members.contains(&process(owner))
        });
        shared.next().map_or_else(|| Who::one(owner), |(_, place)| place.who.clone())
    }

    /// Every place.
    pub(super) fn places(&self) -> &HashMap<listen_key, Place> {
        &self.places
    }

    /// Bytes that are held.
    pub(super) fn memory(&self) -> u64 {
        let place = size_of::<(listen_key, Place)>() + size_of::<socket_owner>() + size_of::<ProcKey>();
        (self.places.capacity() * place + self.sockets.capacity() * size_of::<(u64, Known)>()) as u64
    }
}

/// What holds of any records: a place has somebody who is there, and what did not grow has no drops.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    const MOST: usize = 64;
    let records = bytes.chunks(size_of::<held_socket>()).take(MOST);
    let held: Vec<held_socket> = records.map(probe_kit::fuzz::record).collect();
    let mut listeners = Listeners::default();
    listeners.pass(&held, 1000);
    for place in listeners.places().values() {
        assert!(!place.who.members.is_empty() && !place.owners.is_empty());
    }
    // A socket whose place in memory another one took meanwhile has dropped what it says.
    let of_one = held.iter().all(|a| held.iter().all(|b| a.sk != b.sk || a.inode == b.inode));
    let again = listeners.pass(&held, 1000);
    assert!(!of_one || again.iter().all(|grown| grown.drops == 0), "{again:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: u64 = 1000;

    fn holder(sk: u64, tgid: u32, group: u32, start_ticks: u64, drops: u64) -> held_socket {
        let mut held =
            held_socket { sk, group, drops, inode: sk, netns: 1, task_netns: 1, ..Default::default() };
        held.owner = socket_owner { start_ticks, tgid, ..socket_owner::default() };
        held.tuple.local_port = 80;
        held.tuple.family = 2;
        held
    }

    fn who(listeners: &Listeners) -> &Who {
        &listeners.places().values().next().expect("a place").who
    }

    #[test]
    fn a_socket_of_one_process_is_that_process_and_one_of_several_is_their_groups() {
        let mut listeners = Listeners::default();
        listeners.pass(&[holder(1, 10, 10, 5, 0), holder(1, 10, 10, 5, 0)], SETTLED);
        assert_eq!((who(&listeners).tgid, who(&listeners).multi), (10, false));
        listeners.pass(&[holder(1, 12, 11, 7, 0), holder(1, 13, 11, 8, 0)], SETTLED);
        assert_eq!((who(&listeners).tgid, who(&listeners).multi), (11, true));
        assert_eq!(who(&listeners).members.len(), 2);
        listeners.pass(&[holder(1, 12, 0, 7, 0), holder(1, 13, 0, 8, 0)], SETTLED);
        assert_eq!(who(&listeners).tgid, 12, "group 0 is no name");
    }

    #[test]
    fn a_child_that_was_just_forked_does_not_count_yet() {
        let mut listeners = Listeners::default();
        let (parent, child) = (holder(1, 10, 10, 5, 0), holder(1, 11, 10, SETTLED + 1, 0));
        listeners.pass(&[child, parent], SETTLED);
        assert_eq!(who(&listeners), &Who::one(&parent.owner));
        listeners.pass(&[child, parent], SETTLED + 1);
        assert!(who(&listeners).multi);
        listeners.pass(&[child], SETTLED);
        assert_eq!(who(&listeners), &Who::one(&child.owner), "but when it is the only one it does");
    }

    #[test]
    fn workers_that_listen_at_one_address_each_are_one_place() {
        let mut listeners = Listeners::default();
        listeners.pass(&[holder(1, 10, 9, 5, 0), holder(2, 11, 9, 6, 0)], SETTLED);
        assert_eq!(listeners.places().len(), 1);
        let grown = listeners.pass(&[holder(1, 10, 9, 5, 3), holder(2, 11, 9, 6, 4)], SETTLED);
        assert_eq!(grown.iter().map(|grown| grown.drops).collect::<Vec<_>>(), [7]);
        let owner = holder(2, 11, 9, 6, 0).owner;
        assert!(listeners.whose(&owner, 80).multi && !listeners.whose(&owner, 81).multi);
    }

    #[test]
    fn drops_before_the_first_pass_are_the_baseline_and_a_new_socket_begins_with_none() {
        let mut listeners = Listeners::default();
        assert_eq!(listeners.pass(&[holder(1, 10, 10, 5, 100)], SETTLED)[0].drops, 0);
        assert_eq!(listeners.pass(&[holder(1, 10, 10, 5, 103)], SETTLED)[0].drops, 3);
        // The address of a socket that is gone, taken by another.
        let other = held_socket { inode: 99, ..holder(1, 10, 10, 5, 2) };
        assert_eq!(listeners.pass(&[other], SETTLED)[0].drops, 2);
    }

    #[test]
    fn drops_that_do_not_fit_into_a_number_are_the_largest_one() {
        let mut listeners = Listeners::default();
        listeners.pass(&[holder(1, 10, 10, 5, 0), holder(2, 10, 10, 5, 0)], SETTLED);
        let grown = listeners.pass(&[holder(1, 10, 10, 5, u64::MAX), holder(2, 10, 10, 5, 2)], SETTLED);
        assert_eq!(grown[0].drops, u64::MAX);
    }

    #[test]
    fn a_socket_that_closes_has_dropped_what_no_pass_has_seen_of_it() {
        let closed = |sk, drops| {
            let value = closed_value { drops, ..closed_value::default() };
            (closed_key { sk, at: 1 }, value)
        };
        let mut listeners = Listeners::default();
        let (key, value) = closed(1, 50);
        assert_eq!(listeners.closed(&key, &value).1.drops, 0, "before the first pass nobody knows");
        listeners.pass(&[holder(1, 10, 10, 5, 7)], SETTLED);
        let (key, value) = closed(1, 9);
        assert_eq!(listeners.closed(&key, &value).1.drops, 2);
        let (key, value) = closed(2, 4);
        assert_eq!(listeners.closed(&key, &value).1.drops, 4, "born and closed between two passes");
    }

    #[test]
    fn a_mapped_address_is_ipv4s() {
        let mut held = holder(1, 10, 10, 5, 0);
        held.tuple.family = 10;
        held.tuple.local_ip = "::ffff:127.0.0.9".parse::<std::net::Ipv6Addr>().expect("an address").octets();
        let key = place_of(&held);
        assert_eq!((key.family, &key.ip[..5]), (2, &[127, 0, 0, 9, 0][..]));
    }
}
