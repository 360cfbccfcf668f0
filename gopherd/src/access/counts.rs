//! What was refused, counted for `gopherd_http_refused_total`, and until when the listeners' certificates hold.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Where a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The control listener.
    Rest,
    /// The metrics listener.
    Metrics,
    /// The unix socket.
    Unix,
}

impl Listener {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Rest, Self::Metrics, Self::Unix];

    /// As labels have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Metrics => "metrics",
            Self::Unix => "unix",
        }
    }
}

/// Why a request or a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More requests than one peer may send.
    Rate,
    /// A `Host` that is not this host.
    Host,
    /// A browser sends it for another page.
    Origin,
    /// No credential, or one that is not known.
    Auth,
    /// A credential that does not allow it.
    Role,
    /// What is no HTTP, or a head that is too large.
    Malformed,
    /// A body that is too large.
    Body,
    /// A body of another type.
    MediaType,
    /// A head or a body that took too long.
    Timeout,
    /// A TLS handshake that failed or took too long.
    Handshake,
}

impl Reason {
    /// Each of them.
    pub const ALL: [Self; 10] = [
        Self::Rate,
        Self::Host,
        Self::Origin,
        Self::Auth,
        Self::Role,
        Self::Malformed,
        Self::Body,
        Self::MediaType,
        Self::Timeout,
        Self::Handshake,
    ];

    /// As labels have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Auth => "auth",
            Self::Role => "role",
            Self::Malformed => "malformed",
            Self::Body => "body",
            Self::MediaType => "media_type",
            Self::Timeout => "timeout",
            Self::Handshake => "handshake",
        }
    }
}

/// The numbers, counted where requests are refused and read by a scrape.
#[derive(Debug, Default)]
pub struct Counts {
    refused: [[AtomicU64; Reason::ALL.len()]; Listener::ALL.len()],
    expiry: [AtomicI64; Listener::ALL.len()],
}

impl Counts {
    /// One more was refused.
    pub fn refused(&self, listener: Listener, reason: Reason) {
        if let Some(count) = self.refused.get(listener as usize).and_then(|row| row.get(reason as usize)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// What was refused so far, without what never was.
    pub fn read(&self) -> impl Iterator<Item = (Listener, Reason, u64)> + '_ {
        let rows = Listener::ALL.into_iter().zip(&self.refused);
        let each = rows.flat_map(|(listener, row)| {
            Reason::ALL
                .into_iter()
                .zip(row)
                .map(move |(reason, count)| (listener, reason, count.load(Relaxed)))
        });
        each.filter(|(.., count)| *count > 0)
    }

    /// The listener's certificate holds until then, in seconds since 1970.
    pub fn set_expiry(&self, listener: Listener, until: i64) {
        if let Some(expiry) = self.expiry.get(listener as usize) {
            expiry.store(until, Relaxed);
        }
    }

    /// Until when each listener's certificate holds, for those that have one.
    pub fn expiries(&self) -> impl Iterator<Item = (Listener, i64)> + '_ {
        let each = Listener::ALL.into_iter().zip(&self.expiry);
        each.map(|(listener, until)| (listener, until.load(Relaxed))).filter(|(_, until)| *until != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_and_reason_has_a_number_of_its_own() {
        let counts = Counts::default();
        for listener in Listener::ALL {
            for reason in Reason::ALL {
                counts.refused(listener, reason);
            }
        }
        counts.refused(Listener::Metrics, Reason::Host);
        assert_eq!(counts.read().count(), 30);
        let twice: Vec<_> = counts.read().filter(|(.., count)| *count == 2).collect();
        assert_eq!(twice, [(Listener::Metrics, Reason::Host, 2)]);
        counts.set_expiry(Listener::Rest, 9);
        assert_eq!(counts.expiries().collect::<Vec<_>>(), [(Listener::Rest, 9)]);
    }
}
