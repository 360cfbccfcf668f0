//! Which labels of pods each feature's series carry, as the operator asked for them.

use crate::feature::pod_label_name;
use crate::meta::PodLabel;
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use std::sync::Arc;

type Wanted = HashMap<&'static str, Arc<[PodLabel]>>;

/// Handle of the wishes: the manager sets them, the pipeline reads them for each row.
#[derive(Clone, Debug)]
pub struct PodLabels {
    wanted: Arc<ArcSwap<Wanted>>,
    none: Arc<[PodLabel]>,
}

impl Default for PodLabels {
    fn default() -> Self {
        Self { wanted: Arc::default(), none: [].into() }
    }
}

impl PodLabels {
    /// The series of `feature` carry the pod labels with these keys from now on, each under the name that its
    /// key becomes.
    pub fn set(&self, feature: &'static str, keys: &[String]) {
        let now: Vec<PodLabel> =
            keys.iter().map(|key| (key.as_str().into(), pod_label_name(key).into())).collect();
        // Another pointer means that every row of the feature is looked at again.
        if *self.get(feature) == *now {
            return;
        }
        let now: Arc<[PodLabel]> = now.into();
        self.wanted.rcu(|wanted| {
            let mut wanted = Wanted::clone(wanted);
            wanted.insert(feature, Arc::clone(&now));
            wanted
        });
    }

    /// The labels that `feature` wants; the same pointer for as long as they are the same.
    pub(super) fn get(&self, feature: &str) -> Arc<[PodLabel]> {
        self.wanted.load().get(feature).map_or_else(|| Arc::clone(&self.none), Arc::clone)
    }
}
