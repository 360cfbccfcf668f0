//! The scope in the kernel: one hash of processes for all features, and the mode of each feature.
//!
//! The process has one [`ScopeMaps`]; every object gets its two maps at load. A feature holds a [`ScopeSlot`],
//! whose number its programs know as `gopher_scope_slot`, and applies each new scope as the difference to the
//! last. Which processes a scope has is decided elsewhere. What the tracker's programs conclude themselves until
//! then is in maps beside it ([`super::foresight`]).

use super::abi;
use super::foresight::{Foresight, Foresights};
use super::load::LoadError;
use super::lookup;
use super::privilege::raised;
use libbpf_rs::libbpf_sys::{BPF_F_NO_PREALLOC, bpf_map_create_opts};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType, OpenMapMut};
use probe_core::Scope;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use zerocopy::IntoBytes as _;

#[allow(clippy::cast_possible_truncation)] // some bytes
const ENTRY: u32 = size_of::<abi::gopher_early_entry>() as u32;
#[allow(clippy::cast_possible_truncation)]
const RULES: u32 = size_of::<abi::gopher_rules>() as u32;

/// Definition of a shared map, as `gopher/scope.bpf.h` and `gopher/early.bpf.h` have it.
const DEFINITIONS: [(&str, MapType, u32, u32, u32, u32); 5] = [
    ("gopher_scope", MapType::Hash, 4, 8, abi::GOPHER_SCOPE_PROCESSES, BPF_F_NO_PREALLOC),
    ("gopher_modes", MapType::Array, 4, 4, abi::GOPHER_SCOPE_SLOTS, 0),
    ("gopher_early", MapType::Array, 4, ENTRY, abi::GOPHER_EARLY_PROCESSES, 0),
    ("gopher_rules", MapType::Array, 4, RULES, 1, 0),
    ("gopher_names", MapType::Hash, 16, 8, abi::GOPHER_NAMES, BPF_F_NO_PREALLOC),
];

/// The maps that all objects of this process share.
#[derive(Debug)]
pub struct ScopeMaps {
    processes: MapHandle,
    modes: MapHandle,
    early: MapHandle,
    rules: MapHandle,
    names: MapHandle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What is in the hash.
    features: HashMap<u32, u64>,
    /// The slots that are taken: by which feature, and in which mode.
    taken: BTreeMap<u32, (&'static str, u32)>,
    foresights: Foresights,
}

impl State {
    /// Writes what the tracker may conclude; see [`Foresights::write`].
    fn foresee(&mut self, anew: bool) -> io::Result<usize> {
        let places = self.taken.iter().map(|(slot, (feature, mode))| (*feature, 1 << *slot, *mode));
        self.foresights.write(places, anew)
    }
}

/// In which features the tracker's programs listed a process at once; those of one process at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Early {
    pub(crate) features: u64,
    pub(crate) since: u64,
}

impl Early {
    /// In none.
    pub fn is_none(self) -> bool {
        self.features == 0
    }

    /// In some, for tests of who reads it.
    pub fn in_some() -> Self {
        Self { features: 1, since: 1 }
    }
}

/// What applying a scope did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Processes that were entered.
    pub entered: usize,
    /// Processes that were taken out.
    pub left: usize,
    /// Processes that the map has no room for: not observed, or not left out, until others end.
    pub no_room: usize,
}

static SHARED_MAPS: OnceLock<Arc<ScopeMaps>> = OnceLock::new();

impl ScopeMaps {
    /// Makes the maps.
    pub fn new() -> io::Result<Arc<Self>> {
        let _raised = raised();
        let [processes, modes, early, rules, names] =
            DEFINITIONS.map(|(name, kind, key, value, entries, flags)| {
                let options = bpf_map_create_opts {
                    sz: size_of::<bpf_map_create_opts>() as u64,
                    map_flags: flags,
                    ..Default::default()
                };
                MapHandle::create(kind, Some(name), key, value, entries, &options).map_err(io::Error::other)
            });
        let (rules, names) = (rules?, names?);
        let same = |map: &MapHandle| MapHandle::try_from(map).map_err(io::Error::other);
        let foresights = Foresights::new(same(&names)?, same(&rules)?);
        let state = State { features: HashMap::new(), taken: BTreeMap::new(), foresights };
        let (processes, modes, early) = (processes?, modes?, early?);
        Ok(Arc::new(Self { processes, modes, early, rules, names, state: Mutex::new(state) }))
    }

