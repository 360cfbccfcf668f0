//! A probe's thread: started, told things, and its end turned into an event, a panic included.

use probe_core::{Build, Descriptor, Env, Order, Outcome, ProbeError, Starting};
use probe_kit::link::{Control, Delivery, Gauges, KitLink};
use probe_kit::rehearsal::Rehearsed;
use probe_kit::{fault, rehearsal};
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
    /// It was a rehearsal, and has ended; the number of the run is that of the dry run.
    Rehearsed(Result<Rehearsed, ProbeError>),
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
    let build = build(descriptor)?;
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
    let work = move || {
        let result = caught(|| build(&env).run(Starting::new(Box::new(link), order)));
        let _ = events.blocking_send(ThreadEvent { feature, run: id, said: FromThread::Exited(result) });
    };
    let thread = thread(descriptor, work)?;
    Ok(Run { id, control, thread: Some(thread) })
}

/// Starts the thread that rehearses `descriptor`'s probe for dry run `id`.
pub(super) fn rehearse(
    ground: &Ground,
    descriptor: &'static Descriptor,
    feature: usize,
    id: u64,
    order: Order,
) -> Result<(), ProbeError> {
    let build = build(descriptor)?;
    let (env, events) = (ground.env.clone(), ground.events.clone());
    let work = move || {
        let result = caught(|| rehearsal::rehearse(descriptor.name, build(&env), order));
        let _ = events.blocking_send(ThreadEvent { feature, run: id, said: FromThread::Rehearsed(result) });
    };
    // Its last message is all that is needed of it.
    thread(descriptor, work).map(drop)
}

fn build(descriptor: &Descriptor) -> Result<Build, ProbeError> {
    let missing = || vec!["not supported in the current version".into()];
    descriptor.build.ok_or_else(|| ProbeError::Unsupported { missing: missing() })
}

fn thread(
    descriptor: &Descriptor,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, ProbeError> {
    let name = format!("probe-{}", descriptor.name);
    fault::at("thread", &name)
        .and_then(|()| std::thread::Builder::new().name(name).spawn(work))
        .map_err(|e| ProbeError::failed("starting the probe's thread", e))
}

/// What `body` comes to; a panic is an error of the probe.
fn caught<T>(body: impl FnOnce() -> Result<T, ProbeError>) -> Result<T, ProbeError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        Err(ProbeError::Panicked(text))
    })
}
