//! Capabilities, raised in the thread that needs them and while it does.
//!
//! The daemon gives up at its start what no built probe can need, and empties the effective set: what is left
//! in the permitted set lies ready and does nothing. A thread that is about to read what is not for everybody
//! holds a [`Raised`] guard meanwhile. Which capabilities are needed for what is in the descriptors; giving
//! up is the daemon's.
//!
//! Take a guard for a whole pass, not for each file: raising and lowering are two system calls each. Start no
//! thread under a guard, for it would begin with what is raised and nobody would lower it there.

use probe_core::Capability;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::cell::Cell;
use std::marker::PhantomData;

type Counts = [u32; Capability::ALL.len()];

thread_local! {
    /// How many guards of this thread hold each capability up.
    static HOLDERS: Cell<Counts> = const { Cell::new([0; Capability::ALL.len()]) };
}

/// The kernel's bit of a capability.
pub fn bit(capability: Capability) -> CapabilitySet {
    match capability {
        Capability::DacReadSearch => CapabilitySet::DAC_READ_SEARCH,
        Capability::NetAdmin => CapabilitySet::NET_ADMIN,
        Capability::SysPtrace => CapabilitySet::SYS_PTRACE,
        Capability::SysAdmin => CapabilitySet::SYS_ADMIN,
        Capability::SysResource => CapabilitySet::SYS_RESOURCE,
        Capability::Syslog => CapabilitySet::SYSLOG,
        Capability::Perfmon => CapabilitySet::PERFMON,
        Capability::Bpf => CapabilitySet::BPF,
    }
}

/// The bits of several.
pub fn bits(wanted: impl IntoIterator<Item = Capability>) -> CapabilitySet {
    wanted.into_iter().map(bit).fold(CapabilitySet::empty(), CapabilitySet::union)
}

/// Those of `wanted` that this thread may not raise.
pub fn lacking(wanted: &[Capability]) -> Vec<Capability> {
    let permitted = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted);
    wanted.iter().copied().filter(|wanted| !permitted.contains(bit(*wanted))).collect()
}

/// Raises those of `wanted` that are permitted, in this thread, until the guard goes. What is not permitted
/// stays down: then the calls that need it are refused, and the reader says what is absent.
pub fn raise(wanted: &[Capability]) -> Raised {
    let mut raised = Raised { ours: [false; Capability::ALL.len()], not_send: PhantomData };
    let Ok(sets) = capabilities(None) else { return raised };
    let mut holders = HOLDERS.get();
    let mut new = CapabilitySet::empty();
    for (index, capability) in Capability::ALL.into_iter().enumerate() {
        let bit = bit(capability);
        if !wanted.contains(&capability) || !sets.permitted.contains(bit) {
            continue;
        }
        // What was effective before any guard is not ours to lower.
        if holders[index] > 0 || !sets.effective.contains(bit) {
            holders[index] += 1;
            raised.ours[index] = true;
            new |= bit;
        }
    }
    if sets.effective.contains(new) || set(sets, sets.effective | new).is_ok() {
        HOLDERS.set(holders);
    } else {
        raised.ours = [false; Capability::ALL.len()];
    }
    raised
}

fn set(sets: CapabilitySets, effective: CapabilitySet) -> rustix::io::Result<()> {
    set_capabilities(None, CapabilitySets { effective, ..sets })
}

/// Capabilities that are up in this thread as long as this lives; it cannot leave the thread.
///
/// ```compile_fail
/// let raised = probe_kit::privilege::raise(&[probe_core::Capability::Bpf]);
/// std::thread::Builder::new().spawn(move || drop(raised));
/// ```
#[derive(Debug)]
#[must_use = "what is raised is lowered when this is dropped"]
pub struct Raised {
    /// Those that this guard counts among its own, in the order of [`Capability::ALL`].
    ours: [bool; Capability::ALL.len()],
    not_send: PhantomData<*const ()>,
}

