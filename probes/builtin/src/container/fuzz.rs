//! What holds of `container`'s parsers for any text.

use super::{cpu, fs, memory, network, place};
use probe_kit::fuzz::Check;

/// Files of cgroups, and of /proc.
pub(crate) const TEXTS: &[Check] =
    &[cpu::any_bytes, fs::any_bytes, memory::any_bytes, network::any_bytes, place::any_bytes];
