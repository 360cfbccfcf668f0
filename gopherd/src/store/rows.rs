//! Rows with an index: slots side by side without holes, their values in one flat array, and a hash table
//! from subject and key labels to the slot. Leaves to its owner what a row shows and how long it lives.

use super::freshness::Life;
use hashbrown::HashTable;
use probe_core::{Label, Subject};

/// Rows of 8-byte cells, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    width: usize,
    data: Vec<u64>,
}

impl Cells {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, data: Vec::new() }
    }

    pub(crate) fn row(&self, at: usize) -> &[u64] {
        &self.data[at * self.width..(at + 1) * self.width]
    }

    pub(crate) fn row_mut(&mut self, at: usize) -> &mut [u64] {
        &mut self.data[at * self.width..(at + 1) * self.width]
    }

    /// Adds a row of zeros: nothing is present in it.
    pub(crate) fn push(&mut self) {
        self.data.resize(self.data.len() + self.width, 0);
    }

    /// Removes a row; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let last = self.data.len() - self.width;
        self.data.copy_within(last.., at * self.width);
        self.data.truncate(last);
    }

    pub(crate) fn shrink(&mut self) {
        self.data.shrink_to(self.data.len() * 2);
    }
}

/// A set of slot numbers by hash, for slots that move when another one is removed.
#[derive(Debug, Default)]
pub(crate) struct SlotIndex(HashTable<u32>);

impl SlotIndex {
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(usize) -> bool) -> Option<usize> {
        self.0.find(hash, |at| is(*at as usize)).map(|at| *at as usize)
    }

    pub(crate) fn insert(&mut self, hash: u64, at: usize, hash_of: impl Fn(usize) -> u64) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.0.insert_unique(hash, at, |at| hash_of(*at as usize));
    }

    pub(crate) fn remove(&mut self, hash: u64, at: usize) {
        if let Ok(entry) = self.0.find_entry(hash, |other| *other as usize == at) {
            entry.remove();
        }
    }

    /// The slot `from` is called `to` now. Must not make room: that asks for the hashes of all slots, and `from` is no more.
    pub(crate) fn rename(&mut self, hash: u64, from: usize, to: usize) {
        if let Some(at) = self.0.find_mut(hash, |other| *other as usize == from) {
            *at = u32::try_from(to).unwrap_or(u32::MAX);
        }
    }

    pub(crate) fn shrink(&mut self, hash_of: impl Fn(usize) -> u64) {
        if self.0.capacity() > 4 * self.0.len() + 16 {
            self.0.shrink_to(self.0.len() * 2, |at| hash_of(*at as usize));
        }
    }
}

/// A row without its values. `X` is what its owner keeps beside it.
#[derive(Debug)]
pub(crate) struct Slot<X> {
    pub(crate) subject: Subject,
    /// Keys, then the other labels.
    pub(crate) labels: Box<[Label]>,
    /// Of subject and keys.
    pub(crate) hash: u64,
    pub(crate) life: Life,
    /// The batch that reported it last.
    pub(crate) seq: u64,
    /// Series that it counts for.
    pub(crate) series: u32,
    pub(crate) extra: X,
}

/// The rows of a table.
#[derive(Debug)]
pub(crate) struct Rows<X> {
    keys: usize,
    slots: Vec<Slot<X>>,
    pub(crate) cells: Cells,
    index: SlotIndex,
}

