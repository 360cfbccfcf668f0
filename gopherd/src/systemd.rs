//! What the service manager is told: ready, reloading, stopping, and that the main task is alive. Without a
//! service manager (no NOTIFY_SOCKET) all of it does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// Sends `states`; a service manager that cannot be told is logged and otherwise no obstacle.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// The daemon answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The daemon is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The main task is alive.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is expected: half of the interval that the service manager allows.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|interval| interval / 2)
}
