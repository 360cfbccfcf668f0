//! A probe on a thread of its own, told what to do as the daemon tells it.

use crate::link::{Control, Delivery, Gauges, KitLink};
use probe_core::{Order, Outcome, Probe, ProbeError, Starting};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longer than anything takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Held by whoever observes, and by the test that counts what is left when nobody does.
static OBSERVERS: RwLock<()> = RwLock::new(());

/// That no other test of this program observes.
#[derive(Debug)]
pub struct Alone(#[allow(dead_code)] RwLockWriteGuard<'static, ()>); // held, not read

impl Alone {
    /// Waits for the others to end.
    pub fn claim() -> Self {
        Self(OBSERVERS.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A running probe; dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Observed {
    _among_others: Option<RwLockReadGuard<'static, ()>>,
    control: Control,
    reports: Receiver<u64>,
    deliveries: Receiver<Delivery>,
    thread: Option<JoinHandle<Result<(), ProbeError>>>,
}

#[allow(clippy::missing_panics_doc, clippy::expect_used, clippy::panic)]
impl Observed {
    /// Starts `probe` and waits until it is attached, with nothing missing; where it gives less than elsewhere is in
    /// its `VERDICT` lines, which the table of kernels shows. It waits for an [`Alone`] to end, unless it is for it.
    pub fn start(feature: &'static str, probe: Box<dyn Probe>, order: Order, alone: Option<&Alone>) -> Self {
        let among_others = alone.is_none().then(|| OBSERVERS.read().unwrap_or_else(PoisonError::into_inner));
        let (outlet, deliveries) = sync_channel(64);
        let (told, reports) = channel();
        let on_report = Box::new(move |outcome: Outcome, number| {
            let missing: Vec<_> = outcome.sub_probes.iter().filter(|sub| !sub.missing.is_empty()).collect();
            assert!(missing.is_empty(), "{missing:?}");
            for sub in &outcome.sub_probes {
                let verdict = if sub.lacks.is_empty() { "attached".into() } else { sub.lacks.join("; ") };
                eprintln!("VERDICT {}: {verdict}", sub.name);
            }
            let _ = told.send(number);
        });
        let (link, control) =
            KitLink::new(feature, 1, outlet, Arc::<Gauges>::default(), on_report).expect("a link");
        let start = Starting::new(Box::new(link), order);
        let thread = thread::Builder::new().spawn(move || probe.run(start)).expect("a thread");
        let mut observed =
            Self { _among_others: among_others, control, reports, deliveries, thread: Some(thread) };
        observed.reported(0);
        observed
    }

    fn reported(&mut self, number: u64) {
        loop {
            match self.reports.recv_timeout(PATIENCE) {
                Ok(answered) if answered >= number => return,
                Ok(_) => {}
                Err(_) => panic!("no report: {:?}", self.thread.take().map(JoinHandle::join)),
            }
        }
    }

    /// Tells it this, and waits for its answer.
    pub fn command(&mut self, order: Order) {
        let number = self.control.order(order);
        self.reported(number);
    }

    /// The next thing that it hands over.
    pub fn delivery(&mut self) -> Delivery {
        let Ok(delivery) = self.deliveries.recv_timeout(PATIENCE) else {
            panic!("nothing comes: {:?}", self.thread.take().map(JoinHandle::join));
        };
        delivery
    }

    /// What waits to be taken, without waiting for more.
    pub fn waiting(&mut self) -> impl Iterator<Item = Delivery> + '_ {
        self.deliveries.try_iter()
    }
}

impl Drop for Observed {
    #[allow(clippy::expect_used)] // a test shall fail
    fn drop(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("no panic").expect("a regular end");
            }
        }
    }
}