impl<X> Rows<X> {
    /// No rows, of `keys` key labels and `width` cells.
    pub(crate) fn new(keys: usize, width: usize) -> Self {
        Self { keys, slots: Vec::new(), cells: Cells::new(width), index: SlotIndex::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn slots(&self) -> &[Slot<X>] {
        &self.slots
    }

    pub(crate) fn slot(&self, at: usize) -> &Slot<X> {
        &self.slots[at]
    }

    pub(crate) fn slot_mut(&mut self, at: usize) -> &mut Slot<X> {
        &mut self.slots[at]
    }

    /// The row about `subject` with these keys.
    pub(crate) fn find(&self, hash: u64, subject: Subject, keys: &[Label]) -> Option<usize> {
        self.index.find(hash, |at| {
            let slot = &self.slots[at];
            slot.subject == subject && slot.labels.get(..self.keys) == Some(keys)
        })
    }

    /// Adds a row of which nothing is present. One that is not `indexed` cannot be found.
    pub(crate) fn push(&mut self, slot: Slot<X>, indexed: bool) -> usize {
        let (at, hash) = (self.slots.len(), slot.hash);
        self.slots.push(slot);
        self.cells.push();
        if indexed {
            let slots = &self.slots;
            self.index.insert(hash, at, |at| slots[at].hash);
        }
        at
    }

    /// Removes a row. The last one takes its place; says under which number that one was known.
    pub(crate) fn swap_remove(&mut self, at: usize) -> (Slot<X>, Option<usize>) {
        let last = self.slots.len() - 1;
        self.index.remove(self.slots[at].hash, at);
        if at != last {
            let slots = &self.slots;
            self.index.rename(slots[last].hash, last, at);
        }
        self.cells.swap_remove(at);
        (self.slots.swap_remove(at), (at != last).then_some(last))
    }

    /// Gives memory back when most of it is empty.
    pub(crate) fn shrink(&mut self) {
        if self.slots.capacity() > 4 * self.slots.len() + 16 {
            self.slots.shrink_to(self.slots.len() * 2);
            self.cells.shrink();
            let slots = &self.slots;
            self.index.shrink(|at| slots[at].hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::hash::BuildHasher;

    #[test]
    fn a_slot_that_moves_asks_for_no_hash_of_one_that_is_gone() {
        let hash = |id: usize| (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for count in 2..300 {
            // As many as there is room for: what was removed leaves marks, not room.
            let (mut ids, mut index): (Vec<usize>, _) = ((0..count).collect(), SlotIndex::default());
            for at in 0..count {
                index.insert(hash(ids[at]), at, |at| hash(ids[at]));
            }
            while ids.len() > 1 {
                index.remove(hash(ids[0]), 0);
                let last = ids.len() - 1;
                ids.swap_remove(0);
                index.rename(hash(ids[0]), last, 0);
                assert_eq!(index.find(hash(ids[0]), |at| at == 0), Some(0));
            }
        }
    }

    proptest! {
        #[test]
        fn rows_stay_findable_with_their_values_while_others_come_and_go(
            ops in prop::collection::vec((0u64..12, any::<bool>()), 1..200)
        ) {
            // Few hash values, so that chains are met.
            let hasher = hashbrown::DefaultHashBuilder::default();
            let hash = |id: u64| hasher.hash_one(id % 5);
            let (mut rows, mut model) = (Rows::<u64>::new(1, 2), HashMap::new());
            for (step, (id, add)) in ops.into_iter().enumerate() {
                let keys = [Label::from(id.to_string())];
                let at = rows.find(hash(id), Subject::Host, &keys);
                prop_assert_eq!(at.is_some(), model.contains_key(&id));
                match at {
                    Some(at) if !add => {
                        let (slot, _) = rows.swap_remove(at);
                        prop_assert_eq!(slot.extra, id);
                        model.remove(&id);
                    }
                    None if add => {
                        let slot = Slot {
                            subject: Subject::Host, labels: keys.into(), hash: hash(id),
                            life: Life::Pinned, seq: 0, series: 0, extra: id,
                        };
                        let at = rows.push(slot, true);
                        rows.cells.row_mut(at)[1] = step as u64;
                        model.insert(id, step as u64);
                    }
                    _ => {}
                }
                rows.shrink();
            }
            prop_assert_eq!(rows.len(), model.len());
            for (id, value) in model {
                let at = rows.find(hash(id), Subject::Host, &[Label::from(id.to_string())]).expect("found");
                prop_assert_eq!(rows.cells.row(at)[1], value);
            }
        }
    }
}
