//! What this process may do: everything that no built probe needs is given up before the first thread starts.
//!
//! Owns giving up and saying what is missing. What is needed and for what is in the descriptors, and in
//! [`OWN`] for the daemon's own parts; raising it for a moment is `probe_kit::privilege`.
//!
//! From the first moment on nothing is in effect, so that the configuration is read with the same rights at
//! the start and at a reload. Then the bounding and the permitted set shrink to what is needed, less what
//! `limits.capabilities` leaves out, and no program that could get more can be started.

use probe_core::{Capability, Need};
use probe_kit::privilege::{bit, bits};
use probe_kit::tracker;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::fmt::Write as _;

/// What the daemon needs beside its probes and its process tracker.
const OWN: &[Need] = &[
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["scopes", "labels"],
        purpose: "notice the exec of a process of another user, and see processes in a /proc that hides them",
        without: "an exec that keeps the process's name is noticed late or not at all",
    },
    Need {
        capability: Capability::SysAdmin,
        sub_probes: &["cost of BPF programs"],
        purpose: "have the kernel measure the run time of BPF programs",
        without: "gopherd_bpf_run_seconds_total and gopherd_bpf_runs_total are absent, unless kernel.bpf_stats_enabled is 1",
    },
];

/// Who needs a capability.
#[derive(Clone, Copy, Debug)]
struct Needed {
    /// A feature, or `gopherd`.
    by: &'static str,
    built: bool,
    need: &'static Need,
}

fn needed() -> impl Iterator<Item = Needed> {
    let own = OWN.iter().chain(&tracker::NEEDS).map(|need| Needed { by: "gopherd", built: true, need });
    let of_probes = probes::all().flat_map(|feature| {
        let built = feature.build.is_some();
        feature.needs.iter().map(move |need| Needed { by: feature.name, built, need })
    });
    let to_come = probes::planned_needs().iter();
    own.chain(of_probes).chain(to_come.map(|need| Needed { by: "probes to come", built: false, need }))
}

/// What is kept of the capabilities that this process was given.
fn wanted() -> CapabilitySet {
    bits(needed().filter(|needed| needed.built).map(|needed| needed.need.capability))
}

/// The text of `--list-capabilities`: each capability that some version of a probe needs, and what for.
pub fn list() -> String {
    let mut out = String::new();
    for capability in Capability::ALL {
        let of_it = needed().filter(|needed| needed.need.capability == capability);
        for (at, needed) in of_it.enumerate() {
            if at == 0 {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{}", capability.name());
            }
            let built = if needed.built { "" } else { " (not built in this version)" };
            let _ = writeln!(out, "  {} to {}{built}", named(&needed), needed.need.purpose);
        }
    }
    out
}

/// As `baseinfo (proc, fs)`.
fn named(needed: &Needed) -> String {
    match needed.need.sub_probes {
        [] => needed.by.to_owned(),
        parts => format!("{} ({})", needed.by, parts.join(", ")),
    }
}

/// Takes everything out of effect; it stays permitted. For the thread that calls, so before there are others.
pub fn lower() -> rustix::io::Result<()> {
    let sets = capabilities(None)?;
    set_capabilities(None, CapabilitySets { effective: CapabilitySet::empty(), ..sets })
}

/// What came of [`give_up`], to be logged once there is a log.
#[derive(Debug)]
pub struct Kept {
    given: CapabilitySet,
    permitted: CapabilitySet,
    problems: Vec<String>,
}

/// Gives up, for good, what is not needed, and of what is needed all that is not in `limit` unless that is
/// empty. For the thread that calls and those that it starts, so before there are others. Whatever cannot be
/// given up is a problem and no reason not to start.
pub fn give_up(limit: &[String]) -> Kept {
    let mut problems = Vec::new();
    let mut tried = |what: &str, result: rustix::io::Result<()>| {
        if let Err(errno) = result {
            problems.push(format!("{what}: {}", std::io::Error::from(errno)));
        }
    };
    let none = CapabilitySet::empty();
    let nothing = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let sets = capabilities(None).unwrap_or(nothing);
    let keep = sets.permitted & wanted() & limited(limit);
    tried("programs that get more rights cannot be ruled out", set_no_new_privs(true));
    // Shrinking the bounding set is itself a right. Without it the set stays, which lets nobody do anything:
    // only a started program could make use of it, and none can get new rights any more.
    if sets.permitted.contains(CapabilitySet::SETPCAP) {
        let up = CapabilitySets { effective: CapabilitySet::SETPCAP, ..sets };
        tried("the bounding set stays", set_capabilities(None, up).and_then(|()| bound(keep)));
    }
    tried("the ambient set stays", clear_ambient_capability_set());
    let last = CapabilitySets { permitted: keep, ..nothing };
    tried("capabilities that nothing needs stay", set_capabilities(None, last));
    Kept { given: sets.permitted, permitted: keep, problems }
}

/// The set of these names; all when there are none.
fn limited(names: &[String]) -> CapabilitySet {
    let set = |name: &String| CapabilitySet::from_name(name.strip_prefix("CAP_")?);
    if names.is_empty() { CapabilitySet::all() } else { names.iter().filter_map(set).collect() }
}

