//! What wakes the thread "scope", and the news of containers that wait for it. The bell is a descriptor, so that
//! the thread sleeps on it and on the process tracker's at once.
//!
//! Whoever brings news may be in the middle of a look at /proc (a path that names a new container is news), so
//! nothing here waits for the thread, and no other lock is taken.

use crate::containers::{ContainerId, News};
use hashbrown::HashSet;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::Timespec;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// The bell and its mailbox.
#[derive(Debug)]
pub(super) struct Bell {
    heard: Mutex<Heard>,
    bell: OwnedFd,
}

impl Bell {
    /// One that has not rung. Fails when there is no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { heard: Mutex::default(), bell })
    }

    /// Wakes the thread, now or when it next wants to sleep.
    pub(super) fn ring(&self) {
        // It fails only when the counter is full, and then the bell has been rung already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Leaves news and wakes the thread.
    pub(super) fn tell(&self, news: News) {
        self.news().add(news);
        self.ring();
    }

    /// Takes the news.
    pub(super) fn heard(&self) -> Heard {
        std::mem::take(&mut self.news())
    }

    /// Sleeps until the bell rings, `also` can be read, or it is `until`. May return before.
    pub(super) fn wait(&self, until: Option<Instant>, also: Option<BorrowedFd<'_>>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let bell = PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN);
        let other = also.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let mut fds: Vec<_> = [bell].into_iter().chain(other).collect();
        // An interrupted poll is a wake for nothing.
        let _ = poll(&mut fds, left.as_ref());
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
    }

    fn news(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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
        let bell = Bell::new().expect("a bell");
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
        let bell = Bell::new().expect("a bell");
        for number in 0..=MAX_NEWS {
            bell.tell(News::Changed(id(number)));
        }
        let heard = bell.heard();
        assert_eq!((heard.changed.len(), heard.too_much), (MAX_NEWS, true));
    }

    #[test]
    fn a_bell_that_rang_before_the_sleep_is_not_slept_through() {
        let bell = Bell::new().expect("a bell");
        bell.ring();
        bell.wait(None, None);
        bell.tell(News::Changed(id(1)));
        bell.wait(None, None);
        assert!(!bell.heard().is_empty());
        bell.wait(Some(Instant::now()), None);
    }
}
