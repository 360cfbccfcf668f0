//! What became of the messages of one channel, readable from any thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Why a message is lost for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The spool was full, and this was the oldest.
    SpoolFull,
    /// The spool or the file could not be written.
    WriteFailed,
    /// It is longer than a record may be.
    TooLarge,
    /// Its record was damaged on the disk.
    Damaged,
    /// Somebody purged the channel.
    Purged,
    /// The channel was taken out of the configuration.
    ChannelRemoved,
    /// The receiver does not want this one message.
    Rejected,
    /// The daemon ended while it waited for room in the spool.
    Stopped,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SpoolFull,
        Self::WriteFailed,
        Self::TooLarge,
        Self::Damaged,
        Self::Purged,
        Self::ChannelRemoved,
        Self::Rejected,
        Self::Stopped,
    ];

    /// Its label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::WriteFailed => "write_failed",
            Self::TooLarge => "too_large",
            Self::Damaged => "damaged",
            Self::Purged => "purged",
            Self::ChannelRemoved => "channel_removed",
            Self::Rejected => "rejected",
            Self::Stopped => "stopped",
        }
    }
}

/// Who is told when what is wrong has changed.
#[derive(Default)]
struct Watcher(Option<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watcher(_)" } else { "Watcher" })
    }
}

/// The account of one channel. It outlives the channel's worker, so that totals go on when that is made anew.
#[derive(Debug, Default)]
pub struct Account {
    delivered: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
    errors: AtomicU64,
    trouble: Mutex<Option<String>>,
    watcher: Watcher,
}

impl Account {
    /// An account that calls `changed`, on whatever thread it is, whenever what is wrong has changed.
    pub(super) fn watched(changed: impl Fn() + Send + Sync + 'static) -> Self {
        Self { watcher: Watcher(Some(Box::new(changed))), ..Self::default() }
    }

    fn changed(&self) {
        if let Some(changed) = &self.watcher.0 {
            changed();
        }
    }

    /// So many were delivered.
    pub fn deliver(&self, count: u64) {
        self.delivered.fetch_add(count, Relaxed);
    }

    /// So many are lost.
    pub fn lose(&self, loss: Loss, count: u64) {
        self.lost[loss as usize].fetch_add(count, Relaxed);
    }

    /// An attempt failed; `why` holds until something works again. Says whether that is news.
    pub fn fail(&self, why: String) -> bool {
        self.errors.fetch_add(1, Relaxed);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = trouble.as_ref() != Some(&why);
        *trouble = Some(why);
        drop(trouble);
        if news {
            self.changed();
        }
        news
    }

    /// It works. Says whether it did not before.
    pub fn recover(&self) -> bool {
        let news = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
        if news {
            self.changed();
        }
        news
    }

    /// Messages delivered, those that were delivered twice counted twice.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// Messages lost for this reason.
    pub fn lost(&self, loss: Loss) -> u64 {
        self.lost[loss as usize].load(Relaxed)
    }

    /// Failed attempts.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// What is wrong now.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_a_counter_and_a_name_of_its_own() {
        let account = Account::default();
        for (at, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, at, "{loss:?}");
            account.lose(loss, at as u64);
        }
        assert!(Loss::ALL.iter().all(|loss| account.lost(*loss) == *loss as u64));
        let names: std::collections::BTreeSet<_> = Loss::ALL.iter().map(|loss| loss.reason()).collect();
        assert_eq!(names.len(), Loss::ALL.len());
    }

    #[test]
    fn a_trouble_is_news_once_and_over_once() {
        let account = Account::default();
        assert!(account.fail("a".into()) && !account.fail("a".into()) && account.fail("b".into()));
        assert_eq!(account.errors(), 3);
        assert!(account.recover() && !account.recover());
        assert_eq!(account.trouble(), None);
    }
}
