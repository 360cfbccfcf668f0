//! What the tracker's programs may conclude of a feature's scope without the daemon (`gopher/early.bpf.h`), and how
//! that is written into the kernel. Owns the names and rules in the maps; leaves to the daemon's scope engine what
//! a selection says, and to [`super::scope`] which place a feature has.

use super::{abi, raised};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeSet, HashMap};
use std::io;
use zerocopy::IntoBytes as _;

/// A process's name as the kernel keeps it: up to 15 bytes, zeros behind them.
pub type Name = [u8; 16];

/// `text` as a [`Name`]; `None` for what no process can be called.
pub fn name(text: &str) -> Option<Name> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 15 || bytes.contains(&0) {
        return None;
    }
    let mut name = Name::default();
    name[..bytes.len()].copy_from_slice(bytes);
    Some(name)
}

/// What is known of a feature's selection that decides about a process without a look at more than the kernel has at
/// hand. It says of processes only that the selection lists them, never that it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foresight {
    /// Its list is of those that are left out.
    pub excludes: bool,
    /// Names that are listed whatever else is true of their process, the daemon and its children aside.
    pub names: BTreeSet<Name>,
    /// What else its rules look at.
    pub looks: Looks,
}

/// What the rules of a selection look at, which says what a child by fork has of its parent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looks {
    /// Something that nothing is concluded from, as single processes.
    #[default]
    Else,
    /// Names and arguments.
    Name,
    /// Cgroups.
    Place,
    /// Both of these.
    Both,
}

impl Foresight {
    fn mode(&self) -> u32 {
        if self.excludes { abi::GOPHER_SCOPE_EXCEPT } else { abi::GOPHER_SCOPE_ONLY }
    }

    /// Whether what was concluded by this can be wrong by `new`.
    fn is_less(&self, new: &Self) -> bool {
        (self.excludes, self.looks) != (new.excludes, new.looks) || !self.names.is_subset(&new.names)
    }
}

/// Conclusions that are this much younger than a change are still those of before it: the programs that were running
/// have ended by then. Nanoseconds.
const SETTLES: u64 = 1_000_000;

/// The maps of names and rules, and what is in them.
#[derive(Debug)]
pub(super) struct Foresights {
    names: MapHandle,
    rules: MapHandle,
    features: HashMap<&'static str, Foresight>,
    written: HashMap<Name, u64>,
    early_from: u64,
}

impl Foresights {
    pub(super) fn new(names: MapHandle, rules: MapHandle) -> Self {
        Self { names, rules, features: HashMap::new(), written: HashMap::new(), early_from: 0 }
    }

    /// Takes what is known of `feature` now; whether what was concluded before still holds.
    pub(super) fn set(&mut self, feature: &'static str, foresight: Option<Foresight>) -> bool {
        let before = match foresight.clone() {
            Some(now) => self.features.insert(feature, now),
            None => self.features.remove(feature),
        };
        before.is_none_or(|before| foresight.is_some_and(|now| !before.is_less(&now)))
    }

    /// Writes what follows from it for features at these `places`: (feature, bit, mode). A rule is in force only while
    /// its feature's place has the mode that it is meant for: when a whitelist becomes a blacklist, the same bit means
    /// the opposite. With `anew` no conclusion of before counts any more. Returns the names that there was no
    /// room for.
    pub(super) fn write<'p>(
        &mut self,
        places: impl Iterator<Item = (&'static str, u64, u32)> + 'p,
        anew: bool,
    ) -> io::Result<usize> {
        let mut wanted: HashMap<Name, u64> = HashMap::new();
        let mut rules = abi::gopher_rules { own: std::process::id(), ..Default::default() };
        for (feature, bit, mode) in places {
            let Some(known) = self.features.get(feature).filter(|known| known.mode() == mode) else {
                continue;
            };
            for name in &known.names {
                *wanted.entry(*name).or_default() |= bit;
            }
            match known.looks {
                Looks::Else => {}
                Looks::Name => rules.by_name |= bit,
                Looks::Place => rules.by_place |= bit,
                Looks::Both => rules.by_both |= bit,
            }
        }
        let _raised = raised();
        let gone: Vec<_> = self.written.keys().filter(|name| !wanted.contains_key(*name)).copied().collect();
        for name in gone {
            self.written.remove(&name);
            // It is absent only if nobody could write it.
            let _ = self.names.delete(&name);
        }
        let mut no_room = 0;
        for (name, features) in wanted {
            if self.written.get(&name) == Some(&features) {
                continue;
            }
            match self.names.update(&name, &features.to_ne_bytes(), MapFlags::ANY) {
                Ok(()) => drop(self.written.insert(name, features)),
                Err(_) => no_room += 1,
            }
        }
        // After the names: what is concluded from here on is by the new ones.
        if anew {
            self.early_from = now() + SETTLES;
        }
        rules.early_from = self.early_from;
        rules.any = u64::from(!self.written.is_empty()) | rules.by_name | rules.by_place | rules.by_both;
        self.rules.update(&0u32.to_ne_bytes(), rules.as_bytes(), MapFlags::ANY).map_err(io::Error::other)?;
        Ok(no_room)
    }
}

/// By the clock of `bpf_ktime_get_ns`.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_process_can_be_called() {
        assert_eq!(name("curl"), Some(*b"curl\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert_eq!(name("fifteen-letters"), Some(*b"fifteen-letters\0"));
        assert_eq!([name(""), name("sixteen-letters!"), name("a\0b")], [None; 3]);
    }

    #[test]
    fn only_what_takes_something_back_makes_conclusions_of_before_wrong() {
        let names = |all: &[&str]| all.iter().filter_map(|text| name(text)).collect();
        let known = Foresight { names: names(&["a"]), looks: Looks::Name, excludes: false };
        let more = Foresight { names: names(&["a", "b"]), ..known.clone() };
        assert!(!known.is_less(&more) && !known.is_less(&known));
        assert!(more.is_less(&known));
        assert!(known.is_less(&Foresight { excludes: true, ..known.clone() }));
        assert!(known.is_less(&Foresight { looks: Looks::Both, ..known.clone() }));
    }
}
