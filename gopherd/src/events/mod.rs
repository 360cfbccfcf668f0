//! Events: what is abnormal in what the probes report becomes documents, for the channels and the live stream.
//!
//! ```text
//!  pipeline ── Watch ── engine (judge, suppress) ──► queue ──► thread `events`: Writer ──► Accept (delivery)
//!                                                                      └──────────────────► Live (ring, followers)
//! ```
//!
//! Owns the decision, the document and the live stream. Leaves what is abnormal to the probes' triggers, what a subject
//! is called to the pipeline, and where documents go to `delivery`.

mod allowance;
mod counts;
mod document;
mod engine;
mod entity;
mod judge;
mod live;
mod source;
mod suppress;
mod teller;
mod text;
mod watch;

pub use counts::{Counts, FeatureCounts};
pub use document::{Style, Writer};
pub use engine::{Circumstances, Engine, Event, Tell, What};
pub use entity::{MAX_LEN, entity_id};
pub use live::{CAPACITY, Entry, Figures, Filter, Follower, Live, MAX_FOLLOWERS, Part, Place};
pub use source::is_watchable;
pub use watch::{QUEUE, Watch};

use crate::budget;
use crate::config::{Config, DescLanguage};
use crate::delivery::Accept;
use crate::manager::Views;
use crate::metadata::Metadata;
use crate::vital;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How events are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How documents are written.
    pub style: Style,
    /// `event.timeout`.
    pub timeout: Duration,
    /// How many a feature may tell.
    pub budgets: budget::Settings,
}

impl Settings {
    /// As `config` says, on the host `machine`.
    pub fn of(config: &Config, machine: &str, budgets: budget::Settings) -> Self {
        Self {
            style: Style {
                prefix: config.metric.prefix.clone(),
                machine: machine.to_owned(),
                legacy_metrics_key: config.event.legacy_metrics_key,
                chinese: config.event.desc_language == DescLanguage::Chinese,
                recovery: config.event.recovery,
            },
            timeout: config.event.timeout,
            budgets,
        }
    }
}

/// What the rest of the daemon sees of events.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The live stream.
    pub live: Arc<Live>,
    /// What became of events.
    pub counts: Counts,
    waiting: Arc<AtomicUsize>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { live: Arc::new(Live::default()), counts: Counts::default(), waiting: Arc::default() }
    }
}

impl Shown {
    /// Events that wait for the thread now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Starts the thread `events`, which gives all documents to `accept`. It ends when the [`Watch`] is gone and nothing
/// waits any more.
///
/// # Errors
/// The thread cannot be made.
pub fn start(
    settings: Settings,
    views: Views,
    accept: Box<dyn Accept>,
    shown: &Shown,
) -> io::Result<(Watch, JoinHandle<()>)> {
    let (outlet, inlet) = std::sync::mpsc::channel();
    let machine = settings.style.machine.clone();
    let teller = teller::Teller {
        inlet,
        waiting: Arc::clone(&shown.waiting),
        writer: Writer::new(settings.style),
        metadata: Metadata::new(views.clone()),
        accept,
        live: Arc::clone(&shown.live),
        counts: shown.counts.clone(),
    };
    let thread = vital::spawn("events", move || teller.run())?;
    let engine = (machine, settings.timeout, shown.counts.clone());
    let features = (views, settings.budgets);
    Ok((Watch::new(engine, features, outlet, Arc::clone(&shown.waiting)), thread))
}
