//! Where something is in the log, and which way a record goes.

/// A way out that is fed from the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// The Kafka brokers.
    Kafka,
    /// Every webhook.
    Webhook,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; ROUTES] = [Self::Kafka, Self::Webhook];
}

pub(super) const ROUTES: usize = 2;

/// The ways that one record goes. What was accepted for a way goes it, whatever is configured later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routes(u8);

impl Routes {
    /// No way.
    pub const NONE: Self = Self(0);

    /// These and `route`.
    #[must_use]
    pub fn with(self, route: Route) -> Self {
        Self(self.0 | 1 << (route as u8))
    }

    /// Whether `route` is one of them.
    pub fn has(self, route: Route) -> bool {
        self.0 & 1 << (route as u8) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// Bits that no version has written are none.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (bits < 1 << ROUTES).then_some(Self(bits))
    }
}

/// A place between two records. With the totals in it, what lies between two places is a difference: also where the
/// records themselves are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Bytes of records ever written before it.
    pub offset: u64,
    /// The sequence number of the last record before it.
    pub seq: u64,
    /// Records of each route before it.
    pub totals: [u64; ROUTES],
}

/// What each number of a place is at most: with a message a nanosecond it would take 146 years. More is damage that
/// its checksum does not show, and adding to it would not end well.
pub(super) const MOST: u64 = 1 << 62;

impl Position {
    pub(super) const BYTES: usize = 16 + 8 * ROUTES;

    /// Records of `route` before it.
    pub(super) fn of(&self, route: Route) -> u64 {
        self.totals[route as usize]
    }

    /// The place behind a record.
    pub(super) fn after(&self, seq: u64, routes: Routes, bytes: usize) -> Self {
        let mut totals = self.totals;
        for route in Route::ALL.into_iter().filter(|route| routes.has(*route)) {
            totals[route as usize] += 1;
        }
        Self { offset: self.offset + bytes as u64, seq, totals }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for number in [self.offset, self.seq].into_iter().chain(self.totals) {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// `None` for a place that no log reaches.
    pub(super) fn read(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let mut numbers = [0; 2 + ROUTES];
        for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        let [offset, seq, totals @ ..] = numbers;
        numbers.iter().all(|number| *number <= MOST).then_some(Self { offset, seq, totals })
    }
}
