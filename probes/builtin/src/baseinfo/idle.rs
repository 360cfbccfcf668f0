//! Which entries of a kernel's map have not grown for so long that they make room for others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A cgroup where nobody waited for so long makes room, and its row ends.
const IDLE: Duration = Duration::from_secs(600);

/// The entries of a map by cgroup id: what each had counted, and when it had grown to that.
#[derive(Debug, Default)]
pub(super) struct Growth(HashMap<u64, (u64, Instant)>);

impl Growth {
    /// Takes in what the entries have counted by `now`, and returns those that are idle. What is not among
    /// `counts` any more is forgotten.
    pub(super) fn idle(&mut self, counts: impl IntoIterator<Item = (u64, u64)>, now: Instant) -> Vec<u64> {
        let before = std::mem::take(&mut self.0);
        let mut idle = Vec::new();
        for (id, count) in counts {
            let since = before.get(&id).filter(|(then, _)| *then == count).map_or(now, |(_, since)| *since);
            if now.duration_since(since) >= IDLE {
                idle.push(id);
            } else {
                self.0.insert(id, (count, since));
            }
        }
        idle
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.0.capacity() * size_of::<(u64, (u64, Instant))>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_idle_when_it_has_not_grown_for_ten_minutes_and_begins_anew_afterwards() {
        let begun = Instant::now();
        let mut growth = Growth::default();
        let mut at = |seconds, counts: &[(u64, u64)]| {
            growth.idle(counts.iter().copied(), begun + Duration::from_secs(seconds))
        };
        assert!(at(0, &[(1, 5), (2, 5)]).is_empty());
        assert!(at(599, &[(1, 5), (2, 6)]).is_empty());
        assert_eq!(at(600, &[(1, 5), (2, 6)]), [1]);
        assert!(at(601, &[(1, 5), (2, 6)]).is_empty(), "it was removed, and is another one");
        assert_eq!(at(1199, &[(1, 5), (2, 6)]), [2]);
    }
}
