//! What holds of `socket`'s parsers for any bytes.

use super::{listeners, netns};

/// Text of `net/netstat`.
pub(crate) fn netstat(bytes: &[u8]) {
    netns::any_bytes(bytes);
}

/// Records of who holds which socket.
pub(crate) fn holders(bytes: &[u8]) {
    listeners::any_bytes(bytes);
}
