//! What the manager asks of the rest of the daemon, answered by the scope engine and the store.

use crate::feature::{PidLookup, Selection};
use crate::manager::World;
use crate::pipeline::PodLabels;
use crate::scope::ScopeEngine;
use crate::store::Store;
use probe_core::{ProcKey, Resolved};
use std::sync::Arc;

/// The real world.
#[derive(Debug)]
pub struct Daemon {
    /// Resolves selections.
    pub scope: ScopeEngine,
    /// Takes samples.
    pub store: Arc<Store>,
    /// Which labels of pods go on series.
    pub pod_labels: PodLabels,
}

impl PidLookup for Daemon {
    fn process(&self, pid: u32) -> Option<ProcKey> {
        self.scope.process(pid)
    }
}

impl World for Daemon {
    fn watch(&self, feature: &'static str, selection: &Selection, wanted: bool) -> Resolved {
        self.scope.set(feature, selection, wanted)
    }

    fn unwatch(&self, feature: &'static str) {
        self.scope.remove(feature);
    }

    fn open(&self, feature: &'static str, run: u64) {
        self.store.open(feature, run);
    }

    fn labels(&self, feature: &'static str, custom: &[(String, String)], pod: &[String]) {
        self.pod_labels.set(feature, pod);
        self.store.set_custom_labels(feature, custom);
    }

    fn switch_off(&self, feature: &'static str, sub_probes: Vec<&'static str>) {
        self.store.switch_off(feature, sub_probes);
    }

    fn close(&self, feature: &'static str) {
        self.store.retire(feature);
    }

    fn allow(&self, feature: &'static str, series: Option<u64>) {
        self.store.allow(feature, series.map(|series| usize::try_from(series).unwrap_or(usize::MAX)));
    }
}
