//! A scrape's answer: the store's text, the daemon's own families after it, compressed as the client wants.

use crate::access::Counts;
use crate::budget;
use crate::config::{Config, Semantics};
use crate::cost::{Costs, FeatureCost};
use crate::expose::{Compressor, Encoding, Format, finish, negotiate};
use crate::http::{Exposition, Metrics, View};
use crate::logging::LogControl;
use crate::manager::{StateName, Views};
use crate::scope::ScopeEngine;
use crate::selfmetrics::{SelfMetrics, process_usage};
use crate::store::Store;
use gopher_api::DaemonStatus;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// What a scrape works with; taken for its duration and given back, so that buffers are reused.
#[derive(Debug, Default)]
struct Workspace {
    text: Vec<u8>,
    compressor: Compressor,
}

/// Workspaces that are kept: as many as expositions at a time.
const KEPT: usize = crate::http::ENCODERS;

/// A kept buffer is at most this large; one scrape of very many series must not hold its memory for ever.
const KEPT_BYTES: usize = 8 << 20;

/// The text of `per_period`, which names no version.
const PER_PERIOD: &str = "text/plain; charset=utf-8";

/// The store and the daemon's own figures, as `/metrics` shows them.
#[derive(Debug)]
pub struct Shown {
    store: Arc<Store>,
    own: Arc<SelfMetrics>,
    views: Views,
    scope: ScopeEngine,
    log: LogControl,
    refused: Arc<Counts>,
    budgets: budget::Board,
    costs: Costs,
    semantics: Semantics,
    spare: Mutex<Vec<Workspace>>,
    started: SystemTime,
}

/// Who knows what is shown.
#[derive(Debug)]
pub struct Sources {
    /// The series.
    pub store: Arc<Store>,
    /// The daemon's own families.
    pub own: Arc<SelfMetrics>,
    /// The features.
    pub views: Views,
    /// How many subjects each of them has.
    pub scope: ScopeEngine,
    /// What the log has lost.
    pub log: LogControl,
    /// What the doors have refused.
    pub refused: Arc<Counts>,
    /// What is used of budgets.
    pub budgets: budget::Board,
    /// What features cost.
    pub costs: Costs,
}

impl Shown {
    /// Shows the store in the view that `config` chose, and the daemon's own families after it.
    pub fn new(config: &Config, sources: Sources) -> Self {
        let Sources { store, own, views, scope, log, refused, budgets, costs } = sources;
        let semantics = config.metric.semantics;
        if semantics == Semantics::PerPeriod {
            store.want_periods();
        }
        // A feature that is not built has no cost and no losses to show.
        let built = views.all().filter(|view| view.descriptor.build.is_some());
        built.for_each(|view| own.watch_probe(view.descriptor.name, Arc::clone(&view.gauges)));
        own.watch_costs(costs.clone());
        let (spare, started) = (Mutex::default(), SystemTime::now());
        Self { store, own, views, scope, log, refused, budgets, costs, semantics, spare, started }
    }

    fn write(&self, view: View, format: Format, text: &mut Vec<u8>) -> &'static str {
        let per_period = match view {
            View::Configured => self.semantics == Semantics::PerPeriod,
            View::Cumulative => false,
            View::PerPeriod => true,
        };
        if per_period {
            self.store.want_periods();
            self.store.write_per_period(text);
            return PER_PERIOD;
        }
        self.store.write_cumulative(format, text);
        self.read_states();
        self.own.write(&self.store, format, text);
        finish(format, text);
        format.content_type()
    }
}

impl Shown {
    /// What the manager and the scope engine know is asked for when somebody looks.
    fn read_states(&self) {
        let names = StateName::ALL.map(StateName::text);
        for view in self.views.all() {
            let probe = view.descriptor.name;
            if view.state == StateName::Unavailable {
                self.own.set_probe_state(probe, view.state.text(), &[view.state.text()]);
                continue;
            }
            self.own.set_probe_state(probe, view.state.text(), &names);
            self.own.set_restarts(probe, view.restarts);
            self.own.set_budget(probe, &view.budget_steps, view.restraint.steps().len());
            let (processes, containers) = self.scope.counts(probe);
            self.own.set_scope_targets(probe, "process", processes);
            self.own.set_scope_targets(probe, "container", containers);
        }
        self.own.set_scope_missed(self.scope.missed());
        self.own.set_tracker(self.scope.tracker_counts());
        self.own.set_access(&self.refused);
        self.own.set_lost("log", "debug", "write_failed", self.log.lost());
    }
}

impl Metrics for Shown {
    fn expose(&self, view: View, accept: Option<&str>, accept_encoding: Option<&str>) -> Exposition {
        let began = Instant::now();
        let mut work = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        work.text.clear();
        let content_type = self.write(view, negotiate::format(accept), &mut work.text);
        let mut encoding = negotiate::encoding(accept_encoding);
        let mut body = Vec::new();
        if encoding == Encoding::Identity
            || work.compressor.compress(encoding, &work.text, &mut body).is_err()
        {
            // Without memory to compress the plain body is still a right answer.
            encoding = Encoding::Identity;
            body.clear();
            body.extend_from_slice(&work.text);
        }
        if work.text.capacity() <= KEPT_BYTES {
            let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.len() < KEPT {
                spare.push(work);
            }
        }
        self.own.observe_scrape(began.elapsed());
        Exposition { content_type, content_encoding: encoding.content_encoding(), body: body.into() }
    }

    fn series(&self, feature: &str) -> u64 {
        self.store.stats().features.iter().find(|f| f.feature == feature).map_or(0, |f| f.series as u64)
    }

    fn lost(&self, feature: &str) -> BTreeMap<String, u64> {
        self.own.lost(|owner| owner == feature)
    }

    fn cost(&self, feature: &str) -> Option<FeatureCost> {
        self.costs.of(feature)
    }

    fn budget(&self, feature: &str) -> Option<budget::Figures> {
        self.budgets.get(feature)
    }

    fn daemon(&self) -> DaemonStatus {
        self.own.set_lost("log", "debug", "write_failed", self.log.lost());
        let usage = process_usage();
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: humantime::format_rfc3339_millis(self.started).to_string(),
            cpu_ns: usage.cpu_ns,
            memory_bytes: usage.resident_bytes,
            series: self.store.stats().series as u64,
            lost: self.own.lost(|owner| self.views.get(owner).is_none()),
        }
    }
}
