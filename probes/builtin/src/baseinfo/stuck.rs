//! Threads that do not come back from a mount whose server is dead: such a call cannot be interrupted, so the
//! thread is left behind, with what it was asked about, and counted until it comes back.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// Threads that were left behind, each with what it was asked about. They own everything that they hold, so that
/// nobody ever has to wait for them.
#[derive(Debug)]
pub(super) struct Stuck<K>(Mutex<Vec<(K, JoinHandle<()>)>>);

impl<K> Default for Stuck<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq> Stuck<K> {
    /// Leaves a thread behind.
    pub(super) fn leave(&self, asked: K, thread: JoinHandle<()>) {
        self.with(|list| list.push((asked, thread)));
    }

    /// How many there are now.
    pub(super) fn len(&self) -> usize {
        self.with(|list| list.len())
    }

    /// Whether a thread that was asked about this is still away.
    pub(super) fn holds(&self, asked: &K) -> bool {
        self.with(|list| list.iter().any(|(held, _)| held == asked))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Vec<(K, JoinHandle<()>)>) -> T) -> T {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(_, thread)| !thread.is_finished());
        f(&mut list)
    }
}
