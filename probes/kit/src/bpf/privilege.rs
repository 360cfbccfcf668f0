//! The rights that BPF takes, raised for the call and in its thread alone. A probe's descriptor says that it needs
//! them; what was not given stays down, and the kernel's refusal is what the operator is told.
//!
//! Before 5.19 every call needs them, reading a map as well, where `kernel.unprivileged_bpf_disabled` is set.

use crate::privilege::{Raised, raise};
use probe_core::Capability;

/// Load and attach; tracing; and, before 5.11, locked memory beyond the limit.
const RIGHTS: [Capability; 3] = [Capability::Bpf, Capability::Perfmon, Capability::SysResource];

/// Raises what BPF takes until the guard goes. The functions of this module do so themselves; a probe that calls
/// libbpf-rs directly holds one for the whole pass.
pub fn raised() -> Raised {
    raise(&RIGHTS)
}

/// The same for functions of user space: kernels let CAP_PERFMON attach to several of them at once, and not to one.
pub(super) fn raised_for_functions() -> Raised {
    raise(&[Capability::Bpf, Capability::Perfmon, Capability::SysResource, Capability::SysAdmin])
}

/// The same for the run-time statistics of the whole kernel.
pub(super) fn raised_for_statistics() -> Raised {
    raise(&[Capability::SysAdmin])
}
