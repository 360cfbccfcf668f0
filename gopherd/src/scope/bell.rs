//! What wakes the thread "scope", and the news of containers that wait for it.
//!
//! Whoever brings news may be in the middle of a look at /proc (a path that names a new container is news), so
//! nothing here waits for the thread, and no other lock is taken.

use crate::containers::{ContainerId, News};
use hashbrown::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// News of each kind that wait. Beyond it everything is looked at again, so that nothing is lost.
const MAX_NEWS: usize = 4096;

/// News of containers since the thread last looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// First processes of containers.
    pub(super) started: Vec<u32>,
    /// Containers of which something else is known now.
    pub(super) changed: HashSet<ContainerId>,
    /// There was more than is kept.
    pub(super) too_much: bool,
}

impl Heard {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.started.is_empty() && self.changed.is_empty() && !self.too_much
    }

    fn add(&mut self, news: News) {
        match news {
            News::Started { pid, .. } if self.started.len() < MAX_NEWS => self.started.push(pid),
            News::Changed(id) if self.changed.len() < MAX_NEWS => drop(self.changed.insert(id)),
            News::Started { .. } | News::Changed(_) => self.too_much = true,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    heard: Heard,
}

/// The bell and its mailbox.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    condvar: Condvar,
}

impl Bell {
    /// Wakes the thread, now or when it next wants to sleep.
    pub(super) fn ring(&self) {
        self.state().rung = true;
        self.condvar.notify_one();
    }

    /// Leaves news and wakes the thread.
    pub(super) fn tell(&self, news: News) {
        let mut state = self.state();
        state.heard.add(news);
        state.rung = true;
        drop(state);
        self.condvar.notify_one();
    }

    /// Takes the news.
    pub(super) fn heard(&self) -> Heard {
        std::mem::take(&mut self.state().heard)
    }

    /// Sleeps until the bell rings or it is `until`.
    pub(super) fn wait(&self, until: Option<Instant>) {
        let mut state = self.state();
        while !state.rung {
            let Some(until) = until else {
                state = self.condvar.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.condvar.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.rung = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ContainerId {
        ContainerId::new(&format!("c{number}")).expect("an id")
    }

    #[test]
    fn news_of_one_container_are_kept_once_and_taken_once() {
        let bell = Bell::default();
        assert!(bell.heard().is_empty());
        bell.tell(News::Changed(id(1)));
        bell.tell(News::Changed(id(1)));
        bell.tell(News::Started { id: id(2), pid: 7 });
        let expected = Heard { started: vec![7], changed: HashSet::from([id(1)]), too_much: false };
        assert_eq!(bell.heard(), expected);
        assert!(bell.heard().is_empty());
    }

    #[test]
    fn more_news_than_are_kept_are_noted_and_not_kept() {
        let bell = Bell::default();
        for number in 0..=MAX_NEWS {
            bell.tell(News::Changed(id(number)));
        }
        let heard = bell.heard();
        assert_eq!((heard.changed.len(), heard.too_much), (MAX_NEWS, true));
    }

    #[test]
    fn a_bell_that_rang_before_the_sleep_is_not_slept_through() {
        let bell = Bell::default();
        bell.ring();
        bell.wait(None);
        bell.tell(News::Changed(id(1)));
        bell.wait(None);
        assert!(!bell.heard().is_empty());
        bell.wait(Some(Instant::now()));
    }
}
