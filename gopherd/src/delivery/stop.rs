//! Telling a worker to end, whether it waits as a thread or as a task.

use tokio_util::sync::CancellationToken;

/// Set once, never taken back. Copies are one.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Tells everybody.
    pub fn set(&self) {
        self.0.cancel();
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for it.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}
