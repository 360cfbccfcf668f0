//! How the store's views are written down: Prometheus text, OpenMetrics, gala-gopher's per-period text and
//! its JSON documents, and how a body is compressed. Owns formats; leaves the rows to `store` and HTTP to
//! the listener.
//!
//! ```text
//! store.write_cumulative(format, out) ─► self metrics .write(format, out) ─► finish(format, out)
//!   ─► Compressor::compress(encoding, …)
//! ```

mod compress;
mod cumulative;
pub(crate) mod escape;
mod flat;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
mod json;
pub mod negotiate;
pub(crate) mod number;
mod per_period;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod strict;
#[cfg(test)]
pub(crate) mod tests;

pub use compress::Compressor;
pub use flat::write_flat;
#[cfg(any(test, feature = "testing"))]
pub use fuzz::fuzz_text;
pub use json::write_document;
pub use per_period::PeriodRow;

/// Text formats of the cumulative view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Compressions that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// None.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// Value of `Content-Encoding`; `None` for a plain body.
    pub fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Ends a cumulative body, after everything was appended.
pub fn finish(format: Format, out: &mut Vec<u8>) {
    if format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
}
