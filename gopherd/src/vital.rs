//! Threads that the daemon is nothing without: the pipeline, the events, the writers, the senders.
//!
//! A probe that panics is started again and takes nothing else with it. A part of the core cannot be: what it holds is half
//! changed, and without it the daemon would go on looking well while nothing gets through. So the process ends, and
//! the service manager starts another; what the spool has is sent by that one.

use std::io;
use std::thread::{Builder, JoinHandle, panicking};

/// Starts the thread `name`. If `body` panics, the process aborts, after the message of the panic.
///
/// # Errors
/// As [`Builder::spawn`]: there can be no more threads.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let guard = Guard(name.to_owned());
    Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = guard;
        body()
    })
}

struct Guard(String);

impl Drop for Guard {
    fn drop(&mut self) {
        if panicking() {
            tracing::error!(thread = self.0, "a part that everything needs has failed: the daemon ends");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn what_the_thread_returns_is_returned() {
        assert_eq!(spawn("fine", || 7).expect("a thread").join().expect("no panic"), 7);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // a process of its own, which ends
    fn a_panic_ends_the_process() {
        let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
        let output = command
            .args(["--ignored", "--exact", "vital::tests::the_process_that_ends", "--nocapture"])
            .output()
            .expect("it starts");
        assert_eq!(output.status.signal(), Some(Signal::ABORT.as_raw()), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("half changed"), "{told}");
    }

    #[test]
    #[ignore = "started by the test above"]
    fn the_process_that_ends() {
        let thread = spawn("broken", || panic!("half changed")).expect("a thread");
        drop(thread.join());
        unreachable!("the process goes on");
    }
}
