//! A probe's thread: started, told things, and its end turned into an event, a panic included.

use probe_core::{Descriptor, Env, Order, Outcome, ProbeError, Starting};
use probe_kit::link::{Control, Delivery, Gauges, KitLink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use tokio::sync::mpsc::Sender;

/// What a thread says to the manager.
#[derive(Debug)]
pub(super) enum FromThread {
    /// Which sub-probes run of the order with this number; 0 is the one at the start.
    Report(Outcome, u64),
    /// It has ended.
    Exited(Result<(), ProbeError>),
}

/// A message with its sender.
#[derive(Debug)]
pub(super) struct ThreadEvent {
    pub(super) feature: usize,
    pub(super) run: u64,
    pub(super) said: FromThread,
}

/// A running thread.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) control: Control,
    /// Taken when the thread has ended and is joined.
    pub(super) thread: Option<JoinHandle<()>>,
}

/// What every thread is given.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) env: Env,
    pub(super) outlet: SyncSender<Delivery>,
    pub(super) events: Sender<ThreadEvent>,
}

/// Starts the thread of `descriptor`'s probe.
pub(super) fn spawn(
    ground: &Ground,
    descriptor: &'static Descriptor,
    feature: usize,
    id: u64,
    order: Order,
    gauges: &Arc<Gauges>,
) -> Result<Run, ProbeError> {
    let build = descriptor.build.ok_or_else(|| ProbeError::Unsupported {
        missing: vec!["not supported in the current version".into()],
    })?;
    let reports = ground.events.clone();
    // The manager drains this channel as long as it lives; when it is gone nobody needs the message.
    let on_report = Box::new(move |outcome, number| {
        let _ = reports.blocking_send(ThreadEvent {
            feature,
            run: id,
            said: FromThread::Report(outcome, number),
        });
    });
    let (link, control) =
        KitLink::new(descriptor.name, id, ground.outlet.clone(), Arc::clone(gauges), on_report)
            .map_err(|e| ProbeError::failed("making the probe's eventfd", e))?;
    let env = ground.env.clone();
    let events = ground.events.clone();
    let thread = std::thread::Builder::new()
        .name(format!("probe-{}", descriptor.name))
        .spawn(move || {
            let body = || build(&env).run(Starting::new(Box::new(link), order));
            let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(ToString::to_string)
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".into());
                Err(ProbeError::Panicked(text))
            });
            let _ = events.blocking_send(ThreadEvent { feature, run: id, said: FromThread::Exited(result) });
        })
        .map_err(|e| ProbeError::failed("starting the probe's thread", e))?;
    Ok(Run { id, control, thread: Some(thread) })
}
