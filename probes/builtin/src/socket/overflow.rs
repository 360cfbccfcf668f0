//! Which of a namespace's overflows are which listening socket's. Pure.
//!
//! The kernel counts overflows by network namespace and drops by socket, and every overflow is a drop of the socket
//! that overflowed. So a socket has at least those overflows that the drops of the others cannot have been; when one
//! socket dropped, or when the drops are as many as the overflows, that is exact. The two are read one after the
//! other, so what does not fit is kept for the next reading, and no longer.

use super::bpf::listen_key;
use super::listeners::Grown;
use super::netns::Counters;
use std::collections::HashMap;

/// What is a place's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overflows {
    pub(super) accept: u64,
    pub(super) requests: u64,
}

#[derive(Debug, Default)]
struct Pending {
    accept: u64,
    requests: u64,
    drops: HashMap<listen_key, u64>,
}

/// What is known of each namespace.
#[derive(Debug, Default)]
pub(super) struct Attribution {
    last: HashMap<u32, Counters>,
    pending: HashMap<u32, Pending>,
}

impl Attribution {
    /// Forgets everything: nobody looked for a while.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes note of one reading of all namespaces and of the drops; returns what is whose, and how many overflows
    /// are nobody's. A namespace that is read for the first time only begins.
    pub(super) fn read(
        &mut self,
        counters: &HashMap<u32, Counters>,
        grown: &[Grown],
    ) -> (Vec<(listen_key, Overflows)>, u64) {
        let mut drops: HashMap<u32, HashMap<listen_key, u64>> = HashMap::new();
        for grown in grown.iter().filter(|grown| grown.drops > 0) {
            *drops.entry(grown.key.netns).or_default().entry(grown.key).or_default() += grown.drops;
        }
        let (mut shares, mut nobodys) = (Vec::new(), 0);
        let mut pending = HashMap::new();
        for (netns, now) in counters {
            let last = self.last.get(netns).copied().unwrap_or(*now);
            let fresh = Pending {
                accept: now.accept.saturating_sub(last.accept),
                requests: now.requests.saturating_sub(last.requests),
                drops: drops.remove(netns).unwrap_or_default(),
            };
            let old = self.pending.remove(netns).unwrap_or_default();
            let mut all = Pending {
                accept: fresh.accept + old.accept,
                requests: fresh.requests + old.requests,
                drops: fresh.drops.clone(),
            };
            old.drops.into_iter().for_each(|(key, drops)| *all.drops.entry(key).or_default() += drops);
            let accept = explain(&mut all.accept, &mut all.drops);
            let requests = explain(&mut all.requests, &mut all.drops);
            for key in accept.keys().chain(requests.keys().filter(|key| !accept.contains_key(key))) {
                let share = |of: &HashMap<listen_key, u64>| of.get(key).copied().unwrap_or(0);
                shares.push((*key, Overflows { accept: share(&accept), requests: share(&requests) }));
            }
            nobodys += all.accept.saturating_sub(fresh.accept) + all.requests.saturating_sub(fresh.requests);
            all.accept = all.accept.min(fresh.accept);
            all.requests = all.requests.min(fresh.requests);
            all.drops.retain(|key, drops| {
                *drops = (*drops).min(fresh.drops.get(key).copied().unwrap_or(0));
                *drops > 0
            });
            pending.insert(*netns, all);
        }
        self.last = counters.clone();
        self.pending = pending;
        (shares, nobodys)
    }
}

/// The part of `total` that must be each key's, out of its `drops`; takes it from both.
fn explain(total: &mut u64, drops: &mut HashMap<listen_key, u64>) -> HashMap<listen_key, u64> {
    let all: u64 = drops.values().sum();
    let least = |own: u64| total.saturating_sub(all - own).min(own);
    let shares: HashMap<_, _> =
        drops.iter().map(|(key, own)| (*key, least(*own))).filter(|(_, share)| *share > 0).collect();
    for (key, share) in &shares {
        *total -= share;
        drops.entry(*key).and_modify(|own| *own -= share);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(port: u16) -> listen_key {
        listen_key { netns: 1, port, ..listen_key::default() }
    }

    fn grown(drops: &[(u16, u64)]) -> Vec<Grown> {
        drops.iter().map(|(port, drops)| Grown { key: place(*port), drops: *drops }).collect()
    }

    fn counters(accept: u64, requests: u64) -> HashMap<u32, Counters> {
        HashMap::from([(1, Counters { accept, requests })])
    }

    fn begun() -> Attribution {
        let mut attribution = Attribution::default();
        attribution.read(&counters(100, 10), &[]);
        attribution
    }

    #[test]
    fn the_one_that_dropped_has_the_overflows() {
        let (shares, nobodys) = begun().read(&counters(105, 12), &grown(&[(80, 9), (81, 0)]));
        assert_eq!(shares, [(place(80), Overflows { accept: 5, requests: 2 })]);
        assert_eq!(nobodys, 0);
    }

    #[test]
    fn when_every_drop_was_an_overflow_each_has_its_own() {
        let (mut shares, _) = begun().read(&counters(112, 10), &grown(&[(80, 9), (81, 3)]));
        shares.sort_by_key(|(key, _)| key.port);
        let share = |accept| Overflows { accept, requests: 0 };
        assert_eq!(shares, [(place(80), share(9)), (place(81), share(3))]);
    }

    #[test]
    fn when_it_is_ambiguous_each_has_what_the_others_cannot_have() {
        let (shares, _) = begun().read(&counters(107, 10), &grown(&[(80, 9), (81, 3)]));
        assert_eq!(shares, [(place(80), Overflows { accept: 4, requests: 0 })]);
    }

    #[test]
    fn an_overflow_that_is_read_before_its_drop_is_given_at_the_next_reading_and_not_later() {
        let mut attribution = begun();
        assert_eq!(attribution.read(&counters(103, 10), &[]), (vec![], 0));
        let (shares, nobodys) = attribution.read(&counters(103, 10), &grown(&[(80, 2)]));
        assert_eq!(shares, [(place(80), Overflows { accept: 2, requests: 0 })]);
        assert_eq!(nobodys, 1, "the third was never dropped by a socket that is known");
        assert_eq!(attribution.read(&counters(103, 10), &grown(&[(80, 1)])), (vec![], 0));
    }

    #[test]
    fn a_namespace_that_is_new_only_begins() {
        let mut attribution = Attribution::default();
        assert_eq!(attribution.read(&counters(7, 7), &grown(&[(80, 7)])), (vec![], 0));
    }

    proptest! {
        #[test]
        fn no_socket_gets_more_than_it_dropped_and_all_no_more_than_there_was(
            total in 0u64..1000, drops in prop::collection::vec(0u64..100, 0..8)
        ) {
            let mut left = total;
            let places = drops.iter().enumerate().map(|(i, d)| (place(u16::try_from(i).expect("few")), *d));
            let before: HashMap<_, _> = places.collect();
            let mut after = before.clone();
            let shares = explain(&mut left, &mut after);
            prop_assert_eq!(shares.values().sum::<u64>() + left, total);
            for (key, share) in &shares {
                prop_assert_eq!(before[key], after[key] + share);
            }
        }
    }
}