    /// The maps of this process, made when first asked for.
    pub fn shared() -> io::Result<Arc<Self>> {
        if let Some(maps) = SHARED_MAPS.get() {
            return Ok(Arc::clone(maps));
        }
        let made = Self::new()?;
        Ok(Arc::clone(SHARED_MAPS.get_or_init(|| made)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for `feature`; `None` when all are taken.
    pub fn slot(self: &Arc<Self>, feature: &'static str) -> Option<ScopeSlot> {
        let mut state = self.state();
        let slot = (0..abi::GOPHER_SCOPE_SLOTS).find(|slot| !state.taken.contains_key(slot))?;
        state.taken.insert(slot, (feature, abi::GOPHER_SCOPE_NONE));
        drop(state);
        Some(ScopeSlot { maps: Arc::clone(self), slot, listed: HashSet::new() })
    }

    /// From here on the tracker's programs conclude this of `feature`, wherever it has a place; nothing with `None`.
    /// Returns how many names, of all features, there is no room for: their processes wait for the daemon.
    pub fn foresee(&self, feature: &'static str, foresight: Option<Foresight>) -> io::Result<usize> {
        let mut state = self.state();
        let holds = state.foresights.set(feature, foresight);
        state.foresee(!holds)
    }

    /// Takes back what the tracker's programs concluded of the process at that time, but for the features that list it
    /// by the daemon's decision.
    pub fn refute(&self, tgid: u32, early: Early, listed: &[&'static str]) -> io::Result<()> {
        let state = self.state();
        let right = state.taken.iter().filter(|(_, (feature, _))| listed.contains(feature));
        let wrong = early.features & !right.fold(0, |bits, (slot, _)| bits | 1 << *slot);
        if wrong == 0 {
            return Ok(());
        }
        let at = tgid & (abi::GOPHER_EARLY_PROCESSES - 1);
        let found: Option<abi::gopher_early_entry> = lookup(&self.early, &at)?;
        // What was concluded since has an event of its own.
        let Some(mut entry) = found.filter(|entry| entry.tgid == tgid && entry.since == early.since) else {
            return Ok(());
        };
        entry.features &= !wrong;
        let _raised = raised();
        self.early.update(&at.to_ne_bytes(), entry.as_bytes(), MapFlags::ANY).map_err(io::Error::other)
    }

    /// What the tracker's programs concluded of the process last, whether it still holds or not.
    pub fn concluded(&self, tgid: u32) -> io::Result<Early> {
        let at = tgid & (abi::GOPHER_EARLY_PROCESSES - 1);
        let found: Option<abi::gopher_early_entry> = lookup(&self.early, &at)?;
        let found = found.filter(|entry| entry.tgid == tgid && entry.features != 0);
        Ok(found.map(|entry| Early { features: entry.features, since: entry.since }).unwrap_or_default())
    }

    /// Makes a feature observe in this mode, and the tracker conclude what goes with it.
    fn set_mode(&self, slot: u32, mode: u32) -> io::Result<()> {
        let mut state = self.state();
        let _raised = raised();
        let modes = &self.modes;
        modes.update(&slot.to_ne_bytes(), &mode.to_ne_bytes(), MapFlags::ANY).map_err(io::Error::other)?;
        let Some((_, before)) = state.taken.get_mut(&slot) else { return Ok(()) };
        if std::mem::replace(before, mode) != mode {
            state.foresee(true)?;
        }
        Ok(())
    }

    /// Sets or clears a feature's bit of these processes; returns those for which there was no room.
    fn mark(&self, slot: u32, tgids: &[u32], set: bool) -> io::Result<HashSet<u32>> {
        let mut state = self.state();
        let (mut write, mut delete) = (Vec::new(), Vec::new());
        let mut no_room = HashSet::new();
        for tgid in tgids {
            let old = state.features.get(tgid).copied().unwrap_or(0);
            let new = if set { old | 1 << slot } else { old & !(1 << slot) };
            if new == 0 {
                state.features.remove(tgid);
                delete.push(*tgid);
            } else if old == 0 && state.features.len() >= abi::GOPHER_SCOPE_PROCESSES as usize {
                no_room.insert(*tgid);
            } else {
                state.features.insert(*tgid, new);
                write.push((*tgid, new));
            }
        }
        let _raised = raised();
        let map = &self.processes;
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        if !write.is_empty() {
            let keys: Vec<u8> = write.iter().flat_map(|(tgid, _)| tgid.to_ne_bytes()).collect();
            let values: Vec<u8> = write.iter().flat_map(|(_, features)| features.to_ne_bytes()).collect();
            map.update_batch(&keys, &values, count(write.len()), MapFlags::ANY, MapFlags::ANY)
                .map_err(io::Error::other)?;
        }
        let keys: Vec<u8> = delete.iter().flat_map(|tgid| tgid.to_ne_bytes()).collect();
        // A batch ends at the first key that is absent, which one by one is as good as removed.
        if !delete.is_empty()
            && map.delete_batch(&keys, count(delete.len()), MapFlags::ANY, MapFlags::ANY).is_err()
        {
            for tgid in delete {
                let _ = map.delete(&tgid.to_ne_bytes());
            }
        }
        Ok(no_room)
    }
}

/// A feature's place in the scope maps. Dropping it empties the place.
#[derive(Debug)]
pub struct ScopeSlot {
    maps: Arc<ScopeMaps>,
    slot: u32,
    /// Processes that have this feature's bit, or would if there were room.
    listed: HashSet<u32>,
}

impl ScopeSlot {
    /// What `gopher_scope_slot` must be set to before the load.
    pub fn number(&self) -> u32 {
        self.slot
    }

    /// The maps that it is a place in.
    pub fn maps(&self) -> &Arc<ScopeMaps> {
        &self.maps
    }

    /// Makes the kernel observe `scope`, touching only what differs from the last one. Programs go on running
    /// meanwhile: processes that come are entered before the mode changes, those that go are removed after it.
    pub fn apply(&mut self, scope: &Scope) -> io::Result<Applied> {
        let (mode, listed) = match scope {
            Scope::Unset | Scope::All => (abi::GOPHER_SCOPE_ALL, HashSet::new()),
            Scope::Only(set) => (abi::GOPHER_SCOPE_ONLY, set.iter().map(|key| key.tgid).collect()),
            Scope::Except(set) => (abi::GOPHER_SCOPE_EXCEPT, set.iter().map(|key| key.tgid).collect()),
        };
        let come: Vec<_> = listed.difference(&self.listed).copied().collect();
        let go: Vec<_> = self.listed.difference(&listed).copied().collect();
        let no_room = self.maps.mark(self.slot, &come, true)?;
        self.maps.set_mode(self.slot, mode)?;
        self.maps.mark(self.slot, &go, false)?;
        let applied = Applied { entered: come.len() - no_room.len(), left: go.len(), no_room: no_room.len() };
        // What had no room is tried again with the next scope.
        self.listed = listed.difference(&no_room).copied().collect();
        Ok(applied)
    }

    /// Makes the kernel observe nothing: for a sub-probe that waits for a scope.
    pub fn observe_nothing(&mut self) -> io::Result<()> {
        self.maps.set_mode(self.slot, abi::GOPHER_SCOPE_NONE)
    }
}

impl Drop for ScopeSlot {
    fn drop(&mut self) {
        let go: Vec<_> = self.listed.iter().copied().collect();
        // The maps outlive this; a call fails only when they are gone.
        let _ = self.maps.set_mode(self.slot, abi::GOPHER_SCOPE_NONE);
        let _ = self.maps.mark(self.slot, &go, false);
        self.maps.state().taken.remove(&self.slot);
    }
}

/// Gives `map` of an opened object to `maps` if it is one of them. `reuse_fd` would take over whatever shape the
/// map has, so the object's own definition is compared first.
pub(super) fn put_in(
    maps: &ScopeMaps,
    object: &'static str,
    map: &mut OpenMapMut<'_>,
) -> Result<(), LoadError> {
    let name = map.name().to_string_lossy().into_owned();
    let Some(definition) = DEFINITIONS.iter().find(|definition| definition.0 == name) else { return Ok(()) };
    let (_, kind, key, value, entries, flags) = *definition;
    let wanted = (kind, key, value, entries, flags);
    let has = (map.map_type(), map.key_size(), map.value_size(), map.max_entries(), map.map_flags());
    let handle = match name.as_str() {
        "gopher_scope" => &maps.processes,
        "gopher_modes" => &maps.modes,
        "gopher_early" => &maps.early,
        "gopher_rules" => &maps.rules,
        _ => &maps.names,
    };
    let difference = if has == wanted {
        match map.reuse_fd(handle.as_fd()) {
            Ok(()) => return Ok(()),
            Err(error) => error.to_string(),
        }
    } else {
        format!("(type, key, value, entries, flags) is {has:?}, not {wanted:?}")
    };
    Err(LoadError::SharedMap { object, map: name, difference })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::{Looks, name, snapshot};
    use probe_core::{ProcKey, ProcSet};
    use std::collections::BTreeMap;

    fn set(tgids: impl IntoIterator<Item = u32>) -> Arc<ProcSet> {
        Arc::new(tgids.into_iter().map(|tgid| ProcKey { tgid, start_ticks: 1 }).collect())
    }

    fn kept(maps: &ScopeMaps) -> BTreeMap<u32, u64> {
        snapshot::<u32, u64>(&maps.processes).expect("read").entries.into_iter().collect()
    }

    fn mode(maps: &ScopeMaps, slot: &ScopeSlot) -> u32 {
        lookup::<u32, u32>(&maps.modes, &slot.number()).expect("read").expect("there")
    }

    #[test]
    fn root_two_features_keep_their_own_scope_in_one_map_and_only_the_difference_is_written() {
        let maps = ScopeMaps::new().expect("maps");
        let (mut a, mut b) = (maps.slot("test").expect("a slot"), maps.slot("test").expect("a slot"));
        assert_eq!((mode(&maps, &a), a.number(), b.number()), (abi::GOPHER_SCOPE_NONE, 0, 1));
        let applied = a.apply(&Scope::Only(set([1, 2, 3]))).expect("applied");
        assert_eq!(applied, Applied { entered: 3, left: 0, no_room: 0 });
        b.apply(&Scope::Except(set([3, 4]))).expect("applied");
        assert_eq!(kept(&maps), BTreeMap::from([(1, 1), (2, 1), (3, 3), (4, 2)]));
        assert_eq!((mode(&maps, &a), mode(&maps, &b)), (abi::GOPHER_SCOPE_ONLY, abi::GOPHER_SCOPE_EXCEPT));
        let applied = a.apply(&Scope::Only(set([2, 5]))).expect("applied");
        assert_eq!(applied, Applied { entered: 1, left: 2, no_room: 0 });
        assert_eq!(kept(&maps), BTreeMap::from([(2, 1), (3, 2), (4, 2), (5, 1)]));
        a.apply(&Scope::All).expect("applied");
        assert_eq!(kept(&maps), BTreeMap::from([(3, 2), (4, 2)]));
        b.observe_nothing().expect("applied");
        assert_eq!(mode(&maps, &b), abi::GOPHER_SCOPE_NONE);
        drop(b);
        assert_eq!(kept(&maps), BTreeMap::new());
        assert_eq!(maps.slot("test").expect("a slot").number(), 1, "a place that was given back");
    }

    #[test]
    fn root_a_process_whose_pid_was_used_again_is_in_scope_while_either_is_listed() {
        let maps = ScopeMaps::new().expect("maps");
        let mut slot = maps.slot("test").expect("a slot");
        let key = |start_ticks| ProcKey { tgid: 7, start_ticks };
        slot.apply(&Scope::Only(Arc::new([key(1), key(2)].into()))).expect("applied");
        slot.apply(&Scope::Only(Arc::new([key(2)].into()))).expect("applied");
        assert_eq!(kept(&maps), BTreeMap::from([(7, 1)]));
    }

    #[test]
    fn root_what_does_not_fit_is_counted_and_enters_when_there_is_room() {
        let maps = ScopeMaps::new().expect("maps");
        let mut slot = maps.slot("test").expect("a slot");
        let room = abi::GOPHER_SCOPE_PROCESSES;
        let applied = slot.apply(&Scope::Only(set(1..=room + 5))).expect("applied");
        assert_eq!((applied.entered, applied.no_room), (room as usize, 5));
        let listed = kept(&maps);
        assert_eq!(listed.len(), room as usize);
        // As many leave as had no room.
        let leave: Vec<_> = listed.keys().take(5).copied().collect();
        let now = set((1..=room + 5).filter(|tgid| !leave.contains(tgid)));
        slot.apply(&Scope::Only(Arc::clone(&now))).expect("applied");
        let applied = slot.apply(&Scope::Only(now)).expect("applied");
        assert_eq!(applied.no_room, 0);
        assert_eq!(kept(&maps).len(), room as usize);
    }

    fn names(maps: &ScopeMaps) -> BTreeMap<[u8; 16], u64> {
        snapshot::<[u8; 16], u64>(&maps.names).expect("read").entries.into_iter().collect()
    }

    fn rules(maps: &ScopeMaps) -> abi::gopher_rules {
        lookup::<u32, abi::gopher_rules>(&maps.rules, &0).expect("read").expect("there")
    }

    #[test]
    fn root_a_rule_is_in_force_where_its_feature_observes_in_its_mode() {
        let maps = ScopeMaps::new().expect("maps");
        let a = name("a").expect("short");
        let known = Foresight { names: [a].into(), looks: Looks::Name, excludes: false };
        assert_eq!(maps.foresee("tcp", Some(known.clone())).expect("told"), 0);
        assert_eq!((names(&maps).len(), rules(&maps).any), (0, 0), "it has no place yet");
        let (mut other, mut tcp) = (maps.slot("io").expect("a slot"), maps.slot("tcp").expect("a slot"));
        other.apply(&Scope::Only(set([]))).expect("applied");
        tcp.apply(&Scope::Only(set([]))).expect("applied");
        let bit = 1 << tcp.number();
        assert_eq!((names(&maps), rules(&maps).by_name), (BTreeMap::from([(a, bit)]), bit));
        let before = rules(&maps).early_from;
        let b = name("b").expect("short");
        let more = Foresight { names: [a, b].into(), ..known.clone() };
        maps.foresee("tcp", Some(more)).expect("told");
        assert_eq!(
            (names(&maps).len(), rules(&maps).early_from),
            (2, before),
            "nothing of before is wrong now"
        );
        maps.foresee("tcp", Some(known.clone())).expect("told");
        assert!(names(&maps).len() == 1 && rules(&maps).early_from > before);
        tcp.apply(&Scope::Except(set([]))).expect("applied");
        assert_eq!((names(&maps).len(), rules(&maps).any), (0, 0), "it was meant for a whitelist");
        maps.foresee("tcp", Some(Foresight { excludes: true, ..known })).expect("told");
        assert_eq!(names(&maps).len(), 1);
        drop(tcp);
        assert_eq!((names(&maps).len(), rules(&maps).any), (0, 0));
    }

    #[test]
    fn root_names_that_do_not_fit_are_counted_and_enter_when_there_is_room() {
        let maps = ScopeMaps::new().expect("maps");
        let mut slot = maps.slot("tcp").expect("a slot");
        slot.apply(&Scope::Only(set([]))).expect("applied");
        let many = |count: u32| (0..count).filter_map(|number| name(&format!("n{number}"))).collect();
        let known = |count| Foresight { names: many(count), ..Foresight::default() };
        assert_eq!(maps.foresee("tcp", Some(known(abi::GOPHER_NAMES + 5))).expect("told"), 5);
        assert_eq!(maps.foresee("tcp", Some(known(abi::GOPHER_NAMES))).expect("told"), 0);
        assert_eq!(names(&maps).len(), abi::GOPHER_NAMES as usize);
    }

    #[test]
    fn root_a_conclusion_is_taken_back_unless_a_later_one_has_its_place() {
        let maps = ScopeMaps::new().expect("maps");
        let slots = ["tcp", "socket"].map(|feature| maps.slot(feature).expect("a slot"));
        let write = |tgid: u32, since| {
            let entry = abi::gopher_early_entry { features: 3, since, tgid, zero: 0 };
            let at = tgid & (abi::GOPHER_EARLY_PROCESSES - 1);
            maps.early.update(&at.to_ne_bytes(), entry.as_bytes(), MapFlags::ANY).expect("written");
        };
        let features = || {
            lookup::<u32, abi::gopher_early_entry>(&maps.early, &7).expect("read").expect("there").features
        };
        let early = Early { features: 3, since: 10 };
        write(7, 10);
        maps.refute(7, early, &["tcp", "socket"]).expect("right");
        assert_eq!(features(), 3);
        maps.refute(7, early, &["tcp"]).expect("half of it");
        assert_eq!(features(), 1 << slots[0].number());
        write(7, 11);
        maps.refute(7, early, &[]).expect("too late");
        assert_eq!(features(), 3);
        write(7 + abi::GOPHER_EARLY_PROCESSES, 10);
        maps.refute(7, early, &[]).expect("of another process");
        assert_eq!(features(), 3);
    }

    #[test]
    fn root_places_run_out_and_say_so() {
        let maps = ScopeMaps::new().expect("maps");
        let slots: Vec<_> = std::iter::from_fn(|| maps.slot("test")).collect();
        assert_eq!(slots.len(), abi::GOPHER_SCOPE_SLOTS as usize);
    }
}
