//! How many requests a peer may send in a second.
//!
//! Owns the table of peers, which is bounded: the peer that was silent longest is forgotten, and whoever is
//! forgotten begins anew with a full second's worth. The counting itself is the governor crate's (GCRA).

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use lru::LruCache;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

/// Peers that are remembered.
pub const MAX_PEERS: usize = 4096;

/// One peer: an IPv4 address, or the /64 of an IPv6 address, all of which one host may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The peers and what they may still send.
pub struct Rate<C: Clock = MonotonicClock> {
    quota: Quota,
    clock: C,
    peers: Mutex<LruCache<Peer, Limiter<C>>>,
}

impl<C: Clock> std::fmt::Debug for Rate<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rate").field("quota", &self.quota).finish_non_exhaustive()
    }
}

impl Rate {
    /// So many requests per second, and as many at once after a pause; at least one.
    pub fn new(per_second: u32) -> Self {
        Self::with_clock(per_second, MonotonicClock)
    }
}

impl<C: Clock + Clone> Rate<C> {
    fn with_clock(per_second: u32, clock: C) -> Self {
        let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
        // Unbounded by type and bounded in `take`, so that the table grows with the peers.
        Self { quota, clock, peers: Mutex::new(LruCache::unbounded()) }
    }

    /// Whether the peer at this address may send a request now, which then counts.
    pub fn take(&self, address: IpAddr) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || RateLimiter::direct_with_clock(self.quota, self.clock.clone());
        let allowed = peers.get_or_insert(Peer::from(address), new).check().is_ok();
        if peers.len() > MAX_PEERS {
            peers.pop_lru();
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use std::net::Ipv6Addr;
    use std::time::Duration;

    fn v4(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(n))
    }

    #[test]
    fn a_peer_has_its_requests_a_second_and_takes_nothing_from_others() {
        let clock = FakeRelativeClock::default();
        let rate = Rate::with_clock(3, clock.clone());
        let taken = |address| rate.take(address);
        assert_eq!([(); 4].map(|()| taken(v4(1))), [true, true, true, false]);
        assert!(taken(v4(2)));
        clock.advance(Duration::from_millis(400));
        assert_eq!([(); 2].map(|()| taken(v4(1))), [true, false]);
        clock.advance(Duration::from_secs(60));
        assert_eq!([(); 4].map(|()| taken(v4(1))), [true, true, true, false]);
    }

    #[test]
    fn a_whole_ipv6_network_and_an_ipv4_address_in_either_form_are_one_peer() {
        let rate = Rate::with_clock(1, FakeRelativeClock::default());
        let v6 = |text: &str| IpAddr::V6(text.parse::<Ipv6Addr>().expect("an address"));
        assert!(rate.take(v6("2001:db8:1:2::1")));
        assert!(!rate.take(v6("2001:db8:1:2:ffff::9")));
        assert!(rate.take(v6("2001:db8:1:3::1")));
        assert!(rate.take(v6("::ffff:192.0.2.7")));
        assert!(!rate.take("192.0.2.7".parse().expect("an address")));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_was_silent_longest() {
        let rate = Rate::with_clock(1, FakeRelativeClock::default());
        let most = u32::try_from(MAX_PEERS).expect("small");
        for peer in 0..most {
            assert!(rate.take(v4(peer)));
        }
        assert!(!rate.take(v4(0)));
        for peer in most..most + 10 {
            assert!(rate.take(v4(peer)));
        }
        assert_eq!(rate.peers.lock().expect("peers").len(), MAX_PEERS);
        assert!(!rate.take(v4(0)), "it was not silent longest");
        assert!(rate.take(v4(1)), "it was forgotten");
    }
}
