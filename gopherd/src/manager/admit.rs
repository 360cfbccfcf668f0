//! The whole policy of a feature's life, as a pure function: which event is admitted in which phase, and what
//! is done about it. No lock, no clock, no I/O; the manager carries the action out.
//!
//! ```text
//!             Start                     Attached
//!  Stopped ───────────► Starting ───────────────────► Running ──┐ Change, Reported
//!     ▲  ▲                │ │ Exited                    │ │   ◄──┘
//!     │  │                │ └─────────► Failed ◄────────┘ │ Exited
//!     │  │ Stop           │ Stop         │ │ RetryDue,    │
//!     │  └────────────────┼──────────────┘ │ Start, Change ──► Starting
//!     │ Exited            ▼                               │ Stop
//!     └─────────────── Stopping ◄────────────────────────┘
//!                         │ Exited, and Start came meanwhile ──► Starting
//! ```

/// Where a feature is, without the data that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No thread, none wanted.
    Stopped,
    /// A thread runs and has not said that it is attached.
    Starting,
    /// Attached.
    Running,
    /// Ended by itself; wanted still.
    Failed,
    /// Told to end, still there. `restart`: a start was asked for meanwhile.
    Stopping {
        /// Start again once it has ended.
        restart: bool,
    },
}

/// What happens to a feature. Those of a thread carry its run number, checked before they get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It shall run.
    Start,
    /// It shall not run.
    Stop,
    /// Its order has changed: sub-probes, scope or parameters.
    Change,
    /// The thread says that it is attached.
    Attached,
    /// The thread says what runs after a change.
    Reported,
    /// The thread has ended; whether it returned an error.
    Exited {
        /// It returned an error or panicked.
        error: bool,
    },
    /// The backoff is over.
    RetryDue,
}

/// What the manager does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing: it is so already, or the stored configuration is all that changes.
    Nothing,
    /// Start a thread with the present order.
    Spawn,
    /// Tell the thread to end.
    TellStop,
    /// Tell the thread the new order.
    TellOrder,
    /// Note what runs; the feature is running.
    BecomeRunning,
    /// Remember whether to start again once the thread has ended.
    Remember {
        /// Start again.
        restart: bool,
    },
    /// The feature is stopped.
    BecomeStopped,
    /// The feature has failed; try again later if that can help.
    BecomeFailed,
}

/// The event makes no sense in this phase: a message that crossed another one on its way. It is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stale;

/// The policy.
pub(super) fn admit(phase: Phase, event: Event) -> Result<Action, Stale> {
    use Action::{BecomeFailed, BecomeRunning, BecomeStopped, Nothing, Remember, Spawn, TellOrder, TellStop};
    match (phase, event) {
        (Phase::Stopped | Phase::Failed, Event::Start) => Ok(Spawn),
        (Phase::Starting | Phase::Running, Event::Start) => Ok(Nothing),
        (Phase::Stopping { .. }, Event::Start) => Ok(Remember { restart: true }),

        (Phase::Stopped, Event::Stop) => Ok(Nothing),
        (Phase::Starting | Phase::Running, Event::Stop) => Ok(TellStop),
        (Phase::Failed, Event::Stop) => Ok(BecomeStopped),
        (Phase::Stopping { .. }, Event::Stop) => Ok(Remember { restart: false }),

        (Phase::Stopped | Phase::Stopping { .. }, Event::Change) => Ok(Nothing),
        (Phase::Starting | Phase::Running, Event::Change) => Ok(TellOrder),
        // A new order may be what the failure needed: try now.
        (Phase::Failed, Event::Change | Event::RetryDue) => Ok(Spawn),

        (Phase::Starting, Event::Attached) | (Phase::Running, Event::Reported) => Ok(BecomeRunning),

        (Phase::Starting | Phase::Running, Event::Exited { .. }) => Ok(BecomeFailed),
        (Phase::Stopping { restart: true }, Event::Exited { .. }) => Ok(Spawn),
        (Phase::Stopping { restart: false }, Event::Exited { .. }) => Ok(BecomeStopped),

        (Phase::Stopped | Phase::Running | Phase::Failed | Phase::Stopping { .. }, Event::Attached)
        | (Phase::Stopped | Phase::Starting | Phase::Failed | Phase::Stopping { .. }, Event::Reported)
        | (Phase::Stopped | Phase::Failed, Event::Exited { .. })
        | (Phase::Stopped | Phase::Starting | Phase::Running | Phase::Stopping { .. }, Event::RetryDue) => {
            Err(Stale)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(phase: Phase, action: Action) -> Phase {
        match action {
            Action::Nothing | Action::TellOrder => phase,
            Action::Spawn => Phase::Starting,
            Action::TellStop => Phase::Stopping { restart: false },
            Action::BecomeRunning => Phase::Running,
            Action::Remember { restart } => Phase::Stopping { restart },
            Action::BecomeStopped => Phase::Stopped,
            Action::BecomeFailed => Phase::Failed,
        }
    }

    fn has_thread(phase: Phase) -> bool {
        matches!(phase, Phase::Starting | Phase::Running | Phase::Stopping { .. })
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Start),
            Just(Event::Stop),
            Just(Event::Change),
            Just(Event::Attached),
            Just(Event::Reported),
            any::<bool>().prop_map(|error| Event::Exited { error }),
            Just(Event::RetryDue),
        ]
    }

    proptest! {
        #[test]
        fn never_two_threads_and_none_is_forgotten(sequence in prop::collection::vec(events(), 0..200)) {
            let mut phase = Phase::Stopped;
            let mut threads = 0;
            for event in sequence {
                // A thread event can only come from a thread.
                if matches!(event, Event::Attached | Event::Reported | Event::Exited { .. }) && threads == 0 {
                    continue;
                }
                if matches!(event, Event::Exited { .. }) {
                    threads -= 1;
                }
                if let Ok(action) = admit(phase, event) {
                    threads += u32::from(action == Action::Spawn);
                    phase = after(phase, action);
                }
                prop_assert!(threads <= 1, "two threads after {event:?}");
                prop_assert_eq!(threads == 1, has_thread(phase), "after {:?} in {:?}", event, phase);
            }
        }

        #[test]
        fn the_last_wish_wins_once_threads_answer(sequence in prop::collection::vec(events(), 0..200), last in prop_oneof![Just(Event::Start), Just(Event::Stop)]) {
            let mut phase = Phase::Stopped;
            for event in sequence {
                if matches!(event, Event::Attached | Event::Reported | Event::Exited { .. }) && !has_thread(phase) {
                    continue;
                }
                if let Ok(action) = admit(phase, event) {
                    phase = after(phase, action);
                }
            }
            if let Ok(action) = admit(phase, last) {
                phase = after(phase, action);
            }
            // Now every thread does what it was told.
            for _ in 0..3 {
                let event = match phase {
                    Phase::Starting => Event::Attached,
                    Phase::Stopping { .. } => Event::Exited { error: false },
                    _ => break,
                };
                phase = after(phase, admit(phase, event).expect("expected of a thread"));
            }
            prop_assert_eq!(phase, if last == Event::Start { Phase::Running } else { Phase::Stopped });
        }
    }
}