impl Drop for Raised {
    fn drop(&mut self) {
        let mut holders = HOLDERS.get();
        let mut last = CapabilitySet::empty();
        for (index, capability) in Capability::ALL.into_iter().enumerate() {
            if self.ours[index] {
                holders[index] -= 1;
                if holders[index] == 0 {
                    last |= bit(capability);
                }
            }
        }
        HOLDERS.set(holders);
        if last.is_empty() {
            return;
        }
        let lowered = capabilities(None).and_then(|sets| set(sets, sets.effective - last));
        // The kernel refuses nobody to give something up. If it ever did, this thread must not go on with it.
        assert!(lowered.is_ok(), "a capability cannot be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const BOTH: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

    fn effective() -> CapabilitySet {
        capabilities(None).expect("asked").effective
    }

    /// Runs `body` in a thread whose effective set is empty and whose permitted one is `permitted`, as far as
    /// this process has it; says what it then has.
    fn with(permitted: CapabilitySet, body: impl FnOnce(CapabilitySet) + Send + 'static) {
        let run = move || {
            let permitted = capabilities(None).expect("asked").permitted & permitted;
            let empty = CapabilitySet::empty();
            let sets = CapabilitySets { effective: empty, permitted, inheritable: empty };
            set_capabilities(None, sets).expect("less is always allowed");
            body(permitted);
            assert_eq!(effective(), empty, "everything is down again");
        };
        std::thread::Builder::new().spawn(run).expect("a thread").join().expect("no panic");
    }

    #[test]
    fn a_capability_is_up_while_its_guard_lives() {
        with(CapabilitySet::all(), |permitted| {
            let raised = raise(&BOTH);
            assert_eq!(effective(), bits(BOTH) & permitted);
            drop(raised);
            assert_eq!(effective(), CapabilitySet::empty());
        });
    }

    #[test]
    fn guards_may_overlap_in_any_order() {
        with(CapabilitySet::all(), |permitted| {
            let first = raise(&BOTH);
            let second = raise(&[Capability::SysPtrace]);
            drop(first);
            assert_eq!(effective(), CapabilitySet::SYS_PTRACE & permitted);
            let third = raise(&[Capability::SysPtrace]);
            drop(second);
            assert_eq!(effective(), CapabilitySet::SYS_PTRACE & permitted);
            drop(third);
        });
    }

    #[test]
    fn a_panic_lowers_too() {
        with(CapabilitySet::all(), |permitted| {
            let body = || {
                let _raised = raise(&BOTH);
                assert_eq!(effective(), bits(BOTH) & permitted);
                std::panic::resume_unwind(Box::new("as asked"));
            };
            assert!(catch_unwind(AssertUnwindSafe(body)).is_err());
        });
    }

    #[test]
    fn what_is_not_permitted_stays_down_and_the_rest_is_raised() {
        with(CapabilitySet::SYS_PTRACE, |permitted| {
            let _raised = raise(&BOTH);
            assert_eq!(effective(), permitted);
            let expected = if permitted.is_empty() { &BOTH[..] } else { &[Capability::DacReadSearch] };
            assert_eq!(lacking(&BOTH), expected);
        });
    }

    #[test]
    fn what_was_up_before_stays_up() {
        with(CapabilitySet::all(), |permitted| {
            let sets = capabilities(None).expect("asked");
            set(sets, CapabilitySet::SYS_PTRACE & permitted).expect("permitted");
            drop(raise(&BOTH));
            assert_eq!(effective(), CapabilitySet::SYS_PTRACE & permitted);
            set(sets, CapabilitySet::empty()).expect("less");
        });
    }

    #[test]
    fn every_name_is_the_kernels() {
        for capability in Capability::ALL {
            let name = capability.name().strip_prefix("CAP_").expect("CAP_");
            assert_eq!(CapabilitySet::from_name(name), Some(bit(capability)));
        }
    }
}