/// Takes everything but `keep` out of the bounding set.
fn bound(keep: CapabilitySet) -> rustix::io::Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !keep.contains(one) => remove_capability_from_bounding_set(one)?,
            Ok(_) => {}
            // The kernel has no more.
            Err(Errno::INVAL) => break,
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

impl Kept {
    /// Logs what is held and what is missing for whom; returns what could not be given up.
    pub fn tell(&self) -> Vec<String> {
        let held = Capability::ALL.iter().filter(|held| self.permitted.contains(bit(**held)));
        let held: Vec<_> = held.map(|held| held.name()).collect();
        tracing::info!(held = held.join(" "), "capabilities, raised only while they are needed");
        for sentence in self.missing() {
            tracing::warn!("{sentence}");
        }
        self.problems.iter().for_each(|problem| tracing::error!("capabilities: {problem}"));
        self.problems.clone()
    }

    /// What is missing, one sentence for each capability and each part that needs it.
    fn missing(&self) -> Vec<String> {
        let missing = |needed: &Needed| needed.built && !self.permitted.contains(bit(needed.need.capability));
        let sentence = |needed: Needed| {
            let bit = bit(needed.need.capability);
            let why = if self.given.contains(bit) {
                "is left out of limits.capabilities"
            } else {
                "was not given to this process"
            };
            format!(
                "{} {why}; {} needs it to {}; without it {}",
                needed.need.capability.name(),
                named(&needed),
                needed.need.purpose,
                needed.need.without
            )
        };
        needed().filter(missing).map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Runs `body` in a thread of its own: sets are a thread's, and cannot be widened again.
    fn apart<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::Builder::new().spawn(body).expect("a thread").join().expect("no panic")
    }

    #[test]
    fn giving_up_leaves_what_is_needed_and_nothing_in_effect() {
        apart(|| {
            let before = capabilities(None).expect("asked").permitted;
            let kept = give_up(&[]);
            assert_eq!(kept.problems, Vec::<String>::new());
            let after = capabilities(None).expect("asked");
            assert_eq!(after.permitted, before & wanted());
            assert_eq!(after.effective | after.inheritable, CapabilitySet::empty());
            assert!(rustix::thread::no_new_privs().expect("asked"));
            let in_bounds = |number: u32| {
                capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)).unwrap_or(false)
            };
            if before.contains(CapabilitySet::SETPCAP) {
                let bounds = (0..41).filter(|number| in_bounds(*number)).map(|number| 1 << number);
                assert_eq!(CapabilitySet::from_bits_retain(bounds.sum()), after.permitted);
            }
            assert!(
                set_capabilities(None, CapabilitySets { permitted: before, ..after }).is_err()
                    || before == after.permitted,
                "it is for good"
            );
        });
    }

    #[test]
    fn a_limit_narrows_and_what_is_missing_is_named_with_who_needs_it() {
        apart(|| {
            let given = capabilities(None).expect("asked").permitted;
            let kept = give_up(&["CAP_DAC_READ_SEARCH".to_owned(), "CAP_CHOWN".to_owned()]);
            let now = capabilities(None).expect("asked").permitted;
            assert_eq!(now, given & CapabilitySet::DAC_READ_SEARCH);
            let missing = kept.missing();
            let of_proc =
                missing.iter().find(|line| line.contains("baseinfo (proc)")).expect("proc is named");
            assert!(
                of_proc.starts_with("CAP_SYS_PTRACE ") && of_proc.contains("`smaps_rollup`"),
                "{of_proc}"
            );
            let narrowed = given.contains(CapabilitySet::SYS_PTRACE);
            assert_eq!(of_proc.contains("limits.capabilities"), narrowed, "{of_proc}");
            assert!(missing.iter().any(|line| line.contains("gopherd (scopes, labels)")));
            let dac = missing.iter().any(|line| line.starts_with("CAP_DAC_READ_SEARCH"));
            assert_eq!(dac, now.is_empty());
        });
    }

    #[test]
    fn the_list_names_each_capability_with_who_needs_it() {
        let list = list();
        assert!(list.contains("CAP_SYS_PTRACE\n  gopherd (scopes, labels) to notice"), "{list}");
        assert!(list.contains("  baseinfo (proc) to read"), "{list}");
        assert!(list.contains("CAP_BPF\n  "), "{list}");
    }

    #[test]
    fn every_need_names_parts_of_its_feature() {
        for feature in probes::all() {
            for (need, part) in feature.needs.iter().flat_map(|n| n.sub_probes.iter().map(move |p| (n, p))) {
                assert!(feature.sub_probe(part).is_some(), "{}: {:?} {part}", feature.name, need.capability);
            }
        }
    }

    /// The unit's bounding set is what the daemon could need once all its probes are built, so that a probe
    /// that arrives does not meet a host whose unit was never changed.
    #[test]
    fn the_unit_bounds_the_service_to_what_is_in_the_list() {
        let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/gopherd.service");
        let unit = std::fs::read_to_string(unit).expect("the unit");
        let lines = unit.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let bounds: BTreeSet<&str> = lines.flat_map(str::split_whitespace).collect();
        let listed: BTreeSet<&str> = needed().map(|needed| needed.need.capability.name()).collect();
        assert_eq!(bounds, listed, "CapabilityBoundingSet= and `gopherd --list-capabilities`");
    }
}
