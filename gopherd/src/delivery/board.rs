//! The accounts of all channels, and what of them `readyz` shows.

use super::account::Account;
use crate::readiness::Readiness;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Groups of channels that are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The spool itself.
    Spool,
    /// Logs of events and metadata.
    Logs,
    /// Kafka, with metrics.
    Kafka,
    /// Webhooks.
    Webhook,
}

impl Group {
    const ALL: [Self; 4] = [Self::Spool, Self::Logs, Self::Kafka, Self::Webhook];

    fn source(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Logs => "event logs",
            Self::Kafka => "kafka",
            Self::Webhook => "webhook",
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    readiness: Readiness,
    accounts: Mutex<BTreeMap<String, (Group, Arc<Account>)>>,
}

/// Everybody who delivers holds one.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Inner>);

impl Board {
    /// Shows what is wrong in `readiness`.
    pub fn new(readiness: Readiness) -> Self {
        Self(Arc::new(Inner { readiness, accounts: Mutex::default() }))
    }

    /// The account of `sink`. One that was there before goes on.
    pub fn account(&self, sink: &str, group: Group) -> Arc<Account> {
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = || {
            let board = Arc::downgrade(&self.0);
            let refresh = move || board.upgrade().into_iter().for_each(|inner| Self(inner).refresh());
            (group, Arc::new(Account::watched(refresh)))
        };
        let (_, account) = accounts.entry(sink.to_owned()).or_insert_with(watched);
        Arc::clone(account)
    }

    /// All accounts, by the names of their sinks.
    pub fn accounts(&self) -> Vec<(String, Arc<Account>)> {
        let accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().map(|(sink, (_, account))| (sink.clone(), Arc::clone(account))).collect()
    }

    /// Shows what is wrong now; every account calls it when that has changed.
    fn refresh(&self) {
        // Under the lock, so that of two who call the later one is what stays.
        let accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        for group in Group::ALL {
            let of_it = accounts.iter().filter(|(_, (of, _))| *of == group);
            let troubles =
                of_it.filter_map(|(sink, (_, account))| Some(format!("{sink}: {}", account.trouble()?)));
            self.0.readiness.set(group.source(), troubles.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_shown_by_group_until_it_is_not() {
        let readiness = Readiness::default();
        let board = Board::new(readiness.clone());
        let kafka = board.account("kafka", Group::Kafka);
        board.account("webhook-a", Group::Webhook).fail("no".into());
        kafka.fail("down".into());
        let shown: Vec<_> = readiness.problems().into_iter().map(|p| (p.source, p.detail)).collect();
        let expected = [("kafka", "kafka: down"), ("webhook", "webhook-a: no")];
        assert_eq!(shown, expected.map(|(source, detail)| (source.to_owned(), detail.to_owned())));
        assert!(Arc::ptr_eq(&kafka, &board.account("kafka", Group::Kafka)));
        board.accounts().iter().for_each(|(_, account)| assert!(account.recover()));
        assert!(readiness.problems().is_empty());
    }
}
