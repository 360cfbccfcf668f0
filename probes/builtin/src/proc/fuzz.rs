//! What holds of `proc`'s parsers for any bytes.

use super::{dns, files};

/// Text of `/proc/<pid>/maps`.
pub(crate) fn maps(bytes: &[u8]) {
    files::any_bytes(bytes);
}

/// Entries of looked-up names.
pub(crate) fn lookups(bytes: &[u8]) {
    dns::any_bytes(bytes);
}
