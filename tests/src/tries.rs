//! Comparisons to the last request with what the kernel counts, where the kernel may hide some.
//!
//! There are kernels that run no BPF program while the running task is process 1, whoever's request ends there
//! (docs/kernels.md), and none of the kernel's counters tells of it. A try in which that can have happened, or of which the
//! daemon itself says that it lost something, is made again; a miss that neither explains fails at once.

use crate::wait::DEADLINE;
use crate::{Daemon, Scrape};
use std::fs;
use std::time::Duration;

const TRIES: u32 = 4;
/// Several periods of the reports that are waited for, and the time of a busy machine.
const SHORT: Duration = Duration::from_secs(20);

/// One try.
#[derive(Debug)]
pub struct Try {
    last: bool,
    hidden: bool,
}

/// As many as there are; a test leaves the loop with the first that is whole.
pub fn tries() -> impl Iterator<Item = Try> {
    (1..=TRIES).map(|number| Try { last: number == TRIES, hidden: false })
}

impl Try {
    /// Does `work`, and notes whether process 1 ran meanwhile.
    pub fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = of_process_1();
        let done = work();
        let after = of_process_1();
        self.hidden |= before.runs || after.runs || before.times != after.times;
        done
    }

    /// What `look` finds in a scrape. `None` says to try again; panics when there is no excuse for what is missing.
    #[track_caller]
    pub fn whole<T>(
        &self,
        daemon: &Daemon<'_>,
        what: &str,
        look: impl FnMut(&Scrape) -> Option<T>,
    ) -> Option<T> {
        let limit = if self.last { DEADLINE } else { SHORT };
        let last = match daemon.scrape_within(limit, look) {
            Ok(found) => return Some(found),
            Err(last) => last,
        };
        let lost = last.all("gopherd_lost_total").any(|sample| sample.value > 0.0);
        let excuse = format!("process 1 ran: {}, losses were told: {lost}; {}", self.hidden, last.brief());
        assert!(!self.last && (self.hidden || lost), "waited in vain for: {what}; {excuse}");
        eprintln!("tried again, {what} did not come; {excuse}");
        None
    }
}

#[derive(PartialEq, Eq)]
struct Ran {
    runs: bool,
    times: Vec<String>,
}

/// How often and how long the threads of process 1 ran, and whether one runs now.
fn of_process_1() -> Ran {
    let threads: Vec<_> = fs::read_dir("/proc/1/task").expect("process 1").flatten().collect();
    let read =
        |name: &str| threads.iter().filter_map(|t| fs::read_to_string(t.path().join(name)).ok()).collect();
    let states: Vec<String> = read("stat");
    let runs =
        states.iter().any(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R')));
    Ran { runs, times: read("schedstat") }
}
